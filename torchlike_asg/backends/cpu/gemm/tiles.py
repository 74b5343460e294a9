"""The tile of a matrix product: how many rows and vectors the micro-kernel keeps in registers, and the sizes of the blocks around it."""

from __future__ import annotations

from dataclasses import dataclass

from ..emit import SIZES, vector
from ..isa import Isa

#: bytes of one block of packed B, of the block of A that is used with it (both lie in the second-level cache), and elements of one k block
B_BLOCK, A_BLOCK, K_BLOCK = 256 << 10, 128 << 10, 256
#: elements between the rows of packed A beyond their length, so that the rows' addresses are not equal modulo a page
A_PAD = 16


@dataclass(frozen=True)
class Tiles:
    """Everything about the blocked product that follows from the element type and the instruction set.

    ``element``  LLVM type, float or double
    ``lanes``    elements of one vector
    ``rows``     of the largest tile;  ``vectors`` of columns
    """

    isa: str
    element: str
    lanes: int
    rows: int
    vectors: int

    @property
    def key(self) -> tuple[object, ...]:
        return self.element, self.isa, self.lanes, self.rows, self.vectors

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
    def block_columns(self) -> int:
        """Columns of a packed block of B."""
        return max(self.columns, B_BLOCK // (K_BLOCK * self.itemsize) // self.columns * self.columns)

    @property
    def block_rows(self) -> int:
        """Rows of a block of A, a multiple of the tile's."""
        return max(1, A_BLOCK // (K_BLOCK * self.itemsize) // self.rows) * self.rows

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory that a blocked product of any size needs."""
        b = K_BLOCK * (self.block_columns + self.columns)
        a = max(self.block_rows * (K_BLOCK + A_PAD), K_BLOCK * (self.block_rows + A_PAD))
        return (a + b) * self.itemsize


def tiles(isa: Isa, element: str) -> Tiles:
    """The tiles of an element type, float or double."""
    rows, vectors = isa.tile
    return Tiles(isa.name, element, isa.lanes(SIZES[element]), rows, vectors)
