"""Which node is a tensor's value, where none is at hand (``_n`` is None): concrete data and written storages enter the graph here."""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..asg import trace
from ..asg.declare import APART, LEAF_OF, ONWARD_VIEW, REBIND, VAR
from ..asg.geometry import Geometry, flat, gather, pointwise_strides
from ..asg.node import Node
from ..asg.trace import Trace, current, lock
from ..asg.trace import _get as _current
from ..ops.movement import restride as RESTRIDE
from ..ops.movement import restride_scatter as RESTRIDE_SCATTER
from . import texts
from .claiming import owned
from .lens import Lens, region, scattered, seen_values
from .owners import owner
from .places import MARK, part
from .storage import Cell, Family
from .view_steps import DEFERRED, away, is_made_by, made_by

#: in place of a trace's index: that of leaves that a loop makes in every iteration
PASSING = -1
#: uses of a leaf that a loop makes in every iteration, from which on it is one that lasts
_OFTEN = 8


def node_of(t: Any) -> Node:
    """The node that is the tensor's value now."""
    n = t._n
    if n is not None:
        return n  # type: ignore[no-any-return]
    if trace.several:
        return _node_apart(t)
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
        if MARK in t.__dict__:
            t._d = t._geo[2] - n.offset
            tr.moved.append(ref(f))  # the place is data of this trace
        if t._kind is not None and "_asked" in t.__dict__:
            from .hooks import ask_again

            ask_again(t, n)
            return t._n  # type: ignore[no-any-return]
    return n


def _node_apart(t: Any) -> Node:
    """`node_of`, where several threads may use the tensor: only permanent leaves are noted on it, for they mean the same to all of them."""
    from .exposure import pin
    from .sharing import foreign

    with lock:
        n = t._n
        if n is not None:
            return n  # type: ignore[no-any-return]
        f: Family = t._f
        tr = current()
        if f.h is None and f.past is not None:
            f.past.revive(f)
        if foreign(f, tr) and (not f.h.rg or f.leaf_history):  # type: ignore[union-attr]
            return derive(t, root=_of_this_moment(f, tr))
        if f.cell.exposed:
            return pin(t, f, f.cell)
        if f.h is None:
            return enter(t, f, f.cell, tr) if f.wants else _entered_apart(t, f, tr)
        n = derive(t)
        if n.op is VAR:
            t._n, t._d = n, 0
        return n


def _entered_apart(t: Any, f: Family, tr: Trace) -> Node:
    """`enter` for data: the node is noted in this thread's trace."""
    counter = f.counter
    content = (counter, counter.version, counter.silent, f.cell, t._geo)
    last = tr.named.get(id(t))
    if last is None or last[0]() is not t or last[1] != content:
        n = enter(t, f, f.cell, tr)
        t._n = None
        last = tr.named[id(t)] = (ref(t), content, n)
    return last[2]  # type: ignore[no-any-return]


def _of_this_moment(f: Family, tr: Trace) -> Node:
    """The root of a storage that another thread has written and not computed: what it is to hold, as data, with the history of a leaf."""
    from .sharing import value_elsewhere

    h, cell, counter = f.h, f.cell, f.counter
    assert h is not None and cell.writer is not None
    home = trace.by_index(cell.writer)
    assert home is not None
    content = (h, counter, counter.version, counter.silent, cell)
    last = tr.named.get(id(f))
    if last is None or last[0]() is not f or last[1] != content:
        now = cell.captured() if cell.exposed else value_elsewhere(h, home)  # an exposed buffer is written through at once
        value = tr.input(now, cell.shape, cell.strides, cell.dtype, cell.device)
        last = tr.named[id(f)] = (ref(f), content, history_of(h, value))
    return last[2]  # type: ignore[no-any-return]


def enter(t: Any, f: Family, cell: Cell, tr: Trace) -> Node:
    """A concrete tensor's first use in this trace."""
    if f.wants:
        if cell.geometry != t._geo or t._kind is not None or t._lens is not None:
            root_of(f)
            return node_of(t)
        if f.first is None:
            f.first = (tr.index, tr.generation)
        if f.first != (tr.index, tr.generation) and _lasts(f):  # used before: worth a leaf of its own
            n = f.permanent(True)
            if t._n is None:
                t._n, t._d = n, 0
            return n
        n = tr.input(cell.captured(), cell.shape, cell.strides, cell.dtype, cell.device, "leaf")
        f.leaf = f.h = n
        tr.leaf_owner[n] = owner(f)
        f.counter.roots.append(n)
        f.take_part()
        t._n, t._d = n, 0
        return n
    geometry = t._geo
    if t._lens is None:
        last = tr.inputs.get(tr.slots)
        if last is not None and last.strides != geometry[1] and last.shape == geometry[0]:  # rare, and an import here takes a microsecond
            from .packed import elsewhere, packed

            if elsewhere(geometry, tr):
                return packed(t, f, tr)
    n = t._n = bind(f, geometry, tr, lens=t._lens)
    t._d = geometry[2]
    return n


def _lasts(f: Family) -> bool:
    """Whether a leaf that is used again is worth a node of its own: one that a loop makes in every iteration, if it is used in many."""
    assert f.first is not None
    place, uses = f.first
    if place != PASSING or uses >= _OFTEN:
        return True
    f.first = PASSING, uses + 1
    return False


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
    n = tr.input(values.copy() if cell.exposed else values, shape, strides, d, cell.device, "inferred" if f.inferred else "")
    f.counter.roots.append(n)
    tr.data.append(ref(f))
    return n


def refuse_stale(t: Any) -> None:
    """A view from a function of several views, or made under no_grad, cannot be used for differentiation once its base was written."""
    if t._kind in ("multi stale", "nograd stale", "inference stale", "custom stale") and current().grad:
        from .history_names import output

        if t._kind == "custom stale":
            raise RuntimeError(texts.WITHIN.format(t.__dict__["_within"], "its base or another view of its base has been"))
        raise RuntimeError(
            f"{output(t)} is a view and its base or another view of its base has been modified inplace. " + texts.MULTI_VIEW
            if t._kind == "multi stale"
            else texts.apart_view(t._kind, "its base or another view of its base has been")
        )


def derive(t: Any, check: bool = True, root: Node | None = None) -> Node:
    """A face's node from its family's root (or the one given), after the storage was written or by other names."""
    f = t._f
    h = f.h if root is None else root
    if h.rg and t._kind is not None:
        if check:
            refuse_stale(t)
        if t._kind.startswith(("nograd", "inference")):
            return (ONWARD_VIEW if current().forward else APART)(part_of(t, f, h))
        n = part_of(t, f, h)
        if n is h:  # a view that shows all of its base is not its base: it has a gradient of its own
            n = RESTRIDE(h, *f.cell.geometry, f.cell.strides)
        return _own_part(t, f, n) if root is None else n
    return part_of(t, f, h)


def _own_part(t: Any, f: Family, n: Node) -> Node:
    """The node of a view, where that of what it shows is `n`: the one that it has in histories, if it was not written since it took part in
    them, and none of an equal view's, which has a gradient of its own.
    """
    tr = current()
    for when, m in reversed(t.__dict__.get("_shown", ())):
        had = m if when == (tr.index, tr.generation) else recorded_as(m, when, tr)
        if had is not None and had.rg and had.shape == n.shape:
            if had.op is n.op and had.srcs == n.srcs and had.attrs == n.attrs:
                return had
            n = history_of(had, n)  # other values under the same history, as where the storage was written without being counted
            f.counter.roots.append(n)
            return n
    if is_made_by(n, t.__dict__.get("_viewed", ()), tr):
        tr.claims[n] = ref(t)
        return n
    equal, n = n, owned(n, t)
    called = t.__dict__.get("_step")
    if called is not None and called[0] == equal.serial:  # its function's name is its own, too
        t.__dict__["_step"] = n.serial, *called[1:]
    if f.cell.exposed:  # else that is noted where it loses it
        f.note_shown(t, n)
    return n


def with_history(n: Node) -> Node:
    """The node whose history a value has that was written without one."""
    while n.op is REBIND:
        n = n.srcs[0]
    return n


def recorded_as(n: Node, when: tuple[int, int], tr: Trace) -> Node | None:
    """What a node of an earlier trace is in this one, if its history was recorded again."""
    return next((new for snap in tr.replays if snap.made == when and (new := snap.replayed[1].get(n)) is not None), None)


def part_of(t: Any, f: Family, h: Node) -> Node:
    """What a face shows of its storage, of which `h` is the node."""
    if DEFERRED in t.__dict__:
        from .deferred import node_of_part

        if (n := node_of_part(t, h, current())) is not None:
            return n
    shape, strides, offset = t.geometry
    if t._lens is not None:
        return region(h, f.cell, t._lens, (tuple(shape), strides, offset))
    if "_viewed" in t.__dict__ and h.rg and h.shape == f.cell.shape:  # histories may go on from it: the same node beside them again
        n = made_by(steps := t.__dict__["_viewed"], h, current())
        if (tuple(n.shape), n.strides, n.offset + away(steps)) == (tuple(shape), strides, offset):
            return n
    if (tuple(shape), strides, offset) == f.cell.geometry:
        return h  # type: ignore[no-any-return]
    if MARK in t.__dict__ and not current().mapped:
        return part(h, (tuple(shape), strides, offset), f.cell.strides)
    return RESTRIDE(h, tuple(shape), strides, offset, f.cell.strides)


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
        tr.leaf_owner[n] = owner(f)
        f.counter.roots.append(n)
        f.take_part()
        return
    f.wants = False
    whole = f.h = bind(f, f.cell.geometry, tr)
    make_leaf_of(f, t, whole, derive(t, check=False), tr)


def in_whole(t: Any, f: Family, whole: Node, n: Node) -> Node:
    """The storage, of which `whole` is the node, with `n` as what a face shows of it: the inverse of `part_of`."""
    shape, strides, offset = t.geometry
    place = tuple(shape), strides, offset
    if t._lens is not None:
        return scattered(whole, n, f.cell, t._lens, place, False)
    return n if place == f.cell.geometry else RESTRIDE_SCATTER(whole, n, place, f.cell.strides, False)


def make_leaf_of(f: Family, t: Any, whole: Node, value: Node, tr: Trace) -> None:
    """Cut the history of a value: gradients end and accumulate here."""
    tr.leaves += 1
    key = (value, tr.leaves)
    n = LEAF_OF.table.get(key)
    if n is None:
        made = Node(LEAF_OF, (value,), (tr.leaves,), value.shape, value.dtype, value.strides, value.offset, value.device, True)
        n = LEAF_OF.table.setdefault(key, made)
    f.leaf, f.wants = n, True
    tr.leaf_owner[n] = owner(f)
    f.h = in_whole(t, f, whole, n)
    f.counter.roots += [f.h, n]
    f.take_part()
    f.invalidate()


def history_of(old: Node, value: Node) -> Node:
    """The value changes and the history stays: writes under no_grad, through `.data` or `.detach()`, by NumPy."""
    if not old.rg:
        return value
    return REBIND(old.srcs[0] if old.op is REBIND else old, value)
