"""Where PyTorch keeps the inner parts of its loader."""

from . import collate

__all__ = ["collate"]
