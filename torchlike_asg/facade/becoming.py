"""Functions that do something else from now on and stay the same objects, for those who imported them earlier."""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import CodeType, FunctionType
from typing import Any

__all__ = ["become", "copied"]

#: in front: what is called with the arguments, and with what else does the same as before
_SOURCE = """
def outer({cells}):
    def function(*args, _asks, _ask, _plain, **kwargs):
        if _asks(args, kwargs):
            return _ask(args, kwargs)
        return _plain(*args, **kwargs)
        {cells}
    return function
"""


@functools.cache
def _code(cells: int) -> CodeType:
    """The code of a function that has so many variables of functions around it, and looks at none: its closure can be another's."""
    names: dict[str, Any] = {}
    exec(_SOURCE.format(cells=", ".join(f"c{i}" for i in range(cells))), names)  # Python has no other way to choose their number
    function: FunctionType = names["outer"](*[None] * cells)
    return function.__code__.replace(co_filename=__file__)


def copied(fn: FunctionType) -> FunctionType:
    """A function that does the same and is another object."""
    copy = FunctionType(fn.__code__, fn.__globals__, fn.__name__, fn.__defaults__, fn.__closure__)
    copy.__kwdefaults__, copy.__qualname__ = fn.__kwdefaults__, fn.__qualname__
    copy.__dict__.update(fn.__dict__)
    copy.__doc__, copy.__module__, copy.__annotations__ = fn.__doc__, fn.__module__, fn.__annotations__
    return copy


def become(fn: FunctionType, asks: Callable[..., Any], ask: Callable[..., Any]) -> None:
    """Have `fn` be ``ask(args, kwargs)`` where ``asks(args, kwargs)`` holds, and else what it was: that is its ``__wrapped__``."""
    plain = copied(fn)
    fn.__kwdefaults__ = {**(fn.__kwdefaults__ or {}), "_asks": asks, "_ask": ask, "_plain": plain}  # first: other threads may be calling it
    fn.__code__ = _code(len(fn.__closure__ or ())).replace(co_name=fn.__name__)
    fn.__defaults__ = None
    fn.__wrapped__ = plain  # type: ignore[attr-defined]
