"""The structure of a graph as a hash: equal for equal programs over different leaves, in any process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from .declare import CONST
from .node import Node


def digest(roots: Sequence[Node], order: Sequence[Node], arguments: Sequence[Node]) -> bytes:
    """A 16-byte name. `order` is a topological order of the computed nodes; `arguments` are numbered, whatever they are."""
    numbers: dict[Node, int] = {}
    h = hashlib.blake2b(digest_size=16)
    for n in arguments:
        numbers[n] = len(numbers)
        h.update(f"a{tuple(n.shape)}{n.dtype.short}{n.strides}{n.device};".encode())
    for n in order:
        if n in numbers:
            continue
        numbers[n] = len(numbers)
        attrs = (n.attrs[0].hex() if isinstance(n.attrs[0], float) else n.attrs[0], n.dtype.short) if n.op is CONST else n.attrs
        h.update(f"{n.op.name}{attrs!r}{[numbers[s] for s in n.srcs]}{tuple(n.shape)}{n.dtype.short};".encode())
    h.update(repr([numbers[r] for r in roots]).encode())
    return h.digest()
