"""``torch.multiprocessing``: Python's multiprocessing, and `spawn`.

Tensors sent between processes are copied. Tensors in shared memory are not supported: use NumPy arrays in
``multiprocessing.shared_memory``.
"""

from __future__ import annotations

import importlib
import multiprocessing as _multiprocessing
import pickle
import sys
import traceback
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from multiprocessing import connection
from typing import Any

from .errors import Unsupported

__all__ = [
    *_multiprocessing.__all__,
    "ProcessContext",
    "ProcessExitedException",
    "ProcessRaisedException",
    "SpawnContext",
    "get_all_sharing_strategies",
    "get_sharing_strategy",
    "set_sharing_strategy",
    "spawn",
    "start_processes",
]

#: a package for importing: places.py has its parts
__path__: list[str] = []

_STRATEGIES = {"file_descriptor", "file_system"} if sys.platform == "linux" else {"file_system"}
_strategy = ["file_descriptor" if sys.platform == "linux" else "file_system"]


def get_all_sharing_strategies() -> set[str]:
    """The names PyTorch knows on this system; tensors are copied whichever is set."""
    return set(_STRATEGIES)


def get_sharing_strategy() -> str:
    """What `set_sharing_strategy` was given."""
    return _strategy[0]


def set_sharing_strategy(new_strategy: str) -> None:
    """Accepted and remembered; tensors are copied."""
    if new_strategy not in _STRATEGIES:
        raise AssertionError(f"invalid sharing strategy: {new_strategy!r}")
    _strategy[0] = new_strategy


class ProcessException(Exception):
    """A spawned process failed."""

    def __init__(self, msg: str, error_index: int, error_pid: int) -> None:
        super().__init__(msg)
        self.msg, self.error_index, self.pid = msg, error_index, error_pid


class ProcessRaisedException(ProcessException):
    """A spawned process ended with an exception."""


class ProcessExitedException(ProcessException):
    """A spawned process ended with a nonzero exit code or by a signal."""

    def __init__(self, msg: str, error_index: int, error_pid: int, exit_code: int, signal_name: str | None = None) -> None:
        super().__init__(msg, error_index, error_pid)
        self.exit_code, self.signal_name = exit_code, signal_name


def _run(fn: Callable[..., None], i: int, args: tuple[Any, ...], errors: Any) -> None:
    try:
        fn(i, *args)
    except KeyboardInterrupt:
        pass
    except Exception:
        errors.put(pickle.dumps(traceback.format_exc()))
        sys.exit(1)


class ProcessContext:
    """The processes that `spawn` started. `join` waits for them and raises what one of them raised."""

    def __init__(self, processes: list[Any], errors: list[Any]) -> None:
        self.processes, self._errors = processes, errors
        self._waiting = {p.sentinel: i for i, p in enumerate(processes)}

    def pids(self) -> list[int]:
        """The process ids."""
        return [p.pid for p in self.processes]

    def join(self, timeout: float | None = None, grace_period: float | None = None) -> bool:
        """Wait; True once all have ended well. If one fails, the others are ended and its error is raised."""
        for sentinel in connection.wait(list(self._waiting), timeout):
            i = self._waiting.pop(sentinel)  # type: ignore[arg-type]
            self.processes[i].join()
            if self.processes[i].exitcode != 0:
                self._fail(i, grace_period)
        return not self._waiting

    def _fail(self, i: int, grace_period: float | None) -> None:
        for p in self.processes:
            if p.is_alive():
                p.terminate()
        for p in self.processes:
            p.join(grace_period)
            if p.is_alive():
                p.kill()
                p.join()
        failed = self.processes[i]
        if self._errors[i].empty():
            how = f"terminated with exit code {failed.exitcode}" if failed.exitcode >= 0 else f"terminated with signal {-failed.exitcode}"
            raise ProcessExitedException(f"process {i} {how}", i, failed.pid, failed.exitcode)
        message = pickle.loads(self._errors[i].get())
        raise ProcessRaisedException(f"\n\n-- Process {i} terminated with the following error:\n{message}", i, failed.pid)


SpawnContext = ProcessContext


def start_processes(
    fn: Callable[..., None],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Run ``fn(i, *args)`` in `nprocs` processes. With `join`, wait for them (returns None)."""
    context = _multiprocessing.get_context(start_method)
    errors, processes = [], []
    for i in range(nprocs):
        queue = context.SimpleQueue()
        process = context.Process(target=_run, args=(fn, i, args, queue), daemon=daemon)  # type: ignore[attr-defined]
        process.start()
        errors.append(queue)
        processes.append(process)
    started = ProcessContext(processes, errors)
    if not join:
        return started
    while not started.join():
        pass
    return None


def spawn(
    fn: Callable[..., None],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """`start_processes` with fresh interpreters."""
    return start_processes(fn, args, nprocs, join, daemon, start_method)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    if name == "reductions":
        return importlib.import_module(f"{__name__}.{name}")
    found = getattr(_multiprocessing, name, None)
    if found is None:
        raise Unsupported(f"torch.multiprocessing.{name} is not supported: tensors are not shared between processes")
    return found
