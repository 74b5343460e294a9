"""Names of steps that PyTorch records as one and this package as several: `addmm`, `trace`, `pixel_shuffle`.

The graph knows how a result was computed, not what it was called. A function that is composed notes its name on what it returns.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..asg.declare import SNAP
from ..asg.keeps import KEEPS, KEEPS_RESULT
from .core import Tensor, node_of, wrap
from .history_names import step_noted
from .view_steps import DEFERRED

F = TypeVar("F", bound=Callable[..., Any])


#: in `keeps`: the first, second and third result of the function
RESULT, SECOND, THIRD = -1, -2, -3
#: pairs (place of an argument, or one of the above; the places of the arguments whose gradient reads it)
Keeps = tuple[tuple[int, tuple[int, ...]], ...]


def step(name: str | Callable[..., str | None] | None, each: bool = False, keeps: Keeps = ()) -> Callable[[F], F]:
    """Decorator: results of the function have this name as ``grad_fn``; a callable chooses it from the arguments (None = no other name).
    `each`: each of several results is a step of its own. `keeps`: what PyTorch's step saves, beside what the operations it is made of here
    save: see `keeping`.
    """

    def decorate(fn: F) -> F:
        names = list(inspect.signature(fn).parameters) if keeps else []

        @functools.wraps(fn)
        def named(*args: Any, **kwargs: Any) -> Any:
            result = fn(*args, **kwargs)
            if keeps:
                given = (*args, *[kwargs.get(n) for n in names[len(args) :]])
                saved = [i for i, readers in keeps if any(_traced(given[j]) for j in readers)]
                result = keeping(result, [given[i] for i in saved if i >= 0], [-1 - i for i in saved if i < 0])
            chosen = name(*args, **kwargs) if callable(name) else name
            if chosen is not None:
                for r in result if each else (result,):
                    note(r, chosen)
            return result

        return named  # type: ignore[return-value]

    return decorate


def _traced(t: Any) -> bool:
    return isinstance(t, Tensor) and t.requires_grad


def keeping(result: Any, saved: Sequence[Any], own: Sequence[int] = ()) -> Any:
    """The new result (or the named tuple of several) of a function that PyTorch has one step for. That step saves the tensors among `saved`
    and those of its results that `own` counts: backward is refused once one of them is overwritten.
    """
    parts = [result] if isinstance(result, Tensor) else list(result)
    traced = [i for i, r in enumerate(parts) if isinstance(r, Tensor) and r._n is not None and r._n.rg]
    nodes = [node_of(t) for t in saved if isinstance(t, Tensor)]
    nodes += [node_of(parts[i]) for i in own if i < len(parts) and i not in traced]
    if not traced or not (nodes or own):
        return result
    for i in traced:
        n, called = parts[i]._n, parts[i].__dict__.get("_step")
        parts[i] = wrap((KEEPS_RESULT if i in own or (n.saved is not None and n in n.saved) else KEEPS)(n, *nodes))
        if called is not None and called[0] == n.serial:
            note(parts[i], *called[1:])
    kept = [parts[i]._n for i in traced if i in own]
    for i in traced if kept else ():  # each result is refused once another one is overwritten
        parts[i]._n.saved = (*nodes, *kept)
    if isinstance(result, Tensor):
        return parts[0]
    return type(result)(*parts) if hasattr(result, "_fields") else type(result)(parts)


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
        elif n is None and (made := result.__dict__.get(DEFERRED)) is not None:
            made.called = name, place
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
    return step_noted(t, n) if isinstance(t, Tensor) else None
