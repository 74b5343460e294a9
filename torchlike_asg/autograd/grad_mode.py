"""Whether operations are recorded for differentiation: per thread, as context managers, decorators or plain calls."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..asg.trace import _get as _current
from ..asg.trace import current


class _Mode:
    """A grad mode as context manager or decorator (of functions and generator functions)."""

    mode = True

    def __init__(self) -> None:
        self._stack: list[bool] = []

    def __enter__(self) -> _Mode:
        tr = _current() or current()
        self._stack.append(tr.grad)
        tr.grad = self.mode
        return self

    def __exit__(self, *_: Any) -> None:
        (_current() or current()).grad = self._stack.pop()

    def clone(self) -> _Mode:
        return type(self)()

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isclass(fn):
            raise TypeError(f"{type(self).__name__} decorates functions, not classes: decorate the methods instead")
        if inspect.isgeneratorfunction(fn):
            return self._generator(fn)

        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self.clone():
                return fn(*args, **kwargs)

        return wrapped

    def _generator(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            running = fn(*args, **kwargs)
            send: Any = None
            while True:
                with self.clone():
                    try:
                        value = running.send(send)
                    except StopIteration as stop:
                        return stop.value
                send = yield value

        return wrapped


class no_grad(_Mode):
    """Record nothing for differentiation: results do not require gradients."""

    mode = False

    def __new__(cls, fn: Any = None) -> Any:
        made = object.__new__(cls)
        return made if fn is None else made(fn)  # used as a bare decorator: @no_grad

    def __init__(self, fn: Any = None) -> None:
        self._stack = []


class enable_grad(no_grad):
    """Record for differentiation again, inside `no_grad`."""

    mode = True


class set_grad_enabled(_Mode):
    """Switch recording on or off: takes effect at the call, and is undone at the end of a ``with`` block."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        self.mode = bool(mode)
        tr = current()
        self.previous = tr.grad
        tr.grad = self.mode

    def __enter__(self) -> set_grad_enabled:
        current().grad = self.mode
        return self

    def __exit__(self, *_: Any) -> None:
        current().grad = self.previous

    def clone(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        current().grad = self.previous  # used as a decorator: only the function runs in this mode
        return super().__call__(fn)


class inference_mode(_Mode):
    """Like `no_grad`, for code whose results will never take part in differentiation."""

    def __new__(cls, mode: Any = True) -> Any:
        made = object.__new__(cls)
        if callable(mode) and not isinstance(mode, bool):
            made.__init__()  # type: ignore[misc]
            return made(mode)
        return made

    def __init__(self, mode: bool = True) -> None:
        super().__init__()
        self.on = bool(mode)
        self._before: list[tuple[bool, bool]] = []

    def __enter__(self) -> inference_mode:
        tr = current()
        self._before.append((tr.grad, tr.inference))
        tr.grad, tr.inference = not self.on, self.on
        return self

    def __exit__(self, *_: Any) -> None:
        tr = current()
        tr.grad, tr.inference = self._before.pop()

    def clone(self) -> inference_mode:
        return inference_mode(self.on)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded for differentiation in this thread."""
    return current().grad


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return current().inference
