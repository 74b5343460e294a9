"""Settings of PyTorch's compiler (``torch._dynamo.config.suppress_errors = True`` ...): remembered, without effect."""

suppress_errors = verbose = capture_scalar_outputs = capture_dynamic_output_shape_ops = dynamic_shapes_enabled = False
cache_size_limit = recompile_limit = 8
accumulated_cache_size_limit = accumulated_recompile_limit = 256
automatic_dynamic_shapes = assume_static_by_default = True
