"""How the index space of a loop kernel is spread over the invocations of a dispatch.

Without reductions, one invocation computes one point, or four neighbours that lie together in memory. With reductions, `lanes` invocations
share a row (a point of the outer dimensions) and `rows` rows share a workgroup. Neighbouring invocations go along the row if that is how
the operands lie in memory, else (*columns*) from row to row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from .... import dtypes
from ....compiler.kernel import Apply, Const, Convert, Index, Load, LoopKernel, Random, Reduce, operands_of
from ....compiler.normal import length, points
from ....compiler.parts import stages, used_values

#: invocations in a workgroup
GROUP = 256
#: invocations that may share a long row, where the adapter can
MOST = 1024
#: see `Form.cached` and `Form.unrolled`
CACHED, UNROLLED = 8, 4
#: elements that each lane of a row takes, if there are that many
PER_LANE = 4
#: invocations that keep a GPU busy
BUSY = 1 << 17
#: points from which four neighbours are computed by one invocation
VECTOR = 1 << 16
#: elements of a row (or a column) from which a reduction with too few invocations is done in parts
LONG_ROW, LONG_COLUMN = 16384, 257
#: parts of a column: so few that adding them up is one kernel
PARTS = 96
#: the same for kernels that go over their rows more than once
LONG_ROW_AGAIN = 65536
#: literals that stay in the code: formulas are simpler with them, and they rarely differ between equal kernels
_LITERALS = frozenset((0.0, 1.0, -1.0, 2.0, -2.0, 0.5))


@dataclass
class Pass:
    """One walk along the row: its reductions, its stores (places in the kernel's), the full values needed for them."""

    reduces: list[int] = field(default_factory=list)
    stores: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)


class Form:
    """A kernel in normal form with the decisions about its shader.

    ``vector``  4: one invocation computes four neighbours along the last dimension; else 1
    ``column``, ``lanes``, ``rows``  see above (of kernels that reduce)
    ``parts``   the first outer dimension enumerates parts of the (flattened) inner dimensions
    ``special`` sizes and strides are part of the text, so that divisions by them are cheap
    """

    def __init__(
        self,
        k: LoopKernel,
        column: bool,
        *,
        vector: int = 1,
        parts: bool = False,
        special: bool = True,
        inplace: bool = False,
        most: int = 256,
        subgroup: int = 0,
    ) -> None:
        self.k, self.column, self.vector, self.parts, self.special, self.inplace = k, column, vector, parts, special, inplace
        self.reduces = any(isinstance(i, Reduce) for i in k.body)
        self.row = k.rows() if self.reduces else [False] * len(k.body)
        self.stage = stages(k)
        self.used = used_values(k)
        self.passes = self._passes() if self.reduces else []
        #: invocations of a workgroup
        self.group = most if special and self.reduces and not column and length(k) >= MOST else GROUP
        self.lanes = self._lanes() if self.reduces else 1
        self.group = max(GROUP, self.lanes)
        self.rows = self.group // self.lanes
        #: neighbouring lanes of a row that exchange values without memory; 0: none
        self.subgroup = min(subgroup, self.lanes) if self.reduces and not column else 0
        each = -(-length(k) // self.lanes) if self.reduces else 0
        #: elements of a row that each lane keeps at hand for all passes, each computed once; 0: rows are gone through in loops
        self.cached = each if special and not column and not parts and each <= CACHED else 0
        #: whether all lanes have that many
        self.even = self.cached * self.lanes == length(k)
        #: elements that a lane computes in one turn of a loop, so that it waits for memory once
        self.unrolled = UNROLLED if special and each >= 2 * UNROLLED else 1
        self.words: dict[tuple[Any, ...], int] = {}
        #: operand -> number of its binding; where there are too many, operands in one memory share one
        self.binding = list(range(len(k.operands)))

    def full(self, operand: int) -> bool:
        """Whether the operand's elements differ along a row."""
        return any(self.k.operands[operand].strides[self.k.outer :])

    def _lanes(self) -> int:
        n, rows = length(self.k), points(self.k)
        if self.column:
            lanes, neighbours = 1, self.k.sizes[self.k.outer - 1]
            most = 8 if neighbours >= 32 else min(64, GROUP // (1 << (neighbours - 1).bit_length()))  # few columns: read whole blocks
            if 128 <= n < LONG_COLUMN:  # in parts, half as much to do for each lane would cost another dispatch
                most = max(most, 16)
            while lanes < most and rows * lanes < BUSY and n >= 4 * lanes:
                lanes *= 2
            return lanes
        few = not self.special or rows * (n // PER_LANE) < BUSY
        wanted = n if n < 64 or (few and self.special) else -(-n // PER_LANE)
        return min(self.group, 1 << max(0, wanted - 1).bit_length())

    def _passes(self) -> list[Pass]:
        k = self.k
        reduces = [n for n in self.used if isinstance(k.body[n], Reduce)]
        full = [s for s, (o, _) in enumerate(k.stores) if self.full(o)]
        last = max([self.stage[n] for n in reduces] + [self.stage[k.stores[s][1]] + 1 for s in full])
        passes = [Pass() for _ in range(last)]
        for n in reduces:
            passes[self.stage[n] - 1].reduces.append(n)
        for s in full:  # memory that is loaded again must keep its contents until the last pass
            passes[-1 if self.inplace else self.stage[k.stores[s][1]]].stores.append(s)
        for p in passes:
            pending = [k.body[n].arg for n in p.reduces] + [k.stores[s][1] for s in p.stores]  # type: ignore[union-attr]
            found: set[int] = set()
            while pending:
                n = pending.pop()
                if n not in found and not self.row[n]:
                    found.add(n)
                    pending += operands_of(k.body[n])
            p.values = sorted(found)
        return passes

    # ---------------------------------------------------------------- numbers in the code, or words
    def number(self, name: tuple[Any, ...], value: int) -> str | int:
        """A size or stride as a literal, or the number of the word that holds it."""
        if value in (0, 1) or self.special:
            return f"{value & 0xFFFFFFFF}u"
        return self.word(name)

    def word(self, name: tuple[Any, ...]) -> int:
        return self.words.setdefault(name, len(self.words))

    def word_constant(self, n: int) -> bool:
        """Whether a literal is passed as a word, so that kernels that differ in it share code."""
        i = self.k.body[n]
        assert isinstance(i, Const)
        if i.dtype.category != dtypes.FLOAT or not math.isfinite(i.value) or i.value in _LITERALS or abs(i.value) > 3e38:
            return False
        return not any(isinstance(j, Apply) and j.op == "pow" and n in j.args for j in self.k.body)

    def key(self) -> tuple[Any, ...]:
        """What determines the text."""
        k = self.k
        body: list[Any] = []
        for n, i in enumerate(k.body):
            if isinstance(i, Const):
                body.append(("const", i.dtype.short, "word" if self.word_constant(n) else repr(i.value)))
            elif isinstance(i, Apply):
                body.append((i.op, i.args, repr(i.attrs), i.dtype.short, i.compute.short))
            elif isinstance(i, Index):
                body.append(("index", self._pattern(i.strides)))
            elif isinstance(i, Random):
                body.append(("random", i.key, i.block, self._pattern(i.strides)))
            elif isinstance(i, Load):
                body.append(("load", i.operand))
            elif isinstance(i, Convert):
                body.append(("convert", i.arg, i.dtype.short))
            else:
                body.append((i.kind, i.arg, i.dtype.short))
        operands = tuple([(o.dtype.short, self._pattern(o.strides)) for o in k.operands])
        sizes: Any = len(k.sizes), bool(k.sizes) and k.sizes[-1] == self.vector
        if self.special:  # nothing is divided by the first size of each kind
            sizes = tuple([0 if d in (0, k.outer) else n for d, n in enumerate(k.sizes)])
        return (
            self.special,
            sizes,
            k.outer,
            operands,
            tuple(body),
            k.stores,
            self.column,
            self.vector,
            self.parts,
            self.inplace,
            self.lanes,
            self.subgroup,
            self.cached,
            self.even,
            self.unrolled,
            tuple(self.binding),
        )

    def _pattern(self, strides: tuple[int, ...]) -> tuple[int, ...]:
        """What of strides is in the text: all, or which of them are 0 or 1, in elements or in fours."""
        return strides if self.special else tuple([s if s in (0, 1) else 4 if s == self.vector else 2 for s in strides])
