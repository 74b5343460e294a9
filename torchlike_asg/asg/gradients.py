"""Reverse mode from graph to graph. A gradient is an ordinary node, and the sweep of one root is computed once.

`sweep(root, seed)` is memoised on node identity: in a training loop the second step does not even look its gradients up.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

from .. import devices
from ..dtypes import dtype
from ..errors import MissingGradientError
from .declare import APART, ARGUMENT, INPUT, LEAF_OF, REBIND, TRANSFER, VAR, get
from .geometry import is_dense, preserved_strides
from .node import Node, const
from .rewrite import topo
from .scope import inherited

#: called at a node with its gradient, for tensor hooks; returns the gradient to go on with
Hook = Callable[[Node, Node], Node]
#: called at a node with its gradient and those of its operands (None = no gradient); returns the operands' to go on with
After = Callable[[Node, Node, "list[Node | None]"], "list[Node | None]"]


class Sweep:
    """The result of one reverse sweep: gradients by node, the leaves reached, and the nodes whose saved operands were read.

    ``passed``  the nodes gone through, if these are not the whole history of the roots;  ``turns`` see `in_turn`
    """

    __slots__ = ("gradients", "leaves", "memoised", "passed", "roots", "savers", "turns")

    def __init__(
        self, roots: tuple[Node, ...], gradients: dict[Node, Node], leaves: tuple[tuple[Node, Node], ...], savers: tuple[Node, ...]
    ) -> None:
        self.roots, self.gradients, self.leaves, self.savers = roots, gradients, leaves, savers
        self.memoised = False  # whether an equal call gives this very sweep
        self.passed: set[Node] | None = None
        self.turns: dict[Node, int] | None = None


class Watch:
    """What looks into a sweep that calls code of users on its way: it may raise, and what was done until then stays done.

    ``gradients``  by node, as far as they are known;  ``passed`` the nodes gone through
    """

    def __init__(self) -> None:
        self.gradients: dict[Node, Node] = {}
        self.passed: list[Node] = []

    def begins(self, savers: tuple[Node, ...]) -> None:
        """Nothing was called yet; the sweep will read what `savers` have saved."""

    def leaf(self, n: Node, g: Node) -> None:
        """The gradient of a leaf is known."""


#: (roots, seeds), and `wanted` where the sweep goes to these only, and `stop` where it ends there -> its result
MEMO: dict[Any, Sweep] = {}
#: operations whose gradient rule holds for complex operands, too (filled where complex numbers are declared); others refuse them
COMPLEX: set[str] = set()


def is_leaf(n: Node) -> bool:
    """Whether gradients end (and accumulate) at `n`."""
    return n.op is VAR or n.op is LEAF_OF or n.op is INPUT


def sweep(
    roots: tuple[Node, ...],
    seeds: tuple[Node, ...],
    hooks: dict[Node, Hook] | None = None,
    after: dict[Node, After] | None = None,
    wanted: frozenset[Node] | None = None,
    watch: Watch | None = None,
    stop: frozenset[Node] = frozenset(),
) -> Sweep:
    """Gradients of sum(root * seed) with respect to every node between the roots and their leaves, or between the roots and `wanted`. Those
    in `stop` are taken for leaves.

    Where nothing of users' is called on the way, the result is memoised and `watch` is not told. Else steps come in PyTorch's order: what
    was recorded last is first, and a leaf follows on the last of its users.
    """
    key: Any = (roots, seeds) if wanted is None else (roots, seeds, wanted)
    if stop:
        key = (roots, seeds, () if wanted is None else wanted, stop)
    if not hooks:
        hit = MEMO.get(key)
        if hit is not None:
            return hit
    order = history(roots, stop=stop)
    watched = bool(hooks) or not all([n.op.pure or n in stop for n in order])
    if watched:
        order = _in_execution(order)
    pulled, savers = None, tuple([n for n in order if n.saved is not None])
    if wanted is not None:
        found, pulled = leading_to(order, wanted, stop)
        # a leaf that saves is the end of a history that was freed, which nobody enters if this end is all that was asked for
        ends: frozenset[Node] = wanted if wanted <= found else frozenset()
        if len(found) == len(order):
            pulled = None
            savers = tuple([n for n in savers if n not in ends or not is_leaf(n)])
        else:
            savers = tuple([n for n in savers if n in pulled or (is_leaf(n) and n not in ends)])
            order = [n for n in order if n in found]
    watch = watch if watched and watch is not None else _NOBODY
    watch.begins(savers)
    acc: dict[Node, Node] = {}
    for r, s in zip(roots, seeds, strict=True):
        _accumulate(acc, r, s)
    leaves: list[tuple[Node, Node]] = []
    if watch is not _NOBODY:
        watch.gradients = acc
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
            if is_leaf(n) or n in stop:
                g = acc[n] = like(g, n)
                leaves.append((n, g))
                if watched:
                    made.site = None
                    watch.leaf(n, g)
            elif pulled is None or n in pulled:
                if watched:
                    watch.passed.append(n)
                if after and n in after:
                    for s, part in zip(n.srcs, after[n](n, g, _parts(n, g)), strict=True):
                        if part is not None and s.rg:
                            _accumulate(acc, s, part)
                else:
                    _pull(n, g, acc, ())
    if pulled is not None:
        acc = {n: g for n, g in acc.items() if n in found}
    result = Sweep(roots, acc, tuple(leaves), savers)
    if pulled is not None:
        result.passed = pulled
    if watched:
        return result
    result.memoised = True
    return MEMO.setdefault(key, result)


_NOBODY = Watch()


def in_turn(result: Sweep) -> list[tuple[Node, Node]]:
    """The leaves that a sweep has reached with their gradients, in the order in which PyTorch would know these."""
    if result.turns is None:
        result.turns = {n: i for i, n in enumerate(_in_execution(history(result.roots)))}
    turns = result.turns
    return sorted(result.leaves, key=lambda item: turns[item[0]])


def _in_execution(order: list[Node]) -> list[Node]:
    """Nodes of a history in PyTorch's order: what was recorded last first, and every leaf right after the last of its users."""
    inner = sorted([n for n in order if not is_leaf(n)], key=lambda n: n.serial, reverse=True)
    last: dict[Node, Node | None] = {n: None for n in order if is_leaf(n)}
    for n in inner:
        for s in _led_to(n):
            if s in last:
                last[s] = n
    ends: dict[Node | None, list[Node]] = {}
    for leaf, user in last.items():
        ends.setdefault(user, []).append(leaf)
    found = ends.get(None, [])
    for n in inner:
        found.append(n)
        if n in ends:  # PyTorch has a layer's weight behind a transposition, which lets the bias go first
            found += [s for s in dict.fromkeys(n.srcs[::-1] if n.op.name == "linear" else n.srcs) if s in ends[n]]
    return found


def leading_to(order: list[Node], wanted: frozenset[Node], stop: frozenset[Node]) -> tuple[set[Node], set[Node]]:
    """(`wanted` and the nodes of `order` that lead to them, those of these that lead further)."""
    found: set[Node] = set()
    pulled: set[Node] = set()
    for n in reversed(order):
        if not is_leaf(n) and n not in stop and not found.isdisjoint(_led_to(n)):
            pulled.add(n)
            found.add(n)
        elif n in wanted:
            found.add(n)
    return found, pulled


def _led_to(n: Node) -> tuple[Node, ...]:
    """The operands a gradient may flow on to."""
    return n.srcs[:1] if n.op is REBIND else n.srcs


def _parts(n: Node, g: Node) -> list[Node | None]:
    """The gradients of the operands of `n`; an operand that stands twice has its whole gradient at the first place."""
    own: dict[Node, Node] = {}
    _pull(n, g, own, ())
    return [own.pop(s, None) for s in n.srcs]


def history(roots: tuple[Node, ...], seen: set[Node] | None = None, stop: frozenset[Node] = frozenset()) -> list[Node]:
    """The nodes gradients flow through, users before operands; without those in `seen`, to which they are added, and what only `stop`
    leads to."""
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
            if n.op is not LEAF_OF and n.op is not APART and n not in stop:
                stack += [(s, False) for s in (n.srcs[:1] if n.op is REBIND else n.srcs)]
    order.reverse()
    return order


def seeded(gradients: tuple[Node, ...]) -> bool:
    """Whether these are gradients of the first of the two sweeps that forward mode makes: whether they depend on its seeds, which are
    arguments counted from -1.
    """
    return any(n.op is ARGUMENT and n.attrs[1] < 0 for n in history(gradients))


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
    g = beside(g, leaf)
    if g.strides == strides or not is_dense(tuple(leaf.shape), strides):
        return dense(g)
    return get("relayout")(g, strides)


def beside(g: Node, n: Node) -> Node:
    """`g` on the device of `n`, if it is a constant that has none yet."""
    return TRANSFER(g, n.device) if g.device is devices.free and n.device.type != "cpu" else g


def ones(n: Node) -> Node:
    """The seed of a backward pass: ones of the shape of `n`."""
    return get("full")(const(1.0, n.dtype), tuple(n.shape))


def zero(d: dtype) -> Node:
    return const(0, d)


def argument_of(n: Node, depth: int, index: int) -> Node:
    """A value to differentiate by, whether or not `n` has a history."""
    key = (n, depth, index)
    found = ARGUMENT.table.get(key)
    if found is None:
        strides = preserved_strides(tuple(n.shape), n.strides)
        made = Node(ARGUMENT, (n,), (depth, index), n.shape, n.dtype, strides, 0, n.device, True)
        found = ARGUMENT.table.setdefault(key, made)
    return found
