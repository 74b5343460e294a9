"""backward() and grad(): gradients are recorded, not computed; they run with the rest of the step."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import ref

from .. import config, notices
from ..asg import arena, gradients, trace, traces
from ..asg.declare import STOP, VAR, get
from ..asg.node import Node
from ..asg.trace import Trace, current, lock
from ..asg.traces import home_of
from . import texts
from .accumulation import accumulate, accumulate_in_leaf, changed
from .asked import asked_nodes, keep_asked, keeper, record_again
from .core import Tensor, node_of, wrap
from .history_parts import operand_places
from .hooks import changed_by, own_node
from .owners import leaf_family
from .past import Past
from .saved_values import blame, leads_to
from .sparse_gradients import is_sparse


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
    if not isinstance(t, Tensor):
        raise AssertionError("Expected output to be a torch.Tensor")
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
        raise RuntimeError(texts.ONE_SHAPE.format(index, given.shape, t.shape))
    if given.dtype.is_complex is not t.dtype.is_complex:
        raise RuntimeError(texts.ONE_FIELD.format(index, given.dtype, t.dtype))
    return node_of(given)


class _Watch(gradients.Watch):
    """Refuses a pass over freed or overwritten values before it calls anything, and hands over each leaf's gradient once it is known."""

    def __init__(
        self, roots: tuple[Node, ...], home: Trace, wanted: frozenset[Node] | None, keep: Callable[[Node, Node], None] | None
    ) -> None:
        super().__init__()
        self.roots, self.home, self.wanted, self.keep = roots, home, wanted, keep

    def begins(self, savers: tuple[Node, ...]) -> None:
        check(self.roots, savers, self.home, self.wanted)

    def leaf(self, n: Node, g: Node) -> None:
        if self.keep is not None:
            with held():
                self.keep(n, g)


def run(
    outputs: Sequence[Tensor],
    grads: Sequence[Any],
    retain: bool,
    create: bool,
    wanted: frozenset[Node] | None = None,
    keep: Callable[[Node, Node], None] | None = None,
) -> gradients.Sweep:
    """One reverse sweep from `outputs`, with PyTorch's checks for freed and overwritten values.

    `wanted` are the nodes whose gradients alone are asked for. `keep` is told the leaves' gradients, in a pass that calls hooks or custom
    Functions while it goes on: where these raise, what was passed before has its gradient.
    """
    if len(outputs) != len(grads):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    seeds = tuple([seed(t, g, i) for i, (t, g) in enumerate(zip(outputs, grads, strict=True))])
    roots = tuple([node_of(t) for t in outputs])
    tr = current()
    if tr.saving:
        from .saved_hooks import pack_pending

        pack_pending(tr)
    tr.running = (roots, retain, wanted)
    saving = tr.saving.copy()
    home = home_of(roots[0]) if roots else tr  # where another thread recorded it, its versions count
    hooks = _all_hooks(tr)
    watch = _Watch(roots, home, wanted, keep)
    try:
        with grad_mode(create):
            if hooks or config.detect_anomaly:
                called, after = _hooks(hooks), _after(hooks)
                if config.detect_anomaly:
                    from .anomaly_checks import looked_at

                    called, after = looked_at(roots, called, after)
                with held():
                    result = gradients.sweep(roots, seeds, called, after, wanted, watch)
            else:
                result = gradients.sweep(roots, seeds, wanted=wanted, watch=watch)
    except BaseException:
        if not retain:
            home.freed.update(dict.fromkeys([n for n in watch.passed if n.saved is not None], len(home.claims)))
            home.passed.update(watch.passed)
        if home.retained:
            _keep_retained({n: watch.gradients[n] for n in watch.passed}, home, create)
        raise
    finally:
        tr.saving[:] = saving  # blocks that what was called on the way has left open, or has ended
    if result.memoised:
        check(roots, result.savers, home, wanted)
    try:
        if result.memoised and keep is not None:
            with grad_mode(create), held():
                for n, g in _in_turn(result):
                    keep(n, g)
    finally:  # a leaf's hook may raise
        if home.retained:
            _keep_retained(result.gradients, home, create)
        if not retain:
            _free(result, home)
    return result


def _in_turn(result: gradients.Sweep) -> Sequence[tuple[Node, Node]]:
    """Leaves and gradients, in PyTorch's order if any of them has a hook that could tell."""
    if any([(f := leaf_family(n)) is not None and f.hooks is not None for n, _ in result.leaves]):
        return gradients.in_turn(result)
    return result.leaves


def _keep_retained(found: dict[Node, Node], tr: Trace, create: bool) -> None:
    """Give the computed tensors that want it their gradient."""
    with grad_mode(create), held():
        for n, kept in list(tr.retained.items()):
            if kept.__class__ is ref and n in found and (t := kept()) is not None:
                accumulate(keeper(t), gradients.dense(found[n]))


def _free(result: gradients.Sweep, tr: Trace) -> None:
    tr.freed.update(dict.fromkeys(result.savers, len(tr.claims)))
    if result.passed is None:
        tr.swept.append(result.roots)
    else:
        tr.passed |= result.passed
    for snapshot in tr.replays:
        snapshot.give_up(set(result.savers))


def check(roots: tuple[Node, ...], savers: tuple[Node, ...], tr: Trace, wanted: frozenset[Node] | None = None) -> None:
    """Only mutation and a second backward pay for this. `wanted`: the nodes whose gradients alone are asked for."""
    if tr.freed or tr.stale or tr.retained:
        if wanted is not None and tr.retained:
            savers = tuple([n for n in savers if n not in tr.retained or leads_to(tr.retained[n], n, wanted, tr)])
        if tr.forgiving:
            savers = tuple([n for n in savers if n in tr.freed])
        elif tr.stale and tr.hooks:  # what was packed is the hooks' to keep
            savers = tuple([n for n in savers if n in tr.freed or getattr(tr.hooks.get(n), "packed", None) is None])
        error = blame(roots, savers, tr)
        if error is not None:
            raise RuntimeError(error)


def _all_hooks(tr: Trace) -> dict[Node, list[Any]]:
    """The hooks that a backward pass may meet: also those on what other threads recorded."""
    if not trace.several:
        return tr.hooks
    return {n: hooks for t in (*traces.others(tr), tr) for n, hooks in t.hooks.copy().items()}


def _hooks(hooks: dict[Node, list[Any]]) -> dict[Node, gradients.Hook]:
    def run_hooks(n: Node, g: Node) -> Node:
        for hook in list(hooks[n]):
            t = wrap(gradients.dense(g))
            out = hook(t)
            if out is not None:
                g = node_of(changed(t, out, getattr(hook, "fn", hook)))
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
        places = operand_places(n)
        seen = [None if p is None or (part := parts[p]) is None else get("permute")(part, 1, 0) if flip else part for p, flip in places]
        inputs = tuple([None if p is None else wrap(gradients.dense(p)) for p in seen])
        changed = changed_by(hooks.post, inputs, (wrap(gradients.dense(g)),))
        if changed is inputs:
            return parts
        parts = list(parts)
        for (p, flip), t in zip(places, changed, strict=True):
            if p is not None:
                parts[p] = None if t is None else node_of(t.t() if flip else t)
        return parts

    return {n: run_after for n, hooks in table.items() if hooks.post or hooks.packed is not None}  # type: ignore[attr-defined]


def flag(value: Any) -> bool:
    """A flag of a backward pass, which PyTorch reads as an unsigned byte: TypeError for what is no integer, OverflowError for others."""
    if value.__class__ is not bool:
        number = operator.index(value)
        if not 0 <= number < 256:
            raise OverflowError(f"unsigned byte integer is {'less than minimum' if number < 0 else 'greater than maximum'}")
    return bool(value)


def backward(
    outputs: Sequence[Tensor],
    grads: Sequence[Any],
    retain: bool | None = None,
    create: bool = False,
    inputs: Sequence[Tensor] | None = None,
) -> None:
    """Accumulate gradients of `outputs` into the leaves (or only into `inputs`)."""
    tr = current()
    if tr.retained and not trace.several:
        _follow(tr)
    if create is not False or retain is not None:
        create = flag(create)
        retain = create if retain is None else flag(retain)
    else:
        retain = False
    if create:
        notices.once(notices.CREATE_GRAPH)
    if pieced(outputs):
        from .pieces import through

        found = through(outputs, grads, retain, create, inputs)
        if found is not None:
            found.accumulate(inputs)
            keep_asked(inputs)
            return
    first = getattr(outputs[0], "_n", None) if trace.several and outputs else None  # what is no tensor is refused below
    home = tr if first is None else home_of(first)
    if inputs is not None:
        record_again(outputs, inputs)
        wanted = {n: keeper(t) for t in inputs for n in asked_nodes(t)}
        result = run(outputs, grads, retain, create, frozenset(wanted))
        kept = home.retained
        with grad_mode(create), held():
            for n, f in wanted.items():
                g = result.gradients.get(n)
                if g is not None and n not in kept:
                    accumulate(f, gradients.dense(g))
        keep_asked(inputs)
        return
    simple = not create and len(outputs) == len(grads) == 1 and grads[0] is None and not (_all_hooks(tr) or home.retained)
    result = run(outputs, grads, retain, create, None, accumulate_in_leaf)
    if simple:
        _prepare(result)


def pieced(outputs: Sequence[Tensor]) -> bool:
    """Whether a history of one of them may lie in several traces, or has custom Functions (pieces.py)."""
    tr, families = current(), [getattr(t, "_f", None) for t in outputs]
    contexts = tr.contexts and not config.detect_anomaly  # which looks at every step of the pass
    return bool(tr.carried or contexts) or any([f is not None and f.h is None and f.past.__class__ is Past for f in families])


def _follow(tr: Trace) -> None:
    """What keeps its gradient keeps that of its last value: it may have been written since it was told to."""
    for n, kept in list(tr.retained.items()):
        t = kept() if kept.__class__ is ref else None
        if t is None or t._n is n:
            continue
        try:
            m = own_node(t)
        except RuntimeError:  # a view that the write has made useless
            continue
        if m is not n and m.rg:
            del tr.retained[n]
            tr.retained.setdefault(m, kept)


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
    if root not in _prepared and result.memoised and all(_takes(leaf) and not is_sparse(g) for leaf, g in result.leaves):
        _prepared[root] = _Prepared(result)


def _takes(leaf: Node) -> bool:
    """Whether a permanent leaf, and no other, is given its gradient: it may want none any more."""
    f = leaf.owner() if leaf.op is VAR and leaf.owner is not None else None
    return f is not None and (f.wants or f.leaf is not None)


def forget(leaf: Node) -> None:
    """The leaf wants no gradient any more: sweeps that end in it are not done again as they were."""
    for root in [n for n, p in _prepared.copy().items() if any([m is leaf for m, _ in p.result.leaves])]:
        _prepared.pop(root, None)


def again(n: Node | None, retain: bool | None) -> bool:
    """``backward()`` from a loss whose sweep is known, in a trace without hooks on the way. False if it has to be done step by step."""
    prepared = _prepared.get(n)  # type: ignore[arg-type]
    if prepared is None:
        return False
    tr = current()
    if tr.hooks or tr.retained or tr.saving or config.detect_anomaly:
        return False
    home = tr
    if tr.apart:
        home = home_of(n)  # type: ignore[arg-type]
        if _all_hooks(tr) or home.retained:
            return False
    result = prepared.result
    tr.running = (result.roots, bool(retain), None)
    if home.freed or home.stale:
        check(result.roots, result.savers, home)
    if not retain:
        _free(result, home)
    index = tr.index
    rest = []
    with lock:
        tr.grads.append((prepared.owners, prepared.grads))  # first: after an interrupt, those count that were handed out
        for (leaf, _), owner, g in zip(result.leaves, prepared.owners, prepared.grads, strict=True):
            f = owner() or (leaf_family(leaf) if tr.leaf_owner else None)
            if f is not None:
                if f.held is None and f.hooks is None:
                    f.held, f.home = g, index
                else:
                    rest.append((f, g))
    if rest:
        if any([f.hooks is not None for f, _ in rest]):
            turns = {g: i for i, (_, g) in enumerate(gradients.in_turn(result))}
            rest.sort(key=lambda item: turns.get(item[1].srcs[0] if item[1].op is STOP else item[1], -1))
        with grad_mode(False), held():
            for f, g in rest:
                accumulate(f, g)
    return True


@arena.register
def _prune(dead: Any) -> None:
    for root in [n for n, p in _prepared.copy().items() if dead(n) or any(dead(g) for g in p.grads)]:
        _prepared.pop(root, None)
