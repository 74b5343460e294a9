"""Floating-point operations of single operations, from shapes: a multiplication and an addition are two."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from ..._ops import aten

__all__ = ["addmm_flop", "baddbmm_flop", "bmm_flop", "conv_backward_flop", "conv_flop", "conv_flop_count", "flop_registry", "mm_flop",
           "register_flop_formula", "sdpa_backward_flop_count", "sdpa_flop", "sdpa_flop_count"]  # fmt: skip

Shape = Sequence[int]

#: operator -> ``formula(*shapes, out_shape=...)``
flop_registry: dict[Any, Callable[..., Any]] = {}


def register_flop_formula(targets: Any, get_raw: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: how many operations these operators are, from the shapes of their operands and ``out_shape``.

    Of PyTorch's operators those are counted that are listed at `FlopCounterMode`.
    """

    def register(formula: Callable[..., Any]) -> Callable[..., Any]:
        for target in targets if isinstance(targets, list) else [targets]:
            flop_registry[target] = formula
        return formula

    return register


@register_flop_formula(aten.mm)
def mm_flop(a_shape: Shape, b_shape: Shape, *args: Any, out_shape: Shape | None = None, **kwargs: Any) -> int:
    """(m, k) @ (k, n)."""
    return 2 * a_shape[0] * a_shape[1] * b_shape[1]


@register_flop_formula(aten.addmm)
def addmm_flop(self_shape: Shape, a_shape: Shape, b_shape: Shape, out_shape: Shape | None = None, **kwargs: Any) -> int:
    """`mm_flop`: the addition is counted with the product's."""
    return mm_flop(a_shape, b_shape)


@register_flop_formula(aten.bmm)
def bmm_flop(a_shape: Shape, b_shape: Shape, out_shape: Shape | None = None, **kwargs: Any) -> int:
    """(b, m, k) @ (b, k, n)."""
    return 2 * prod(a_shape) * b_shape[-1]


@register_flop_formula(aten.baddbmm)
def baddbmm_flop(self_shape: Shape, a_shape: Shape, b_shape: Shape, out_shape: Shape | None = None, **kwargs: Any) -> int:
    """`bmm_flop`."""
    return bmm_flop(a_shape, b_shape)


def conv_flop_count(x_shape: Shape, w_shape: Shape, out_shape: Shape, transposed: bool = False) -> int:
    """One product for each weight and each place of the output, or of the input where the convolution is transposed."""
    places = (x_shape if transposed else out_shape)[2:]
    return 2 * x_shape[0] * prod(places) * prod(w_shape)


@register_flop_formula(aten.convolution)
def conv_flop(
    x_shape: Shape, w_shape: Shape, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool, *args: Any,
    out_shape: Shape, **kwargs: Any,
) -> int:  # fmt: skip
    """`conv_flop_count`."""
    return conv_flop_count(x_shape, w_shape, out_shape, transposed)


@register_flop_formula(aten.convolution_backward)
def conv_backward_flop(
    grad_out_shape: Shape, x_shape: Shape, w_shape: Shape, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int, output_mask: Sequence[bool], out_shape: Any = None,
) -> int:  # fmt: skip
    """Those of the gradients that `output_mask` asks for: of the input and of the weight."""
    count = 0
    if output_mask[0]:
        count += conv_flop_count(grad_out_shape, w_shape, x_shape, not transposed)
    if output_mask[1]:
        fewer = x_shape if transposed else grad_out_shape
        channels = (x_shape[1], grad_out_shape[1])
        count += 2 * x_shape[0] * channels[0] * channels[1] * prod(w_shape[2:]) * prod(fewer[2:])
    return count


def sdpa_flop_count(query_shape: Shape, key_shape: Shape, value_shape: Shape) -> int:
    """The two products of attention over (batch, heads, length, width)."""
    rows = prod(query_shape[:-1])
    return 2 * rows * key_shape[-2] * (query_shape[-1] + value_shape[-1])


def sdpa_flop(query_shape: Shape, key_shape: Shape, value_shape: Shape, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """`sdpa_flop_count`."""
    return sdpa_flop_count(query_shape, key_shape, value_shape)


def sdpa_backward_flop_count(grad_out_shape: Shape, query_shape: Shape, key_shape: Shape, value_shape: Shape) -> int:
    """The scores again, and the gradients of the two products."""
    rows, length, width, out = prod(query_shape[:-1]), key_shape[-2], query_shape[-1], value_shape[-1]
    return 2 * rows * length * (3 * width + 2 * out)
