"""Names of steps that PyTorch records as one and this package as several: `addmm`, `trace`, `pixel_shuffle`.

The graph knows how a result was computed, not what it was called. A function that is composed notes its name on what it returns.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..asg.declare import SNAP
from .core import Tensor, node_of, wrap

F = TypeVar("F", bound=Callable[..., Any])


def step(name: str | Callable[..., str | None], each: bool = False) -> Callable[[F], F]:
    """Decorator: results of the function have this name as ``grad_fn``; a callable chooses it from the arguments (None = no other name).
    `each`: each of several results is a step of its own.
    """

    def decorate(fn: F) -> F:
        @functools.wraps(fn)
        def named(*args: Any, **kwargs: Any) -> Any:
            result = fn(*args, **kwargs)
            chosen = name if name.__class__ is str else name(*args, **kwargs)  # type: ignore[operator]
            if chosen is not None:
                for r in result if each else (result,):
                    note(r, chosen)
            return result

        return named  # type: ignore[return-value]

    return decorate


def unsaved(t: Tensor) -> Tensor:
    """The value of an argument that PyTorch's one step does not save though a step of the composed function reads it in its gradient: later
    writes to the argument do not concern it.
    """
    return wrap(SNAP(node_of(t)))


def note(result: Any, name: str, place: int = 0) -> None:
    """Give a result (or several, by their places among those with a history) a name, until it is written."""
    if isinstance(result, Tensor):
        n = result._n
        if n is not None and n.rg:
            result.__dict__["_step"] = n.serial, name, place
    elif isinstance(result, (tuple, list)):
        differentiable = 0
        for r in result:
            note(r, name, differentiable)
            differentiable += isinstance(r, Tensor) and r.requires_grad


def note_write(t: Tensor, name: str) -> None:
    """Give a whole tensor that was just written a name, until it is written again."""
    f = t._f
    if f is not None and t._kind is None and f.h is not None and f.h.rg:
        t.__dict__["_step"] = f.h.serial, name, 0


def noted_place(t: Any, n: Any) -> int | None:
    """Which result of the function noted on a tensor, whose node is `n`, that tensor is."""
    found = t.__dict__.get("_step")
    return found[2] if found is not None and found[0] == n.serial else None


def noted(t: Any, n: Any) -> str | None:
    """The name noted on a tensor whose node is `n`."""
    found = t.__dict__.get("_step") if isinstance(t, Tensor) else None
    return found[1] if found is not None and found[0] == n.serial else None
