"""backward() and grad(): gradients are recorded, not computed; they run with the rest of the step.

The gradient of a leaf stays a node of its family until somebody looks at it (`shown`): an optimizer does not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import ref

from ..asg import arena, gradients, trace
from ..asg.declare import STOP, VAR
from ..asg.node import Node
from ..asg.trace import Trace, by_index, current, home_of, lock
from ..ops.promotion import title
from . import texts
from .core import Tensor, family_of, node_of, twin, wrap
from .hooks import changed_by, name_of
from .saved_values import blame
from .sparse_gradients import gradient, is_sparse
from .storage import Family, leaf_family


@contextlib.contextmanager
def grad_mode(on: bool) -> Iterator[None]:
    tr = current()
    old, tr.grad = tr.grad, on
    try:
        yield
    finally:
        tr.grad = old


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Nothing inside ends the trace, unless it says so."""
    tr = current()
    tr.held += 1
    try:
        yield
    finally:
        tr.held -= 1


def seed(t: Tensor, given: Any, index: int) -> Node:
    """The node of the gradient a backward pass starts with."""
    if not t.requires_grad:
        raise RuntimeError(texts.NO_GRAD_FN.format(index))
    if given is None:
        if t.shape.numel() != 1:
            raise RuntimeError(texts.SCALAR_ONLY)
        if t.dtype.is_complex:
            raise RuntimeError(texts.REAL_ONLY.format(t.dtype))
        return gradients.ones(node_of(t))
    if not isinstance(given, Tensor):
        raise TypeError(f"gradients can be either Tensors or None, but got {type(given).__name__}")
    if tuple(given.shape) != tuple(t.shape):
        raise RuntimeError(
            f"Mismatch in shape: grad_output[{index}] has a shape of {given.shape} and output[{index}] has a shape of {t.shape}."
        )
    return node_of(given)


def run(outputs: Sequence[Tensor], grads: Sequence[Any], retain: bool, create: bool) -> gradients.Sweep:
    """One reverse sweep from `outputs`, with PyTorch's checks for freed and overwritten values."""
    seeds = tuple([seed(t, g, i) for i, (t, g) in enumerate(zip(outputs, grads, strict=True))])
    roots = tuple([node_of(t) for t in outputs])
    tr = current()
    if tr.saving:
        from .saved_hooks import pack_pending

        pack_pending(tr)
    tr.running = (roots, retain)
    home = home_of(roots[0]) if roots else tr  # where another thread recorded it, its versions count
    hooks = _all_hooks(tr)
    with grad_mode(create):
        if hooks:
            with held():
                result = gradients.sweep(roots, seeds, _hooks(hooks), _after(hooks))
        else:
            result = gradients.sweep(roots, seeds)
    check(result, home)
    if not retain:
        _free(result, home)
    return result


def _free(result: gradients.Sweep, tr: Trace) -> None:
    tr.freed.update(result.savers)
    tr.swept.append(result.roots)
    for snapshot in tr.replays:
        snapshot.give_up(set(result.savers))


def check(result: gradients.Sweep, tr: Trace) -> None:
    """Only mutation and a second backward pay for this."""
    if tr.freed or tr.stale or tr.retained:
        savers = result.savers
        if tr.forgiving:
            savers = tuple([n for n in savers if n in tr.freed])
        elif tr.stale and tr.hooks:  # what was packed is the hooks' to keep
            savers = tuple([n for n in savers if n in tr.freed or getattr(tr.hooks.get(n), "packed", None) is None])
        error = blame(result.roots, savers, tr)
        if error is not None:
            raise RuntimeError(error)


def _changed(g: Any, out: Any, hook: Any) -> Any:
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


def _all_hooks(tr: Trace) -> dict[Node, list[Any]]:
    """The hooks that a backward pass may meet: also those on what other threads recorded."""
    if not trace.several:
        return tr.hooks
    return {n: hooks for t in (*trace.others(tr), tr) for n, hooks in t.hooks.copy().items()}


def _hooks(hooks: dict[Node, list[Any]]) -> dict[Node, gradients.Hook]:
    def run_hooks(n: Node, g: Node) -> Node:
        for hook in list(hooks[n]):
            t = wrap(gradients.dense(g))
            out = hook(t)
            if out is not None:
                g = node_of(_changed(t, out, getattr(hook, "fn", hook)))
        return g

    return dict.fromkeys(hooks, run_hooks)


def _after(table: dict[Node, list[Any]]) -> dict[Node, gradients.After]:
    """What follows a step of the sweep: its unpacked saved values read, its hooks on the operands' gradients."""

    def run_after(n: Node, g: Node, parts: list[Node | None]) -> list[Node | None]:
        hooks: Any = table[n]
        if hooks.packed is not None:
            from .saved_hooks import unpacked

            parts = unpacked(n, g, parts, hooks.packed)
        if not hooks.post:
            return parts
        inputs = tuple([None if p is None else wrap(gradients.dense(p)) for p in parts])
        changed = changed_by(hooks.post, inputs, (wrap(gradients.dense(g)),))
        return parts if changed is inputs else [None if t is None else node_of(t) for t in changed]

    return {n: run_after for n, hooks in table.items() if hooks.post or hooks.packed is not None}  # type: ignore[attr-defined]


def backward(
    outputs: Sequence[Tensor],
    grads: Sequence[Any],
    retain: bool | None = None,
    create: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Accumulate gradients of `outputs` into the leaves (or only into `inputs`)."""
    wanted: dict[Node, Any] | None = None
    tr = current()
    if tr.retained and not trace.several:
        _follow(tr)
    home = home_of(outputs[0]._n) if trace.several and outputs and outputs[0]._n is not None else tr
    simple = inputs is None and not create and len(outputs) == 1 and grads[0] is None and not (_all_hooks(tr) or home.retained)
    if inputs is not None:
        wanted = {node_of(t): family_of(t) for t in inputs}
    result = run(outputs, grads, create if retain is None else retain, create)
    if simple:
        _prepare(result)
    with grad_mode(create), held():
        if wanted is not None:
            for n, f in wanted.items():
                g = result.gradients.get(n)
                if g is not None:
                    accumulate(f, gradients.dense(g))
        else:
            for leaf, g in result.leaves:
                f = leaf_family(leaf)
                if f is not None:
                    accumulate(f, g)
        for n, kept in list(home.retained.items()):
            if kept.__class__ is not ref or n not in result.gradients:
                continue
            t = kept()
            if t is not None and (wanted is None or n in wanted):
                accumulate(t._f if t._kind is None else t, gradients.dense(result.gradients[n]))


def _follow(tr: Trace) -> None:
    """What keeps its gradient keeps that of its last value: it may have been written since it was told to."""
    for n, kept in list(tr.retained.items()):
        t = kept() if kept.__class__ is ref else None
        if t is None or t._n is n:
            continue
        try:
            m = node_of(t)
        except RuntimeError:  # a view that the write has made useless
            continue
        if m is not n and m.rg:
            del tr.retained[n]
            tr.retained.setdefault(m, kept)


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
    t = gradient(g)
    if isinstance(f, Tensor):
        f.grad = t if f.grad is None else f.grad + t  # type: ignore[attr-defined]
        return
    if f.hooks:
        for fn in list(f.hooks.values()):
            out = fn(t)
            if out is not None:
                t = _changed(t, out, fn)
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
            fn(t)


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
    t: Tensor = object.__new__(Tensor)
    t._f = None
    if held.__class__ is tuple:
        from .closing import make_concrete

        t._n, value = held
        make_concrete(t, value, None, ref(t))
    else:
        t._n, r = held, ref(t)
        tr = by_index(f.home) or current()
        if tr.claims.setdefault(held, r) is not r:
            t._n = twin(tr, held, r)
    f.held = t
    return t


# ---------------------------------------------------------------- the same sweep again
class _Prepared:
    """A sweep from a loss that ends in permanent leaves: what their families hold afterwards."""

    __slots__ = ("grads", "owners", "result")

    def __init__(self, result: gradients.Sweep) -> None:
        self.result = result
        self.owners = tuple([leaf.owner for leaf, _ in result.leaves])
        self.grads = tuple([STOP(g) if g.rg else g for _, g in result.leaves])


_prepared: dict[Node, _Prepared] = {}


def _prepare(result: gradients.Sweep) -> None:
    root = result.roots[0]
    if (
        root not in _prepared
        and result.memoised
        and all(leaf.op is VAR and leaf.owner is not None and not is_sparse(g) for leaf, g in result.leaves)
    ):
        _prepared[root] = _Prepared(result)


def again(n: Node | None, retain: bool | None) -> bool:
    """``backward()`` from a loss whose sweep is known, in a trace without hooks on the way. False if it has to be done step by step."""
    prepared = _prepared.get(n)  # type: ignore[arg-type]
    if prepared is None:
        return False
    tr = current()
    if tr.hooks or tr.retained or tr.saving:
        return False
    home = tr
    if tr.apart:
        home = home_of(n)  # type: ignore[arg-type]
        if _all_hooks(tr) or home.retained:
            return False
    result = prepared.result
    tr.running = (result.roots, bool(retain))
    if home.freed or home.stale:
        check(result, home)
    if not retain:
        _free(result, home)
    index = tr.index
    rest = []
    with lock:
        tr.grads.append((prepared.owners, prepared.grads))  # first: after an interrupt, those count that were handed out
        for owner, g in zip(prepared.owners, prepared.grads, strict=True):
            f = owner()
            if f is not None:
                if f.held is None and f.hooks is None:
                    f.held, f.home = g, index
                else:
                    rest.append((f, g))
    if rest:
        with grad_mode(False), held():
            for f, g in rest:
                accumulate(f, g)
    return True


@arena.register
def _prune(dead: Any) -> None:
    for root in [n for n, p in _prepared.copy().items() if dead(n) or any(dead(g) for g in p.grads)]:
        _prepared.pop(root, None)
