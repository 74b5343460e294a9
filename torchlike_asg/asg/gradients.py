"""Reverse mode from graph to graph. A gradient is an ordinary node, and the sweep of one root is computed once.

`sweep(root, seed)` is memoised on node identity: in a training loop the second step does not even look its gradients up.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from .. import devices
from ..dtypes import dtype
from ..errors import MissingGradientError
from .declare import APART, INPUT, LEAF_OF, REBIND, TRANSFER, VAR, get
from .geometry import is_dense
from .node import Node, const
from .rewrite import topo
from .scope import inherited

#: called at a node with its gradient, for tensor hooks; returns the gradient to go on with
Hook = Callable[[Node, Node], Node]
#: called at a node with its gradient and those of its operands (None = no gradient); returns the operands' to go on with
After = Callable[[Node, Node, "list[Node | None]"], "list[Node | None]"]


class Sweep:
    """The result of one reverse sweep: gradients by node, the leaves reached, and the nodes whose saved operands were read."""

    __slots__ = ("gradients", "leaves", "memoised", "roots", "savers")

    def __init__(
        self, roots: tuple[Node, ...], gradients: dict[Node, Node], leaves: tuple[tuple[Node, Node], ...], savers: tuple[Node, ...]
    ) -> None:
        self.roots, self.gradients, self.leaves, self.savers = roots, gradients, leaves, savers
        self.memoised = False  # whether an equal call gives this very sweep


MEMO: dict[Any, Sweep] = {}
#: operations whose gradient rule holds for complex operands, too (filled where complex numbers are declared); others refuse them
COMPLEX: set[str] = set()


def is_leaf(n: Node) -> bool:
    """Whether gradients end (and accumulate) at `n`."""
    return n.op is VAR or n.op is LEAF_OF or n.op is INPUT


def sweep(
    roots: tuple[Node, ...], seeds: tuple[Node, ...], hooks: dict[Node, Hook] | None = None, after: dict[Node, After] | None = None
) -> Sweep:
    """Gradients of sum(root * seed) with respect to every node between the roots and their leaves."""
    key = (roots, seeds)
    if not hooks:
        hit = MEMO.get(key)
        if hit is not None:
            return hit
    acc: dict[Node, Node] = {}
    for r, s in zip(roots, seeds, strict=True):
        _accumulate(acc, r, s)
    order = history(roots)
    leaves: list[tuple[Node, Node]] = []
    with inherited() as made:  # a gradient stands where its forward operation stands
        for n in order:
            g = acc.get(n)
            if g is None:
                continue
            if n.op is APART:
                del acc[n]
                continue
            if hooks and n in hooks:
                made.site = None
                g = acc[n] = hooks[n](n, g)
            made.site = n.site
            if is_leaf(n):
                g = acc[n] = like(g, n)
                leaves.append((n, g))
            elif after and n in after:
                for s, part in zip(n.srcs, after[n](n, g, _parts(n, g)), strict=True):
                    if part is not None and s.rg:
                        _accumulate(acc, s, part)
            else:
                _pull(n, g, acc, ())
    result = Sweep(roots, acc, tuple(leaves), tuple([n for n in order if n.saved is not None]))
    if hooks or not all(n.op.pure for n in order):
        return result
    result.memoised = True
    return MEMO.setdefault(key, result)


def _parts(n: Node, g: Node) -> list[Node | None]:
    """The gradients of the operands of `n`; an operand that stands twice has its whole gradient at the first place."""
    own: dict[Node, Node] = {}
    _pull(n, g, own, ())
    return [own.pop(s, None) for s in n.srcs]


def history(roots: tuple[Node, ...], seen: set[Node] | None = None) -> list[Node]:
    """The nodes gradients flow through, users before operands; without those in `seen`, to which they are added."""
    if seen is None:
        seen = set()
    order: list[Node] = []
    stack: list[tuple[Node, bool]] = [(r, False) for r in roots]
    while stack:
        n, done = stack.pop()
        if done:
            order.append(n)
        elif n not in seen and n.rg:
            seen.add(n)
            stack.append((n, True))
            if n.op is not LEAF_OF and n.op is not APART:
                stack += [(s, False) for s in (n.srcs[:1] if n.op is REBIND else n.srcs)]
    order.reverse()
    return order


def _pull(n: Node, g: Node, acc: dict[Node, Node], stop: Container[Node]) -> None:
    """Push the gradient of one node to its operands, through its rule or its expansion."""
    op = n.op
    if op.vjp is not None:
        if (n.dtype.is_complex or any(s.dtype.is_complex for s in n.srcs)) and op.name not in COMPLEX and op.category != "identity":
            raise MissingGradientError(
                f"derivative for {op.name} of complex tensors is not implemented (recorded at {n.site[1]}:{n.site[2]})"
            )
        grads = op.vjp(n, g)
        for s, gs in zip(n.srcs, grads, strict=False):
            if s.rg and gs is not None:
                _accumulate(acc, s, gs() if callable(gs) and gs.__class__ is not Node else gs)
        return
    if op.expand is None:
        raise MissingGradientError(f"derivative for {op.name} is not implemented (recorded at {n.site[1]}:{n.site[2]})")
    _pull_expansion(n, op.expand(n), g, acc)


def _pull_expansion(n: Node, root: Node, g: Node, acc: dict[Node, Node]) -> None:
    """Sweep over a composite's expansion, and over expansions inside it, never past the composite's operands."""
    inner: dict[Node, Node] = {}
    _accumulate(inner, root, g)
    boundary = frozenset(n.srcs)
    for m in reversed(topo([root], boundary)):
        gm = inner.get(m)
        if gm is not None and m.rg and m.srcs:
            _pull(m, gm, inner, boundary)
    for s in dict.fromkeys(n.srcs):
        if s in inner and s.rg:
            _accumulate(acc, s, inner[s])


def _accumulate(acc: dict[Node, Node], n: Node, g: Node) -> None:
    g = fit(g, n)
    old = acc.get(n)
    acc[n] = g if old is None else get("add")(old, g)


def fit(g: Node, n: Node) -> Node:
    """`g` summed over broadcast dimensions and cast, so that it has the shape and type of `n`."""
    if g.op.multi or n.op.multi:
        return g
    if g.shape != n.shape:
        g = get("sum_to")(g, tuple(n.shape))
    if g.dtype is not n.dtype:
        g = get("cast")(g, n.dtype)
    if g.device is not n.device and g.device != n.device and g.device is not devices.free:
        g = TRANSFER(g, n.device)  # a number from another device took part
    return g


def dense(g: Node) -> Node:
    """`g` with a layout that a storage of its own can have: the gradient of a sum is an expanded view, whose elements share memory."""
    return g if not g.offset and is_dense(tuple(g.shape), g.strides) else get("contiguous")(g)


def like(g: Node, leaf: Node) -> Node:
    """`g` laid out as the leaf it accumulates in, if that fills a block of memory."""
    strides = leaf.strides
    if g.device is devices.free and leaf.device.type != "cpu":
        g = TRANSFER(g, leaf.device)
    if g.strides == strides or not is_dense(tuple(leaf.shape), strides):
        return dense(g)
    return get("relayout")(g, strides)


def ones(n: Node) -> Node:
    """The seed of a backward pass: ones of the shape of `n`."""
    return get("full")(const(1.0, n.dtype), tuple(n.shape))


def zero(d: dtype) -> Node:
    return const(0, d)
