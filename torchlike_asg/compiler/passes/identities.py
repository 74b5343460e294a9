"""Drop what only carries history, and make views plain values.

After this pass a graph says what to compute and nothing about versions: `stop`, `snap`, `detach`, `rebind` and `leaf_of` are gone,
twins are one node again, and `view` is `reshape`, since no storage is shared inside a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from ...asg.declare import IDENTITIES, LEAVES, TRANSFER, get
from ...asg.node import Node
from ...asg.rewrite import Settling, topo
from ...asg.scope import inherited


def strip_identities(roots: Sequence[Node], stop: Container[Node], rule: Callable[[Node], Node | None] | None = None) -> list[Node]:
    """The first pass: what comes in was recorded, so that its nodes are the origins of all that is made of them. `rule`: that of another
    pass, to be applied in the same walk.
    """
    view, reshape = get("view"), get("reshape")
    settling = Settling(rule) if rule is not None else None
    mapping: dict[Node, Node] = {}
    with inherited() as made:
        for n in topo(roots, stop):
            op, made.site = n.op, n.site
            n.origin = made.origin = n.serial
            if op in LEAVES:
                mapping[n] = n
            elif op in IDENTITIES or (op.category == "identity" and op is not TRANSFER):
                mapping[n] = mapping.get(n.srcs[IDENTITIES.get(op, 0)], n.srcs[IDENTITIES.get(op, 0)])
            else:
                if op is view:
                    found = reshape(mapping.get(n.srcs[0], n.srcs[0]), n.attrs)
                else:
                    srcs = tuple([mapping.get(s, s) for s in n.srcs])
                    found = op.again(n, srcs)  # through the table: a twin becomes the expression it repeats
                if settling is None:
                    found.origin = n.serial  # it may have been made before, of another node
                else:
                    settling.operands(found)
                    found = settling.settle(found, n.serial)
                mapping[n] = found
    return [mapping.get(r, r) for r in roots]
