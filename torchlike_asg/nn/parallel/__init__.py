"""DataParallel and DistributedDataParallel, for the scripts and checkpoints that name them: there is one device and one process here."""

from __future__ import annotations

from typing import Any

from ...places import submodule
from ..modules.module import Module
from .replicas import data_parallel, gather, parallel_apply, replicate, scatter

__all__ = ["DataParallel", "DistributedDataParallel", "data_parallel", "gather", "parallel_apply", "replicate", "scatter"]


class DataParallel(Module):
    """Calls `module`, which it holds under that name, so that state dicts have PyTorch's ``module.`` prefix."""

    def __init__(self, module: Any, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []
        self.output_device = output_device
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)


class DistributedDataParallel(Module):
    """Importable, because scripts import it before they know whether they run distributed; making one raises RuntimeError."""

    def __init__(self, module: Any, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("DistributedDataParallel needs several processes, which torchlike_asg does not have: use the module itself")


def __getattr__(name: str) -> Any:
    return submodule(__name__, name)
