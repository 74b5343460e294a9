"""Matrix products: micro-kernels, packing, blocks, and the lowering of `matmul` and `linear`.

For generators of other operations, which need products inside their kernels:

- `kit(tiles(isa, "float"))` is a word of a call; ``kernel.word(k, "ptr")`` reads it;
- `call_block(f, kit, a, a_row, a_k, b, b_k, b_column, init, init_row, c, c_row, m, n, k, packing, scratch, finish, row, column)` emits
  ``c = init + a @ b`` of any size on the calling thread; ``init`` null for zeros, equal to ``c`` to accumulate; ``finish`` null;
  ``scratch`` of `Tiles.scratch` bytes;
- `call_panel(f, kit, a, a_row, a_k, b, b_k, k, init, init_row, c, c_row, m, n)` emits the same for at most `Tiles.columns` columns of a B
  whose rows are adjacent and readable in whole vectors, without packing and without cutting k;
- `call_pack(f, kit, to, width, of, of_k, of_column, rows, columns)` emits a copy ``to[k * width + j] = of[k * of_k + j * of_column]``.

- `finish_block(node)` is a word of a call: what is to be done to each piece of a node's result, rounding and the epilogue (null: nothing);
  `emit_finish(f, finish, c, c_row, row, m, column, n)` emits that for a piece, and `given(finish)` whether there is anything.

All arguments are `Value`s, i64 or ptr; strides count elements.
"""

from .block import PACK_A, PACK_B, call_block, call_pack, call_panel, kit
from .finish import emit_finish, finish_block, given
from .lowering import lower
from .tiles import Tiles, tiles

__all__ = [
    "PACK_A",
    "PACK_B",
    "Tiles",
    "call_block",
    "call_pack",
    "call_panel",
    "emit_finish",
    "finish_block",
    "given",
    "kit",
    "lower",
    "tiles",
]
