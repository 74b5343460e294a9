"""Names of steps that PyTorch records as one and this package as several: `addmm`, `trace`, `pixel_shuffle`.

The graph knows how a result was computed, not what it was called. A function that is composed notes its name on what it returns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from .core import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def step(name: str | Callable[..., str | None]) -> Callable[[F], F]:
    """Decorator: results of the function have this name as ``grad_fn``; a callable chooses it from the arguments (None = no other name)."""

    def decorate(fn: F) -> F:
        @functools.wraps(fn)
        def named(*args: Any, **kwargs: Any) -> Any:
            result = fn(*args, **kwargs)
            chosen = name if name.__class__ is str else name(*args, **kwargs)  # type: ignore[operator]
            if chosen is not None:
                note(result, chosen)
            return result

        return named  # type: ignore[return-value]

    return decorate


def note(result: Any, name: str) -> None:
    """Give a result (or several) a name, until it is written."""
    if isinstance(result, Tensor):
        n = result._n
        if n is not None and n.rg:
            result.__dict__["_step"] = n.serial, name
    elif isinstance(result, (tuple, list)):
        for r in result:
            note(r, name)


def note_write(t: Tensor, name: str) -> None:
    """Give a whole tensor that was just written a name, until it is written again."""
    f = t._f
    if f is not None and t._kind is None and f.h is not None and f.h.rg:
        t.__dict__["_step"] = f.h.serial, name


def noted(t: Any, n: Any) -> str | None:
    """The name noted on a tensor whose node is `n`."""
    found = t.__dict__.get("_step") if isinstance(t, Tensor) else None
    return found[1] if found is not None and found[0] == n.serial else None
