"""Datasets, samplers and loaders under PyTorch's names (`torch.utils.data`)."""

from __future__ import annotations

from typing import Any

from ...absent import asked
from ...errors import Unsupported
from . import _utils  # noqa: F401  (scripts reach the inner parts by attribute)
from .collate import default_collate, default_convert
from .dataloader import DataLoader
from .dataset import ChainDataset, ConcatDataset, Dataset, IterableDataset, StackDataset, Subset, TensorDataset, random_split
from .distributed import DistributedSampler
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler
from .worker import WorkerInfo, get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "default_collate",
    "default_convert",
    "get_worker_info",
    "random_split",
]

_DATAPIPES = {"DFIterDataPipe", "DataChunk"}
#: PyTorch's base classes of data pipes -> what they are here, where nothing is registered for chains of calls
_BASES = {"IterDataPipe": IterableDataset, "MapDataPipe": Dataset}


class functional_datapipe:
    """Decorator of data pipes that gives PyTorch's pipes a method of that name: the class itself, as no pipes are chained here."""

    def __init__(self, name: str, enable_df_api_tracing: bool = False) -> None:
        self.name = name

    def __call__(self, cls: Any) -> Any:
        return cls


_absent = asked(__name__)


def __getattr__(name: str) -> Any:
    if name in _BASES:
        return _BASES[name]
    if name in _DATAPIPES:
        raise Unsupported(f"torchlike_asg.utils.data.{name} is not supported: write a Dataset or an IterableDataset instead of a data pipe")
    return _absent(name)
