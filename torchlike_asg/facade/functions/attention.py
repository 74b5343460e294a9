"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

from ... import dtypes
from ...asg.geometry import broadcast
from ...asg.trace import current
from ...errors import Unsupported
from ...ops import attention as ops
from ...ops.attention_dropout import sdpa_dropout
from ..core import Tensor, begin, nary, wrap
from ..register import checked
from ..remembered import recall, remember
from ..steps import unsaved
from .streams import counted as drawn_on_use
from .streams import counter_state


@checked
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(scale * query @ key^T + mask) @ value``: (..., L, E), (..., S, E), (..., S, V) -> (..., L, V). Vaswani et al. (2017).

    `attn_mask`, broadcastable to (..., L, S), is boolean (False hides) or added to the scores; `is_causal` hides positions after i from
    position i.
    `scale` defaults to 1/sqrt(E). `dropout_p` always applies: pass 0 when not training. With `enable_gqa`, each key and value head
    (dimension -3) serves
    several query heads. A query that sees nothing gets zeros.

    With `dropout_p` and `config.fused_random` no array of queries by keys exists, as without dropout; otherwise the factors of PyTorch's
    random stream are one, and the operation is made of elementary ones.
    """
    tr = current()
    seen = None
    if attn_mask is None and dropout_p == 0.0 and not enable_gqa:  # seen before: no checks
        seen = ("sdpa", query._n, key._n, value._n, is_causal, scale, tr.grad)
        found = recall(seen)
        if found is not None:
            return wrap(found[0])
    _check(query, key, value, attn_mask, is_causal)
    scale = (1.0 / math.sqrt(query.shape[-1]) if query.shape[-1] else 1.0) if scale is None else float(scale)
    heads = 0
    if enable_gqa:
        query, key, value, attn_mask, heads = _grouped(query, key, value, attn_mask)
    operands: Any = (query, key, value) if attn_mask is None else (query, key, value, attn_mask)
    slots = tr.slots
    out = (
        nary(ops.sdpa, operands, is_causal, scale)
        if dropout_p == 0.0
        else _with_dropout(query, key, value, attn_mask, dropout_p, is_causal, scale)
    )
    if seen is not None and None not in seen[1:4]:
        remember(seen, (out._n,), tr, slots)  # type: ignore[arg-type]
    return out.flatten(-4, -3) if heads else out  # type: ignore[attr-defined, no-any-return]


def _check(query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None, is_causal: bool) -> None:
    if is_causal and attn_mask is not None:
        raise RuntimeError("_scaled_dot_product_attention: Explicit attn_mask should not be set when is_causal=True")
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError(
            f"Expected query, key, and value to have the same dtype, but got query.dtype: {_c(query)} key.dtype: {_c(key)} and "
            f"value.dtype: {_c(value)} instead."
        )
    if not query.dtype.is_floating_point:
        raise Unsupported("scaled_dot_product_attention needs floating-point tensors")
    ranks = [len(t.shape) for t in (query, key, value)]
    if min(ranks) < 2:
        raise RuntimeError(
            f"Expected query, key, and value to all be  at least 2 dimensional, but got query.dim: {ranks[0]} key.dim: {ranks[1]} and "
            f"value.dim: {ranks[2]} instead."
        )
    if (
        attn_mask is not None
        and attn_mask.dtype is not dtypes.bool_
        and attn_mask.dtype is not query.dtype
        and attn_mask.dtype is not dtypes.float32
    ):
        raise RuntimeError(
            f"Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: {_c(attn_mask)} and  "
            f"query.dtype: {_c(query)} instead."
        )


def _c(t: Tensor) -> str:
    from ...ops.linalg import C_NAMES

    return {"int64": "long int", "int16": "short int"}.get(t.dtype.name, C_NAMES[t.dtype.name])


def _grouped(query: Any, key: Any, value: Any, mask: Any) -> Any:
    """Query heads as (key heads, heads per key head), so that keys and values broadcast instead of being repeated."""
    if len(query.shape) < 3 or len(key.shape) < 3:
        raise RuntimeError("enable_gqa needs query, key and value with a dimension of heads (-3)")
    h, hk, hv = query.shape[-3], key.shape[-3], value.shape[-3]
    if hk != hv or h % hk:
        raise RuntimeError(
            f"Number of heads in key and value must divide the number of heads in query, but got {h} query heads, {hk} key heads and {hv} "
            "value heads (enable_gqa)"
        )
    query = query.unflatten(-3, (hk, h // hk))
    key, value = key.unsqueeze(-3), value.unsqueeze(-3)
    if mask is not None and len(mask.shape) > 2:
        mask = mask.unsqueeze(-3) if mask.shape[-3] == 1 else mask.unflatten(-3, (hk, h // hk))
    return query, key, value, mask, h


def _with_dropout(query: Any, key: Any, value: Any, mask: Any, p: float, causal: bool, scale: float) -> Tensor:
    """With dropout on the probabilities: one operation if the factors are of the counter-based stream, else from elementary ones, as
    PyTorch's stream makes the factors an array.
    """
    from ...ops import softmax
    from ..core import unary
    from .creation import ones
    from .dropout import dropout

    if drawn_on_use(query.device, query.dtype, None) and 0.0 < p < 1.0 and query.numel() and key.numel() and not current().mapped:
        operands = (query, key, value) if mask is None else (query, key, value, mask)
        begin(operands)
        count = math.prod(broadcast(*[tuple(t.shape[:-2]) for t in operands])) * query.shape[-2] * key.shape[-2]
        state = counter_state(count, device=query.device)
        return nary(sdpa_dropout, (*operands[:3], *state, *operands[3:]), causal, scale, p)
    scores = unsaved(query) @ unsaved(key).transpose(-2, -1) * scale  # type: ignore[attr-defined, operator]  # PyTorch scales the factors
    if causal:
        mask = ones(query.shape[-2], key.shape[-2], dtype=dtypes.bool_, device=query.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf) if mask.dtype is dtypes.bool_ else scores + mask
    return dropout(unary(softmax.softmax, scores, len(scores.shape) - 1), p) @ value  # type: ignore[operator, no-any-return]
