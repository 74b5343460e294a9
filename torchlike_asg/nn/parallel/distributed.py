"""Where PyTorch keeps `DistributedDataParallel`."""

from . import DistributedDataParallel

__all__ = ["DistributedDataParallel"]
