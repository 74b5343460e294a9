"""Settings of PyTorch's code generator (``torch._inductor.config.max_autotune = True`` ...): remembered, without effect."""
