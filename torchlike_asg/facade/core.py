"""The tensor users hold, and the few functions every operation goes through.

A `Tensor` is a name for a node. ``_n`` is its current value node, or None = "ask `node_of`": the tensor is concrete, was
written through another name, or shares its memory with NumPy. The hot path never tests versions: None misses the intern
table and lands in `node_of`.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from .. import dtypes
from ..asg.declare import DETACH, LEAF_OF, REBIND, STOP, Op
from ..asg.geometry import Geometry, contiguous, flat, gather, pointwise_strides
from ..asg.node import WEAK, Node, weak
from ..asg.trace import Trace, current
from ..asg.trace import _get as _current
from ..devices import refuse
from ..ops.movement import restride as RESTRIDE
from ..ops.movement import restride_scatter as RESTRIDE_SCATTER
from ..size import Size
from . import texts
from .lens import Lens, region, scattered, seen_values
from .storage import Cell, Counter, Family

_new = object.__new__
_stopped = STOP.table
_SCALARS = frozenset((int, float, bool, complex))

__all__ = ["Tensor", "binary", "make_parameter", "node_of", "unary", "view", "wrap"]


class _TensorMeta(type):
    """``isinstance(x, Tensor)`` as usual; the class attribute lets subclasses of Tensor be made from plain ones."""


class Tensor(metaclass=_TensorMeta):
    """A multi-dimensional array of one dtype, recorded into the graph. See `torch.tensor`, `torch.zeros`, ... for making one."""

    # _n node or None; _f family or None. The rest means something only with a family: _d storage offset of the node's offset 0;
    # _geo absolute geometry, None = that of the node; _kind None = base, or "view" | "multi" | "nograd" (+ " stale" after a counted write)
    __slots__ = ("__dict__", "__weakref__", "_d", "_f", "_geo", "_kind", "_n")

    _n: Node | None
    _f: Family | None
    _d: int
    _geo: Geometry
    _kind: str | None
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
        return shape if shape.__class__ is Size else Size(shape)

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
        if f.past is not None and f.h is None:
            return False
        return self._kind is None and (f.wants if f.h is None else f.leaf_history)


# ---------------------------------------------------------------- making tensors
def wrap(n: Node) -> Tensor:
    """The ONE constructor of operation results."""
    tr = _current() or current()
    if n.rg and not tr.grad:
        n = _stopped.get((n,)) or STOP(n)
    t = _new(Tensor)
    t._n = n
    t._f = None
    r = ref(t)
    if tr.claims.setdefault(n, r) is not r:
        t._n = twin(tr, n, r)
    return t


def twin(tr: Trace, n: Node, r: Any) -> Node:
    """`n` is another storage's value in this trace already: give this storage the next twin (same operation, own identity)."""
    used = tr.twinned.get(n, 0)
    tr.twinned[n] = used + 1
    if n.twins is not None and used < len(n.twins):
        m = n.twins[used]
        tr.claims[m] = r
        return m
    m = n.twin()
    if n.saved and n in n.saved:
        m.saved = tuple([m if s is n else s for s in n.saved])
    tr.claims[m] = r
    return m


def owned(n: Node, who: Any) -> Node:
    """`n`, or a twin of it that no other storage has claimed."""
    tr, r = current(), ref(who)
    return n if tr.claims.setdefault(n, r) is r else twin(tr, n, r)


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
    """A tensor over a flat buffer in storage layout."""
    shape = tuple(shape)
    if device.type == "wgpu":
        refuse(device, d)
    cell = Cell(shape, contiguous(shape) if strides is None else strides, d, device, buf)
    return face(Family(cell), None, 0, None, cell.geometry, cls)


def make_parameter(cls: type, data: Tensor, requires_grad: bool = True) -> Any:
    """A leaf of class `cls` over `data`'s storage, with a history of its own."""
    from .flush import settle

    settle(data)
    f = Family(data._f.cell, None, Counter())  # type: ignore[union-attr]
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
        n = _stopped.get((n,)) or STOP(n)
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
        raise _no_tensor(op, a) from None
    if n is None:
        begin((a,))
        n = op(node_of(a), *attrs)
    return wrap(n)


def _no_tensor(op: Op, value: Any) -> TypeError:
    return TypeError(f"{op.name}(): argument 'input' (position 1) must be Tensor, not {type(value).__name__}")


def plain(op: Op, a: Any) -> Tensor:
    """``op(a)``: `unary` of an operation without attributes."""
    try:
        n = op.table.get((a._n,))
    except AttributeError:
        raise _no_tensor(op, a) from None
    if n is None:
        begin((a,))
        n = op(node_of(a))
    return wrap(n)


def nary(op: Op, tensors: Any, *attrs: Any) -> Tensor:
    """``op(*tensors, *attrs)`` for tensors and numbers."""
    n = op.table.get((*[t._n if isinstance(t, Tensor) else None for t in tensors], *attrs))
    if n is None:
        begin(tensors)
        n = op(*[operand(op, t) for t in tensors], *attrs)
    return wrap(n)


def begin(tensors: Any) -> None:
    """Called before the operands of an operation are read: if one is a parameter that was overwritten since the trace began, an iteration
    has ended, and the next one starts from the parameters' own nodes. (Skipping this is correct, but meets new nodes; inside a function
    transform, whose arguments would be lost with the trace, it is skipped.)
    """
    tr = _current() or current()
    if not tr.grad or tr.held:
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
    y = operand(op, b, x)
    return op(y, x) if swapped else op(x, y)


def operand(op: Op, value: Any, beside: Node | None = None) -> Node:
    """The node of a tensor or number. A number seen at one place with changing values becomes run-time data instead of a constant."""
    if isinstance(value, Tensor):
        return node_of(value)
    if value.__class__ is Node:
        return value  # type: ignore[no-any-return]
    if value.__class__ not in _SCALARS and getattr(value, "is_sparse", False):
        return value.dense_node()  # type: ignore[no-any-return]
    if beside is not None and value.__class__ is not bool and op.sites.get((beside, value.__class__)) == "lifted":
        return scalar_input(value, beside)
    n = weak(value)
    return n if beside is None or n.dtype is dtypes.bool_ else _maybe_lifted(op, n, beside, value.__class__)


def _maybe_lifted(op: Op, n: Node, beside: Node, kind: type) -> Node:
    """Scalar lifting: a site is (operation, other operand). Values that differ *between* traces are bound as Inputs, so that the graph stays the same."""  # noqa: E501
    tr = current()
    seen = op.sites.get((beside, kind))
    if seen is None:
        op.sites[beside, kind] = (tr.index, tr.generation, {n})
        return n
    index, generation, values = seen
    if n in values:
        return n
    if (index, generation) == (tr.index, tr.generation):
        values.add(n)
        return n
    op.sites[beside, kind] = "lifted"
    for v in values:
        op.table.pop((beside, v), None)
        op.table.pop((v, beside), None)
    return scalar_input(n.attrs[0], beside)


def scalar_input(value: Any, beside: Node) -> Node:
    """A Python number as a 0-d Input of the type it would have had as a constant beside that operand."""
    import numpy as np

    from ..ops.promotion import result_type

    d = result_type((beside, weak(type(value)(1))))
    return current().input(np.asarray(value).astype(d.compute), (), (), d, beside.device)


# ---------------------------------------------------------------- views
def _inherit(a: Tensor, kind: str) -> str:
    if not (_current() or current()).grad:
        return "nograd"
    return a._kind.removesuffix(" stale") if kind == "view" and a._kind is not None else kind


def view(op: Op, a: Tensor, attrs: tuple[Any, ...], kind: str = "view") -> Tensor:
    """``op(a, *attrs)`` for an operation whose result aliases `a`."""
    if a._n is None:
        begin((a,))
    n, f = op.table.get((a._n, *attrs)), a._f
    if f is None:
        f = family_of(a)
    if n is None or f.h is None:
        if a._n is None and f.h is None and f.past is None and not f.wants:  # concrete and clean: host arithmetic, no node
            return face(f, None, 0, _inherit(a, kind), op.rule.geometry(a._geo, *attrs), lens=a._lens)  # type: ignore[union-attr, no-any-return]
        n = op(node_of(a), *attrs)
        t = face(f, n, a._d if a._n is not None else 0, _inherit(a, kind), lens=a._lens)
        if f.cell.exposed:
            t._geo, t._n = t.geometry, None
        return t  # type: ignore[no-any-return]
    return seen_view(a, f, n, kind)


def seen_view(a: Tensor, f: Family, n: Node, kind: str = "view") -> Tensor:
    """The view of `a`, of family `f`, whose node is `n`."""
    t = _new(Tensor)
    t._n = n
    t._f = f
    t._d = a._d
    t._geo = None
    if a._lens is not None:
        t._lens = a._lens
    t._kind = kind if a._kind is None and (_current() or current()).grad else _inherit(a, kind)
    faces = f.faces
    faces.append(ref(t))
    if len(faces) > f.limit:
        f.faces = [r for r in faces if r() is not None]
        f.limit = 2 * len(f.faces) + 64
    return t


def family_of(t: Tensor) -> Family:
    """The family of a tensor; the first view, write or detach of a computed value gives its storage a name."""
    f = t._f
    if f is None:
        f = t._f = _new(Family)
        n = f.h = t._n
        f.leaf = f.held = f.past = f.hooks = f.first = f.value = t._geo = t._kind = None  # type: ignore[assignment]
        f.limit, f.wants, t._d = 64, False, 0
        f.faces = [ref(t)]
        (_current() or current()).claims[n] = ref(f)  # type: ignore[index]
    return f


def alias(t: Tensor, share_counter: bool) -> Tensor:
    """``detach()`` (one version counter with its source) and ``.data`` (its own): a new family on the same cell, without history."""
    from .exposure import sync

    f = family_of(t)
    sync(f.cell)
    if f.h is None and (f.wants or f.past is not None):
        root_of(f)
    kept = f.h is not None
    g = Family(f.cell, None, f.counter if share_counter else Counter())
    if kept:
        g.h = (DETACH if share_counter else STOP)(f.h)
        if not share_counter:
            g.h = owned(g.h, g)
        g.counter.roots.append(g.h)
        g.take_part()
    out = face(g, None, 0, None, t.geometry, lens=t._lens)
    if f.h is None and t._n is not None and share_counter:
        out._n, out._d = t._n, t._d  # bound in this trace already: the same Input
        g.take_part()
    return out  # type: ignore[no-any-return]


# ---------------------------------------------------------------- reading a tensor into the graph (miss path)
def node_of(t: Any) -> Node:
    """The node that is the tensor's value now."""
    n = t._n
    if n is not None:
        return n  # type: ignore[no-any-return]
    f: Family = t._f
    tr = _current() or current()
    if f.h is None and f.past is not None:
        f.past.revive(f)
    cell = f.cell
    if cell.exposed:
        from .exposure import pin

        return pin(t, f, cell)
    if f.h is None:  # concrete: transient data enters the trace as Input(slot)
        return enter(t, f, cell, tr)
    n = derive(t)
    if t._kind is None or not t._kind.endswith("stale"):
        t._n, t._d = n, 0
    return n


def enter(t: Any, f: Family, cell: Cell, tr: Trace) -> Node:
    """A concrete tensor's first use in this trace."""
    if f.wants:
        if cell.geometry != t._geo or t._kind is not None or t._lens is not None:
            root_of(f)
            return node_of(t)
        if f.first is None:
            f.first = (tr.index, tr.generation)
        if f.first != (tr.index, tr.generation):  # used before: worth a leaf of its own
            n = f.permanent(True)
            if t._n is None:
                t._n, t._d = n, 0
            return n
        n = tr.input(cell.captured(), cell.shape, cell.strides, cell.dtype, cell.device, "leaf")
        f.leaf = f.h = n
        tr.leaf_owner[n] = ref(f)
        f.counter.roots.append(n)
        f.take_part()
        t._n, t._d = n, 0
        return n
    if t._lens is None:
        from .packed import elsewhere, packed

        if elsewhere(t._geo, tr):
            return packed(t, f, tr)
    n = t._n = bind(f, t._geo, tr, lens=t._lens)
    t._d = t._geo[2]
    return n


def bind(f: Family, geometry: Geometry, tr: Trace | None = None, buf: Any = None, lens: Lens | None = None, dense: bool = False) -> Node:
    """An Input standing for a region of a concrete storage. `dense`: for a copy without gaps, the dimensions in the same order."""
    tr = current() if tr is None else tr
    cell = f.cell
    shape, strides = tuple(geometry[0]), geometry[1]
    values: Any = cell.bound(geometry) if buf is None and lens is None else seen_values(cell, lens, geometry, buf)
    if dense:
        strides = pointwise_strides(shape, [(shape, strides)])
        values = gather(flat(values, strides), (shape, strides, 0))
    d = cell.dtype if lens is None else lens.dtype
    n = tr.input(values.copy() if cell.exposed else values, shape, strides, d, cell.device)
    f.counter.roots.append(n)
    tr.data.append(ref(f))
    return n


def refuse_stale(t: Any) -> None:
    """A view from a function of several views, or made under no_grad, cannot be used for differentiation once its base was written."""
    if current().grad and t._kind in ("multi stale", "nograd stale"):
        raise RuntimeError(
            texts.NOGRAD_VIEW.format("its base or another view of its base has been")
            if t._kind == "nograd stale"
            else "its base was written. " + texts.MULTI_VIEW
        )


def derive(t: Any, check: bool = True) -> Node:
    """A face's node from its family's root, after the storage was written or by other names."""
    f = t._f
    if check and f.h.rg:
        refuse_stale(t)
    shape, strides, offset = t.geometry
    if t._lens is not None:
        return region(f.h, f.cell, t._lens, (tuple(shape), strides, offset))
    if (tuple(shape), strides, offset) == f.cell.geometry:
        return f.h  # type: ignore[no-any-return]
    return RESTRIDE(f.h, tuple(shape), strides, offset, f.cell.strides)


def root_of(f: Family) -> Node:
    """The family's whole-storage node."""
    if f.h is None and f.past is not None:
        f.past.revive(f)
    if f.h is None:
        tr = current()
        if f.wants:
            _partial_leaf(f, tr)
        else:
            f.h = bind(f, f.cell.geometry, tr)
    return f.h  # type: ignore[return-value]


def _partial_leaf(f: Family, tr: Trace) -> None:
    """A leaf that wants a gradient, seen from its whole storage: it may cover only a part, or be permuted."""
    t = next((t for r in f.faces if (t := r()) is not None and t._kind is None), None)
    if t is None or (t._lens is None and tuple(t._geo[0]) == f.cell.shape and tuple(t._geo[1:]) == f.cell.geometry[1:]):
        f.h = f.leaf = n = tr.input(f.cell.captured(), f.cell.shape, f.cell.strides, f.cell.dtype, f.cell.device, "leaf")
        tr.leaf_owner[n] = ref(f)
        f.counter.roots.append(n)
        f.take_part()
        return
    f.wants = False
    whole = f.h = bind(f, f.cell.geometry, tr)
    make_leaf_of(f, t, whole, derive(t, check=False), tr)


def make_leaf_of(f: Family, t: Any, whole: Node, value: Node, tr: Trace) -> None:
    """Cut the history of a value: gradients end and accumulate here."""
    tr.leaves += 1
    key = (value, tr.leaves)
    n = LEAF_OF.table.get(key)
    if n is None:
        made = Node(LEAF_OF, (value,), (tr.leaves,), value.shape, value.dtype, value.strides, value.offset, value.device, True)
        n = LEAF_OF.table.setdefault(key, made)
    f.leaf, f.wants = n, True
    tr.leaf_owner[n] = ref(f)
    shape, strides, offset = t.geometry
    place = tuple(shape), strides, offset
    if t._lens is not None:
        f.h = scattered(whole, n, f.cell, t._lens, place, False)
    else:
        f.h = n if place == f.cell.geometry else RESTRIDE_SCATTER(whole, n, place, f.cell.strides, False)
    f.counter.roots += [f.h, n]
    f.take_part()
    f.invalidate()


def history_of(old: Node, value: Node) -> Node:
    """The value changes and the history stays: writes under no_grad, through `.data` or `.detach()`, by NumPy."""
    if not old.rg:
        return value
    return REBIND(old.srcs[0] if old.op is REBIND else old, value)
