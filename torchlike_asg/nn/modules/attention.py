"""Multi-head attention and the feed-forward block that goes with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import functional as F
from .. import init
from ..parameter import empty_parameter
from ._attention_functional import Projections, attend
from .dropout import Dropout
from .linear import Linear, NonDynamicallyQuantizableLinear
from .module import Module

__all__ = ["FeedForward", "MultiheadAttention"]


class MultiheadAttention(Module):
    """softmax(Q K^T / sqrt(d)) V per head, of projected queries, keys and values, projected once more (Vaswani et al., 2017).

    ``forward(query, key, value)`` takes (L, N, E), (S, N, kdim) and (S, N, vdim), with `batch_first` (N, L, E) and so on, or all of
    them without N. It returns the output, of the query's shape, and unless ``need_weights=False`` the attention weights: (N, L, S)
    averaged over the heads, or (N, heads, L, S). `key_padding_mask` (N, S) and `attn_mask` (L, S) or (N * heads, L, S) are boolean
    (True: not allowed) or added to the scores. `is_causal` is a hint that `attn_mask` is causal.

    Beyond PyTorch: `position_encoding`, a :class:`~torchlike_asg.nn.positional.RotaryEmbedding` or ALiBi, acts on the scores;
    ``forward(offset=n)`` then says that n keys precede the first query, as when decoding with cached keys.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        position_encoding: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} and num_heads={num_heads} instead")
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        if self._qkv_same_embed_dim:
            self.in_proj_weight = empty_parameter(3 * embed_dim, embed_dim, **factory)
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            self.q_proj_weight = empty_parameter(embed_dim, embed_dim, **factory)
            self.k_proj_weight = empty_parameter(embed_dim, self.kdim, **factory)
            self.v_proj_weight = empty_parameter(embed_dim, self.vdim, **factory)
            self.register_parameter("in_proj_weight", None)
        self.register_parameter("in_proj_bias", empty_parameter(3 * embed_dim, **factory) if bias else None)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias=bias, **factory)
        self.bias_k = empty_parameter(1, 1, embed_dim, **factory) if add_bias_kv else None
        self.bias_v = empty_parameter(1, 1, embed_dim, **factory) if add_bias_kv else None
        self.add_zero_attn = add_zero_attn
        self.position_encoding = position_encoding
        self._reset_parameters()

    def _reset_parameters(self) -> None:
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        for bias in (self.bias_k, self.bias_v):
            if bias is not None:
                init.xavier_normal_(bias)

    def forward(
        self,
        query: Any,
        key: Any,
        value: Any,
        key_padding_mask: Any = None,
        need_weights: bool = True,
        attn_mask: Any = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
        *,
        offset: int = 0,
    ) -> tuple[Any, Any]:
        projections = Projections(
            self.in_proj_weight,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            self.in_proj_bias,
            self.out_proj.weight,
            self.out_proj.bias,
            self.bias_k,
            self.bias_v,
        )
        return attend(
            query,
            key,
            value,
            projections,
            self.embed_dim,
            self.num_heads,
            self.dropout if self.training else 0.0,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            add_zero_attn=self.add_zero_attn,
            batch_first=self.batch_first,
            position_encoding=self.position_encoding,
            offset=offset,
        )


def activation_function(activation: str | Callable[[Any], Any]) -> Callable[[Any], Any]:
    """'relu' or 'gelu' -> the function; a function or module passes through."""
    if not isinstance(activation, str):
        return activation
    if activation not in ("relu", "gelu"):
        raise RuntimeError(f"activation should be relu/gelu, not {activation}")
    function: Callable[[Any], Any] = getattr(F, activation)
    return function


class FeedForward(Module):
    """``linear2(dropout(activation(linear1(x))))``: (*, embed_dim) -> (*, embed_dim), through `hidden_dim` features (4 embed_dim)."""

    def __init__(
        self,
        embed_dim: int,
        hidden_dim: int | None = None,
        activation: str | Callable[[Any], Any] = "relu",
        dropout: float = 0.0,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        hidden_dim = 4 * embed_dim if hidden_dim is None else hidden_dim
        self.linear1 = Linear(embed_dim, hidden_dim, bias, device, dtype)
        self.activation = activation_function(activation)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(hidden_dim, embed_dim, bias, device, dtype)

    def forward(self, input: Any) -> Any:
        return self.linear2(self.dropout(self.activation(self.linear1(input))))
