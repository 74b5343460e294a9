"""Samplers: in which order a loader visits a dataset. The draws from the generators are PyTorch's, word for word."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import torchlike_asg as torch

from ...dtypes import int64
from ...facade.functions.streams import engine_of
from ...rng import draws

__all__ = ["BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler"]

T_co = TypeVar("T_co", covariant=True)

_REPLACEMENT_CHUNK = 32  # PyTorch draws indices with replacement in blocks of this size, then the rest; the stream depends on it


class Sampler(Generic[T_co]):
    """An iterable over indices (or over lists of indices). Subclasses write `__iter__` and, where it is known, `__len__`."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """0, 1, ..., len(data_source) - 1."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A random permutation, or `num_samples` indices drawn with or without replacement.

    Without `generator` the first `next()` draws a seed from the default generator and shuffles with a private one. More samples
    than the dataset has, without replacement, are several permutations in a row.

    Raises:
        TypeError: `replacement` is not a bool.
        ValueError: `num_samples` (default: the length of `data_source`) is not a positive int.
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: torch.Generator | None = None
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(f"num_samples should be a positive integer value, but got num_samples={self.num_samples}")

    @property
    def num_samples(self) -> int:
        """Indices per pass; follows the dataset's length as that changes, unless it was given."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        size, wanted = len(self.data_source), self.num_samples
        generator = self.generator
        if generator is None:
            generator = torch.Generator()
            generator.manual_seed(draw_seed())
        if self.replacement:
            chunks, rest = divmod(wanted, _REPLACEMENT_CHUNK)
            for count in itertools.chain(itertools.repeat(_REPLACEMENT_CHUNK, chunks), (rest,)):
                yield from torch.randint(high=size, size=(count,), dtype=torch.int64, generator=generator).tolist()
            return
        passes, rest = divmod(wanted, size)
        for _ in range(passes):
            yield from torch.randperm(size, generator=generator).tolist()
        # Drawn even when nothing is left to yield: PyTorch's generator moves on by it at the end of each epoch.
        yield from torch.randperm(size, generator=generator).tolist()[:rest]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given `indices`, in random order, without replacement."""

    def __init__(self, indices: Sequence[int], generator: torch.Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for position in torch.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[position]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, index i with probability proportional to ``weights[i]`` (which need not sum to 1).

    Raises:
        ValueError: `num_samples` is not a positive int, `replacement` not a bool, or `weights` not one-dimensional.
    """

    def __init__(
        self, weights: Sequence[float], num_samples: int, replacement: bool = True, generator: torch.Generator | None = None
    ) -> None:
        _require_positive_int("num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = torch.as_tensor(weights, dtype=torch.float64)
        if self.weights.dim() != 1:
            raise ValueError(f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}")
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        yield from torch.multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator).tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices of `sampler`; the last may be shorter and is left out if `drop_last`.

    Raises:
        ValueError: `batch_size` is not a positive int or `drop_last` not a bool.
    """

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        _require_positive_int("batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        size = len(self.sampler)  # type: ignore[arg-type]
        return size // self.batch_size if self.drop_last else -(-size // self.batch_size)


def draw_seed(generator: torch.Generator | None = None) -> int:
    """``torch.empty((), dtype=torch.int64).random_(generator=generator).item()``, without recording anything: 63 bits, two words."""
    return int(draws.random_(engine_of(generator), (), (), int64, None, None))


def _require_positive_int(name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ValueError(f"{name} should be a positive integer value, but got {name}={value}")
