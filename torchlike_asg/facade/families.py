"""Views, and the families of tensors that share a storage.

The first view, write or detach of a computed value gives its storage a name (`family_of`); a view then is another tensor of that
family, and ``detach()`` and ``.data`` are families of their own over the same cell.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..asg import trace, traces
from ..asg.declare import APART, DETACH, INFERRED, INPUT, ONWARD_VIEW, STOP, VAR, Op
from ..asg.node import Node
from ..asg.trace import _get as _current
from ..asg.trace import current, lock
from .claiming import owned
from .core import Tensor, begin, face, wrap
from .nodes import in_whole, node_of, root_of
from .places import MARK
from .storage import Counter, Family

_new = object.__new__
#: `Family.inferred` of an alias made outside inference mode of what was made inside: PyTorch lets it be written there too
_WRITABLE = 2


def inherited_kind(a: Tensor, kind: str) -> str:
    """The `Tensor._kind` of a view of `a`, made as `kind` says where gradients are recorded."""
    tr = _current() or current()
    if not tr.grad:
        return "nograd" if tr.inference is None else "inference"
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
            return face(f, None, 0, inherited_kind(a, kind), op.rule.geometry(a._geo, *attrs), lens=a._lens)  # type: ignore[union-attr, no-any-return]
        whole = node_of(a)
        n = apart(op(whole, *attrs))
        # what shows a place that is data has a node without the offset, also where it is recorded only for this view
        away = a._d if a._n is not None else a._geo[2] - whole.offset if MARK in a.__dict__ else 0
        t = face(f, n, away, inherited_kind(a, kind), lens=a._lens)
        if n.rg:
            t._n = owned(n, t)  # equal views are asked for gradients of their own
        if f.cell.exposed:
            t._geo, t._n = t.geometry, None
        return t  # type: ignore[no-any-return]
    return seen_view(a, f, n, kind)


def of_class(t: Tensor, cls: type) -> Any:
    """The tensor as an instance of a subclass of Tensor, with its memory and history."""
    return face(family_of(t), t._n, t._d, t._kind, t.geometry, cls, t._lens)


def apart(n: Node) -> Node:
    """The node of a view, `n`, in the mode that it is made in: without one of gradients, none flows through it."""
    tr = _current() or current()
    return n if tr.grad or not n.rg else ONWARD_VIEW(n) if tr.forward else APART(n)


def seen_view(a: Tensor, f: Family, n: Node, kind: str = "view") -> Tensor:
    """The view of `a`, of family `f`, whose node is `n`."""
    t = _new(Tensor)
    t._n = n
    t._f = f
    t._d = a._d
    t._geo = None
    if a._lens is not None:
        t._lens = a._lens
    tr = _current() or current()
    if a._kind is None and tr.grad:
        t._kind = kind
    else:
        t._kind = inherited_kind(a, kind)
        if n.rg:
            n = t._n = apart(n)
    if n.rg:
        t._n = owned(n, t)
    faces = f.faces
    faces.append(ref(t))
    if len(faces) > f.limit:
        f.prune()
    return t


def family_of(t: Tensor) -> Family:
    """The family of a tensor; the first view, write or detach of a computed value gives its storage a name."""
    f = t._f
    if f is None:
        tr = _current() or current()
        if tr.apart:
            return _family_of(t)
        f = _new(Family)
        n = f.h = t._n
        f.leaf = f.held = f.past = f.hooks = f.first = f.value = t._geo = t._kind = None  # type: ignore[assignment]
        f.limit, f.wants, f.inferred, t._d = 64, False, n.op is INFERRED, 0  # type: ignore[union-attr]
        f.faces = [ref(t)]
        t._f = f
        if tr.inference is not None:
            f.inferred = tr.inference.made(tr, n)
        tr.claims[n] = ref(f)  # type: ignore[index]
    return f


def _family_of(t: Tensor) -> Family:
    """`family_of`, where another thread may be giving the result a family too, or may have recorded it: then it is pending there."""
    with lock:
        if t._f is not None:
            return t._f
        n = t._n
        assert n is not None
        f = _new(Family)
        f.h, f.limit, f.wants, f.inferred, f.faces = n, 64, False, n.op is INFERRED, [ref(t)]
        f.leaf = f.held = f.past = f.hooks = f.first = f.value = t._geo = t._kind = None  # type: ignore[assignment]
        t._d, t._f = 0, f
        tr = current()
        home = next((o for o in traces.others(tr) if (r := o.claims.get(n)) is not None and r() is t), tr)
        if tr.inference is not None and home is tr:
            f.inferred = tr.inference.made(tr, n)
        home.claims[n] = ref(f)
    return f


def alias(t: Tensor, share_counter: bool) -> Tensor:
    """``detach()`` (one version counter with its source) and ``.data`` (its own): a new family on the same cell, without history."""
    f = family_of(t)
    with lock:
        return _alias(t, f, share_counter)


def _alias(t: Tensor, f: Family, share_counter: bool) -> Tensor:
    if f.cell.exposed:  # an import here takes a microsecond
        from .exposure import sync

        sync(f.cell)
    if f.h is None and (f.wants or f.past is not None):
        root_of(f)
    share_counter = share_counter or f.inferred  # which has no version
    # a copy of this moment for a trace of its own, if other threads may overwrite the storage before this one computes what reads it
    moment = trace.several and f.h is not None and not f.cell.empty and (f.cell.exposed or f.h.op is VAR or f.h.op is INPUT)
    kept = f.h is not None and not moment
    g = Family(f.cell, None, f.counter if share_counter else Counter())
    g.inferred = f.inferred and (current().inference is not None or _WRITABLE)
    if kept:
        g.h = (DETACH if share_counter else STOP)(f.h)
        if not share_counter:
            g.h = owned(g.h, g)
        g.counter.roots.append(g.h)
        g.take_part()
    out = face(g, None, 0, None, t.geometry, lens=t._lens)
    if f.h is None and t._n is not None and share_counter and not trace.several:
        out._n, out._d = t._n, t._d  # bound in this trace already: the same Input
        g.take_part()
    return out  # type: ignore[no-any-return]


def shown_in(o: Tensor, n: Node) -> Tensor:
    """A tensor of the memory of `o` whose history is that of `n`, a node of its value: what a custom Function returns of an argument. It is
    a family of its own, since nobody's history is that of `o` there; where either is written, the other has the new values.
    """
    f = family_of(o)
    if f.cell.exposed or o._lens is not None or trace.several or o._n is None:
        return wrap(n)
    whole = root_of(f)
    g = Family(f.cell, None, f.counter)
    n = owned(n, g)
    t: Tensor = face(g, n, o._d, None)
    h = in_whole(t, g, STOP(whole) if whole.rg else whole, n)
    g.h = h if h is n else owned(h, g)
    f.counter.roots += [n, g.h]
    g.take_part()
    return t
