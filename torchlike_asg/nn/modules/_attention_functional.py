"""The computation of multi-head attention (Vaswani et al., 2017), with PyTorch's masks and options and our position encodings."""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import torchlike_asg as torch

from .. import functional as F

__all__ = ["Projections", "attend", "canonical_mask", "multi_head_attention_forward"]


class Projections(NamedTuple):
    """The weights of an attention layer of embedding size E: `packed` (3E, E), or `query` (E, E), `key` (E, kdim), `value` (E, vdim)."""

    packed: Any
    query: Any
    key: Any
    value: Any
    bias: Any  # (3E,) or None
    out_weight: Any  # (E, E)
    out_bias: Any  # (E,) or None
    bias_k: Any = None  # (1, 1, E), appended to the keys
    bias_v: Any = None  # (1, 1, E), appended to the values


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    """Multi-head attention of (L, N, E) or (L, E) queries; see :class:`torchlike_asg.nn.MultiheadAttention` for the arguments.

    Returns the output, of the query's shape, and the weights (N, L, S), (N, num_heads, L, S) or None. `static_k` and `static_v`
    (N * num_heads, S, E / num_heads) replace the projected keys and values.
    """
    if use_separate_proj_weight:
        for name, weight in (("q", q_proj_weight), ("k", k_proj_weight), ("v", v_proj_weight)):
            if weight is None:
                raise AssertionError(f"use_separate_proj_weight is True but {name}_proj_weight is None")
    elif in_proj_weight is None:
        raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
    projections = Projections(
        None if use_separate_proj_weight else in_proj_weight,
        q_proj_weight,
        k_proj_weight,
        v_proj_weight,
        in_proj_bias,
        out_proj_weight,
        out_proj_bias,
        bias_k,
        bias_v,
    )
    return attend(
        query,
        key,
        value,
        projections,
        embed_dim_to_check,
        num_heads,
        dropout_p if training else 0.0,
        key_padding_mask=key_padding_mask,
        need_weights=need_weights,
        attn_mask=attn_mask,
        average_attn_weights=average_attn_weights,
        is_causal=is_causal,
        add_zero_attn=add_zero_attn,
        static=(static_k, static_v),
    )


def attend(
    query: Any,
    key: Any,
    value: Any,
    projections: Projections,
    embed_dim: int,
    num_heads: int,
    dropout: float,
    *,
    key_padding_mask: Any,
    need_weights: bool,
    attn_mask: Any,
    average_attn_weights: bool,
    is_causal: bool,
    add_zero_attn: bool,
    static: tuple[Any, Any] = (None, None),
    batch_first: bool = False,
    position_encoding: Any = None,
    offset: int = 0,
) -> tuple[Any, Any]:
    """`multi_head_attention_forward` for either layout, with an optional position encoding (see :mod:`torchlike_asg.nn.positional`)."""
    batched = _check_ranks(query, key, value, key_padding_mask, attn_mask, num_heads)
    batch_dim = 0 if batch_first else 1
    if not batched:
        query, key, value = _unsqueezed(query, key, value, batch_dim)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    _check_sizes(query, key, value, embed_dim, num_heads, projections.packed is None)
    q, k, v = (_split_heads(x, num_heads, batch_first) for x in _project(query, key, value, projections))
    k = _static(static[0], "k", k)
    v = _static(static[1], "v", v)
    bias = None
    if position_encoding is not None:
        q, k, bias = position_encoding.in_attention(q, k, offset)

    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    is_causal = is_causal and key_padding_mask is None and bias is None and not need_weights
    shape = (query.shape[batch_dim], num_heads, query.shape[1 - batch_dim], key.shape[1 - batch_dim])
    masks = (*_masks(None if is_causal else attn_mask, key_padding_mask, shape, q.dtype), bias)

    appended = _appended(projections, add_zero_attn, static, v)
    for extra_k, extra_v in appended:
        k, v = torch.cat((k, extra_k), 2), torch.cat((v, extra_v), 2)
    mask = None
    for part in masks:
        if part is not None:
            part = F.pad(part, (0, len(appended))) if appended else part
            mask = part if mask is None else mask + part

    if need_weights:
        heads, weights = _weighted(q, k, v, mask, dropout)
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights if batched else weights.squeeze(0)
    else:
        heads, weights = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal), None
    # Sequence first in memory in either layout, as in PyTorch: a dropout that follows draws its mask in memory order.
    merged = heads.permute(2, 0, 1, 3).flatten(2)
    output = F.linear(merged, projections.out_weight, projections.out_bias)
    output = output.transpose(0, 1) if batch_first else output
    return (output if batched else output.squeeze(batch_dim)), weights


def _unsqueezed(query: Any, key: Any, value: Any, dim: int) -> tuple[Any, Any, Any]:
    """The inputs with a batch dimension; those that were one tensor stay one, so that they share their projection."""
    query_ = query.unsqueeze(dim)
    key_ = query_ if key is query else key.unsqueeze(dim)
    return query_, key_, key_ if value is key else value.unsqueeze(dim)


def _weighted(q: Any, k: Any, v: Any, mask: Any, dropout: float) -> tuple[Any, Any]:
    """Attention written out, for callers that want its weights too."""
    scores = (q * math.sqrt(1.0 / q.shape[-1])) @ k.transpose(-2, -1)
    weights = F.softmax(scores if mask is None else scores + mask, dim=-1)
    if dropout > 0.0:
        weights = F.dropout(weights, dropout)
    return weights @ v, weights


def canonical_mask(mask: Any, name: str, dtype: Any, other_dtype: Any = None, other_name: str = "") -> Any:
    """A mask to add to the scores: a boolean one (True: not allowed) becomes 0 and -inf in `dtype`."""
    if mask is None:
        return None
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise AssertionError(f"only bool and floating types of {name} are supported")
    if other_dtype is not None and mask.dtype != other_dtype:
        warnings.warn(f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.", stacklevel=3)
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, float("-inf"))


def _check_ranks(query: Any, key: Any, value: Any, key_padding_mask: Any, attn_mask: Any, num_heads: int) -> bool:
    """Whether the inputs have a batch dimension; AssertionError where their ranks do not go together."""
    dims = query.dim()
    if dims not in (2, 3):
        raise AssertionError(f"query should be unbatched 2D or batched 3D tensor but received {dims}-D query tensor")
    kind = "batched (3-D)" if dims == 3 else "unbatched (2-D)"
    if key.dim() != dims or value.dim() != dims:
        found = f"{key.dim()}-D and {value.dim()}-D tensors respectively"
        raise AssertionError(f"For {kind} `query`, expected `key` and `value` to be {dims}-D but found {found}")
    if key_padding_mask is not None and key_padding_mask.dim() != dims - 1:
        found = f"{key_padding_mask.dim()}-D tensor instead"
        raise AssertionError(f"For {kind} `query`, expected `key_padding_mask` to be `None` or {dims - 1}-D but found {found}")
    if attn_mask is not None and attn_mask.dim() not in (2, 3):
        found = f"{attn_mask.dim()}-D tensor instead"
        raise AssertionError(f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {found}")
    if dims == 2 and attn_mask is not None and attn_mask.dim() == 3:
        wanted = (num_heads, query.shape[0], key.shape[0])
        if tuple(attn_mask.shape) != wanted:
            raise AssertionError(f"Expected `attn_mask` shape to be {wanted} but got {attn_mask.shape}")
    return bool(dims == 3)


def _check_sizes(query: Any, key: Any, value: Any, embed_dim: int, num_heads: int, separate: bool) -> None:
    if query.shape[-1] != embed_dim:
        raise AssertionError(f"was expecting embedding dimension of {embed_dim}, but got {query.shape[-1]}")
    if embed_dim % num_heads != 0:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}")
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _masks(attn_mask: Any, key_padding_mask: Any, shape: tuple[int, int, int, int], dtype: Any) -> tuple[Any, Any]:
    """Both masks, to be added to scores of `shape` (N, heads, L, S): as (L, S) or (N, heads, L, S), and as (N, 1, 1, S)."""
    n, heads, length, source = shape
    other = None if attn_mask is None else attn_mask.dtype
    key_padding_mask = canonical_mask(key_padding_mask, "key_padding_mask", dtype, other, "attn_mask")
    attn_mask = canonical_mask(attn_mask, "attn_mask", dtype)
    if key_padding_mask is not None:
        for dim, wanted in enumerate((n, source)):
            if key_padding_mask.shape[dim] != wanted:
                raise AssertionError(f"Expected key_padded_mask.shape[{dim}] to be {wanted}, but got {key_padding_mask.shape[dim]}")
        key_padding_mask = key_padding_mask.view(n, 1, 1, source)
    if attn_mask is not None:
        expected = (length, source) if attn_mask.dim() == 2 else (n * heads, length, source)
        if tuple(attn_mask.shape) != expected:
            raise RuntimeError(f"The shape of the {attn_mask.dim()}D attn_mask is {attn_mask.shape}, but should be {expected}.")
        attn_mask = attn_mask if attn_mask.dim() == 2 else attn_mask.view(n, heads, length, source)
    return attn_mask, key_padding_mask


def _project(query: Any, key: Any, value: Any, projections: Projections) -> tuple[Any, Any, Any]:
    """Queries, keys and values times their weights; one matrix product for inputs that are the same tensor."""
    packed, bias = projections.packed, projections.bias
    if packed is not None and query is key and key is value:
        q, k, v = F.linear(query, packed, bias).chunk(3, -1)
        return q, k, v
    weights = (projections.query, projections.key, projections.value) if packed is None else packed.chunk(3)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    q, k, v = (F.linear(x, w, b) for x, w, b in zip((query, key, value), weights, biases, strict=True))
    return q, k, v


def _split_heads(x: Any, num_heads: int, batch_first: bool) -> Any:
    """(N, L, E) or (L, N, E) -> (N, heads, L, E / heads)."""
    x = x.unflatten(-1, (num_heads, x.shape[-1] // num_heads))
    return x.transpose(1, 2) if batch_first else x.permute(1, 2, 0, 3)


def _static(given: Any, name: str, projected: Any) -> Any:
    """The caller's own keys or values (N * heads, S, D) in place of the projected ones (N, heads, S, D)."""
    if given is None:
        return projected
    n, heads, _, size = projected.shape
    for dim, wanted in ((0, n * heads), (2, size)):
        if given.shape[dim] != wanted:
            raise AssertionError(f"expecting static_{name}.size({dim}) of {wanted}, but got {given.shape[dim]}")
    return given.view(n, heads, given.shape[1], size)


def _appended(projections: Projections, add_zero_attn: bool, static: tuple[Any, Any], v: Any) -> list[tuple[Any, Any]]:
    """Keys and values (N, heads, 1, D) that every query may attend to beside those of the source."""
    n, heads, _, size = v.shape
    extra = []
    bias_k, bias_v = projections.bias_k, projections.bias_v
    if (bias_k is None) != (bias_v is None):
        raise AssertionError("bias_k is set but bias_v is None" if bias_v is None else "bias_v is set but bias_k is None")
    if bias_k is not None:
        if static[0] is not None:
            raise AssertionError("bias cannot be added to static key.")
        if static[1] is not None:
            raise AssertionError("bias cannot be added to static value.")
        extra.append(tuple(b.view(1, heads, 1, size).expand(n, heads, 1, size) for b in (bias_k, bias_v)))
    if add_zero_attn:
        zero = torch.zeros((n, heads, 1, size), dtype=v.dtype, device=v.device)
        extra.append((zero, zero))
    return extra  # type: ignore[return-value]


def in_projection_packed(q: Any, k: Any, v: Any, w: Any, b: Any = None) -> list[Any]:
    """Queries, keys and values (..., E) projected by the thirds of a packed weight (3E, E) and bias (3E,)."""
    biases = (None, None, None) if b is None else b.chunk(3)
    return [F.linear(x, weight, bias) for x, weight, bias in zip((q, k, v), w.chunk(3), biases, strict=True)]


def in_projection(
    q: Any, k: Any, v: Any, w_q: Any, w_k: Any, w_v: Any, b_q: Any = None, b_k: Any = None, b_v: Any = None
) -> tuple[Any, Any, Any]:
    """Queries, keys and values projected by weights of their own."""
    return F.linear(q, w_q, b_q), F.linear(k, w_k, b_k), F.linear(v, w_v, b_v)


def private_mask(mask: Any, mask_name: str, other_type: Any, other_name: str, target_type: Any, check_other: bool = True) -> Any:
    """`canonical_mask` with the arguments of PyTorch's own helper, for layers of others."""
    return canonical_mask(mask, mask_name, target_type, other_type if check_other else None, other_name)


def none_or_dtype(input: Any) -> Any:
    """The type of a mask, or None for none.

    Raises:
        RuntimeError: it is neither None nor a tensor.
    """
    if input is not None and not isinstance(input, torch.Tensor):
        raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")
    return None if input is None else input.dtype
