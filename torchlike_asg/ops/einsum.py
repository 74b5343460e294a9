"""Einstein summation: any equation as permutations, sums, products and batched matrix products, two operands at a time.

The algorithm is written once over a small set of array operations; run on nodes it is the operation's expansion, run on arrays its
reference.
"""

from __future__ import annotations

import functools
import math
import string
from typing import Any

import numpy as np

from ..asg.declare import Array, Meta, Op, Sample
from ..asg.node import Node
from .kept_factors import Lies, OnMemory
from .linalg import _ref_matmul, matmul
from .movement import diagonal, permute, reshape
from .pointwise import mul
from .promotion import title
from .reduce import sum_

Labels = tuple[int, ...]
_CODES = {letter: i for i, letter in enumerate(string.ascii_uppercase + string.ascii_lowercase)}
_ELLIPSIS = -1  # labels of ellipsis dimensions count down from here, the last dimension first


# ---------------------------------------------------------------- equations
def _letters(text: str, offset: int, operand: int | None) -> list[int | str]:
    """The subscripts of one term; an ellipsis is one entry."""
    found: list[int | str] = []
    where_ = f"for operand {operand}" if operand is not None else "for the output"
    i = 0
    while i < len(text):
        c = text[i]
        if c == ".":
            if "..." in found:
                raise RuntimeError(f"einsum(): found '.' {where_} for which an ellipsis was already found")
            if text[i : i + 3] != "...":
                raise RuntimeError(f"einsum(): found '.' {where_} that is not part of any ellipsis")
            found.append("...")
            i += 3
            continue
        if c != " ":
            if c not in _CODES:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {offset + i} in the equation string, subscripts must be in [a-zA-Z]"
                )
            found.append(_CODES[c])
        i += 1
    return found


@functools.lru_cache(1024)
def parse(equation: str, ranks: tuple[int, ...]) -> tuple[tuple[Labels, ...], Labels]:
    """Labels of each operand's dimensions and of the output's; raises with PyTorch's texts."""
    arrow = equation.find("->")
    left = equation if arrow < 0 else equation[:arrow]
    terms, offset = [], 0
    for k, text in enumerate(left.split(",")):
        terms.append(_letters(text, offset, k))
        offset += len(text) + 1
    if len(terms) > len(ranks):
        raise RuntimeError("einsum(): fewer operands were provided than specified in the equation")
    if len(terms) < len(ranks):
        raise RuntimeError("einsum(): more operands were provided than specified in the equation")
    operands, widest = [], 0
    for k, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        named, hidden = [t for t in term if t != "..."], 0
        if "..." in term:
            hidden = rank - len(named)
            if hidden < 0:
                raise RuntimeError(
                    f"einsum(): the number of subscripts in the equation ({len(named)}) is more than the number of "
                    f"dimensions ({rank}) for operand {k}"
                )
        elif len(named) != rank:
            raise RuntimeError(
                f"einsum(): the number of subscripts in the equation ({len(named)}) does not match the number of "
                f"dimensions ({rank}) for operand {k} and no ellipsis was given"
            )
        operands.append(tuple(_spelled(term, hidden)))
        widest = max(widest, hidden)
    used = [label for labels in operands for label in labels]
    if arrow < 0:
        return tuple(operands), (*_hidden(widest), *sorted({label for label in used if label >= 0 and used.count(label) == 1}))
    target = _letters(equation[arrow + 2 :], arrow + 2, None)
    output = tuple(_spelled(target, widest))
    names = {code: letter for letter, code in _CODES.items()}
    for label in output:
        if output.count(label) > 1:
            raise RuntimeError(f"einsum(): output subscript {names[label]} appears more than once in the output")
        if label >= 0 and label not in used:
            raise RuntimeError(f"einsum(): output subscript {names[label]} does not appear in the equation for any input operand")
    return tuple(operands), output


def _hidden(count: int) -> list[int]:
    return [_ELLIPSIS - i for i in range(count - 1, -1, -1)]


def _spelled(term: list[int | str], hidden: int) -> list[int]:
    return [label for t in term for label in (_hidden(hidden) if t == "..." else [t])]  # type: ignore[misc]


def sizes_of(operands: tuple[Labels, ...], shapes: Any) -> dict[int, int]:
    """The size of each label; sizes of one broadcast."""
    names = {code: letter for letter, code in _CODES.items()}
    sizes: dict[int, int] = {}
    for k, (labels, shape) in enumerate(zip(operands, shapes, strict=True)):
        own: dict[int, int] = {}
        for label, n in zip(labels, shape, strict=True):
            if own.setdefault(label, n) != n:
                raise RuntimeError(
                    f"einsum(): subscript {names[label]} is repeated for operand {k} but the sizes don't match, {n} != {own[label]}"
                )
            seen = sizes.get(label, 1)
            if seen != n and 1 not in (seen, n):
                if label < 0:
                    raise RuntimeError(
                        f"The size of tensor a ({seen}) must match the size of tensor b ({n}) at non-singleton dimension {-1 - label}"
                    )
                raise RuntimeError(
                    f"einsum(): subscript {names[label]} has size {n} for operand {k} which does not broadcast with "
                    f"previously seen size {seen}"
                )
            sizes[label] = n if seen == 1 else seen
    return sizes


# ---------------------------------------------------------------- contraction
class _OnNodes:
    """The array operations, recording."""

    permute = staticmethod(lambda x, p: permute(x, *p))
    reshape, matmul, mul = reshape, matmul, mul
    diagonal = staticmethod(lambda x, a, b: diagonal(x, 0, a, b))
    sum = staticmethod(lambda x, dims: sum_(x, dims, False))


class _OnArrays:
    """The array operations, computing."""

    permute, reshape, mul = staticmethod(np.transpose), staticmethod(np.reshape), staticmethod(np.multiply)
    matmul = staticmethod(_ref_matmul)
    diagonal = staticmethod(lambda x, a, b: np.diagonal(x, 0, a, b))
    sum = staticmethod(lambda x, dims: x.sum(dims, dtype=x.dtype))


class _Term:
    """An intermediate result: an array and the label of each of its dimensions."""

    def __init__(self, h: Any, x: Any, labels: Labels) -> None:
        self.h, self.x, self.labels = h, x, labels

    def distinct(self) -> _Term:
        """Repeated labels become the diagonal."""
        x, labels = self.x, list(self.labels)
        while len(set(labels)) < len(labels):
            label = next(v for v in labels if labels.count(v) > 1)
            a = labels.index(label)
            b = labels.index(label, a + 1)
            x = self.h.diagonal(x, a, b)
            labels = [*labels[:a], *labels[a + 1 : b], *labels[b + 1 :], label]
        return _Term(self.h, x, tuple(labels))

    def without(self, gone: Any) -> _Term:
        """Summed over labels."""
        dims = tuple([i for i, label in enumerate(self.labels) if label in gone])
        return self if not dims else _Term(self.h, self.h.sum(self.x, dims), tuple([v for v in self.labels if v not in gone]))

    def dropped(self, sizes: dict[int, int]) -> _Term:
        """Without the dimensions of size one that only broadcast."""
        keep = [i for i, label in enumerate(self.labels) if self.x.shape[i] != 1 or sizes[label] == 1]
        if len(keep) == len(self.labels):
            return self
        return _Term(self.h, self.h.reshape(self.x, tuple([self.x.shape[i] for i in keep])), tuple([self.labels[i] for i in keep]))

    def ordered(self, *groups: list[int]) -> Any:
        """The array with its dimensions in the order of the groups of labels."""
        order = tuple([self.labels.index(v) for group in groups for v in group])
        return self.x if order == tuple(range(len(order))) else self.h.permute(self.x, order)

    def size(self, labels: list[int]) -> int:
        return math.prod([self.x.shape[self.labels.index(v)] for v in labels])


def _pair(a: _Term, b: _Term, needed: set[int], sizes: dict[int, int]) -> _Term:
    """Two terms as one: shared labels that nobody needs later are summed over."""
    a, b = a.dropped(sizes), b.dropped(sizes)
    a = a.without({v for v in a.labels if v not in b.labels and v not in needed})
    b = b.without({v for v in b.labels if v not in a.labels and v not in needed})
    batch = [v for v in a.labels if v in b.labels and v in needed]
    inner = [v for v in a.labels if v in b.labels and v not in needed]
    left, right = [v for v in a.labels if v not in b.labels], [v for v in b.labels if v not in a.labels]
    labels, h = (*batch, *left, *right), a.h
    shape = tuple([sizes[v] for v in labels])
    if not inner:
        x = a.ordered(batch, left)
        y = b.ordered(batch, right)
        if right and left:
            x = h.reshape(x, tuple([sizes[v] for v in (*batch, *left)]) + (1,) * len(right))
            y = h.reshape(y, tuple([sizes[v] for v in batch]) + (1,) * len(left) + tuple([sizes[v] for v in right]))
        elif right:
            x = h.reshape(x, tuple([sizes[v] for v in batch]) + (1,) * len(right))
        elif left:
            y = h.reshape(y, tuple([sizes[v] for v in batch]) + (1,) * len(left))
        return _Term(h, h.mul(x, y), labels)
    lead, k = ((a.size(batch),) if batch else ()), a.size(inner)
    x = h.reshape(a.ordered(batch, left, inner), (*lead, a.size(left), k))
    y = h.reshape(b.ordered(batch, inner, right), (*lead, k, b.size(right)))
    return _Term(h, h.reshape(h.matmul(x, y), shape), labels)


def _next_pair(terms: list[_Term], output: set[int], sizes: dict[int, int]) -> tuple[int, int]:
    """Greedily the two terms whose result is smallest compared with themselves; the first two if there are only two."""
    best, choice = math.inf, (0, 1)
    if len(terms) == 2:
        return choice
    for i in range(len(terms)):
        for j in range(i + 1, len(terms)):
            rest = output.union(*[set(t.labels) for k, t in enumerate(terms) if k not in (i, j)])
            both = set(terms[i].labels) | set(terms[j].labels)
            grown = math.prod([sizes[v] for v in both & rest]) - math.prod(terms[i].x.shape) - math.prod(terms[j].x.shape)
            if grown < best:
                best, choice = grown, (i, j)
    return choice


def contract(h: Any, operands: tuple[Any, ...], equation: str) -> Any:
    """The value of an equation over the array operations `h`."""
    inputs, output = parse(equation, tuple([len(x.shape) for x in operands]))
    sizes = sizes_of(inputs, [x.shape for x in operands])
    terms = [_Term(h, x, labels).distinct() for x, labels in zip(operands, inputs, strict=True)]
    wanted = set(output)
    while len(terms) > 1:
        i, j = _next_pair(terms, wanted, sizes)
        needed = wanted.union(*[set(t.labels) for k, t in enumerate(terms) if k not in (i, j)])
        joined = _pair(terms[i], terms[j], needed, sizes)
        terms = [joined if k == i else t for k, t in enumerate(terms) if k != j]
    last = terms[0].without({v for v in terms[0].labels if v not in wanted})
    held = [v for v in output if v in last.labels]
    x = last.ordered(held)
    shape = tuple([sizes.get(v, 1) for v in output])
    return x if tuple(x.shape) == shape else h.reshape(x, shape)


# ---------------------------------------------------------------- the operation
def _rule(*args: Any) -> Meta:
    *operands, equation = args
    inputs, output = parse(equation, tuple([len(n.shape) for n in operands]))
    sizes = sizes_of(inputs, [n.shape for n in operands])
    for n in operands[1:]:
        if n.dtype is not operands[0].dtype:
            raise RuntimeError(f"expected scalar type {title(operands[0].dtype)} but found {title(n.dtype)}")
    return tuple([sizes.get(v, 1) for v in output]), operands[0].dtype


def _saved(n: Node) -> tuple[Node, ...]:
    memory = OnMemory()
    contract(memory, tuple([Lies(tuple(s.shape), s.strides, s, s.rg) for s in n.srcs]), n.attrs[0])
    return tuple(dict.fromkeys(memory.kept))


def _reference(*args: Any) -> Array:
    return np.asarray(contract(_OnArrays, args[:-1], args[-1]))


def _samples() -> list[Sample]:
    r = np.random.default_rng(3).standard_normal
    cases = [
        ("ij,jk->ik", (3, 4), (4, 2)),
        ("bij,bjk->bik", (2, 3, 4), (2, 4, 2)),
        ("ii->i", (3, 3)),
        ("ii", (3, 3)),
        ("ij->ji", (2, 3)),
        ("i,j->ij", (3,), (2,)),
        ("ij,ij->", (2, 3), (2, 3)),
        ("...ij,jk->...ik", (2, 2, 3), (3, 4)),
        ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)),
        ("ij,kj,k->ik", (2, 3), (4, 3), (4,)),
        ("ij,ij->i", (1, 3), (4, 3)),
        ("i,i->i", (0,), (0,)),
        ("ij,jk", (2, 0), (0, 3)),
        ("", ()),
        ("a,b,c->cba", (2,), (3,), (2,)),
        ("iij,jk->ki", (2, 2, 3), (3, 4)),
    ]
    return [Sample(tuple([np.asarray(r(s)) for s in shapes]), (equation,)) for equation, *shapes in cases]


einsum = Op(
    "einsum",
    "linalg",
    _rule,
    _reference,
    expand=lambda n: contract(_OnNodes, n.srcs, n.attrs[0]),
    saves=_saved,
    params=("equation",),
    samples=_samples,
)
