"""Which loop kernels can be written as shaders."""

from __future__ import annotations

from typing import Any

from .... import dtypes
from ....compiler.kernel import Apply, LoopKernel
from ....dtypes import dtype
from ..handler import WORDS, Handler


class _Tally:
    """A handler that finds out whether a formula is made of known words."""

    def __init__(self, d: dtype) -> None:
        self.type = d

    @property
    def is_float(self) -> bool:
        return self.type.category == dtypes.FLOAT

    def const(self, value: Any) -> Any:
        return self

    def __getattr__(self, name: str) -> Any:
        if name not in WORDS and not hasattr(Handler, name):
            raise AttributeError(name)
        return lambda *args: self


_known: dict[Any, bool] = {}


def supported(op: str, formula: Any, operands: int, attrs: tuple[Any, ...], compute: dtype) -> bool:
    """Whether a formula can be written in WGSL: real numbers of up to 32 bits, words of the vocabulary."""
    if compute.is_complex or compute is dtypes.float64:
        return False
    key = (op, operands, attrs, compute)
    if key not in _known:
        tally = _Tally(compute)
        try:
            formula(tally, *[tally] * operands, *attrs)
            _known[key] = True
        except (AttributeError, TypeError, KeyError):
            _known[key] = False
    return _known[key]


def renderable(k: LoopKernel) -> bool:
    """Whether the kernel has only values that shaders can compute."""
    return all(
        not i.dtype.is_complex
        and i.dtype is not dtypes.float64
        and (not isinstance(i, Apply) or supported(i.op, i.formula, len(i.args), i.attrs, i.compute))
        for i in k.body
    )
