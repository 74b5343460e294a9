"""Position encodings: sinusoidal, learned, rotary and ALiBi.

All know an `offset`, the position of the first element, for decoding a sequence piece by piece, and raise ValueError for positions
beyond their `max_len`. Rotary and ALiBi also work inside :class:`torchlike_asg.nn.MultiheadAttention` (``position_encoding=``).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import torchlike_asg as torch

from . import init
from .modules.dropout import Dropout
from .modules.module import Module
from .parameter import empty_parameter

__all__ = ["ALiBi", "LearnedPositionalEncoding", "RotaryEmbedding", "SinusoidalPositionalEncoding", "causal_mask", "padding_mask"]


def _check_positions(encoding: Module, offset: int, length: int, max_len: int | None) -> None:
    if offset < 0:
        raise ValueError(f"{type(encoding).__name__}: offset must not be negative, got {offset}")
    if max_len is not None and offset + length > max_len:
        raise ValueError(
            f"{type(encoding).__name__}: positions {offset} to {offset + length - 1} (offset {offset}, {length} elements) "
            f"go beyond max_len={max_len}"
        )


class _AddedEncoding(Module):
    """An encoding (max_len, d_model) that is added to the embeddings, followed by dropout."""

    def __init__(self, d_model: int, max_len: int, dropout: float, batch_first: bool) -> None:
        super().__init__()
        self.d_model = d_model
        self.max_len = max_len
        self.batch_first = batch_first
        self.dropout = Dropout(dropout)

    def _table(self) -> Any:
        raise NotImplementedError

    def encoding(self, length: int, offset: int = 0) -> Any:
        """The encoding (length, d_model) of positions `offset` to ``offset + length - 1``."""
        _check_positions(self, offset, length, self.max_len)
        return self._table()[offset : offset + length]

    def forward(self, input: Any, offset: int = 0) -> Any:
        """Embeddings (N, L, d_model), (L, N, d_model) without `batch_first`, or (L, d_model), with the encoding added."""
        if input.dim() not in (2, 3):
            raise ValueError(f"{self._get_name()}: expected 2D or 3D input, got {input.dim()}D instead")
        if input.shape[-1] != self.d_model:
            raise ValueError(f"{self._get_name()}: expected embeddings of size {self.d_model}, got {input.shape[-1]}")
        sequence_first = input.dim() == 3 and not self.batch_first
        encoding = self.encoding(input.shape[0 if sequence_first else -2], offset).to(input.dtype)
        return self.dropout(input + (encoding.unsqueeze(1) if sequence_first else encoding))

    def extra_repr(self) -> str:
        return f"{self.d_model}, max_len={self.max_len}, batch_first={self.batch_first}"


class SinusoidalPositionalEncoding(_AddedEncoding):
    """Adds sin(p w_i) in the even columns 2i and cos(p w_i) in the odd ones, with w_i = base^(-2i / d_model) (Vaswani et al., 2017)."""

    def __init__(self, d_model: int, max_len: int = 5000, dropout: float = 0.0, batch_first: bool = True, base: float = 10000.0) -> None:
        super().__init__(d_model, max_len, dropout, batch_first)
        angles = np.arange(max_len)[:, None] * base ** (-np.arange(0, d_model, 2) / d_model)
        table = np.empty((max_len, d_model), np.float32)
        table[:, 0::2] = np.sin(angles)
        table[:, 1::2] = np.cos(angles[:, : d_model // 2])
        self.register_buffer("table", torch.from_numpy(table), persistent=False)

    def _table(self) -> Any:
        return self.table


class LearnedPositionalEncoding(_AddedEncoding):
    """Adds row p of the parameter `weight` (max_len, d_model), which is drawn from N(0, std^2), to the element at position p."""

    def __init__(
        self,
        d_model: int,
        max_len: int,
        dropout: float = 0.0,
        batch_first: bool = True,
        std: float = 0.02,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(d_model, max_len, dropout, batch_first)
        self.std = std
        self.weight = empty_parameter(max_len, d_model, device=device, dtype=dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        init.normal_(self.weight, std=self.std)

    def _table(self) -> Any:
        return self.weight


class RotaryEmbedding(Module):
    """Rotates pairs of features of queries and keys by angles p base^(-2i / head_dim) (Su et al., 2021).

    Scores then depend on the distance between positions only. Pairs are (i, i + head_dim / 2), as in GPT-NeoX and LLaMA, or with
    `interleaved` neighbours (2i, 2i + 1), as in the paper.
    """

    def __init__(self, head_dim: int, max_len: int = 2048, base: float = 10000.0, interleaved: bool = False) -> None:
        super().__init__()
        if head_dim % 2 != 0:
            raise ValueError(f"RotaryEmbedding: head_dim must be even, got {head_dim}")
        self.head_dim = head_dim
        self.max_len = max_len
        self.base = base
        self.interleaved = interleaved
        angles = np.arange(max_len)[:, None] * base ** (-np.arange(0, head_dim, 2) / head_dim)
        self.register_buffer("cos", torch.from_numpy(np.cos(angles).astype(np.float32)), persistent=False)
        self.register_buffer("sin", torch.from_numpy(np.sin(angles).astype(np.float32)), persistent=False)

    def rotate(self, input: Any, offset: int = 0) -> Any:
        """`input` (..., L, head_dim), its rows rotated as positions `offset` to ``offset + L - 1``."""
        length, size = input.shape[-2], input.shape[-1]
        if size != self.head_dim:
            raise ValueError(f"RotaryEmbedding: expected heads of size {self.head_dim}, got {size}")
        _check_positions(self, offset, length, self.max_len)
        cos = self.cos[offset : offset + length].to(input.dtype)
        sin = self.sin[offset : offset + length].to(input.dtype)
        if self.interleaved:
            a, b = input.unflatten(-1, (-1, 2)).unbind(-1)
            return torch.stack((a * cos - b * sin, a * sin + b * cos), -1).flatten(-2)
        a, b = input.chunk(2, -1)
        return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)

    def forward(self, query: Any, key: Any, offset: int = 0, key_offset: int | None = None) -> tuple[Any, Any]:
        """Queries (..., L, head_dim) and keys (..., S, head_dim), rotated; keys start at `key_offset`, by default where queries do."""
        return self.rotate(query, offset), self.rotate(key, offset if key_offset is None else key_offset)

    def in_attention(self, q: Any, k: Any, offset: int = 0) -> tuple[Any, Any, Any]:
        """Queries, keys and a bias of the scores, for attention whose keys start at 0 and whose queries start at `offset`."""
        return *self(q, k, offset, 0), None

    def extra_repr(self) -> str:
        return f"{self.head_dim}, max_len={self.max_len}, base={self.base}, interleaved={self.interleaved}"


class ALiBi(Module):
    """Adds -slope * distance to the scores of each head (Press et al., 2021).

    Slopes are 2^(-8i / n) for n heads, i = 1..n, where n is a power of two; otherwise those for the power of two below, and between them
    every other one of the next power of two. `max_len` None means no limit.
    """

    def __init__(self, num_heads: int, max_len: int | None = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.max_len = max_len
        self.register_buffer("slopes", torch.from_numpy(_slopes(num_heads)), persistent=False)

    def bias(self, query_len: int, key_len: int | None = None, offset: int = 0, causal: bool = False) -> Any:
        """(num_heads, query_len, key_len): -slope |i - j| for query position i from `offset` and key position j from 0.

        `key_len` is ``offset + query_len`` by default. With `causal`, -inf where j > i.
        """
        key_len = offset + query_len if key_len is None else key_len
        _check_positions(self, offset, query_len, self.max_len)
        _check_positions(self, 0, key_len, self.max_len)
        distance = np.arange(offset, offset + query_len)[:, None] - np.arange(key_len)
        distances = np.where(distance < 0, np.inf, distance) if causal else np.abs(distance)
        return -self.slopes.view(-1, 1, 1) * torch.from_numpy(distances.astype(np.float32)).to(self.slopes.device)

    def forward(self, scores: Any, offset: int = 0) -> Any:
        """Scores (..., num_heads, L, S) with the bias added; the first query is at position `offset`, the first key at 0."""
        return scores + self.bias(scores.shape[-2], scores.shape[-1], offset).to(scores.dtype)

    def in_attention(self, q: Any, k: Any, offset: int = 0) -> tuple[Any, Any, Any]:
        """Queries, keys and a bias of the scores, for attention whose keys start at 0 and whose queries start at `offset`."""
        if q.shape[1] != self.num_heads:
            raise ValueError(f"ALiBi: made for {self.num_heads} heads, got {q.shape[1]}")
        return q, k, self.bias(q.shape[-2], k.shape[-2], offset).to(q.dtype)

    def extra_repr(self) -> str:
        return f"{self.num_heads}, max_len={self.max_len}"


def _slopes(n: int) -> np.ndarray[Any, Any]:
    below = 2 ** int(math.log2(n))
    slopes = 2.0 ** (-8.0 * np.arange(1, below + 1) / below)
    if below < n:
        between = 2.0 ** (-8.0 * np.arange(1, 2 * below + 1) / (2 * below))
        slopes = np.concatenate((slopes, between[::2][: n - below]))
    return slopes.astype(np.float32)


def causal_mask(length: int, source: int | None = None, offset: int = 0) -> Any:
    """A boolean mask (length, source), True where key j comes after query i + `offset`: what MultiheadAttention takes as `attn_mask`."""
    source = offset + length if source is None else source
    return torch.from_numpy(np.arange(source) > np.arange(offset, offset + length)[:, None])


def padding_mask(lengths: Any, max_len: int | None = None) -> Any:
    """A boolean mask (N, max_len), True behind the end of each sequence: what MultiheadAttention takes as `key_padding_mask`.

    `lengths` is an int tensor or list (N,); `max_len` is the longest by default.
    """
    lengths = torch.as_tensor(lengths)
    return torch.arange(int(lengths.max()) if max_len is None else max_len, device=lengths.device) >= lengths.unsqueeze(1)
