"""From the graph of one example to the graph of a whole batch.

A function is recorded once, on `EXAMPLE` leaves that stand for any one element of a batch. `batched` then rebuilds every node that depends
on them with the batch as an extra leading dimension: by the rule of its operation (``Op.batch``; elementwise operations only broadcast),
else through its expansion, else as a stack of the operation on each element, which is right but slow and warned about once.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from .declare import EXAMPLE, IDENTITIES, REBIND, get
from .node import Node, const
from .rewrite import topo

#: an operand's node, and whether it has the leading batch dimension
Operand = tuple[Node, bool]
_slow: set[str] = set()


def example(like: Node, shape: Sequence[int], level: int, index: int, rg: bool) -> Node:
    """The leaf standing for one element, of that shape, of a batch with the type and device of `like`."""
    key = (level, index, tuple(shape), like.dtype, like.device, rg)
    n = EXAMPLE.table.get(key)
    if n is None:
        made = Node(EXAMPLE, (), (level, index), tuple(shape), like.dtype, device=like.device, rg=rg)
        n = EXAMPLE.table.setdefault(key, made)
    return n


def dependent(roots: Sequence[Node]) -> set[Node]:
    """Those nodes, of all the roots reach, that are known only as one example of a batch."""
    found: set[Node] = set()
    for n in topo(roots):
        if n.op is EXAMPLE or any(s in found for s in n.srcs):
            found.add(n)
    return found


def depends(roots: Sequence[Node]) -> bool:
    """Whether a root is known only as one example of a batch."""
    return any(n.op is EXAMPLE for n in topo(roots))


def batched(roots: Sequence[Node], values: dict[Node, Node], size: int) -> list[Node | None]:
    """The roots for all `size` examples, the batch in front; None for a root that is the same for every example.

    `values`: leaves and what they stand for, with the batch in front. It is extended with every node that was rebuilt.
    """
    found: list[Node | None] = []
    for root in roots:
        for n in topo([root], values):
            if any(s in values for s in n.srcs):
                values[n] = _rebuilt(n, values, size)
            elif n.op is EXAMPLE and (first := example(n, n.shape, n.attrs[0], n.attrs[1], n.rg)) in values:
                # another identity of that leaf
                values[n] = values[first]
        found.append(values.get(root))
    return found


def spread(n: Node, size: int) -> Node:
    """A node that is the same for every example, as a batch."""
    return get("expand")(n, size, *n.shape)


def aligned(operands: Sequence[Operand], rank: int) -> list[Node]:
    """Operands that broadcast as the examples do: a batch of low rank gets ones behind the batch dimension."""
    reshape = get("reshape")
    return [
        reshape(n, (n.shape[0], *(1,) * (rank - n.ndim + 1), *n.shape[1:])) if mapped and n.ndim <= rank else n for n, mapped in operands
    ]


def _rebuilt(n: Node, values: dict[Node, Node], size: int) -> Node:
    op = n.op
    if not op.pure:  # a custom Function's: its gradient is rebuilt, too
        return op.batch(n, values, size)  # type: ignore[misc]
    if op in IDENTITIES or op.category == "identity":
        return _identity(n, values, size)
    operands = [(values[s], True) if s in values else (s, False) for s in n.srcs]
    if op.batch is not None:
        return op.batch(n, operands, size)
    if op.layout == "pointwise":
        return op(*aligned(operands, n.ndim), *n.attrs)
    if op.expand is not None:
        root = op.expand(n)
        inner = {s: values[s] for s in n.srcs if s in values}
        out = batched([root], inner, size)[0]
        return spread(root, size) if out is None else out
    return one_by_one(n, operands, size)


def _identity(n: Node, values: dict[Node, Node], size: int) -> Node:
    """Identities carry history. Arguments of functions whose derivative is complete, and leaves made on the way, are behind us."""
    at = IDENTITIES.get(n.op, 0)
    value = values.get(n.srcs[at])
    if value is None:  # a rebind whose history alone depends on the example
        value = spread(n.srcs[at], size)
    if n.op is REBIND:
        history = values.get(n.srcs[0])
        return REBIND(spread(n.srcs[0], size) if history is None else history, value)
    return n.op(value, *n.attrs) if n.op.name in ("stop", "snap", "detach", "transfer", "sparse_table") else value


def one_by_one(n: Node, operands: Sequence[Operand], size: int) -> Node:
    """A stack of the operation on each element."""
    op, select = n.op, get("select")
    if op.name not in _slow:
        _slow.add(op.name)
        warnings.warn(
            f"There is a performance drop because we have not yet implemented the batching rule for {op.name}: it is recorded once for "
            "each example.",
            UserWarning,
            stacklevel=2,
        )
    if not size:
        return get("full")(const(0, n.dtype), (0, *n.shape))
    rows: list[Any] = [op(*[select(s, 0, i) if mapped else s for s, mapped in operands], *n.attrs) for i in range(size)]
    return get("stack")(*rows, 0)
