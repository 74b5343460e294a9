"""The iterators behind `iter(DataLoader)`: what all share, and the one that reads in this process."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torchlike_asg as torch

from . import randomness
from .dataset import IterableDataset
from .fetch import make_fetcher
from .position import Position
from .randomness import Snapshot
from .sampler import draw_seed

__all__ = ["LoaderIterator", "Resume", "SingleProcessIterator"]


@dataclass
class Resume:
    """A saved position, and the states of the loader's own generators at that moment."""

    position: Position
    generators: dict[str, torch.Tensor]


class LoaderIterator:
    """The order of random draws, the position, the check on a stream's length.

    The draws are PyTorch's: the sampler's iterator is made first, then `base_seed` is drawn (always), and the sampler's own draws
    follow with the first index. To resume, the sampler is replayed from the snapshots up to the saved batch; then all generators are
    put where they were, so that resuming itself leaves no trace in any stream.
    """

    def __init__(self, loader: Any, resume: Resume | None) -> None:
        self._loader = loader
        self._streaming = isinstance(loader.dataset, IterableDataset)
        self._yielded = 0
        self._length_promised: int | None = loader._length_promised
        if resume is not None and not resume.position.finished:
            self._continue(resume)
            return
        before_sampler = self._open_sampler()
        self.position = self._new_position(resume)
        self.position.before_sampler = before_sampler
        self._prepare(skip=0)

    def _continue(self, resume: Resume) -> None:
        loader, self.position = self._loader, resume.position
        process = randomness.capture_process()
        if self.position.before_sampler is not None:
            randomness.restore(loader, self.position.before_sampler)
        self._indices = iter(loader._index_sampler)
        if self.position.before_first_index is not None:
            randomness.restore(loader, self.position.before_first_index)
        self._prepare(skip=self.position.consumed)
        randomness.restore_process(process)
        randomness.restore_private(loader, resume.generators)

    def _open_sampler(self) -> Snapshot | None:
        """Make the sampler's iterator. Returns the states before, if it is of a kind that may draw in `__iter__` itself."""
        snapshot = randomness.capture(self._loader) if randomness.has_foreign_sampler(self._loader) else None
        self._indices = iter(self._loader._index_sampler)
        return snapshot

    def _new_position(self, resume: Resume | None) -> Position:
        return Position(draw_seed(self._loader.generator), self._loader.num_workers)

    def _prepare(self, skip: int) -> None:
        """Get ready to read, `skip` batches after the beginning."""
        raise NotImplementedError

    def _next_index(self) -> Any:
        if self.position.before_first_index is None:
            self.position.before_first_index = randomness.capture(self._loader)
        return next(self._indices)

    def _next_batch(self) -> Any:
        raise NotImplementedError

    def __iter__(self) -> LoaderIterator:
        return self

    def __next__(self) -> Any:
        batch = self._next_batch()
        self._yielded += 1
        if self._streaming and self._length_promised is not None and self._yielded > self._length_promised:
            self._warn_of_length()
        return batch

    def _warn_of_length(self) -> None:
        text = (
            f"Length of IterableDataset {self._loader.dataset} was reported to be {self._length_promised} "
            f"(when accessing len(dataloader)), but {self._yielded} samples have been fetched."
        )
        if self._loader.num_workers:
            text += " With several workers this happens when each yields the whole stream: divide it by get_worker_info()."
        warnings.warn(text, stacklevel=3)

    def __len__(self) -> int:
        return len(self._loader._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} cannot be pickled")


class SingleProcessIterator(LoaderIterator):
    """Reads each batch when it is asked for."""

    def __init__(self, loader: Any, resume: Resume | None) -> None:
        if loader.timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        super().__init__(loader, resume)

    def _prepare(self, skip: int) -> None:
        loader = self._loader
        self._fetcher = make_fetcher(loader.dataset, loader._auto_collation, loader.collate_fn, loader.drop_last)
        for _ in range(skip):
            self._fetcher.skip(next(self._indices))

    def _next_batch(self) -> Any:
        try:
            index = self._next_index()
            self.position.consumed += 1
            return self._fetcher.fetch(index)
        except StopIteration:
            self.position.finished = True
            raise
