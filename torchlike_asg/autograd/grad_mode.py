"""Whether operations are recorded for differentiation: per thread, as context managers, decorators or plain calls."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

from ..absent import asked
from ..asg.trace import _get as _current
from ..asg.trace import current
from ..facade.inference import NOTHING, Block


class _Mode:
    """A grad mode as context manager or decorator (of functions and generator functions)."""

    mode = True

    def __init__(self) -> None:
        self._stack: list[bool] = []

    def __enter__(self) -> _Mode:
        tr = _current() or current()
        if tr.inference is None:
            self._stack.append(tr.grad)
            tr.grad = self.mode
        else:  # where nothing is recorded in either mode
            self._stack.append(tr.inference.said)
            tr.inference.said = self.mode
        return self

    def __exit__(self, *_: Any) -> None:
        tr = _current() or current()
        if tr.inference is None:
            tr.grad = self._stack.pop()
        else:
            tr.inference.said = self._stack.pop()

    def clone(self) -> _Mode:
        return type(self)()

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isclass(fn):
            warnings.warn(
                "Decorating classes is deprecated and will be disabled in future versions. You should only decorate functions or methods: "
                "`__init__` alone, to have what decorating the class does.",
                FutureWarning,
                stacklevel=2,
            )
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
            go_on = functools.partial(running.send, None)
            while True:
                with self.clone():
                    try:
                        value = go_on()
                    except StopIteration as stop:
                        return stop.value
                try:
                    go_on = functools.partial(running.send, (yield value))
                except GeneratorExit:
                    with self.clone():
                        running.close()
                    raise
                except BaseException as error:
                    go_on = functools.partial(running.throw, error)

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
    """Record for differentiation again, inside `no_grad`. Inside `inference_mode` nothing is recorded all the same."""

    mode = True


def _switch(on: bool) -> bool:
    """Set the grad mode; returns the one before."""
    tr = current()
    if tr.inference is not None:
        before, tr.inference.said = tr.inference.said, on
    else:
        before, tr.grad = tr.grad, on
    return before


#: whether a backward pass may use several threads: remembered, since a pass is recorded and its computation has threads of its own
_multithreading = [True]


class set_multithreading_enabled(_Mode):
    """Remembers whether backward passes may use several threads: takes effect at the call, and is undone at the end of a ``with`` block."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        if not isinstance(mode, bool):
            raise TypeError(f"set_multithreading_enabled(): argument 'mode' must be bool, not {type(mode).__name__}")
        self.mode, self.previous = mode, _multithreading[0]
        _multithreading[0] = mode

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: Any) -> None:
        _multithreading[0] = self.previous

    def clone(self) -> set_multithreading_enabled:
        return set_multithreading_enabled(self.mode)


class set_grad_enabled(_Mode):
    """Switch recording on or off: takes effect at the call, and is undone at the end of a ``with`` block."""

    def __init__(self, mode: bool) -> None:
        super().__init__()
        if not isinstance(mode, bool):
            raise TypeError(f"set_grad_enabled(): argument 'enabled' (position 1) must be bool, not {type(mode).__name__}")
        self.mode = mode
        self.previous = _switch(self.mode)

    def __enter__(self) -> set_grad_enabled:
        _switch(self.mode)
        return self

    def __exit__(self, *_: Any) -> None:
        _switch(self.previous)

    def clone(self) -> set_grad_enabled:
        return set_grad_enabled(self.mode)

    def __repr__(self) -> str:
        return f"{__name__}.set_grad_enabled(mode={self.mode})"

    def __call__(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        _switch(self.previous)  # used as a decorator: only the function runs in this mode
        return super().__call__(fn)


class inference_mode(_Mode, Block):
    """Like `no_grad`, for code whose results will never take part in differentiation: tensors made in it have no version, may be written
    only in such a block, and are refused where a backward pass would read them. ``inference_mode(False)`` leaves the mode for a block.
    """

    def __new__(cls, mode: Any = True) -> Any:
        made = object.__new__(cls)
        if mode is not True and callable(mode):
            made.__init__()  # type: ignore[misc]
            return made(mode)
        return made

    def __init__(self, mode: bool = True) -> None:
        self.on = bool(mode)
        self._before: list[tuple[bool, Block | None]] = []

    def __enter__(self) -> inference_mode:
        tr = _current() or current()
        block = tr.inference
        self._before.append((tr.grad, block))
        if not self.on:
            if block is not None:
                block.leave(tr)
            tr.inference, tr.grad = None, True
        else:
            if block is None:
                tr.inference = self
                self.before, self.said = tr.claims.copy() if tr.claims else NOTHING, False
            tr.grad = False
        return self

    def __exit__(self, *_: Any) -> None:
        tr = _current() or current()
        block = tr.inference
        tr.grad, before = self._before.pop()
        if before is None:
            if block is not None:
                tr.inference = None
                if tr.claims:
                    block.leave(tr)
        elif block is None:  # back from ordinary code inside the mode
            tr.inference = before
            before.before = tr.claims.copy()

    def clone(self) -> inference_mode:
        return inference_mode(self.on)


def is_grad_enabled() -> bool:
    """Whether operations are being recorded for differentiation in this thread."""
    tr = current()
    return tr.grad if tr.inference is None else tr.inference.said


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return current().inference is not None


__getattr__ = asked(__name__)
