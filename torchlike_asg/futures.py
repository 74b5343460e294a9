"""``torch.futures``: results that come later, from another thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

__all__ = ["Future", "collect_all", "wait_all"]
T = TypeVar("T")


class Future(Generic[T]):
    """A result that one thread sets, once, and others wait for. `devices` is accepted and not needed.

    Functions given to `then` and `add_done_callback` run in the thread that completes the future, or at once if it is complete.
    """

    def __init__(self, *, devices: Any = None) -> None:
        self._condition = threading.Condition()
        self._done = False
        self._value: T | None = None
        self._error: BaseException | None = None
        self._callbacks: list[Callable[[Future[T]], Any]] = []

    def done(self) -> bool:
        """Whether there is a result or an error."""
        return self._done

    def wait(self) -> T:
        """The result, when it is there; raises the error that was set instead of it."""
        with self._condition:
            self._condition.wait_for(lambda: self._done)
        return self.value()

    def value(self) -> T:
        """The result; raises RuntimeError if it is not there yet, and the error that was set instead of it."""
        if not self._done:
            raise RuntimeError("Future is not completed: call wait()")
        if self._error is not None:
            raise self._error
        return self._value  # type: ignore[return-value]

    def set_result(self, result: T) -> None:
        """Complete the future. Raises RuntimeError if it is complete."""
        self._complete(result, None)

    def set_exception(self, result: BaseException) -> None:
        """Complete the future with an error."""
        if not isinstance(result, BaseException):
            raise AssertionError(f"{result} is of type {type(result)}, not an Exception.")
        self._complete(None, result)

    def _complete(self, value: T | None, error: BaseException | None) -> None:
        with self._condition:
            if self._done:
                raise RuntimeError("Attempting to mark a completed Future as complete again.")
            self._done, self._value, self._error = True, value, error
            callbacks, self._callbacks = self._callbacks, []
            self._condition.notify_all()
        for f in callbacks:
            f(self)

    def add_done_callback(self, callback: Callable[[Future[T]], Any]) -> None:
        """Have ``callback(future)`` called on completion."""
        with self._condition:
            if not self._done:
                self._callbacks.append(callback)
                return
        callback(self)

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
