"""Tensors that change their size in place: `resize_`, ``out=`` of another shape, `set_data`."""

from __future__ import annotations

import math
from typing import Any
from weakref import ref

import numpy as np

from ..asg import arena
from ..asg.declare import VAR
from ..asg.geometry import contiguous, flat, is_dense
from ..asg.trace import current
from ..backends.meta import Absent
from ..dtypes import store
from ..errors import Unsupported
from ..ops.movement import clone, relayout
from .claiming import owned
from .core import Tensor
from .families import alias, family_of
from .inference import refuse_write
from .nodes import history_of, in_whole, node_of, part_of, root_of
from .sharing import preserve
from .storage import Cell, Family
from .uninitialised import memory


def resize(t: Tensor, shape: tuple[int, ...], strides: tuple[int, ...] | None = None) -> Tensor:
    """Give `t` another shape over its storage, enlarging that if need be; new elements are those of `empty`.

    `strides` are dense ones; by default row-major, or as they are where the shape is what it was.
    """
    from .held import settle, value_of

    if t.requires_grad:
        raise RuntimeError("cannot resize variables that require grad")
    shape = tuple(int(d) for d in shape)
    if tuple(t.shape) == shape and (strides is None or tuple(t.geometry[1]) == strides):
        return t
    strides = contiguous(shape) if strides is None else strides
    if t._lens is not None:
        raise Unsupported(
            "resize_() of a view that reads its storage as another type, or of a lazy conjugate, is not supported: clone() it first"
        )
    refuse_write(t)
    settle(t)
    f = t._f
    assert f is not None
    needed = t.storage_offset() + math.prod(shape)  # type: ignore[attr-defined]
    if needed > math.prod(f.cell.shape):  # a view leaves the storage that others see: PyTorch enlarges it under them
        if f.cell.exposed:
            raise RuntimeError("Trying to resize storage that is not resizable: a NumPy array shares its memory, clone() it first")
        cell = Cell(shape, strides, f.cell.dtype, f.cell.device)
        if cell.device.type == "meta":
            cell.take(Absent(shape, strides, cell.dtype))  # type: ignore[arg-type]
        else:
            was, order = tuple(t.shape), t.geometry[1]
            values = flat(np.array(value_of(t)), order if is_dense(was, order) else contiguous(was))  # as they lie in memory
            cell.buf = buf = memory(math.prod(shape), cell.dtype)
            buf[: values.size] = store(values, cell.dtype)
        t._f = Family(cell, None)
        t._f.counter.version = f.counter.version + 1
        t._f.add(t)
        t._n, t._d, t._geo, t._kind = None, 0, cell.geometry, None
    else:
        offset = t.geometry[2]
        t._n, t._geo = None, (shape, strides, offset)
        f.counter.version += 1
    return t


def _rebase(t: Tensor, old: Family, source: Tensor, shares: Tensor) -> None:
    """Have `t` keep its history over the storage of `source`, of which `shares` is an alias."""
    n = node_of(t)
    if shares._lens is not None or shares.geometry != shares._f.cell.geometry:  # type: ignore[union-attr]
        shares = alias(source.clone(), share_counter=False)  # type: ignore[attr-defined]
    new = shares._f
    assert new is not None
    value = root_of(new)
    if (n.strides, n.offset) != new.cell.geometry[1:]:
        n = relayout(n, new.cell.strides)
    new.h = owned(history_of(n, value), new)
    new.counter.version = old.counter.version
    new.counter.roots.append(new.h)
    old.faces = [r for r in old.faces if r() is not t]
    t._n, t._f, t._d, t._geo, t._kind, t._lens = None, new, 0, new.cell.geometry, None, None
    new.faces = []
    new.add(t)
    new.take_part()


def _leave(v: Tensor) -> None:
    """A view of a leaf that is given another storage stays what it is: a result with the leaf's history."""
    had, claims = node_of(v), current().claims
    n = owned(clone(had), v)
    if (r := claims.get(had)) is not None and r() is v:  # one claim for a tensor: it becomes concrete once
        del claims[had]
    v._n, v._f, v._lens = n, None, None


def _replaced(t: Tensor, f: Family, shares: Tensor) -> None:
    """A leaf goes on over another storage, of which `shares` is an alias. What was recorded reads the values that it had, and its gradient
    is still this leaf's.
    """
    from .leaves import require_grad

    for r in f.faces:
        if (v := r()) is not None and v is not t:
            _leave(v)
    new = shares._f
    assert new is not None
    lasting = f.leaf is not None and f.leaf.op is VAR
    if lasting:
        if not f.cell.empty:
            preserve(f.leaf, f.cell.whole())
        arena.parted(f.leaf)
    f.cell.families = [r for r in f.cell.families if r() is not f]
    f.cell, f.h, f.inferred = new.cell, new.h, False
    f.leaf = f.past = f.first = None
    f.wants = False  # until it is a leaf again
    f.cell.families.append(ref(f))
    f.counter.roots = [] if f.h is None else [f.h]
    f.faces = []
    f.add(t)
    t._n, t._d, t._geo, t._lens = shares._n, shares._d, shares._geo if shares._n is None else shares.geometry, shares._lens
    f.take_part()
    require_grad(t, True, permanent=lasting)


def overwritten(t: Tensor) -> None:
    """A tensor is given another storage, which its version counts: what a history saved of it is refused. What was made of it by `detach()`
    goes on with the old values, and so do its histories.
    """
    f = family_of(t)
    if all([g is f for g in f.cell.live()]) and all([r() is t or r() is None for r in f.faces]):
        current().stale.update(f.counter.roots)
    f.counter.version += 1


def set_data(t: Tensor, source: Any, counted: bool = False) -> None:
    """``t.data = source``: `t` takes the storage, shape and value of `source`, and keeps its own history and leaf-ness. `counted`: its
    version notices, as it does of `set_`.
    """
    if not isinstance(source, Tensor):
        raise TypeError(f"Variable data has to be a tensor, but got {type(source).__name__}")
    old = family_of(t)
    shares = alias(source, share_counter=False)
    new = shares._f
    assert new is not None
    new.inferred = False  # a parameter goes on as one
    same = tuple(source.shape) == tuple(t.shape) and source.dtype is t.dtype and source.device == t.device
    if new.cell is old.cell and same and not counted and shares._lens is t._lens and shares.geometry == t.geometry:
        return  # it lies there already, as after `t.data *= 2`: its views go on showing it
    if counted:
        current().stale.update(old.counter.roots)
    if t.requires_grad and not t.is_leaf:
        if not same:
            raise Unsupported(
                "x.data = y of another shape or type, of a tensor with a history, is not supported: its gradient would fit the old one; "
                "assign to the variable instead (x = y)"
            )
        _rebase(t, old, source, shares)
        return
    if (
        old.leaf is not None
        and same
        and t._lens is None
        and shares._lens is None
        and old.cell.geometry == new.cell.geometry
        and shares.geometry == t.geometry
    ):
        for r in old.faces:
            if (v := r()) is not None and v is not t:
                _leave(v)
        old.faces = [r for r in old.faces if r() is t]
        value = new.h
        if value is None:
            value = root_of(new)
        if old.leaf.op is VAR and not old.cell.empty:  # what was recorded so far reads the storage that is given up
            preserve(old.leaf, old.cell.whole())
        old.cell.families = [r for r in old.cell.families if r() is not old]  # other aliases of it go on without this one
        old.cell = new.cell
        old.cell.writer = current().index
        arena.moved(old.leaf, new.cell)
        new.cell.families.append(ref(old))
        # the leaf may be a view of what it lies in
        old.h = in_whole(t, old, value, history_of(old.leaf, part_of(t, old, value))) if old.leaf.rg else value
        old.counter.roots.append(old.h)
        old.take_part()
        old.invalidate()
        return
    wants = old.wants or (old.leaf is not None and old.leaf.rg)
    if wants and t._kind is None:
        _replaced(t, old, shares)
        return
    new.hooks, new.grad, new.counter.version = old.hooks, old.grad, old.counter.version
    old.faces = [r for r in old.faces if r() is not t]
    t._n, t._f, t._d, t._geo, t._kind = None, new, 0, shares.geometry, None
    t._lens = shares._lens
    new.add(t)
    if shares._n is not None:
        t._n, t._d = shares._n, shares._d
    if wants:
        from .leaves import require_grad

        require_grad(t, True)


__all__ = ["resize", "set_data"]
