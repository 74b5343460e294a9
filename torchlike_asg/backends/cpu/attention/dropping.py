"""Dropout of the probabilities: the factors of a block of keys and a panel of queries, made where they are used."""

from __future__ import annotations

from dataclasses import dataclass

from ....ops.attention_dropout import kept_factor
from ..calls import LibraryNode, View
from ..philox import numbers
from ..values import Value
from .common import BLOCK, Writer
from .parts import Form, zero

#: operations with dropout, by those without
DROPPING = {"scaled_dot_product_attention": "sdpa_dropout", "sdpa_grad": "sdpa_dropout_grad"}


@dataclass(frozen=True)
class Dropout:
    """Where key and first block of the stream lie, and the probability; ``kept`` is the factor of what is not dropped."""

    key: View
    block: View
    p: float
    kept: float

    @property
    def views(self) -> tuple[View, View]:
        return self.key, self.block

    def words(self) -> dict[str, float]:
        return {"dropped": self.p, "kept": self.kept}

    def pieces(self, shape: Form) -> dict[str, tuple[int, int]]:
        """What the factors need of scratch memory: drawn along the rows of queries, then turned as scores are held."""
        size = shape.itemsize
        return {"ones": (shape.lanes, size), "drawn": (BLOCK * shape.width, size), "factors": (BLOCK * shape.width, size)}


def parted(node: LibraryNode, names: str) -> tuple[dict[str, View], Dropout | None]:
    """A node's operands by name (the mask's is the last one, m), without those of its stream."""
    if node.op not in DROPPING.values():
        return dict(zip(names, node.operands, strict=False)), None
    at = len(names) - 1
    operands = (*node.operands[:at], *node.operands[at + 2 :])
    p = float(node.attrs[2])
    stream = Dropout(*node.operands[at : at + 2], p, kept_factor(p, node.result.dtype))
    return dict(zip(names, operands, strict=False)), stream


def draw(x: Writer, i0: Value, nq: Value, j0: Value, nk: Value) -> None:
    """Bring the factors of `nk` keys from `j0` on and `nq` queries from `i0` on into place: number (attention, query, key)."""
    f, w, shape = x.f, x.w, x.form
    drawn, factors, v = x.piece("drawn"), x.piece("factors"), shape.vector
    key, block = x.stream
    limit, kept = [f.splat(x.scalar(w[n], e), v.replace(shape.element, e)) for n, e in (("dropped", "float"), ("kept", shape.element))]
    with f.when(nq < shape.width):
        zero(f, factors, f.value(BLOCK * shape.width, "i64"), shape)
    with f.loop(0, nq) as i:
        first = (x.number * w["queries"] + i0 + i) * w["keys"] + j0
        with f.loop(0, nk, shape.lanes) as j:
            some = f.compare("lt", numbers(f, key, block, first + j, shape.lanes), limit)
            f.store(f.select(some, f.value(0.0, v), kept), x.at(drawn, i * BLOCK + j))
    x.call("turn", drawn, BLOCK, 1, nq, nk, factors, shape.width, 1, x.piece("ones"), 0)


def apply(x: Writer, at: Value, nk: Value) -> None:
    """Multiply rows of panel width, one of each key, by the factors in place."""
    f, v, factors = x.f, x.form.vector, x.piece("factors")
    with f.loop(0, nk * x.form.width, x.form.lanes) as n:
        f.store(f.load(v, x.at(at, n)) * f.load(v, x.at(factors, n)), x.at(at, n))
