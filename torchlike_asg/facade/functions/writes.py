"""In-place arithmetic and filling, which need no function object: what a training step writes most often."""

from __future__ import annotations

from typing import Any

from ... import notices
from ...asg.node import Node
from ...errors import Unsupported
from ...formats import strided
from ...ops import movement
from ...ops import pointwise as ops
from ...ops.blend import add_scaled
from .. import direct, parts_of_data
from ..core import Tensor, node_of, operand
from ..misfits import what
from ..overloads import earlier
from ..register import function
from ..steps import step
from ..write import replace, write
from .pointwise import _scaled, scaled_sum


def _write_binary(op: Any, t: Tensor, other: Any) -> Tensor:
    cur = t._n
    try:
        if cur is not None and not cur.rg and isinstance(other, Tensor) and other._n is not None and other._f is None:
            n = op.table.get((cur, other._n))  # seen before, and `other` is a result that shares no memory
            if n is not None and not n.rg and replace(t, n):
                return t
        if (cur is None and parts_of_data.update(t, op, other)) or direct.update(t, op, other):
            return t
        return write(
            t, lambda cur: op(cur, node_of(other) if isinstance(other, Tensor) else operand(op, other, cur)), (other,), bounded=True
        )
    except Unsupported:
        if not isinstance(other, Tensor) or other.layout is strided:  # type: ignore[attr-defined]
            raise
        return _write_binary(op, t, other.to_dense())  # type: ignore[attr-defined]


def _write_scaled(op: Any, t: Tensor, other: Any, alpha: Any) -> Tensor:
    if scaled_sum(t, other, alpha):

        def value(cur: Node) -> Node:
            return add_scaled(cur, node_of(other), operand(add_scaled, alpha, cur), op is ops.sub)

        return write(t, value, (other,), bounded=True)
    if (
        t._f is not None
        and isinstance(other, Tensor)
        and other.layout is strided  # type: ignore[attr-defined]
        and other._f is not None
        and other._f.cell is t._f.cell
    ):
        return write(t, lambda cur: op(cur, node_of(_scaled(t, other, alpha))), (other,), bounded=True)
    return _write_binary(op, t, _scaled(t, other, alpha))


def _in_earlier_order(fn: Any, *args: Any) -> Tensor:
    found = earlier(fn.__name__, args, 4)
    if found is None:
        raise TypeError(f"{fn.__name__}() takes 2 positional arguments but {len(args)} were given")
    return fn(*found[0], **found[1])  # type: ignore[no-any-return]


def add_(self: Tensor, other: Any, *more: Any, alpha: Any = 1) -> Tensor:
    """``self += alpha * other``."""
    if more:
        return _in_earlier_order(add_, self, other, *more)
    return _write_binary(ops.add, self, other) if alpha.__class__ is int and alpha == 1 else _write_scaled(ops.add, self, other, alpha)


def sub_(self: Tensor, other: Any, *more: Any, alpha: Any = 1) -> Tensor:
    """``self -= alpha * other``."""
    if more:
        return _in_earlier_order(sub_, self, other, *more)
    return _write_binary(ops.sub, self, other) if alpha.__class__ is int and alpha == 1 else _write_scaled(ops.sub, self, other, alpha)


def mul_(self: Tensor, other: Any) -> Tensor:
    """``self *= other``."""
    return _write_binary(ops.mul, self, other)


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set every element to `value` (a number or a 0-d tensor)."""
    if isinstance(value, Tensor) and value.ndim:  # type: ignore[attr-defined]
        raise RuntimeError(f"fill_ only supports 0-dimension value tensor but got tensor with {value.ndim} dimensions.")  # type: ignore[attr-defined]
    return write(
        self,
        lambda cur: movement.fill(cur, node_of(value) if isinstance(value, Tensor) else operand(movement.fill, value, cur)),
        (value,),
        fills=not isinstance(value, Tensor),
    )


@function(method=False)
@step(lambda input, value: f"FillBackward{1 if isinstance(value, Tensor) else 0}")
def fill(input: Tensor, value: Any) -> Tensor:
    """A tensor like `input` with every element `value` (a number or a 0-d tensor)."""
    filled = fill_(input.clone(), value)  # type: ignore[attr-defined]
    node_of(filled)
    return filled


def zero_(self: Tensor) -> Tensor:
    """Set every element to zero."""
    return fill_(self, 0)


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Take the values of `src`, broadcast and converted; they may come from another device."""
    if non_blocking.__class__ is not bool:
        raise TypeError(f"copy_(): argument 'non_blocking' (position 2) must be bool, not {what(non_blocking)}")
    if not isinstance(src, Tensor):
        return write(self, lambda cur: movement.copy(cur, operand(movement.copy, src, cur)), ())
    if src.dtype.is_complex and not self.dtype.is_complex:
        notices.once(notices.COMPLEX_TO_REAL)
    if src.shape and src.device != self.device:
        src = src.to(self.device, self.dtype)  # type: ignore[attr-defined]
    if (
        self._f is not None
        and src._f is not None
        and src._f.cell is self._f.cell
        and src._lens == self._lens
        and src.geometry == self.geometry
    ):
        return write(self, lambda cur: movement.copy(cur, node_of(src)), (src,), fills=True)
    return write(self, lambda cur: movement.copy(cur, node_of(src)), (src,), bounded=True)


for _f in (add_, sub_, mul_, fill_, zero_, copy_):
    setattr(Tensor, _f.__name__, _f)
Tensor.subtract_, Tensor.multiply_ = sub_, mul_  # type: ignore[attr-defined]
Tensor.__iadd__, Tensor.__isub__, Tensor.__imul__ = add_, sub_, mul_  # type: ignore[attr-defined]
