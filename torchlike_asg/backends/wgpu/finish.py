"""What the last function of a kernel does with each element it computed: rounding to the element type, then the store or an epilogue."""

from __future__ import annotations

from ...dtypes import bool_, dtype, float32, int32, int64
from .handler import Block, Value, register_type, wrapped
from .wgslmath import definitions, used


def exact(d: dtype) -> bool:
    """Whether sums of the type in registers (f32, i32) are what the type holds."""
    return d in (float32, int32, int64)


def finish_function(d: dtype) -> str:
    """``finish(value)``: a sum in registers as its element type holds it."""
    assert d is not bool_
    b = Block()
    out = wrapped(b, Value("value", d))
    t = register_type(d)
    return f"fn finish(value: {t}) -> {t} {{ {' '.join(b.lines)} return {out}; }}\n"


def complete(text: str) -> str:
    """A shader with the definitions of all functions of `wgslmath` that it uses."""
    return text + definitions(used(text))


__all__ = ["complete", "exact", "finish_function"]
