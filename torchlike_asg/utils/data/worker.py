"""The worker process of a loader: seeds itself as PyTorch's workers do, fetches the batches it is told to, and sends them back."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import random
import signal
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

import torchlike_asg as torch

from ...rng.worker import numpy_seed_words
from . import channel, randomness
from .dataset import IterableDataset
from .fetch import Fetcher, make_fetcher
from .randomness import Snapshot

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["WorkerInfo", "get_worker_info"]

_PARENT_CHECK_SECONDS = 5.0
_ORPHAN_SECONDS = 30.0

#: The loaders' ends of all pipes to workers. A forked worker inherits every one of them and must close its copies:
#: otherwise its siblings would not see the end of their pipe when the parent goes away.
parent_ends: weakref.WeakSet[Connection] = weakref.WeakSet()


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A worker's number, how many workers there are, its seed (``base_seed + id``), and its own copy of the dataset."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_worker_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a loader's worker process, that worker's :class:`WorkerInfo`; None in any other process."""
    return _worker_info


@dataclass
class WorkerStart:
    """What a worker needs to begin."""

    dataset: Any
    batched: bool
    collate_fn: Callable[[Any], Any]
    drop_last: bool
    base_seed: int
    init_fn: Callable[[int], None] | None
    worker_id: int
    num_workers: int
    random_at_epoch: Snapshot | None = None  # resuming: states to begin the pass with ...
    skip: list[Any] = field(default_factory=list)  # ... the stream's batches already seen ...
    random_now: Snapshot | None = None  # ... and the states to go on with


@dataclass
class Task:
    number: int
    index: Any


@dataclass
class NewPass:
    """Start another pass over the dataset (persistent workers)."""


@dataclass
class Result:
    """The answer to a task: a batch, an error or the end of this worker's stream; with the worker's random states if they moved."""

    number: int
    batch: Any = None
    error: WorkerError | None = None
    ended: bool = False
    random_states: Snapshot | None = None


@dataclass
class WorkerError:
    """An exception as it travels: its type (pickled apart, for it may not exist in the parent), and the traceback's text."""

    type_name: str
    pickled_type: bytes | None
    message: str

    @classmethod
    def from_exception(cls, exception: BaseException, worker_id: int) -> WorkerError:
        kind = type(exception)
        try:
            pickled = pickle.dumps(kind)
        except Exception:  # a class made inside a function: the parent gets a RuntimeError with the same text
            pickled = None
        where = f"in DataLoader worker process {worker_id}"
        text = "".join(traceback.format_exception(exception))
        return cls(kind.__name__, pickled, f"Caught {kind.__name__} {where}.\nOriginal {text}")

    def reraise(self) -> NoReturn:
        """Raise the worker's exception here: same type where that can be built from a message, RuntimeError otherwise."""
        try:
            kind = pickle.loads(self.pickled_type) if self.pickled_type is not None else RuntimeError
            message = _Verbatim(self.message) if issubclass(kind, KeyError) else self.message
            exception = kind(message)
        except Exception:
            raise RuntimeError(self.message) from None
        raise exception


class _Verbatim(str):
    """KeyError shows the repr of its argument; this one's is the text itself, so that tracebacks keep their line ends."""

    def __repr__(self) -> str:
        return str(self)


def run_worker(connection: Connection, start: WorkerStart) -> None:
    """The main function of a worker process."""
    for end in list(parent_ends):
        end.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the parent stops its workers in order
    tasks: queue.SimpleQueue[Task | NewPass | None] = queue.SimpleQueue()
    threading.Thread(target=_read_tasks, args=(connection, tasks, os.getppid()), daemon=True).start()
    try:
        _Worker(connection, start).serve(tasks)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the loader was dropped while a batch was on its way
    finally:
        connection.close()


def _read_tasks(connection: Connection, tasks: queue.SimpleQueue[Any], parent: int) -> None:
    """Take tasks off the pipe as they come, so that the loader never blocks in sending one while this worker is sending a batch."""
    try:
        while True:
            if connection.poll(_PARENT_CHECK_SECONDS):
                task = channel.receive(connection)
                tasks.put(task)
                if task is None:
                    return
            elif os.getppid() != parent:
                os._exit(1)  # an orphan; some other process still holds the pipe's far end, so no end of file will come
    except (EOFError, OSError):
        tasks.put(None)
        time.sleep(_ORPHAN_SECONDS)
        os._exit(1)  # the loader is gone, and its dataset still busy or hung


class _Worker:
    def __init__(self, connection: Connection, start: WorkerStart) -> None:
        global _worker_info
        self.connection, self.start = connection, start
        self.fetcher: Fetcher | None = None
        self.failure: WorkerError | None = None
        torch.set_num_threads(1)
        seed = start.base_seed + start.worker_id
        random.seed(seed)
        torch.manual_seed(seed)
        np.random.get_bit_generator().lock._at_fork_reinit()  # a thread of the parent may have held it at the fork
        np.random.seed(numpy_seed_words(start.base_seed, start.worker_id))
        _worker_info = WorkerInfo(start.worker_id, start.num_workers, seed, start.dataset)
        with self._failures_reported():
            if start.init_fn is not None:
                start.init_fn(start.worker_id)
            if start.random_at_epoch is not None:
                randomness.restore_process(start.random_at_epoch)
            self._begin_pass()
            self._catch_up()
        self.known_states = randomness.capture_process()

    @contextlib.contextmanager
    def _failures_reported(self) -> Iterator[None]:
        """What goes wrong before a task is there to answer is the answer to all tasks that follow."""
        self.failure = None
        try:
            yield
        except Exception as exception:
            self.failure = WorkerError.from_exception(exception, self.start.worker_id)

    def _begin_pass(self) -> None:
        start = self.start
        self.fetcher = make_fetcher(start.dataset, start.batched, start.collate_fn, start.drop_last)

    def _catch_up(self) -> None:
        assert self.fetcher is not None
        try:
            for index in self.start.skip:
                self.fetcher.skip(index)
        except StopIteration:
            pass  # the next fetch reports the end
        if self.start.random_now is not None:
            randomness.restore_process(self.start.random_now)

    def serve(self, tasks: queue.SimpleQueue[Task | NewPass | None]) -> None:
        """Answer tasks, one result each, until told to stop."""
        while (task := tasks.get()) is not None:
            if isinstance(task, NewPass):
                with self._failures_reported():
                    self._begin_pass()
            else:
                channel.send(self.connection, self._encoded(self._result(task)))

    def _result(self, task: Task) -> Result:
        result = Result(task.number, error=self.failure)
        if self.failure is None:
            assert self.fetcher is not None
            try:
                result.batch = self.fetcher.fetch(task.index)
            except Exception as exception:
                if isinstance(exception, StopIteration) and isinstance(self.start.dataset, IterableDataset):
                    result.ended = True
                else:
                    result.error = WorkerError.from_exception(exception, self.start.worker_id)
        states = randomness.capture_process()
        if randomness.changed(self.known_states, states):
            result.random_states = self.known_states = states
        return result

    def _encoded(self, result: Result) -> list[bytes | memoryview]:
        try:
            return channel.encode(result)
        except Exception as exception:  # a batch that cannot be pickled is an error of this batch, not the end of the worker
            result.batch, result.error = None, WorkerError.from_exception(exception, self.start.worker_id)
            return channel.encode(result)
