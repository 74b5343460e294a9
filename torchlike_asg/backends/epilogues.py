"""Which kernels can follow an operation at once, over each part of its result while that is still at hand."""

from __future__ import annotations

from collections.abc import Sequence

from ..compiler.kernel import LoopKernel
from ..compiler.views import ordered_strides
from .library import View


def is_matrix(result: View, columns: int) -> bool:
    """Whether a result lies in memory as a matrix of (all other dimensions in their order, dimension `columns`), without gaps."""
    order = (*[d for d in range(len(result.shape)) if d != columns], columns)
    strides = ordered_strides(result.shape, order)
    return all(n == 1 or a == b for n, a, b in zip(result.shape, result.strides, strides, strict=True))


def follows_result(k: LoopKernel, views: Sequence[View], at: int, result: View) -> bool:
    """Whether a kernel goes over an operation's result, its operand `at`, in the result's own dimensions (those of one element aside),
    reads nothing else of its memory (such as the transposed result, parts of which do not exist yet), and what it stores there takes the
    place of the very elements it read: else it is no epilogue."""
    own = [s for n, s in zip(result.shape, result.strides, strict=True) if n != 1]

    def equal(strides: tuple[int, ...]) -> bool:
        return [s for n, s in zip(k.sizes, strides, strict=True) if n != 1] == own

    slot, stored = views[at].slot, {o for o, _ in k.stores}
    return (
        [n for n in k.sizes if n != 1] == [n for n in result.shape if n != 1]
        and equal(k.operands[at].strides)
        and all(v.slot != slot or equal(k.operands[o].strides) for o, v in enumerate(views))
        and all(v.slot != slot or v.offset == result.offset or o in stored for o, v in enumerate(views))
    )
