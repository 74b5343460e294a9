"""``torch.futures``: results that come later, from another thread."""

from __future__ import annotations

import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]
T = TypeVar("T")


class Future(Generic[T]):
    """A result that one thread sets, once, and others wait for. `devices` is accepted and not needed.

    Functions given to `then` and `add_done_callback` run in the thread that completes the future, or at once if it is complete. One that
    raises in `add_done_callback` is logged and keeps nothing else from running.
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._future: concurrent.futures.Future[T] = concurrent.futures.Future()

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._future.done()

    def wait(self) -> T:
        """The result, when it is there; raises the error that was set instead of it."""
        return self._future.result()

    def value(self) -> T:
        """The result; raises RuntimeError if it is not there yet, and the error that was set instead of it."""
        if not self._future.done():
            raise RuntimeError("Future is not completed: call wait()")
        return self._future.result()

    def set_result(self, result: T) -> None:
        """Complete the future. Raises RuntimeError if it is complete."""
        with _once():
            self._future.set_result(result)

    def set_exception(self, result: BaseException) -> None:
        """Complete the future with an error."""
        if not isinstance(result, BaseException):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        with _once():
            self._future.set_exception(result)

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Have ``callback(future)`` called on completion."""
        self._future.add_done_callback(lambda _: callback(self))

    def then(self, callback: Callable[[Future[T]], Any]) -> Future[Any]:
        """A future of what ``callback(future)`` returns, or of the error it raises."""
        following: Future[Any] = Future()

        def run(completed: Future[T]) -> None:
            try:
                result = callback(completed)
            except Exception as error:
                following.set_exception(error)
            else:
                following.set_result(result)

        self.add_done_callback(run)
        return following


@contextlib.contextmanager
def _once() -> Iterator[None]:
    try:
        yield
    except concurrent.futures.InvalidStateError:
        raise RuntimeError("Attempting to mark a completed Future as complete again.") from None


def collect_all(futures: Sequence[Future[Any]]) -> Future[list[Future[Any]]]:
    """A future of the list of futures, complete when all of them are."""
    futures = list(futures)
    everything: Future[list[Future[Any]]] = Future()
    left, lock = [len(futures)], threading.Lock()
    if not futures:
        everything.set_result([])

    def one(_: Future[Any]) -> None:
        with lock:
            left[0] -= 1
            last = not left[0]
        if last:
            everything.set_result(futures)

    for f in futures:
        f.add_done_callback(one)
    return everything


def wait_all(futures: Sequence[Future[Any]]) -> list[Any]:
    """The results of all, when they are there; raises the first error."""
    return [f.wait() for f in collect_all(futures).wait()]
