"""Drop what only carries history, and make views plain values.

After this pass a graph says what to compute and nothing about versions: `stop`, `snap`, `detach`, `rebind` and `leaf_of` are gone,
twins are one node again, and `view` is `reshape`, since no storage is shared inside a plan.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from ...asg.declare import IDENTITIES, LEAVES, TRANSFER, get
from ...asg.node import Node
from ...asg.rewrite import topo
from ...asg.scope import inherited


def strip_identities(roots: Sequence[Node], stop: Container[Node]) -> list[Node]:
    """The first pass: what comes in was recorded, so that its nodes are the origins of all that is made of them."""
    view, reshape = get("view"), get("reshape")
    mapping: dict[Node, Node] = {}
    with inherited() as made:
        for n in topo(roots, stop):
            op, made.site = n.op, n.site
            n.origin = made.origin = n.serial
            if op in LEAVES:
                mapping[n] = n
            elif op in IDENTITIES or (op.category == "identity" and op is not TRANSFER):
                mapping[n] = mapping.get(n.srcs[IDENTITIES.get(op, 0)], n.srcs[IDENTITIES.get(op, 0)])
            elif op is view:
                mapping[n] = reshape(mapping.get(n.srcs[0], n.srcs[0]), n.attrs)
                mapping[n].origin = n.serial  # it may have been made before, of another node
            else:
                srcs = tuple([mapping.get(s, s) for s in n.srcs])
                mapping[n] = op.again(n, srcs)  # through the table: a twin becomes the expression it repeats
                mapping[n].origin = n.serial
    return [mapping.get(r, r) for r in roots]
