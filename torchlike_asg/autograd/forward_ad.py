"""Forward-mode differentiation with dual numbers: values that carry a derivative along a direction.

A dual tensor is a value of its own in the graph; the tangent of what was computed from it is found when it is asked for, by the two sweeps
of `derivatives`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ..asg import gradients
from ..asg.declare import get
from ..asg.node import Node
from ..asg.trace import current
from ..facade.backward import grad_mode
from ..facade.captured import Transform, begin, end
from ..facade.core import Tensor, node_of
from ..facade.functions.creation import zeros_like
from ..facade.functions.layout import clone
from .levels import Depth, argument, result

__all__ = ["UnpackedDualTensor", "dual_level", "enter_dual_level", "exit_dual_level", "make_dual", "unpack_dual"]


class UnpackedDualTensor(NamedTuple):
    """The two parts of a dual tensor; the tangent is None where nothing depends on a direction."""

    primal: Tensor
    tangent: Tensor | None


#: for each level entered: the depth in the trace, the dual arguments with their tangents, as they were then and as tensors, and what sees
#: to writes to them
_levels: list[tuple[Depth, list[tuple[Node, Node, Tensor]], Transform]] = []


def enter_dual_level() -> int:
    """Start a level in which dual tensors can be made; returns its number."""
    if _levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    tr = current()
    tr.level += 1
    tr.held += 1
    tr.forward += 1
    depth = Depth(tr.level, True)
    _levels.append((depth, [], Transform(True, lambda n: node_of(result(n, depth)), True)))
    begin(_levels[-1][2])
    return len(_levels) - 1


def exit_dual_level(*, level: int | None = None) -> None:
    """End the level; its dual tensors become plain ones."""
    if not _levels or (level is not None and level != len(_levels) - 1):
        raise RuntimeError("Trying to exit a forward AD level that was not the last one that was created. This is not supported.")
    end(_levels.pop()[2])
    tr = current()
    tr.level -= 1
    tr.held -= 1
    tr.forward -= 1


@contextmanager
def dual_level() -> Iterator[int]:
    """A block in which dual tensors can be made."""
    number = enter_dual_level()
    try:
        yield number
    finally:
        exit_dual_level()


def _innermost(what: str) -> tuple[Depth, list[tuple[Node, Node, Tensor]], Transform]:
    if not _levels:
        raise RuntimeError(f"Trying to {what} but no level exists. Make sure to enter_dual_level() first.")
    return _levels[-1]


def __getattr__(name: str) -> int:
    if name == "_current_level":  # where PyTorch keeps the number of the level, -1 outside; Functions look there
        return len(_levels) - 1
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def dual_depth() -> int | None:
    """The depth in the trace of the level in which dual tensors can be made, if there is one."""
    return _levels[-1][0] if _levels else None


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """`tensor`, carrying a derivative `tangent` of its shape and type: `tangent` itself, if it has the layout of `tensor`."""
    depth, duals, transform = _innermost("create a dual Tensor for forward AD")
    if not (tensor.dtype.is_floating_point or tensor.dtype.is_complex):
        raise ValueError(f"Expected primal to be floating point or complex, but got: {tensor.dtype}")
    if tuple(tensor.shape) != tuple(tangent.shape):
        raise RuntimeError(
            f"Trying to set a forward gradient that has a different size than that of the original Tensor: {tuple(tangent.shape)} "
            f"and {tuple(tensor.shape)}, this is not supported."
        )
    dual = argument(tensor, depth, len(duals))
    held = tangent if tuple(tangent.geometry[1]) == tuple(tensor.geometry[1]) else clone(tangent)
    duals.append((node_of(dual), node_of(held), held))
    transform.arguments.append((dual, tensor))
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """(value, derivative) of a tensor computed from dual ones."""
    if not _levels:
        return UnpackedDualTensor(tensor, None)
    recording = current().grad
    primal, derivative = _unpacked(tensor)
    if not recording and derivative is not None:
        primal, derivative = (t.detach() if t.requires_grad else t for t in (primal, derivative))  # type: ignore[attr-defined]
    return UnpackedDualTensor(primal, derivative)


def _unpacked(tensor: Tensor) -> tuple[Tensor, Tensor | None]:
    depth, duals, _ = _levels[-1]
    n = node_of(tensor)
    for d, _, tangent in duals:
        if d is n:
            return result(n, depth), tangent
    with grad_mode(True):
        seed = node_of(argument(zeros_like(tensor), depth, -1))
        pulled = gradients.sweep((n,), (seed,)).gradients if n.rg else {}
        pairs = [(g, v) for d, v, _ in duals if (g := pulled.get(d)) is not None and g.rg]
        primal = result(n, depth)
        if not any(d in pulled for d, _, _ in duals):
            return tensor, None
        swept = gradients.sweep(tuple([g for g, _ in pairs]), tuple([v for _, v in pairs])) if pairs else None
        found = None if swept is None else swept.gradients.get(seed)
        return primal, result(get("zeros_of")(n) if found is None else found, depth)
