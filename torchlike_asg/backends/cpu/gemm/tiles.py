"""The tile of a matrix product: how many rows and vectors the micro-kernel keeps in registers, and the sizes of the blocks around it."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ..isa import Isa
from ..values import SIZES, vector

#: elements of k that `dot` goes along before it takes other rows: those of one operand stay in the first-level cache
DOT_K = 1024
#: elements between the rows of packed A beyond their length, so that the rows' addresses are not equal modulo a page
A_PAD = 16


@dataclass(frozen=True)
class Tiles:
    """Everything about the blocked product that follows from the element type and the instruction set.

    ``element``  LLVM type, float or double
    ``lanes``    elements of one vector
    ``rows``     of the largest tile;  ``vectors`` of columns
    ``k_block``  elements of one block of k
    ``b_bytes``  of one block of B, ``a_bytes`` of the block of A that is used with it: both lie in the second-level cache
    """

    isa: str
    element: str
    lanes: int
    rows: int
    vectors: int
    k_block: int = 192
    b_bytes: int = 384 << 10
    a_bytes: int = 128 << 10

    @property
    def key(self) -> tuple[object, ...]:
        return self.element, self.isa, self.lanes, self.rows, self.vectors, self.k_block, self.b_bytes, self.a_bytes

    @property
    def itemsize(self) -> int:
        return SIZES[self.element]

    @property
    def vector(self) -> str:
        return vector(self.element, self.lanes)

    @property
    def columns(self) -> int:
        """Of a full tile."""
        return self.lanes * self.vectors

    @property
    def heights(self) -> tuple[int, ...]:
        """Rows of the tiles that there are code for: the largest, then powers of two, so that any number of rows is covered exactly."""
        return (self.rows, *(1 << p for p in reversed(range((self.rows - 1).bit_length())) if 1 << p < self.rows))

    @property
    def edge_heights(self) -> tuple[int, ...]:
        """Of tiles of one vector, at the right edge: fewer, since there is less to gain."""
        return tuple(h for h in (8, 4, 1) if h < self.rows)

    @property
    def block_columns(self) -> int:
        """Columns of a packed block of B."""
        return max(self.columns, self.b_bytes // (self.k_block * self.itemsize) // self.columns * self.columns)

    @property
    def block_rows(self) -> int:
        """Rows of a block of A, a multiple of the tile's."""
        return max(1, self.a_bytes // (self.k_block * self.itemsize) // self.rows) * self.rows

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory that a blocked product of any size needs."""
        b = self.k_block * (self.block_columns + self.columns)
        a = max(self.block_rows * (self.k_block + A_PAD), self.k_block * (self.block_rows + A_PAD))
        return (a + b) * self.itemsize


@functools.cache
def tiles(isa: Isa, element: str) -> Tiles:
    """The tiles of an element type, float or double."""
    rows, vectors = isa.tile
    return Tiles(isa.name, element, isa.lanes(SIZES[element]), rows, vectors)
