"""Datasets: map-style (`__getitem__` and `__len__`) and iterable-style (`__iter__`), and the ways to combine and split them."""

from __future__ import annotations

import bisect
import itertools
import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import torchlike_asg as torch

from . import arrays

__all__ = ["ChainDataset", "ConcatDataset", "Dataset", "IterableDataset", "StackDataset", "Subset", "TensorDataset", "random_split"]

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """A map from an index to a sample. Subclasses write `__getitem__` and, for the default samplers, `__len__`.

    A subclass may also write `__getitems__(indices)`, which returns the list of samples of one batch at once.
    `first + second` is ``ConcatDataset([first, second])``.
    """

    def __getitem__(self, index: Any) -> T_co:
        raise NotImplementedError("Subclasses of Dataset should implement __getitem__.")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """A stream of samples. Subclasses write `__iter__`; under worker processes each worker iterates its own copy,
    so `__iter__` must ask :func:`get_worker_info` which part of the stream is this worker's.
    """

    def __add__(self, other: Dataset[T_co]) -> ChainDataset:  # type: ignore[override]
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Samples are rows of tensors of equal first size: ``dataset[i] == tuple(t[i] for t in tensors)``.

    Raises:
        AssertionError: the first sizes differ.
    """

    def __init__(self, *tensors: torch.Tensor) -> None:
        if any(tensor.size(0) != tensors[0].size(0) for tensor in tensors):
            raise AssertionError("Size mismatch between tensors")
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return self.tensors[0].size(0)


class StackDataset(Dataset[Any]):
    """Several datasets of equal length side by side: samples are tuples (positional arguments) or dicts (keyword arguments).

    Raises:
        ValueError: no dataset, both kinds of argument, or lengths that differ.
    """

    def __init__(self, *args: Dataset[Any], **kwargs: Dataset[Any]) -> None:
        if args and kwargs:
            raise ValueError("StackDataset takes positional datasets (samples are tuples) or keyword datasets (dicts), but both are given.")
        if not args and not kwargs:
            raise ValueError("At least one dataset should be passed")
        self.datasets: tuple[Any, ...] | dict[str, Any] = args or kwargs
        lengths = {len(dataset) for dataset in (args or kwargs.values())}  # type: ignore[arg-type]
        if len(lengths) != 1:
            raise ValueError("Size mismatch between datasets")
        (self._length,) = lengths

    def _combine(self, read: Callable[[Any], Any]) -> Any:
        if isinstance(self.datasets, dict):
            return {name: read(dataset) for name, dataset in self.datasets.items()}
        return tuple(read(dataset) for dataset in self.datasets)

    def __getitem__(self, index: Any) -> Any:
        return self._combine(lambda dataset: dataset[index])

    def __getitems__(self, indices: list[Any]) -> list[Any]:
        columns = self._combine(lambda dataset: _read_batch(dataset, indices))
        if isinstance(columns, dict):
            return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        return list(zip(*columns, strict=True))

    def __len__(self) -> int:
        return self._length


class ConcatDataset(Dataset[T_co]):
    """Datasets one after another; negative indices count from the end.

    Raises:
        AssertionError: no dataset is given, or one of them is an IterableDataset.
        ValueError: a negative index beyond the first sample.
    """

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise AssertionError("datasets should not be an empty iterable")
        if any(isinstance(dataset, IterableDataset) for dataset in self.datasets):
            raise AssertionError("ConcatDataset does not support IterableDataset")
        self.cumulative_sizes = self.cumsum(self.datasets)

    @staticmethod
    def cumsum(sequence: Iterable[Any]) -> list[int]:
        """Running totals of the lengths of `sequence`'s elements."""
        return list(itertools.accumulate(len(element) for element in sequence))

    def __getitem__(self, index: int) -> T_co:
        if index < 0:
            if -index > len(self):
                raise ValueError("absolute value of index should not exceed dataset length")
            index += len(self)
        which = bisect.bisect_right(self.cumulative_sizes, index)
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][index - start]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[Any]):
    """Streams one after another. Raises AssertionError when an element is not an IterableDataset."""

    def __init__(self, datasets: Iterable[Dataset[Any]]) -> None:
        self.datasets = datasets

    def _streams(self) -> Iterator[Any]:
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise AssertionError("ChainDataset only supports IterableDataset")
            yield dataset

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self._streams())

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self._streams())


class Subset(Dataset[T_co]):
    """The samples of `dataset` at `indices`.

    A subclass that overrides `__getitem__` must override `__getitems__` too (loaders read whole batches through it),
    else NotImplementedError.
    """

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices
        if type(self).__getitem__ is not Subset.__getitem__ and type(self).__getitems__ is Subset.__getitems__:
            raise NotImplementedError(
                f"{type(self).__name__} overrides __getitem__ but not __getitems__. DataLoader reads batches through __getitems__, "
                "so override it as well, for example:\n\n"
                "def __getitems__(self, indices):\n    return [self.__getitem__(idx) for idx in indices]"
            )

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: list[int]) -> list[T_co]:
        return _read_batch(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


def _read_batch(dataset: Any, indices: list[Any]) -> list[Any]:
    """The samples of one batch, through the dataset's own `__getitems__` if it has one."""
    read = getattr(dataset, "__getitems__", None)
    if not callable(read):
        return [dataset[index] for index in indices]
    samples = read(indices)
    if len(samples) != len(indices):
        raise ValueError(f"Nested dataset's output size mismatch. Expected {len(indices)}, got {len(samples)}")
    return samples


def gather_tensors(dataset: Any, indices: Sequence[Any]) -> list[torch.Tensor] | None:
    """What collating the samples of a TensorDataset (or of a Subset of one) gives, taken with one gather per tensor.

    None when there is no such shortcut: another kind of dataset, an overridden `__getitem__`, tensors that need gradients.
    """
    while isinstance(dataset, Subset) and type(dataset).__getitems__ is Subset.__getitems__:
        indices = [dataset.indices[i] for i in indices]
        dataset = dataset.dataset
    if getattr(type(dataset), "__getitem__", None) is not TensorDataset.__getitem__ or hasattr(dataset, "__getitems__"):
        return None
    if not all(type(index) is int for index in indices) or not all(map(arrays.is_plain, dataset.tensors)):
        return None
    return [arrays.take_rows(tensor, indices) for tensor in dataset.tensors]


def random_split(dataset: Dataset[T_co], lengths: Sequence[int | float], generator: torch.Generator | None = None) -> list[Subset[T_co]]:
    """Split at random into subsets of the given lengths, or of the given fractions if these sum to 1.

    A fraction takes ``floor(fraction * len(dataset))`` samples; what is left over goes to the subsets in turn, one each.
    One ``randperm(len(dataset))`` is drawn from `generator` (default: the default generator).

    Raises:
        ValueError: the lengths do not add up to ``len(dataset)``, or a fraction lies outside [0, 1].
    """
    size = len(dataset)  # type: ignore[arg-type]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        for position, fraction in enumerate(lengths):
            if not 0 <= fraction <= 1:
                raise ValueError(f"Fraction at index {position} is not between 0 and 1")
        counts = [math.floor(size * fraction) for fraction in lengths]
        for extra in range(size - sum(counts)):
            counts[extra % len(counts)] += 1
        for position, count in enumerate(counts):
            if count == 0:
                warnings.warn(f"Length of split at index {position} is 0. This might result in an empty dataset.", stacklevel=2)
        lengths = counts
    if sum(lengths) != size:
        raise ValueError("Sum of input lengths does not equal the length of the input dataset!")
    order = iter(torch.randperm(size, generator=generator).tolist())
    return [Subset(dataset, list(itertools.islice(order, int(length)))) for length in lengths]
