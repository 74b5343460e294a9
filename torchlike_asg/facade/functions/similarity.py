"""Similarities and distances of vectors, unit vectors, and the bilinear form."""

from __future__ import annotations

from typing import Any

from ...ops.distance import gap_norm
from ...ops.promotion import result_type, title
from ..core import Tensor, node_of, unary
from ..register import function
from ..results import deliver
from ..steps import note, step
from .distance import vector_norm
from .pointwise import clamp_min


@function(method=False)
@step("SumBackward1")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """``x1 . x2 / (max(|x1|, eps) max(|x2|, eps))`` along `dim`; the shapes broadcast."""
    if not eps >= 0:
        raise RuntimeError(f"eps must be non-negative, got: {eps:g}")
    d = result_type((node_of(x1), node_of(x2)))
    if not d.is_floating_point:
        raise RuntimeError(f"expected common dtype to be floating point, yet common dtype is {title(d)}")
    a, b = x1.to(d), x2.to(d)
    if a.shape != b.shape:
        product = a * b
        a, b = a.expand_as(product), b.expand_as(product)
    return ((a / _limited_norm(a, dim, eps)) * (b / _limited_norm(b, dim, eps))).sum(dim)  # type: ignore[no-any-return]


def _limited_norm(x: Any, dim: int, eps: float) -> Any:
    """The norm, at least `eps`; the limit does not change the gradient."""
    norm = vector_norm(x, 2.0, dim, True, None)
    value: Any = norm.detach()  # type: ignore[attr-defined]
    return norm + (clamp_min(value, eps) - value)


@function(method=False)
@step("NormBackward1")
def pairwise_distance(x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The `p`-norm of ``x1 - x2 + eps`` over the last dimension."""
    return vector_norm(x1 - x2 + eps, float(p), -1, keepdim, None)


@function(method=False)
@step("PdistBackward0")
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """The `p`-distances between all pairs of rows of (N, D), in the order (0, 1), (0, 2), ..., (N-2, N-1): N (N - 1) / 2 numbers."""
    import numpy as np

    from ... import dtypes
    from .creation import from_array

    if len(input.shape) != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {len(input.shape)}D")
    if not input.dtype.is_floating_point:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    first, second = (from_array(i.astype(np.int64), dtypes.int64, input.device) for i in np.triu_indices(input.shape[0], 1))
    if not input.shape[1]:
        return (input.sum(1)[first] * 0).contiguous()  # type: ignore[no-any-return]
    gaps: Any = input.index_select(0, first) - input.index_select(0, second)
    return unary(gap_norm, gaps, float(p))


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None) -> Tensor:
    """``input / max(norm, eps)`` with the `p`-norm along `dim`."""
    unit: Any = input / clamp_min(vector_norm(input, p, dim, True, None), eps)
    return unit if out is None else deliver(unit, out, "div", (input,))  # type: ignore[no-any-return]


@function(method=False)
@step(None, keeps=((0, (1, 2)), (1, (0, 2)), (2, (0, 1))))
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``y[k] = input1 weight[k] input2 + bias[k]``: (*, I), (*, J), weight (K, I, J) -> (*, K)."""
    if len(input1.shape) != len(input2.shape):
        raise RuntimeError(f"bilinear(): input dimensions do not match: got {len(input1.shape)} and {len(input2.shape)}")
    for d, (m, n) in enumerate(zip(input1.shape[:-1], input2.shape[:-1], strict=True)):
        if m != n:
            raise RuntimeError(f"bilinear(): input batch dimensions do not match at dim {d}: got {m} and {n}")
    for name, x, size in (("input1", input1, weight.shape[1]), ("input2", input2, weight.shape[2])):
        if x.shape[-1] != size:
            raise RuntimeError(f"bilinear(): {name} size does not match weight size: got {x.shape[-1]} but expected {size}")
    outputs, left, right = weight.shape
    if bias is not None and bias.shape[0] != outputs:
        raise RuntimeError(f"bilinear(): bias size does not match weight size: got {bias.shape[0]} but expected {outputs}")
    half = input1 @ weight.permute(1, 0, 2).reshape(left, outputs * right)
    y = (half.reshape(*input1.shape[:-1], outputs, right) @ input2.unsqueeze(-1)).squeeze(-1)
    if bias is None:
        note(y, "ViewBackward0")
        return y
    return y + bias  # type: ignore[no-any-return]
