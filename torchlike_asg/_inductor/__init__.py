"""``torch._inductor`` for scripts that set options of PyTorch's code generator: remembered, without effect."""

from . import config

__all__ = ["config"]
