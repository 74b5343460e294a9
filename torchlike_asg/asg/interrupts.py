"""Ctrl-C waits for the end of a step that is half done.

Python raises `KeyboardInterrupt` between any two calls of the main thread. Between running a plan, which overwrites parameters in place,
and the end of the trace, which says so, that would leave parameters that no node stands for; so the signal is noted there, and its
handler is called when the step is whole. A second Ctrl-C does not wait.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
from _signal import getsignal as _handler_of  # type: ignore[import-not-found]
from _signal import signal as _set_handler  # without the conversion of numbers into enumerations: this runs in every step
from _thread import get_ident
from collections.abc import Callable
from typing import Any, TypeVar

_F = TypeVar("_F", bound=Callable[..., Any])
_SIGINT = int(signal.SIGINT)
_main = threading.main_thread().ident
#: the signal that came meanwhile: the arguments of its handler
_noted: tuple[Any, ...] | None = None


def whole(function: _F) -> _F:
    """A function of positional arguments that Ctrl-C does not cut short."""

    @functools.wraps(function)
    def wrapped(*args: Any) -> Any:
        handler = hold()
        if handler is None:
            return function(*args)
        try:
            return function(*args)
        finally:
            release(handler)

    return wrapped  # type: ignore[return-value]


def hold() -> Callable[..., Any] | None:
    """From here on Ctrl-C is noted only. Returns what `release` takes; None if there is nothing to release: it is held already, nobody in
    Python handles it, or this is not the main thread, and other threads are never interrupted.
    """
    if get_ident() != _main:
        return None
    handler = _handler_of(_SIGINT)
    if handler is _note or not callable(handler):
        return None
    _set_handler(_SIGINT, _note)
    return handler  # type: ignore[no-any-return]


def release(handler: Callable[..., Any]) -> None:
    """Have the signal handled again, also the one that came meanwhile."""
    global _noted
    _set_handler(_SIGINT, handler)
    if _noted is not None:
        arguments, _noted = _noted, None
        handler(*arguments)


def _note(*arguments: Any) -> None:
    global _noted
    if _noted is not None:
        _noted = None
        raise KeyboardInterrupt
    _noted = arguments


def _forked() -> None:
    global _main
    _main = get_ident()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
