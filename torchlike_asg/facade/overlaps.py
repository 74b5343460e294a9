"""Memory that a write meets more than once: in its target, or in the target and in another operand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .. import dtypes
from ..asg.declare import STOP
from ..asg.geometry import partial_overlap
from ..asg.node import Node, const
from ..ops.logic import eq, logical_and, logical_or, ne
from ..ops.movement import arange, expand, reshape
from ..ops.pointwise import where
from ..ops.reduce import argmax
from ..ops.scatter import gather
from . import texts
from .core import Tensor
from .lens import in_bytes

#: functions whose in-place versions write only the elements they name, so that a target may be expanded (see `write`)
PARTLY = frozenset(("masked_fill", "index_fill", "tril", "triu"))
#: those that change equal elements equally
ALIKE = frozenset(("conj_physical",))
#: those whose target must share no memory with any operand
APART = frozenset(("index_add", "index_copy", "index_reduce", "scatter", "scatter_add", "scatter_reduce"))
#: those whose operands may share the target's memory in any way: results are those of the operands as they were
LOOSE = frozenset(("addmm", "addmv", "baddbmm", "masked_scatter"))
#: functions beside the elementwise ones whose ``out=`` may not share memory with an operand in part, and those where it may not at all
_PARTED_OUT = frozenset(
    """addbmm addmv addr baddbmm column_stack cumprod cumsum dstack hstack index_add index_copy kron logcumsumexp masked_select msort
    outer renorm scatter scatter_add stack take vstack""".split()
)
_APART_OUT = frozenset(("cat", "concat", "concatenate", "cross", "gather", "index_select", "take_along_dim", "stack"))


def check_out(out: Tensor, result: Tensor, operands: Iterable[Any], name: str) -> None:
    """RuntimeError if ``out=`` shares memory with an operand, where PyTorch writes the one as it reads the other."""
    apart = name in _APART_OUT
    if out._f is None or not (apart or name in _PARTED_OUT or (result._n is not None and result._n.op.layout == "pointwise")):
        return
    flat = [t for o in operands for t in (o if isinstance(o, (list, tuple)) else (o,))]
    check_overlap(out, out.geometry, out._f.cell, flat, True, apart)


def stands_twice(geometry: Any) -> bool:
    """Whether a geometry shows an element more than once because it was expanded (PyTorch looks no further)."""
    return 0 in geometry[1] and any(s == 0 and d > 1 for d, s in zip(geometry[0], geometry[1], strict=True))


def check_overlap(t: Tensor, geometry: Any, cell: Any, others: Sequence[Any], partly: bool = False, apart: bool = False) -> None:
    """RuntimeError if a write to `t` cannot be told: an element is written twice (unless `partly`), or read as another one is written.
    With `apart`, no element of the target may be read at all.
    """
    if not partly and stands_twice(geometry):
        raise RuntimeError(texts.OVERLAP_SELF)
    for o in others:
        if isinstance(o, Tensor) and o is not t and o._f is not None and o._f.cell is cell:
            here, there = geometry, o.geometry
            if t.dtype is not o.dtype:
                here, there = in_bytes(here, t.dtype), in_bytes(there, o.dtype)
            if partial_overlap(here, there):
                raise RuntimeError(texts.OVERLAP_OTHER)
        if apart and isinstance(o, Tensor) and _same_place(t, geometry, cell, o):
            raise RuntimeError(texts.OVERLAP_OTHER)


def _same_place(t: Tensor, geometry: Any, cell: Any, o: Tensor) -> bool:
    if o is t:
        return 0 not in geometry[0]
    return o._f is not None and o._f.cell is cell and tuple(o.geometry) == tuple(geometry) and 0 not in geometry[0]


def written_last(v: Node, before: Node, geometry: Any) -> Node:
    """What a write of `v` over `before` leaves in a target that shows elements more than once: of those that differ, the last."""
    shape = tuple(v.shape)
    for d, (n, s) in enumerate(zip(geometry[0], geometry[1], strict=True)):
        if s == 0 and n > 1:
            same = logical_or(eq(v, before), logical_and(ne(v, v), ne(before, before)))
            turn = reshape(arange(const(1, dtypes.int64), const(1, dtypes.int64), n, dtypes.int64), (n, *(1,) * (len(shape) - d - 1)))
            v = expand(gather(v, argmax(where(same, const(0, dtypes.int64), turn), d, True), d), *shape)
            v = where(eq(turn, const(n, dtypes.int64)), v, STOP(v)) if v.rg else v  # one memory has one gradient
    return v
