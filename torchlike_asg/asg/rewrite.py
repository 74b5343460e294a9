"""Walking and rebuilding the graph, without recursion: graphs may be 100,000 operations deep."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from .declare import LEAVES
from .node import Node
from .scope import inherited


def topo(roots: Iterable[Node], stop: Container[Node] = ()) -> list[Node]:
    """Every node the roots depend on, operands before users, left to right. Nodes in `stop` are left out and not entered."""
    seen: set[Node] = set()
    order: list[Node] = []
    stack: list[Node | None] = [*roots]
    stack.reverse()
    while stack:
        n = stack.pop()
        if n is None:  # the operands of the one below are done
            order.append(stack.pop())  # type: ignore[arg-type]
            continue
        if n in seen or n in stop:
            continue
        seen.add(n)
        rest = [s for s in n.srcs if s not in seen]
        if rest:
            stack += (n, None)
            rest.reverse()
            stack += rest
        else:
            order.append(n)
    return order


def users(order: Sequence[Node], known: Iterable[Node] = ()) -> dict[Node, list[Node]]:
    """For each node of a topological order, and each of `known`, the nodes of the order that read it.

    What is known is read and reads nothing: its operands may be in the order because something else needs them.
    """
    found: dict[Node, list[Node]] = {n: [] for n in (*known, *order)}
    for n in order:
        for s in dict.fromkeys(n.srcs):
            if s in found:
                found[s].append(n)
    return found


def substitute(roots: Sequence[Node], mapping: dict[Node, Node]) -> list[Node]:
    """The roots with nodes replaced; `mapping` is extended with every rebuilt node, so that calls can share it.

    A rebuilt node is made through its operation, so it is inferred anew and interned.
    """
    with inherited() as made:
        for n in topo(roots, mapping):
            if n.op in LEAVES:
                mapping[n] = n
                continue
            made.site = n.site
            srcs = tuple([mapping[s] for s in n.srcs])
            mapping[n] = n if srcs == n.srcs else n.op.again(n, srcs)
    return [mapping[r] for r in roots]


def rewrite(roots: Sequence[Node], rule: Callable[[Node], Node | None], stop: Container[Node] = (), fuel: int = 1_000_000) -> list[Node]:
    """Apply `rule` bottom-up until it has nothing more to say about a node (returns None). `fuel` bounds the total number of changes.

    Nodes in `stop` are left as they are, like leaves.
    """
    changed: dict[Node, Node] = {}
    done: set[Node] = set()
    with inherited() as made:
        for n in topo(roots, stop):
            if n.op in LEAVES:
                done.add(n)
                continue
            made.site, made.origin = n.site, n.origin
            srcs, new = n.srcs, n
            if not changed.keys().isdisjoint(srcs):
                srcs = tuple([changed.get(s, s) for s in srcs])
                new = n.op.again(n, srcs)
            while fuel > 0:
                better = rule(new)
                if better is None or better is new:
                    break
                new, fuel = better, fuel - 1
            if new is not n:
                changed[n] = new
                if new not in done:
                    done.update(srcs)
                    # what is new may have been made before, of another node
                    for m in (new,) if done.issuperset(new.srcs) else topo([new], done):
                        if m.op not in LEAVES:
                            m.origin = n.origin
                        done.add(m)
            done.add(new)
    return [changed.get(r, r) for r in roots]


class Settling:
    """Rewriting in one walk: what a replacement is made of is looked at as well, before anything is made of it.

    Several walks one after the other make anew, each of them, all that depends on what they change.
    """

    def __init__(self, rule: Callable[[Node], Node | None], fuel: int = 1_000_000) -> None:
        """`rule`: see `rewrite`; it is asked about nodes whose operands it has nothing more to say about."""
        self._rule, self._fuel = rule, fuel
        #: what became of a node
        self.of: dict[Node, Node] = {}

    def operands(self, n: Node) -> tuple[Node, ...]:
        """What became of a node's operands; those that nothing was said about are left as they are."""
        found = self.of
        return tuple([found[s] if s in found else found.setdefault(s, s) for s in n.srcs])

    def settle(self, n: Node, origin: int) -> Node:
        """What becomes of a node whose operands are settled. `origin`: of what is made of it."""
        found = self.of.get(n)
        if found is not None:
            return found
        if n.op not in LEAVES:
            n.origin = origin
            better = self._rule(n) if self._fuel > 0 else None
            if better is not None and better is not n:
                self._fuel -= 1
                found = self._whole(better, origin)
        found = self.of[n] = n if found is None else found
        self.of.setdefault(found, found)
        return found

    def _whole(self, root: Node, origin: int) -> Node:
        """The same of a node over settled ones."""
        settled = self.of
        for n in topo((root,), settled):
            srcs = self.operands(n)
            settled[n] = self.settle(n if srcs == n.srcs else n.op.again(n, srcs), origin)
        return settled[root]


def settle(roots: Sequence[Node], rule: Callable[[Node], Node | None], stop: Container[Node] = ()) -> list[Node]:
    """`rewrite`, over and over, until `rule` has nothing more to say about any node."""
    settling = Settling(rule)
    settled = settling.of
    with inherited() as made:
        for n in topo(roots, stop):
            if n in settled:  # it was made of another node, too
                continue
            made.site, made.origin = n.site, n.origin
            srcs = settling.operands(n)
            settled[n] = settling.settle(n if srcs == n.srcs else n.op.again(n, srcs), n.origin)
    return [settled.get(r, r) for r in roots]
