"""requires_grad: where gradients end and accumulate."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg import scope
from ..asg.declare import VAR
from ..asg.geometry import contiguous, overlaps_itself
from ..asg.trace import current
from . import texts
from .core import Tensor
from .families import family_of
from .flush import flush
from .held import value_of
from .inference import is_inference
from .nodes import PASSING, make_leaf_of, node_of, root_of
from .storage import Cell, Family


def require_grad(t: Tensor, on: bool = True, permanent: bool = False) -> Tensor:
    """Make a tensor a leaf that wants a gradient (or no longer does). `permanent` gives it a node of its own at once, as for parameters."""
    if on and not (t.dtype.is_floating_point or t.dtype.is_complex):
        raise RuntimeError(texts.ONLY_FLOATING)
    if on and current().inference is None and is_inference(t):
        raise RuntimeError(texts.INFERENCE_LEAF)
    if not t.is_leaf:
        if not on:
            raise RuntimeError(texts.NOT_LEAF)
        return t
    if on == t.requires_grad or (not on and t._kind is not None):  # a view made under no_grad is as its base is
        return t
    f = family_of(t)
    if on and (overlaps_itself(t.geometry[0], t.geometry[1]) or not (f.cell.dtype.is_floating_point or f.cell.dtype.is_complex)):
        separate(t)
        f = family_of(t)
    if not on:
        _drop_leaf(t, f)
        return t
    if t._kind is not None:
        return _view_leaf(t)
    _rejoin(t, f)
    lasting, passing = permanent or (not current().held and _first_here()), False
    if f.h is not None and f.leaf is None and not permanent and _goes_round():
        lasting, passing = False, True  # the data of a loop whose iterations end here
        flush(closing=True)
    elif lasting and f.h is not None and f.leaf is None:
        flush()  # a parameter made by a computation: it gets a storage, and so a node of its own, now
        _first_here(again=True)
    _note_here()
    if f.h is None or (f.leaf is f.h and not f.h.rg):
        if f.leaf is not None:  # a buffer with a leaf of its own: the other of its two leaves
            f.h = f.leaf = None
            f.invalidate()
        f.wants = True
        whole = t._n is None and t._lens is None and tuple(t._geo[0]) == f.cell.shape and tuple(t._geo[1:]) == f.cell.geometry[1:]
        if t._n is not None:
            f.invalidate()
        if whole and lasting:
            f.permanent(True)
        elif passing:
            f.first = PASSING, 0
        return t
    whole = root_of(f)
    make_leaf_of(f, t, whole, node_of(t), current())
    return t


def separate(t: Tensor) -> None:
    """Give each element of `t` memory of its own: a leaf's gradient lies as its storage does, where elements of one place would share it,
    and is of its storage's type, where bytes that are read as numbers would have none.

    PyTorch's leaf stays over the memory of what was expanded; it may not be written there either.
    """
    values = dtypes.store(np.array(value_of(t)), t.dtype)
    shape = tuple(t.shape)
    cell = Cell(shape, contiguous(shape), t.dtype, t.device, values.reshape(-1))
    t._f = Family(cell, None)
    t._n, t._d, t._geo, t._kind, t._lens = None, 0, cell.geometry, None, None
    t._f.add(t)


#: line of the script -> the trace in which it made its first leaf
_sites: dict[tuple[str, int], tuple[int, int]] = {}
#: line of the script -> the trace in which it made its last leaf, and the backward pass before
_last: dict[tuple[str, int], tuple[tuple[int, int], Any]] = {}


def _first_here(again: bool = False) -> bool:
    """Whether this line of the script makes leaves for the first time: then they are parameters, not one iteration's data.

    `again`: the trace was closed on this line's behalf, which does not count.
    """
    tr = current()
    now, here = (tr.index, tr.generation), scope.site()[1:]
    if again:
        _sites[here] = now
    return _sites.setdefault(here, now) == now


def _goes_round() -> bool:
    """Whether a backward pass was run in this trace since this line made its last leaf, as in ``x = (x - rate * gradient).detach()
    .requires_grad_()``: then that leaf was one iteration's, and so is the next one.
    """
    tr, here = current(), scope.site()[1:]
    last = _last.get(here)
    if last is None or last[0] != (tr.index, tr.generation) or last[1] is tr.running or tr.held or tr.level:
        return False
    _sites[here] = PASSING, 0
    return True


def _note_here() -> None:
    tr = current()
    _last[scope.site()[1:]] = (tr.index, tr.generation), tr.running


def _view_leaf(t: Tensor) -> Tensor:
    """requires_grad_() on a view: it leaves its base's family, as a leaf over the same storage."""
    from .families import alias

    out = alias(t, share_counter=True)
    f = out._f
    t._n, t._f, t._d, t._geo, t._kind = out._n, f, out._d if out._n is not None else 0, out.geometry, None
    t._lens = out._lens
    f.add(t)  # type: ignore[union-attr]
    return require_grad(t, True)


def _move(faces: list[Any], source: Family, target: Family) -> None:
    """Give faces of one family over a storage to another over the same."""
    source.invalidate()
    for v in faces:
        v._f = target
        target.add(v)
    source.faces = [r for r in source.faces if (v := r()) is not None and v._f is source]


def _rejoin(t: Tensor, f: Any) -> None:
    """The views that `t` had when it was a leaf before are its own again."""
    parted = t.__dict__.pop("_parted", None)
    if parted is None:
        return
    if parted.h is not None:
        flush(closing=True)
    if parted.h is None and parted.past is None:
        _move([v for r in parted.faces if (v := r()) is not None], parted, f)
        parted.wants = False


def _drop_leaf(t: Tensor, f: Any) -> None:
    """`t` is a leaf no longer. Its views keep the history that they have, from a leaf over the same storage that nobody sees."""
    leaf = f.leaf
    if f.h is not None and leaf is not None:
        flush(closing=True)
    if leaf is not None and leaf.op is VAR:
        from .backward import forget

        forget(leaf)
    views = [v for r in f.faces if (v := r()) is not None and v is not t and v._kind is not None and not v._kind.startswith("nograd")]
    if views:
        parted = t.__dict__["_parted"] = Family(f.cell, None, f.counter)
        parted.inferred, parted.wants = f.inferred, True
        _move(views, f, parted)
    f.wants, f.leaf, f.h, f.first = False, None, None, None
    f.counter.roots = []
    f.invalidate()
