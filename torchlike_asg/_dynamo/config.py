"""Settings of PyTorch's compiler (``torch._dynamo.config.suppress_errors = True`` ...): remembered, without effect."""
