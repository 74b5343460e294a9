"""``torch.backends.quantized`` for scripts that ask: quantised tensors."""

from __future__ import annotations

#: there is none: quantised tensors are not supported
engine = "none"
supported_engines = ["none"]
