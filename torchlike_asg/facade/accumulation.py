"""Gradients of leaves: how they are accumulated, changed by hooks, held and shown.

The gradient of a leaf stays a node of its family until somebody looks at it (`shown`): an optimizer does not.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..asg.declare import STOP
from ..asg.node import Node
from ..asg.trace import Trace, by_index, current, lock
from ..ops.promotion import title
from .claiming import twin
from .core import Tensor, wrap
from .hooks import name_of
from .owners import leaf_family
from .sparse_gradients import gradient, is_sparse
from .storage import Family


def changed(g: Any, out: Any, hook: Any) -> Any:
    """What a hook made of a gradient, with PyTorch's checks."""
    if not isinstance(out, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(out).__name__}'")
    name = name_of(hook)
    if tuple(out.shape) != tuple(g.shape):
        raise RuntimeError(f"hook '{name}' has changed the size of value")
    if out.dtype is not g.dtype:
        was, got = (f"torch.{title(t.dtype)}Tensor" for t in (g, out))
        raise RuntimeError(f"hook '{name}' has changed the type of value (was {was} got {got})")
    return out


def accumulate_in_leaf(leaf: Node, g: Node) -> None:
    """`accumulate` in the family of a leaf that still wants a gradient."""
    f = leaf_family(leaf)
    if f is not None and (f.wants or f.leaf is not None):  # it may want none any more
        accumulate(f, g)


def accumulate(f: Family | Tensor, g: Node) -> None:
    """``leaf.grad += g``: a new tensor the first time, in place afterwards, so that aliases of the gradient see it.

    `f` keeps the gradient: the leaf's family, or a view that retains its own.
    """
    if f.__class__ is Family and f.held is None and f.hooks is None and not current().grad:
        with lock:
            if f.held is None:
                if is_sparse(g):
                    f.held = gradient(g)
                else:
                    _hold(f, STOP(g) if g.rg else g, current())
                return
    add(f, gradient(g))


def add(f: Family | Tensor, t: Any) -> None:
    """`accumulate` of a gradient that is a tensor, which nobody else has, after the hooks on the leaf."""
    if isinstance(f, Tensor):
        f.grad = t if f.grad is None else f.grad + t  # type: ignore[attr-defined]
        return
    if f.hooks:
        t = _own(hooked(f, t))
    with lock:
        kept = f.grad  # once: another thread may set it to None
        if kept is None:
            f.held = t
        elif current().grad or kept.is_sparse:
            f.grad = t + kept if kept.is_sparse and not t.is_sparse else kept + t
        else:
            kept.add_(t.to_dense() if t.is_sparse else t)
    if f.hooks is not None:
        for fn in list(f.hooks.post.values()):
            out = fn(t)
            if isinstance(out, Tensor):
                raise RuntimeError("Tensor post accumulate grad hooks should return None.")
            if out is not None:
                raise TypeError(f"expected Variable, but hook returned '{type(out).__name__}'")


def hooked(f: Family, t: Any) -> Any:
    """The gradient of a leaf in the type that it was asked for in, after the hooks on it."""
    wanted = f.hooks.grad_dtype  # type: ignore[union-attr]
    if wanted and wanted[0] is not None and t.dtype is not wanted[0]:
        if not (wanted[0].is_floating_point or wanted[0].is_complex):
            raise RuntimeError(f"a gradient has a floating point or complex type, not grad_dtype={wanted[0]}")
        t = t.to(wanted[0])
    for fn in list(f.hooks.values()):  # type: ignore[union-attr]
        out = fn(t)
        if out is not None:
            t = changed(t, out, fn)
    return t


def _own(t: Any) -> Any:
    """A gradient that hooks have seen, as a tensor that they cannot have kept: later passes add to it in place."""
    if t.__class__ is not Tensor:
        return t
    return wrap(t._n) if t._n is not None and t._f is None else t.clone()


def _hold(f: Family, g: Node, tr: Trace) -> None:
    tr.grads.append(((ref(f),), (g,)))
    f.held, f.home = g, tr.index


def shown(f: Family, held: Any) -> Tensor:
    """The gradient that `f` holds as a node, pending or computed, as a tensor from now on."""
    with lock:
        if f.held is not held:  # another thread was faster, or the gradient is gone
            return f.held if f.held is None or isinstance(f.held, Tensor) else shown(f, f.held)  # type: ignore[return-value]
        return _shown(f, held)


def _shown(f: Family, held: Any) -> Tensor:
    if held.__class__ is tuple:
        t = tensor_of(held)
    else:
        t = object.__new__(Tensor)
        t._f = None
        t._n, r = held, ref(t)
        tr = by_index(f.home) or current()
        if tr.claims.setdefault(held, r) is not r:
            t._n = twin(tr, held, r)
    f.held = t
    return t


def tensor_of(computed: tuple[Node, Any]) -> Tensor:
    """A computed gradient, (node, value), as a tensor."""
    from .closing import make_concrete

    t: Tensor = object.__new__(Tensor)
    t._f = None
    t._n, value = computed
    make_concrete(t, value, None, ref(t))
    return t
