"""DataLoader: batches of a dataset, in the order of a sampler, read here or by worker processes."""

from __future__ import annotations

import importlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torchlike_asg as torch

from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset
from .fetch import make_fetcher
from .iterator import LoaderIterator, Resume, SingleProcessIterator
from .position import Position
from .randomness import restore_private
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from .worker import get_worker_info

if TYPE_CHECKING:
    from multiprocessing.context import BaseContext

    from .pool import WorkerPool

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

T_co = TypeVar("T_co", covariant=True)
#: PyTorch's names of two arguments' types, which packages annotate with
_collate_fn_t = Callable[[list[Any]], Any]
_worker_init_fn_t = Callable[[int], None]

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")
_DEFAULT_PREFETCH = 2


class _EndlessSampler(Sampler[None]):
    """The 'indices' of a stream, which has none."""

    def __iter__(self) -> Iterator[None]:
        while True:
            yield None


class DataLoader(Generic[T_co]):
    """Iterate over a dataset in batches.

    Arguments are PyTorch's. `batch_size=None` switches batching off: samples come as they are, through `collate_fn` (default
    :func:`default_convert`). With ``num_workers > 0`` that many processes read ahead, `prefetch_factor` (2) batches each; worker i is
    seeded ``base_seed + i``, where `base_seed` is drawn from `generator` (or the default generator) by every ``iter()``. Order and draws
    are PyTorch's, so the same seed visits the same samples. `pin_memory` is accepted and has no effect.

    Workers are started by Python's default method for the platform (fork on Linux before Python 3.14, spawn on Windows and macOS), as
    in PyTorch, so that scripts without a ``__main__`` guard and with lambdas work where they worked. A forked worker copies the
    parent's memory but none of its threads: it therefore uses one thread of its own and no accelerator. If threads of some other
    library make forking unsafe in a program, pass ``multiprocessing_context="forkserver"`` or ``"spawn"``.

    :meth:`state_dict` and :meth:`load_state_dict` save and restore the position within a pass.

    Raises:
        ValueError: options that exclude each other, or are out of range.
        RuntimeError: (while iterating) a worker died, or sent nothing for `timeout` seconds. An exception raised in a worker is
            raised again here, with the worker's traceback in its text.
    """

    _initialized = False
    _multiprocessing_context: BaseContext | None = None

    def __init__(
        self,
        dataset: Dataset[T_co],
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Sampler[Any] | Iterable[Any] | None = None,
        batch_sampler: Sampler[list[Any]] | Iterable[list[Any]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[T_co]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: str | BaseContext | None = None,
        generator: torch.Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_workers(num_workers, timeout, prefetch_factor, persistent_workers)
        streaming = isinstance(dataset, IterableDataset)
        if streaming:
            _check_stream(shuffle, sampler, batch_sampler)
        _check_batching(batch_size, bool(shuffle), sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size, drop_last = None, False
        if sampler is None:
            if streaming:
                sampler = _EndlessSampler()
            else:
                sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)  # type: ignore[arg-type]
        if batch_size is not None:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)

        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = _DEFAULT_PREFETCH if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.in_order = in_order
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.generator = generator
        if collate_fn is None:
            collate_fn = default_collate if batch_sampler is not None else default_convert
        self.collate_fn = collate_fn
        self.persistent_workers = persistent_workers
        self._length_promised: int | None = None  # the stream's len(), once someone asked for the loader's
        self._pool: WorkerPool | None = None  # kept between passes if persistent_workers
        self._position: Position | None = None
        self._resume: Resume | None = None
        self._initialized = True
        self.check_worker_number_rationality()

    def __setattr__(self, name: str, value: Any) -> None:
        if self._initialized and name in _FIXED:
            raise ValueError(f"{name} attribute should not be set after {type(self).__name__} is initialized")
        super().__setattr__(name, value)

    @property
    def multiprocessing_context(self) -> BaseContext | None:
        """The context worker processes are started from; None for Python's default. May be set to a context or a start method's name."""
        return self._multiprocessing_context

    @multiprocessing_context.setter
    def multiprocessing_context(self, context: str | BaseContext | None) -> None:
        if context is not None:
            import multiprocessing
            from multiprocessing.context import BaseContext

            option = "multiprocessing_context option should"
            if self.num_workers == 0:
                raise ValueError(
                    "multiprocessing_context can only be used with multi-process loading (num_workers > 0), "
                    f"but got num_workers={self.num_workers}"
                )
            if isinstance(context, str):
                methods = multiprocessing.get_all_start_methods()
                if context not in methods:
                    raise ValueError(f"{option} specify a valid start method in {methods!r}, but got multiprocessing_context={context!r}")
                context = multiprocessing.get_context(context)
            if not isinstance(context, BaseContext):
                raise TypeError(
                    f"{option} be a valid context object or a string specifying the start method, but got multiprocessing_context={context}"
                )
        self._multiprocessing_context = context

    def _context(self) -> BaseContext:
        import multiprocessing

        return self._multiprocessing_context or multiprocessing.get_context()

    @property
    def _auto_collation(self) -> bool:
        return self.batch_sampler is not None

    @property
    def _index_sampler(self) -> Any:
        return self.batch_sampler if self.batch_sampler is not None else self.sampler

    def __iter__(self) -> LoaderIterator:
        if self.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, then device pinned memory won't be used.", stacklevel=2
            )
        resume, self._resume = self._resume, None
        if self._pool is not None and not self._pool.running:
            self._pool = None  # a worker died: start anew
        iterator: LoaderIterator
        if self.num_workers > 0:
            from .parallel import WorkersIterator

            iterator = WorkersIterator(self, resume)
        else:
            iterator = SingleProcessIterator(self, resume)
        self._position = iterator.position
        return iterator

    def __len__(self) -> int:
        """Batches per pass. For a stream it is computed from the dataset's `__len__`, which must be right."""
        if not isinstance(self.dataset, IterableDataset):
            return len(self._index_sampler)
        length = self._length_promised = len(self.dataset)  # type: ignore[arg-type]
        if self.batch_size is None:
            return length
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)

    def check_worker_number_rationality(self) -> None:
        """Warn when more workers are asked for than there are processors to run them."""
        affinity = getattr(os, "sched_getaffinity", None)
        available = len(affinity(0)) if affinity else os.cpu_count()
        if self.num_workers and (available is None or self.num_workers > available):
            warnings.warn(
                f"This DataLoader will create {self.num_workers} worker processes in total. Our suggested max number of worker in current "
                f"system is {available}, which is smaller than what this DataLoader is going to create. "
                "Loading may get slow or even freeze: lower the number of workers if it does.",
                stacklevel=3,
            )

    def state_dict(self) -> dict[str, Any]:
        """The position in the current pass: plain containers, numbers and uint8 tensors.

        Saved after batch k of a pass and loaded into a loader built alike (in any process), it makes the next ``iter()`` yield batches
        k+1, k+2, ... of that pass, bit for bit, and leave every generator where it was; the passes after it follow as they would have.
        That holds for map-style datasets with samplers whose draws come from the package's generators, `random` or `numpy.random`;
        workers' random states are included. A stream is read again from its beginning and what was seen is dropped. The default
        generator's own state is not part of it: save it with :func:`torchlike_asg.get_rng_state`, as checkpoints do.

        Raises:
            RuntimeError: with ``in_order=False``, where the batches seen so far are not the first ones.
        """
        if not self.in_order:
            raise RuntimeError(
                "the position of a DataLoader with in_order=False is not defined: which batches it has yielded depends on timing"
            )
        if self._resume is not None:
            return self._resume.position.state_dict(self) | {"generators": self._resume.generators}
        position = self._position or Position(None, self.num_workers, finished=True)
        return position.state_dict(self)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue, at the next ``iter()``, from what :meth:`state_dict` gave. ValueError if it does not fit this loader."""
        position = Position.from_state_dict(state_dict, self)
        restore_private(self, state_dict["generators"])
        self._pool = None  # persistent workers start anew, from the saved states
        self._resume = Resume(position, state_dict["generators"])


def _check_workers(num_workers: int, timeout: float, prefetch_factor: int | None, persistent_workers: bool) -> None:
    if num_workers < 0:
        raise ValueError("num_workers option should be non-negative; use num_workers=0 to disable multiprocessing.")
    if timeout < 0:
        raise ValueError("timeout option should be non-negative")
    if num_workers == 0 and prefetch_factor is not None:
        raise ValueError(
            "prefetch_factor option could only be specified in multiprocessing. "
            "Let num_workers > 0 to enable multiprocessing, otherwise set prefetch_factor to None."
        )
    if prefetch_factor is not None and prefetch_factor <= 0:
        raise ValueError("prefetch_factor option should be positive")
    if persistent_workers and num_workers == 0:
        raise ValueError("persistent_workers option needs num_workers > 0")


def _check_stream(shuffle: bool | None, sampler: Any, batch_sampler: Any) -> None:
    for name, value in (("shuffle", shuffle or None), ("sampler", sampler), ("batch_sampler", batch_sampler)):
        if value is not None:
            raise ValueError(f"DataLoader with IterableDataset: expected unspecified {name} option, but got {name}={value}")


def _check_batching(batch_size: int | None, shuffle: bool, sampler: Any, batch_sampler: Any, drop_last: bool) -> None:
    if sampler is not None and shuffle:
        raise ValueError("sampler option is mutually exclusive with shuffle")
    if batch_sampler is not None:
        if batch_size != 1 or shuffle or sampler is not None or drop_last:
            raise ValueError("batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and drop_last")
    elif batch_size is None and drop_last:
        raise ValueError("batch_size=None option disables auto-batching and is mutually exclusive with drop_last")


class _DatasetKind:
    """PyTorch's numbers of the two kinds of datasets, and what reads them."""

    Map, Iterable = 0, 1

    @staticmethod
    def create_fetcher(kind: int, dataset: Any, auto_collation: bool, collate_fn: Any, drop_last: bool) -> Any:
        """What reads batches of a dataset."""
        return make_fetcher(dataset, auto_collation, collate_fn, drop_last)


def __getattr__(name: str) -> Any:
    """PyTorch's names of the iterators' classes, for packages that tell them apart."""
    if name == "_BaseDataLoaderIter":
        return LoaderIterator
    if name == "_SingleProcessDataLoaderIter":
        return SingleProcessIterator
    if name == "_MultiProcessingDataLoaderIter":
        from .parallel import WorkersIterator

        return WorkersIterator
    if name == "_InfiniteConstantSampler":
        return _EndlessSampler
    if name == "_utils":
        return importlib.import_module("._utils", __package__)
    if name == "_DatasetKind":
        return _DatasetKind
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
