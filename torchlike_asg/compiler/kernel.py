"""Kernel IR: what one generated loop nest computes, with every size, stride and element type, and nothing about how.

A `LoopKernel` is an index space and a straight-line program. The first ``outer`` dimensions are independent; the others are reduced over.
A value of the program is *full* (one number per point of the index space) or *row* (one per point of the outer dimensions). A `Reduce`
turns a full value into a row value, and row values may be used in full ones again: softmax is max, sum of exponentials, and a division,
all in one kernel whose rows stay in the cache. A renderer decides the order of the loops, the vectors and what it computes twice.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from .. import dtypes

# Instances are never changed. They are not `frozen` since setting the fields of a frozen class takes several times as long, and a plan has
# thousands of instructions; the same holds for views and products (backends/).
Shape = tuple[int, ...]
#: what a `Reduce` combines with; `mean` and `variance` (about the mean, divided by the count) are found in one pass
REDUCTIONS = frozenset(("sum", "prod", "max", "min", "any", "all", "mean", "variance"))
#: in which order a sum should add up: "vectors" of 64 bytes and then their lanes, "halves" (of 32 bytes), one after the other ("rows");
#: anything else is for the renderer to choose
ORDERS = frozenset(("", "vectors", "halves", "rows"))


@dataclass(unsafe_hash=True)
class Operand:
    """Memory that the kernel reads or writes: element type and, for every dimension, the step in elements (0 = the same element)."""

    dtype: dtypes.dtype
    strides: Shape
    offset: int = 0


@dataclass(unsafe_hash=True)
class Load:
    """An element of an operand."""

    operand: int
    dtype: dtypes.dtype


@dataclass(eq=False)
class Const:
    """A literal. Equal literals have equal bits: 0.0 is not -0.0, and a NaN is itself."""

    value: Any
    dtype: dtypes.dtype

    def __eq__(self, other: object) -> bool:
        return other.__class__ is Const and repr(self.value) == repr(other.value) and self.dtype is other.dtype

    def __hash__(self) -> int:
        return hash((repr(self.value), self.dtype))


@dataclass(unsafe_hash=True)
class Index:
    """The number ``offset + sum(strides[d] * i[d])`` of the point (int64): positions, ramps, masks of triangles."""

    strides: Shape
    offset: int = 0
    dtype: dtypes.dtype = dtypes.int64


@dataclass(unsafe_hash=True)
class Random:
    """A number in [0, 1) of the counter-based stream (rng/philox.py): number ``4 * block + offset + sum(strides[d] * i[d])`` under a key.

    ``key`` and ``block`` are operands of one int64 each (where there are no such numbers: of two 32-bit words, the lower one first). What
    is at a point depends on nothing else, so kernels make numbers where they use them, again wherever they are used again.
    """

    key: int
    block: int
    strides: Shape
    offset: int = 0
    dtype: dtypes.dtype = dtypes.float32


@dataclass(unsafe_hash=True)
class Apply:
    """An elementwise operation on earlier values: its formula over a scalar handler (see ops/scalar.py), evaluated in ``compute`` and
    rounded to ``dtype``.

    ``compute`` is the element type that the formula's numbers have: that of its operands that are not booleans, so `lt` of floats computes
    in float32 and gives bool.
    """

    op: str
    args: tuple[int, ...]
    attrs: tuple[Hashable, ...]
    dtype: dtypes.dtype
    compute: dtypes.dtype
    formula: Callable[..., Any] = field(compare=False, repr=False)


@dataclass(unsafe_hash=True)
class Convert:
    """A value as another element type, as PyTorch converts: floats truncate to integers, anything that is not zero is True."""

    arg: int
    dtype: dtypes.dtype


@dataclass(unsafe_hash=True)
class Reduce:
    """All of a row combined. ``dtype`` is that of the accumulator and of the result; the operand has been converted to it.

    ``order`` is a wish (see `ORDERS`) of those who want the last bit as PyTorch has it.
    """

    kind: str
    arg: int
    dtype: dtypes.dtype
    order: str = ""


Instr = Load | Const | Index | Random | Apply | Convert | Reduce
#: instructions that number the points of the index space
NUMBERED = (Index, Random)


@dataclass(unsafe_hash=True)
class LoopKernel:
    """``sizes`` of the loops, the first ``outer`` of them independent; ``stores`` are pairs (operand, value).

    A row value is stored through an operand whose strides over the reduced dimensions are 0.
    """

    sizes: Shape
    outer: int
    operands: tuple[Operand, ...]
    body: tuple[Instr, ...]
    stores: tuple[tuple[int, int], ...]

    def rows(self) -> list[bool]:
        """For each value, whether it is constant along the reduced dimensions."""
        row: list[bool] = []
        inner = range(self.outer, len(self.sizes))
        for i in self.body:
            if isinstance(i, Load):
                row.append(all(self.operands[i.operand].strides[d] == 0 for d in inner))
            elif isinstance(i, NUMBERED):
                row.append(all(i.strides[d] == 0 for d in inner))
            elif isinstance(i, Apply):
                row.append(all(row[a] for a in i.args))
            elif isinstance(i, Convert):
                row.append(row[i.arg])
            else:
                row.append(True)
        return row


def operands_of(i: Instr) -> tuple[int, ...]:
    """The earlier values an instruction reads."""
    if isinstance(i, Apply):
        return i.args
    return (i.arg,) if isinstance(i, (Convert, Reduce)) else ()


def read_by(i: Instr) -> tuple[int, ...]:
    """The operands an instruction reads."""
    if isinstance(i, Random):
        return i.key, i.block
    return (i.operand,) if isinstance(i, Load) else ()


def verify(k: LoopKernel) -> None:
    """Raise ValueError, saying what is wrong, unless the kernel is well formed."""
    rank = len(k.sizes)
    if not 0 <= k.outer <= rank:
        raise ValueError(f"{k.outer} outer dimensions of {rank}")
    for n, o in enumerate(k.operands):
        if len(o.strides) != rank:
            raise ValueError(f"operand {n} has {len(o.strides)} strides for {rank} dimensions")
    written = {o for o, _ in k.stores}
    for n, i in enumerate(k.body):
        for a in operands_of(i):
            if not 0 <= a < n:
                raise ValueError(f"value {n} reads value {a}, which is not before it")
        if isinstance(i, Load):
            if i.operand >= len(k.operands) or k.operands[i.operand].dtype is not i.dtype:
                raise ValueError(f"value {n} loads operand {i.operand} as {i.dtype}")
        elif isinstance(i, NUMBERED) and len(i.strides) != rank:
            raise ValueError(f"value {n}: {len(i.strides)} strides for {rank} dimensions")
        elif isinstance(i, Random):
            for m in (i.key, i.block):
                if m >= len(k.operands) or k.operands[m].dtype is not dtypes.int64 or any(k.operands[m].strides):
                    raise ValueError(f"value {n}: operand {m} is not one int64")
        elif isinstance(i, Reduce):
            if i.kind not in REDUCTIONS or i.order not in ORDERS:
                raise ValueError(f"value {n}: unknown reduction {i.kind} {i.order}")
            if k.body[i.arg].dtype is not i.dtype:
                raise ValueError(f"value {n} reduces {k.body[i.arg].dtype} as {i.dtype}")
    if not k.stores:
        raise ValueError("nothing is stored")
    rows = k.rows()
    for operand, value in k.stores:
        if not 0 <= value < len(k.body) or operand >= len(k.operands):
            raise ValueError(f"store of value {value} in operand {operand}")
        if k.body[value].dtype is not k.operands[operand].dtype:
            raise ValueError(f"value {value} of {k.body[value].dtype} stored in operand {operand} of {k.operands[operand].dtype}")
        if k.outer < rank and any(k.operands[operand].strides[k.outer :]) == rows[value] and not _flat(k, operand):
            raise ValueError(f"operand {operand} is {'full' if rows[value] else 'a row'}, the value it takes is not")
    if len(written) != len(k.stores):
        raise ValueError("two values are stored in one operand")


def _flat(k: LoopKernel, operand: int) -> bool:
    """Whether the reduced dimensions have one point, so that row and full are the same."""
    return all(n == 1 for n in k.sizes[k.outer :])
