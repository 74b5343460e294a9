"""The one path of every mutation: in-place operations, slice and mask assignment, `.data` writes. It ends in `commit`, or for plain data,
where nothing is recorded, in `commit_data`. (An optimizer step hands its values over in the closing flush.)

Values are pure: a write computes the new whole-storage node and moves the storage to it. Readers recorded earlier keep the old value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import numpy as np

from ..asg.batching import depends
from ..asg.declare import DETACH, ONWARD, SNAP, STOP
from ..asg.geometry import broadcast, flat
from ..asg.interrupts import whole
from ..asg.node import Node
from ..asg.trace import Trace, current, lock
from ..dtypes import promote_types, store
from ..ops.movement import restride as RESTRIDE
from ..ops.movement import restride_scatter as RESTRIDE_SCATTER
from ..ops.promotion import title, to
from . import texts
from .captured import refuse_captured
from .claiming import Nobody, owned, twin
from .core import Tensor, wrap
from .exposure import shared, sync
from .families import alias, family_of
from .history_names import output
from .lens import scattered
from .nodes import history_of, node_of, root_of
from .overlaps import check_overlap, stands_twice, written_last
from .places import ROWS, is_moving, put
from .storage import Family


def write(
    t: Tensor,
    value: Callable[[Node], Node],
    others: Sequence[Any] = (),
    *,
    fills: bool = False,
    partly: bool = False,
    apart: bool = False,
    overlaps: bool = True,
    bounded: bool = False,
    captured: bool = False,
) -> Tensor:
    """Replace the content of `t` by ``value(current node)``; returns `t`.

    `others` are the further operands (for the checks). `fills`: every element gets the same number, so that overlapping targets are fine;
    `partly`: so they are, since only some elements are written, of those that share memory the last that was. `apart`: other operands must
    not share the target's memory at all.
    `overlaps`: whether operands that partly share the target's memory are refused. `bounded`: whether operands that would enlarge
    the target are refused before `value` is asked. `captured`: also where `t` was captured by a function that is being differentiated.
    Checks come in PyTorch's order.
    """
    tr = current()
    f = family_of(t)
    if tr.transforms and not captured:
        refuse_captured(t, f, tr)
    if f.inferred is True and tr.inference is None:
        raise RuntimeError(texts.INFERENCE_WRITE)
    cell = f.cell
    if cell.exposed:
        sync(cell)
        shared(cell)
    if tr.grad and (t.requires_grad or any(isinstance(o, Tensor) and o.requires_grad for o in others)):
        check_tracked(t, f)
    cur = node_of(t)
    geometry = t.geometry
    followed = cur.rg
    for o in others:
        if isinstance(o, Tensor):
            node_of(o)
            followed = followed or o.requires_grad
    lens = t._lens
    if not fills or (lens is not None and (lens.conj or lens.neg)):
        check_overlap(t, geometry, cell, others if overlaps else (), partly, apart)
    if bounded:
        check_broadcast(t, others)
    if t._kind is not None and cur.rg and (tr.hooks or tr.retained):
        cur = _apart_from_hooks(t, f, cur)
    kept = SNAP(cur) if followed or cur.rg else cur
    v = value(kept)
    if partly and stands_twice(geometry):
        v = written_last(v, kept, geometry)
    if tr.mapped:
        _check_mapped(f, v, cur)
    if tuple(v.shape) != tuple(geometry[0]):
        raise RuntimeError(f"output with shape {list(geometry[0])} doesn't match the broadcast shape {list(v.shape)}")
    if v.dtype is not t.dtype:
        if promote_types(v.dtype, t.dtype) is not t.dtype and v.dtype.category > t.dtype.category:
            raise RuntimeError(f"result type {title(v.dtype)} can't be cast to the desired output type {title(t.dtype)}")
        v = to(v, t.dtype)
    if v is kept or v is cur:
        v = _own_copy(v)
    barrier = ONWARD if tr.forward else STOP  # in forward mode tangents go on where gradients do not
    if v.rg and not tr.grad:
        v = barrier(v)
    shape = (tuple(geometry[0]), geometry[1], geometry[2])
    if not (t._kind is None and lens is None and shape == cell.geometry and (v.strides, v.offset) == cell.geometry[1:]):
        h = root_of(f)
        h = h if tr.grad or not h.rg else barrier(h)
        if lens is None and not tr.mapped and v.numel and (f in ROWS or is_moving(t, cur)):
            new = put(h, v, shape, cell.strides, t._kind is not None)
        elif lens is None:
            new = RESTRIDE_SCATTER(h, v, shape, cell.strides, t._kind is not None)
        else:
            new = scattered(h, v, cell, lens, shape, t._kind is not None)
        v = owned(v, f)
    else:
        new = v
    new = owned(new, f)
    traced = f.h is not None or f.past is not None or f.wants  # data has no history: nor is it read once more to ask for one
    commit(f, history_of(root_of(f), new) if traced and not (tr.grad or tr.forward) else new, new, v)
    if tr.transforms:
        _pass_on(f, tr, captured)
    return t


def _pass_on(f: Family, tr: Trace, captured: bool) -> None:
    """What an argument of a function that is being differentiated holds now is what the tensor given for it holds."""
    transforms = tr.transforms
    for i in range(len(transforms) - 1, -1, -1):
        pair = transforms[i].given(f.cell)
        if pair is not None:
            n = transforms[i].outside(node_of(pair[0]))
            tr.transforms = transforms[:i]
            try:
                hand_out(n, pair[1], captured)
            finally:
                tr.transforms = transforms
            return


def hand_out(n: Node, t: Tensor, captured: bool = True) -> None:
    """Write a value to a tensor outside of a transform. `captured`: also where a transform around that has captured it."""
    write(t, lambda _: n, (wrap(n),) if n.rg else (), captured=captured)


def _apart_from_hooks(t: Tensor, f: Family, cur: Node) -> Node:
    """The node that a write through the view `t`, of node `cur`, starts from. For PyTorch that is a part of the base: no hook on this view,
    or on one that it was made of, is on the way. Those that are put on it from now on belong to what it shows then.
    """
    tr = current()
    if not tr.grad:
        return cur
    if "_asked" in t.__dict__:
        t.__dict__["_asked"] = f.counter.version, None
    if t._lens is not None:
        return cur
    shape, strides, offset = t.geometry
    return owned(RESTRIDE(root_of(f), tuple(shape), strides, offset, f.cell.strides), Nobody())


def _check_mapped(f: Family, v: Node, cur: Node) -> None:
    """Refuse to write values of every example, `v`, where the family `f`, whose value is `cur`, has one for all."""
    if (f.h is None or f.h in current().mapped[-1].outside) and depends((v,)) and not depends((cur,)):
        raise RuntimeError(texts.UNMAPPED_WRITE)


def assign(t: Tensor, n: Node, counted: bool = True) -> None:
    """Have `t` hold the value of `n`, which has its shape and type: ``copy_`` without grad. `counted`: the version tells."""
    if not replace(t, n, counted):
        tr = current()
        mode, tr.grad = tr.grad, False
        try:
            if tr.mapped:
                _check_mapped(family_of(t), n, node_of(t))
            write(t if counted else alias(t, share_counter=False), lambda _: n, captured=True)
        finally:
            tr.grad = mode


def replace(t: Tensor, n: Node, counted: bool = True) -> bool:
    """`write` the value of `n` into a tensor without history whose storage no other tensor shares: then only its family moves. False if
    anything is unusual.
    """
    with lock:  # nobody shares the storage with NumPy between the question and the move
        return _replace(t, n, counted)


def _replace(t: Tensor, n: Node, counted: bool) -> bool:
    f = t._f or family_of(t)
    h = f.h
    if (
        h is None
        or h is not t._n
        or h.rg
        or t._kind is not None
        or n.dtype is not h.dtype
        or n.shape != h.shape
        or n.strides != h.strides
        or n.offset
        or not alone(f)
    ):
        return False
    tr, r, counter = current(), ref(f), f.counter
    if tr.mapped or tr.transforms:
        return False
    if tr.claims.setdefault(n, r) is not r:
        n = twin(tr, n, r)
    f.cell.writer = tr.index
    tr.families.append(r)  # an interrupt between two of these calls leaves the old value or the new one, and no third
    overwritten, counter.roots = counter.roots, [n]
    passed = tr.stale if counted else tr.silent
    if counted:
        counter.version += 1
    else:
        counter.silent += 1
    f.h = n
    t._geo, t._n = (h.shape, h.strides, 0), None
    passed.update(overwritten)
    passed.add(h)
    return True


def alone(f: Family) -> bool:
    """Whether a storage is shown by one tensor only, and not shared with NumPy."""
    cell = f.cell
    if len(f.faces) > 1:
        f.prune()
    return len(f.faces) == 1 and (len(cell.families) == 1 or len(cell.live()) == 1) and not shared(cell)


def _own_copy(v: Node) -> Node:
    from ..ops.movement import clone

    return clone(v)


def check_tracked(t: Tensor, f: Family) -> None:
    """RuntimeError if a write to a tensor that takes part in a history cannot be followed."""
    if t._kind is not None and t._kind.startswith("multi"):
        raise RuntimeError(f"{output(t)} is a view and is being modified inplace. " + texts.MULTI_VIEW)
    if t._kind is not None and t._kind.startswith(("nograd", "inference")):
        raise RuntimeError(texts.apart_view(t._kind, "is being"))
    if "_within" in t.__dict__:
        raise RuntimeError(texts.WITHIN.format(t.__dict__["_within"], "is being"))
    if t.requires_grad and (f.wants if f.h is None else f.leaf_history):
        raise RuntimeError(texts.LEAF if t._kind is None else texts.LEAF_VIEW)


def check_broadcast(t: Tensor, others: Sequence[Any]) -> None:
    """An in-place operation never enlarges its target."""
    shape: Any = t.shape
    if all([o.shape == shape for o in others if isinstance(o, Tensor)]):
        return
    shape = tuple(shape)
    wide = broadcast(shape, *[tuple(o.shape) for o in others if isinstance(o, Tensor)])
    if wide != shape:
        raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape {list(wide)}")


@whole
def commit(f: Family, h: Node, value: Node, extra: Node) -> None:
    """Move a storage to its next version: `h` is the family's new root, `value` the new content, `extra` the written value itself."""
    with lock:
        _commit(f, h, value, extra)


def _commit(f: Family, h: Node, value: Node, extra: Node) -> None:
    tr = current()
    cell, counter, moved = f.cell, f.counter, set()
    cell.writer = tr.index
    live = cell.live()
    for g in live:
        old, counted = g.h, g.counter is counter
        if old is not None:  # after a closing flush a shared counter may not list the leaves' own nodes
            (tr.stale if counted else tr.silent).add(old)
        if g is f:
            g.h = h
        elif counted:
            old = _settled_root(g, old)
            g.h = history_of(old, value) if old is not None and old.rg else DETACH(value) if value.rg else value
        else:
            old = _settled_root(g, old)
            g.h = history_of(old, value) if old is not None and old.rg else owned(STOP(value), g)
        if not counted and g.counter not in moved:
            tr.silent.update(g.counter.roots)  # PyTorch would read the new bytes here without noticing
            g.counter.silent += 1
            moved.add(g.counter)
        tr.families.append(ref(g))
    tr.stale.update(counter.roots)
    counter.version += 1
    counter.roots = [extra]
    for g in live:
        g.counter.roots.append(g.h)
        g.invalidate(g.counter is counter)
    if cell.exposed:  # NumPy may look at any time: write through now
        from .flush import evaluate

        np.copyto(cell.buf, store(flat(evaluate(f.h), cell.strides), cell.dtype))  # type: ignore[arg-type]
        cell.shadow = cell.buf.copy()  # type: ignore[union-attr]


def commit_data(f: Family) -> None:
    """`commit` for a storage whose memory was just written: plain data, without history, pending value or another family (direct.py)."""
    counter = f.counter
    counter.version += 1
    if counter.roots:
        current().stale.update(counter.roots)
        counter.roots = []
    f.changed()


def _settled_root(g: Family, old: Node | None) -> Node | None:
    """A sibling family that is a leaf or has history must keep it across the write."""
    if old is None and (g.wants or g.past is not None):
        return root_of(g)
    return old
