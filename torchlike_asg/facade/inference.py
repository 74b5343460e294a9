"""Inference mode: what is made in it is data for good.

Nothing is done when a result is made there, which would be felt in every operation. A `Block` knows what was pending when the mode
was entered; everything claimed since is an inference tensor. When the mode is left, what is still alive of it gets a node of its own
(`INFERRED`), so that an operation that would keep it for a backward pass is another node than the same operation on an ordinary tensor.
"""

from __future__ import annotations

from typing import Any

from ..asg.declare import INFERRED
from ..asg.node import Node
from ..asg.trace import Trace, current
from . import texts
from .claiming import twin
from .core import Tensor
from .storage import Family

#: the claims of a trace without any
NOTHING: dict[Node, Any] = {}
_inferred = INFERRED.table


class Block:
    """An open block.

    ``before``  the claims of the trace when it was entered
    ``said``    what `is_grad_enabled` says in it; it changes nothing
    """

    before = NOTHING
    said = False

    def made(self, tr: Trace, n: Node) -> bool:
        """Whether the result with node `n` was recorded in the block."""
        return self.before.get(n) is not tr.claims.get(n)

    def closed(self, results: list[Any]) -> None:
        """The trace ends inside the block: its results have become storages."""
        before = self.before
        for t in results:
            f = t._f
            if not before or before.get(f.value[0]) is not f.faces[0]:  # what claimed the node
                f.inferred = True
        self.before = NOTHING

    def leave(self, tr: Trace) -> None:
        """The block ends, or an ordinary one begins inside it."""
        claims, before = tr.claims, self.before
        for n, r, o in [(n, r, o) for n, r in claims.items() if (o := r()) is not None]:
            if before and before.get(n) is r:
                continue
            f = o if o.__class__ is Family else o._f
            if f is None or (f.inferred and f.h is n):
                m = _inferred.get((n,)) or INFERRED(n)
                if claims.setdefault(m, r) is not r:
                    m = twin(tr, m, r)
                del claims[n]
                if tr.known and n in tr.known:
                    tr.known[m] = tr.known[n]
                if f is None:
                    o._n = m
                else:
                    f.h = m
                    f.counter.roots.append(m)
                    f.invalidate()


def is_inference(t: Tensor) -> bool:
    """Whether a tensor was made in inference mode."""
    f, n = t._f, t._n
    if f is not None:
        return bool(f.inferred)
    tr = current()
    return n is not None and (n.op is INFERRED or (tr.inference is not None and tr.inference.made(tr, n)))


def refuse_write(t: Tensor) -> None:
    """RuntimeError if a tensor made in inference mode is about to be changed outside."""
    if current().inference is None and is_inference(t) and (t._f is None or t._f.inferred is True):
        raise RuntimeError(texts.INFERENCE_WRITE)
