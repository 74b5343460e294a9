"""The tensor users hold, and the few functions every operation goes through (views: families.py).

A `Tensor` is a name for a node. ``_n`` is its current value node, or None = "ask `node_of`": the tensor is concrete, was
written through another name, or shares its memory with NumPy. The hot path never tests versions: None misses the intern
table and lands in `node_of` (nodes.py).
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from .. import dtypes
from ..asg.declare import APART, LEAF_OF, ONWARD, STOP, Op
from ..asg.geometry import Geometry, contiguous
from ..asg.node import WEAK, Node, weak
from ..asg.trace import Trace, current
from ..asg.trace import _get as _current
from ..backends.meta import Absent
from ..devices import refuse
from ..formats import strided
from ..size import Size, sized
from . import texts
from .claiming import twin
from .lens import Lens
from .lifting import scalar, told
from .nodes import node_of, refuse_stale
from .storage import Cell, Family

_new = object.__new__
_stopped = STOP.table
_SCALARS = frozenset((int, float, bool, complex))

__all__ = ["Tensor", "binary", "is_dense", "make_parameter", "node_of", "unary", "wrap"]


class _TensorMeta(type):
    """``isinstance(x, Tensor)`` as usual; the class attribute lets subclasses of Tensor be made from plain ones."""


class Tensor(metaclass=_TensorMeta):
    """A multi-dimensional array of one dtype, recorded into the graph. See `torch.tensor`, `torch.zeros`, ... for making one."""

    # _n node or None; _f family or None. The rest means something only with a family: _d storage offset of the node's offset 0;
    # _geo absolute geometry, None = that of the node; _kind None = base, or "view" | "multi" | "nograd" |
    # "inference" (+ " stale" after a counted write)
    __slots__ = ("__dict__", "__weakref__", "_d", "_f", "_geo", "_initialiser", "_kind", "_n")

    _n: Node | None
    _f: Family | None
    _d: int
    _geo: Geometry
    _kind: str | None
    #: what filled a parameter, for the viewer; no attribute that a script finds in ``__dict__``, and gives to a class of its own
    _initialiser: str
    #: how the storage is read, see lens.py; set on the few views that need it
    _lens: Lens | None = None

    @property
    def geometry(self) -> Geometry:
        """Sizes, strides and storage offset, in elements."""
        n = self._n
        if n is None:
            return self._geo
        return (n.shape, n.strides, n.offset) if self._f is None else (n.shape, n.strides, n.offset + self._d)

    @property
    def shape(self) -> Size:
        n = self._n
        if n is not None:
            return n.shape
        shape: Any = self._geo[0]
        return shape if shape.__class__ is Size else sized(shape)

    @property
    def dtype(self) -> dtypes.dtype:
        n = self._n
        if n is not None:
            return n.dtype
        lens = self._lens
        return lens.dtype if lens is not None else self._f.cell.dtype  # type: ignore[union-attr]

    @property
    def device(self) -> Any:
        n = self._n
        return n.device if n is not None else self._f.cell.device  # type: ignore[union-attr]

    @property
    def requires_grad(self) -> bool:
        n = self._n
        if n is not None:
            return n.rg
        f = self._f
        assert f is not None
        if f.h is not None:
            return f.h.rg
        return f.wants or f.past is not None

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        from .leaves import require_grad

        if on.__class__ is not bool:
            raise RuntimeError("requires_grad must be a bool")
        if on and not self.is_leaf:
            raise RuntimeError(texts.NOT_LEAF.partition(" If ")[0])
        require_grad(self, on)

    @property
    def is_leaf(self) -> bool:
        if not self.requires_grad:
            return True
        f = self._f
        if f is None:
            return False
        if self._n is None:
            refuse_stale(self)
        if self._kind is not None and self._kind.startswith(("nograd", "inference")):
            return node_of(self).op is APART
        if f.past is not None and f.h is None:
            return False
        return self._kind is None and (f.wants if f.h is None else f.leaf_history)


def is_dense(x: Any) -> bool:
    """Whether `x` is a tensor with a node: one that is not sparse."""
    return isinstance(x, Tensor) and x.layout is strided  # type: ignore[attr-defined]


# ---------------------------------------------------------------- making tensors
def wrap(n: Node) -> Tensor:
    """The ONE constructor of operation results."""
    tr = _current() or current()
    if n.rg and not tr.grad:
        n = ONWARD(n) if tr.forward else _stopped.get((n,)) or STOP(n)
    t = _new(Tensor)
    t._n = n
    t._f = None
    r = ref(t)
    if tr.claims.setdefault(n, r) is not r:
        t._n = twin(tr, n, r)
    return t


def face(
    f: Family, n: Node | None, d: int, kind: str | None, geometry: Geometry | None = None, cls: type = Tensor, lens: Lens | None = None
) -> Any:
    """A tensor of an existing family."""
    t = _new(cls)
    t._n, t._f, t._d, t._geo, t._kind = n, f, d, geometry, kind
    if lens is not None:
        t._lens = lens
    f.add(t)
    return t


def concrete(buf: Any, shape: Any, d: dtypes.dtype, device: Any, strides: Any = None, cls: type = Tensor) -> Any:
    """A tensor over a flat buffer in storage layout (which is not kept on the meta device: None will do)."""
    shape = tuple(shape)
    if device.type == "wgpu":
        refuse(device, d)
    cell = Cell(shape, contiguous(shape) if strides is None else strides, d, device, None if device.type == "meta" else buf)
    if device.type == "meta":
        cell.take(Absent(shape, cell.strides, d))  # type: ignore[arg-type]
    return face(Family(cell), None, 0, None, cell.geometry, cls)


def make_parameter(cls: type, data: Tensor, requires_grad: bool = True) -> Any:
    """A leaf of class `cls` over `data`'s storage, with a history of its own."""
    from .direct import realise
    from .held import settle

    realise(data)
    if not settle(data):
        data = data.clone()  # type: ignore[attr-defined]
        settle(data)
    f = Family(data._f.cell, None, data._f.counter)  # type: ignore[union-attr]
    f.inferred = data._f.inferred  # type: ignore[union-attr]
    t = face(f, None, 0, None, data.geometry, cls, data._lens)
    if requires_grad:
        from .leaves import require_grad

        require_grad(t, True, permanent=True)
    return t


# ---------------------------------------------------------------- operations
def binary(op: Op, a: Any, b: Any) -> Tensor:
    """``op(a, b)`` for a tensor `a` and a tensor or Python number `b`."""
    try:
        bn = WEAK.get((b.__class__, b)) if b.__class__ in _SCALARS else b._n
    except AttributeError:  # a NumPy number, or no number at all
        return binary(op, a, weak(b).attrs[0])
    n = op.table.get((a._n, bn))
    if n is None:
        if a._n is None and b.__class__ is int and not a._geo[0] and (found := _index(op, a, b, False)) is not None:
            return found
        n = _miss(op, a, b, False)
    tr = _current() or current()
    if n.rg and not tr.grad:
        n = ONWARD(n) if tr.forward else _stopped.get((n,)) or STOP(n)
    t = _new(Tensor)
    t._n = n
    t._f = None
    r = ref(t)
    if tr.claims.setdefault(n, r) is not r:
        t._n = twin(tr, n, r)
    return t


def rbinary(op: Op, a: Any, b: Any) -> Tensor:
    """``op(b, a)`` for a tensor `a` and a number `b`."""
    n = op.table.get((WEAK.get((b.__class__, b)), a._n)) if b.__class__ in _SCALARS else None
    if n is None:
        if a._n is None and b.__class__ is int and not a._geo[0] and (found := _index(op, a, b, True)) is not None:
            return found
        n = _miss(op, a, b, True)
    return wrap(n)


def _index(op: Op, a: Tensor, b: int, swapped: bool) -> Tensor | None:
    """`hosted.index`, which this module cannot import: arithmetic of indices, such as the end of a slice ``text[i : i + n]``."""
    from .hosted import index

    return index(op, a, b, swapped)


def unary(op: Op, a: Any, *attrs: Any) -> Tensor:
    """``op(a, *attrs)``."""
    try:
        n = op.table.get((a._n, *attrs))
    except AttributeError:
        return _of_another_kind(op, a, *attrs)
    if n is None:
        begin((a,))
        n = told(op, (node_of(a),), attrs) if op.varying else op(node_of(a), *attrs)
    return wrap(n)


def _of_another_kind(op: Op, value: Any, *attrs: Any) -> Any:
    """``op(value, *attrs)`` of what has no node: a sparse tensor may know the function, anything else is no tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{op.name}(): argument 'input' (position 1) must be Tensor, not {type(value).__name__}") from None
    return getattr(value, op.name)(*attrs)


def plain(op: Op, a: Any) -> Tensor:
    """``op(a)``: `unary` of an operation without attributes."""
    try:
        n = op.table.get((a._n,))
    except AttributeError:
        return _of_another_kind(op, a)
    if n is None:
        begin((a,))
        n = op(node_of(a))
    return wrap(n)


def nary(op: Op, tensors: Any, *attrs: Any) -> Tensor:
    """``op(*tensors, *attrs)`` for tensors and numbers."""
    n = op.table.get((*[t._n if isinstance(t, Tensor) else None for t in tensors], *attrs))
    if n is None:
        begin(tensors)
        srcs = tuple([operand(op, t) if isinstance(t, Tensor) else None for t in tensors])
        if None in srcs:
            beside = next((s for s in srcs if s is not None and s.dtype is not dtypes.bool_), None)
            srcs = tuple([operand(op, t, beside) if s is None else s for s, t in zip(srcs, tensors, strict=True)])
        n = told(op, srcs, attrs) if op.varying else op(*srcs, *attrs)
    return wrap(n)


def begin(tensors: Any) -> None:
    """Called before the operands of an operation are read: if one is a parameter that was overwritten since the trace began, an iteration
    has ended, and the next one starts from the parameters' own nodes. (Skipping this is correct, but meets new nodes; inside a function
    transform, whose arguments would be lost with the trace, it is skipped.)
    """
    tr = _current() or current()
    if not tr.grad or tr.held:
        if tr.torn:
            catch_up(tr)
        return
    for t in tensors:
        if isinstance(t, Tensor) and t._n is None:
            leaf = t._f.leaf  # type: ignore[union-attr]
            if leaf is not None and leaf.rg and leaf.op is not LEAF_OF:
                f = t._f
                if f.h is not leaf and f.h is not None and f.leaf_history:  # type: ignore[union-attr]
                    from .flush import flush

                    flush(closing=True)
                    return


def catch_up(tr: Trace) -> None:
    """Another thread has overwritten what is read here: what was recorded on the old values is computed, what follows reads the new ones.

    Not while something records that needs its nodes, nor where gradients are recorded: an iteration reads one state of the parameters.
    """
    if not (tr.grad or tr.held or tr.level):
        from .flush import flush

        flush(closing=True)


def bound(a: Tensor, b: Tensor) -> tuple[Node, Node]:
    """The nodes of two operands."""
    x, y = a._n, b._n
    if x is None or y is None:
        begin((a, b))
        x, y = node_of(a), node_of(b)
    return x, y


def _miss(op: Op, a: Tensor, b: Any, swapped: bool) -> Node:
    begin((a, b))
    x = node_of(a)
    y = operand(op, b, x, swapped)
    return op(y, x) if swapped else op(x, y)


def operand(op: Op, value: Any, beside: Node | None = None, first: bool = False) -> Node:
    """The node of a tensor, or of a number (`first`: before the other operand), which becomes run-time data instead of a constant if it is
    seen at one place with changing values."""
    if isinstance(value, Tensor):
        return node_of(value)
    if value.__class__ is Node:
        return value  # type: ignore[no-any-return]
    return weak(value) if beside is None else scalar(op, value, beside, first)
