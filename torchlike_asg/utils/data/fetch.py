"""Reading one batch of samples from a dataset, in the training process or in a worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .collate import default_collate
from .dataset import IterableDataset, gather_tensors

__all__ = ["Fetcher", "make_fetcher"]


class Fetcher(Protocol):
    """One pass over a dataset."""

    def fetch(self, index: Any) -> Any:
        """The collated batch at `index` (a list of indices, or a single one without batching). StopIteration at the end of a stream."""

    def skip(self, index: Any) -> None:
        """Move past the batch at `index` without collating it. StopIteration at the end of a stream."""


class MapFetcher:
    def __init__(self, dataset: Any, batched: bool, collate_fn: Callable[[Any], Any]) -> None:
        self.dataset, self.batched, self.collate_fn = dataset, batched, collate_fn

    def fetch(self, index: Any) -> Any:
        if not self.batched:
            return self.collate_fn(self.dataset[index])
        if self.collate_fn is default_collate:
            columns = gather_tensors(self.dataset, index)
            if columns is not None:
                return columns
        read = getattr(self.dataset, "__getitems__", None)
        return self.collate_fn(read(index) if read else [self.dataset[position] for position in index])

    def skip(self, index: Any) -> None:
        pass  # positions not asked for need no reading


class IterableFetcher:
    def __init__(self, dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> None:
        self.samples = iter(dataset)
        self.batched, self.collate_fn, self.drop_last = batched, collate_fn, drop_last
        self.ended = False

    def _read(self, index: Any) -> Any:
        if self.ended:
            raise StopIteration
        if not self.batched:
            return next(self.samples)
        batch: list[Any] = []
        for _ in index:
            try:
                batch.append(next(self.samples))
            except StopIteration:
                self.ended = True
                break
        if not batch or (self.drop_last and len(batch) < len(index)):
            raise StopIteration
        return batch

    def fetch(self, index: Any) -> Any:
        return self.collate_fn(self._read(index))

    def skip(self, index: Any) -> None:
        self._read(index)


def make_fetcher(dataset: Any, batched: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> Fetcher:
    """A fetcher that starts a new pass over `dataset`."""
    if isinstance(dataset, IterableDataset):
        return IterableFetcher(dataset, batched, collate_fn, drop_last)
    return MapFetcher(dataset, batched, collate_fn)
