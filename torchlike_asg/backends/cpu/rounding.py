"""Rounding to the narrow float types, of which values in registers are float32 numbers."""

from __future__ import annotations

import math

from ...compiler.parts import HALVES
from ...dtypes import bfloat16, dtype, float16
from .emit import Function
from .values import Value, lanes, vector


def rounded(f: Function, v: Value, d: dtype) -> Value:
    """A float rounded to float16 or bfloat16 (ties to even), in a float; other types as they are.

    On the bits, with the same result on every processor and no call of a conversion routine that some systems lack.
    """
    if d not in HALVES:
        return v
    n = lanes(v.type)
    integer = vector("i32", n)
    drop = 16 if d is bfloat16 else 13
    bits = f.convert("bitcast", v, integer)
    odd = f.binary("lshr", bits, drop) & 1
    bits = (bits + odd + ((1 << (drop - 1)) - 1)) & -(1 << drop)
    out = f.convert("bitcast", bits, v.type)
    if d is float16:
        size = f.intrinsic("fabs", v.type, v)
        out = f.select(f.intrinsic("fabs", v.type, out) > 65504.0, f.intrinsic("copysign", v.type, f.value(math.inf, v.type), v), out)
        # below the normal numbers the step is 2^-24, the last place of numbers near 1/2
        out = f.select(size < 2.0**-14, f.intrinsic("copysign", v.type, (size + 0.5) - 0.5, v), out)
    return f.select(f.op(vector("i1", n), f"fcmp uno {v.type} {v.ref}, {v.ref}"), v, out)
