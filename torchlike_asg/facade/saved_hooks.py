"""Hooks on what is kept for the gradient: ``with saved_tensors_hooks(pack, unpack)``.

Nothing is kept eagerly here: a declaration's `saves` says what PyTorch would keep. Inside the block every operation that is recorded
has its saved values packed, in the order of recording, when the block ends, a backward pass begins, another block begins or the trace is
flushed; a backward pass through it reads what `unpack` returns instead of the recorded values, also where that changes them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..asg.declare import CONST, IDENTITIES, INPUT, REBIND, SCALAR, STOP
from ..asg.gradients import history, is_leaf
from ..asg.keeps import KEEPING
from ..asg.node import Node
from ..asg.rewrite import substitute
from ..asg.trace import Trace, current
from .core import Tensor, node_of, wrap
from .hooks import NodeHooks
from .owners import leaf_family
from .saved_values import blame


class Region:
    """One pair of hooks, and the results that were recorded before it was asked last."""

    __slots__ = ("at", "pack", "seen", "unpack")

    def __init__(self, pack: Callable[[Tensor], Any], unpack: Callable[[Any], Tensor]) -> None:
        self.pack, self.unpack = pack, unpack
        self.seen: set[Node] = set()
        self.at: Any = None

    def look(self, tr: Trace) -> None:
        """Take what is recorded so far as seen. Another trace, with the same nodes, begins from nothing."""
        self.seen, self.at = set(tr.claims), (tr.index, tr.generation)


def enter(region: Region) -> None:
    """Begin a block."""
    tr = current()
    pack_pending(tr)
    region.look(tr)
    tr.saving.append(region)


def leave() -> None:
    """End the innermost block, if there is one: a hook may have ended it already."""
    tr = current()
    if not tr.saving:
        return
    try:
        pack_pending(tr)
    finally:
        del tr.saving[-1:]
        if tr.saving:
            tr.saving[-1].look(tr)


def pack_pending(tr: Trace) -> None:
    """Pack what was saved by the operations recorded in the innermost block since it was asked last."""
    if not tr.saving:
        return
    region = tr.saving[-1]
    before = frozenset(region.seen) if region.at == (tr.index, tr.generation) else frozenset()
    fresh = [n for n in tr.claims if n not in before]
    region.look(tr)
    mode, tr.grad = tr.grad, False
    tr.held += 1  # a hook may read what it is given: that does not end the iteration
    try:
        for n in reversed(history(tuple([n for n in fresh if n.rg]))):
            if n not in before and n.saved and n.op not in KEEPING and not is_leaf(n):
                _pack(n, region, tr)
    finally:
        tr.grad = mode
        tr.held -= 1
        region.look(tr)


def _pack(n: Node, region: Region, tr: Trace) -> None:
    saved = list(enumerate(n.saved or ()))
    if tuple(n.saved or ()) == n.srcs[:2]:  # PyTorch keeps first what the gradient of the first operand reads
        saved.reverse()
    packed = [(i, _packed(_given(s), region)) for i, s in saved if not _is_number(s)]
    if packed:
        hooks = tr.hooks.setdefault(n, NodeHooks())
        hooks.packed = packed, region.unpack  # type: ignore[attr-defined]


def _is_number(s: Node) -> bool:
    """Whether a saved operand is a Python number, which PyTorch keeps beside the tensors."""
    return s.op is CONST or s.op is SCALAR or (s.op is INPUT and s.attrs[2] == "number")


def _given(s: Node) -> Tensor:
    """What a hook is given of a saved value: a leaf as it is, so that parameters can be told from what was computed of them; of that the
    value. (With its history, what is packed would keep the whole iteration until somebody asks for its gradients.)
    """
    leaf = _leaf(s)
    return wrap(STOP(s)) if leaf is None else leaf


def _leaf(s: Node) -> Tensor | None:
    """The tensor that is this leaf."""
    f = leaf_family(s) if is_leaf(s) else None
    faces = [] if f is None or f.h is not s else [t for r in f.faces if (t := r()) is not None and t._kind is None and t._n is s]
    return faces[0] if faces else None


def saved_value(n: Node, i: int) -> Tensor:
    """What a step shows of the value it saved i-th: the operand itself if it is there, its result as another tensor of the same history; of
    packed values what `unpack` returns. RuntimeError for what was freed or overwritten.
    """
    tr = current()
    pack_pending(tr)
    hooks: Any = tr.hooks.get(n)
    if hooks is not None and hooks.packed is not None:
        packed, unpack = hooks.packed
        for place, held in packed:
            if place == i:
                return _whole(unpack(held))
    error = blame((n,), (n,), tr)
    if error is not None:
        raise RuntimeError(error)
    s = n.saved[i]  # type: ignore[index]
    operand = _leaf(s)
    if operand is None and s is not n:
        owner = tr.claims.get(s)
        operand = None if owner is None else owner()
    return operand if isinstance(operand, Tensor) else wrap(REBIND(s, s) if s.rg else s)


def _packed(t: Tensor, region: Region) -> Any:
    before = 0 if t._f is None else t._f.counter.version
    held = region.pack(t)
    if t._f is not None and t._f.counter.version != before:
        raise RuntimeError(
            "A saved tensor pack hook is modifying its input in place. What a pack hook is given must not be written to: work on a copy."
        )
    return held


def _whole(value: Any) -> Tensor:
    """What a hook has unpacked."""
    if not isinstance(value, Tensor):
        raise TypeError(f"Output of saved tensor unpack_hook expected to be a Tensor but got result of type {type(value).__name__}")
    return value


def unpacked(n: Node, g: Node, parts: list[Node | None], packed: Any) -> list[Node | None]:
    """The gradients `parts` of the operands of `n`, reading unpacked values in the place of those that were saved."""
    kept, unpack = packed
    changed: dict[Node, Node] = {}
    for i, held in kept:
        value = _whole(unpack(held))
        s, u = n.saved[i], node_of(value)  # type: ignore[index]
        while u.op in IDENTITIES and u is not s:
            u = u.srcs[IDENTITIES[u.op]]
        if u is not s:
            changed[s] = REBIND(s, node_of(value)) if s.rg else node_of(value)  # derivatives of the gradient are those by what was saved
    if not changed:
        return parts
    mapping = {s: s for s in (g, n, *n.srcs)} | changed
    mapping[g] = g
    roots = [p for p in parts if p is not None]
    found = dict(zip(roots, substitute(roots, mapping), strict=True))
    return [None if p is None else found[p] for p in parts]
