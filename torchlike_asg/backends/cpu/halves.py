"""float16 and bfloat16 for generators that know only float32: values lie in memory as float32 anyhow, so what such a generator computes of
them needs but to be rounded. That is what the references do, too: an operation is computed in single precision and rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ...compiler.kernel import Convert, Load, LoopKernel, Operand
from ...compiler.parts import HALVES
from ...dtypes import float32
from . import loops
from .calls import LibraryNode, Lowering, View


def lower_in_single(lowering: Lowering, lower: Callable[[Any, Any], bool], node: LibraryNode) -> bool:
    """Lower an operation with operands or results of these types by the generator for float32, and round; whether that was possible."""
    halves = [v for v in (node.result, *[v for _, v in node.siblings]) if v.dtype in HALVES]
    if node.epilogue is not None or not (halves or any(v.dtype in HALVES for v in node.operands)):
        return False
    single = replace(
        node,
        operands=tuple(map(_single, node.operands)),
        result=_single(node.result),
        siblings=tuple((selected, _single(v)) for selected, v in node.siblings),
    )
    if not lower(lowering, single):
        return False
    for v in halves:
        _round(lowering, v)
    return True


def _single(v: View) -> View:
    return replace(v, dtype=float32) if v.dtype in HALVES else v


def _round(lowering: Lowering, v: View) -> None:
    """Float32 numbers where a value is to lie, rounded to its type."""
    operands = Operand(float32, v.strides), Operand(v.dtype, v.strides)
    k = LoopKernel(v.shape, len(v.shape), operands, (Load(0, float32), Convert(0, v.dtype)), ((1, 1),))
    loops.lower(lowering, k, (_single(v), v), "round")
