"""Element types as machine code sees them."""

from __future__ import annotations

from ...dtypes import dtype

#: by NumPy's kind and size: what registers hold
MACHINE = {
    **{"f4": "float", "f8": "double", "b1": "i8"},
    **{f"{kind}{size}": f"i{8 * size}" for kind in "iu" for size in (1, 2, 4, 8)},
}


def code(d: dtype) -> str:
    """Kind and size of an element in memory: f4, i8, b1, c16 ..."""
    return d.compute.str[1:]
