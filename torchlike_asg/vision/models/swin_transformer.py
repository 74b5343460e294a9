"""Swin transformer (Liu et al., "Swin Transformer: Hierarchical Vision Transformer using Shifted Windows", 2021)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torchlike_asg as torch

from ... import nn
from ...nn import functional as F
from ..ops.misc import MLP, Permute, StochasticDepth
from .registry import builder

__all__ = ["PatchMerging", "ShiftedWindowAttention", "SwinTransformer", "SwinTransformerBlock", "swin_b", "swin_s", "swin_t"]


class PatchMerging(nn.Module):
    """(..., H, W, C) to (..., H / 2, W / 2, 2 C): four neighbours become one place."""

    def __init__(self, dim: int, norm_layer: Callable[..., Any] = nn.LayerNorm) -> None:
        super().__init__()
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(4 * dim)

    def neighbours(self, x: torch.Tensor) -> torch.Tensor:
        """(..., H / 2, W / 2, 4 C), from edges that are padded where they are odd."""
        height, width = x.shape[-3:-1]
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        return torch.cat([x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)], -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.reduction(self.norm(self.neighbours(x)))


def _regions(size: tuple[int, int], window: Sequence[int], shift: Sequence[int]) -> torch.Tensor:
    """For each place of a grid, which of the regions that a shift has torn apart it belongs to."""
    marks = []
    for n, w, s in zip(size, window, shift, strict=True):
        places = torch.arange(n)
        marks.append((places >= n - w).long() + (places >= n - s).long() if s else torch.zeros(n, dtype=torch.int64))
    return marks[0][:, None] * 3 + marks[1]


class ShiftedWindowAttention(nn.Module):
    """Attention within windows of (N, H, W, C), which are shifted by `shift_size`, with a learned bias for each relative position."""

    def __init__(
        self,
        dim: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        num_heads: int,
        qkv_bias: bool = True,
        proj_bias: bool = True,
        attention_dropout: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(window_size) != 2 or len(shift_size) != 2:
            raise ValueError("window_size and shift_size must be of length 2")
        self.window_size, self.shift_size, self.num_heads = list(window_size), list(shift_size), num_heads
        self.attention_dropout, self.dropout = attention_dropout, dropout
        self.qkv = nn.Linear(dim, dim * 3, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim, bias=proj_bias)
        self._make_bias(num_heads)

    def _make_bias(self, num_heads: int) -> None:
        rows, columns = self.window_size
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * rows - 1) * (2 * columns - 1), num_heads))
        self.register_buffer("relative_position_index", self._index())
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def _index(self) -> torch.Tensor:
        """For each pair of places in a window, the row of a table of how far they are apart."""
        rows, columns = self.window_size
        places = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")).flatten(1)
        apart = places[:, :, None] - places[:, None, :]
        return ((apart[0] + rows - 1) * (2 * columns - 1) + apart[1] + columns - 1).flatten()

    def _for_each_pair(self, table: torch.Tensor) -> torch.Tensor:
        places = self.window_size[0] * self.window_size[1]
        return table[self.relative_position_index].view(places, places, -1).permute(2, 0, 1).contiguous().unsqueeze(0)

    def get_relative_position_bias(self) -> torch.Tensor:
        """(1, heads, places, places): what is added to the scores."""
        return self._for_each_pair(self.relative_position_bias_table)

    def _project(self, x: torch.Tensor) -> torch.Tensor:
        return self.qkv(x)

    def _scores(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        return (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        n, height, width, channels = x.shape
        rows, columns = self.window_size
        x = F.pad(x, (0, 0, 0, -width % columns, 0, -height % rows))
        high, wide = x.shape[1:3]
        shift = [0 if w >= size else s for w, size, s in zip(self.window_size, (high, wide), self.shift_size, strict=True)]
        if any(shift):
            x = torch.roll(x, shifts=(-shift[0], -shift[1]), dims=(1, 2))
        down, across = high // rows, wide // columns
        x = x.view(n, down, rows, across, columns, channels).permute(0, 1, 3, 2, 4, 5).reshape(n * down * across, rows * columns, channels)
        q, k, v = self._project(x).reshape(*x.shape[:2], 3, self.num_heads, channels // self.num_heads).permute(2, 0, 3, 1, 4)
        scores = self._scores(q, k) + self.get_relative_position_bias()
        if any(shift):
            region = _regions((high, wide), self.window_size, shift).to(x.device)
            region = region.view(down, rows, across, columns).permute(0, 2, 1, 3).reshape(down * across, rows * columns)
            mask = (region[:, None, :] != region[:, :, None]).to(x.dtype) * -100.0
            scores = (scores.view(n, down * across, *scores.shape[1:]) + mask[None, :, None]).view_as(scores)
        weights = F.dropout(F.softmax(scores, dim=-1), p=self.attention_dropout, training=self.training)
        x = (weights @ v).transpose(1, 2).reshape(*x.shape)
        x = F.dropout(self.proj(x), p=self.dropout, training=self.training)
        x = x.view(n, down, across, rows, columns, channels).permute(0, 1, 3, 2, 4, 5).reshape(n, high, wide, channels)
        if any(shift):
            x = torch.roll(x, shifts=(shift[0], shift[1]), dims=(1, 2))
        return x[:, :height, :width].contiguous()


class SwinTransformerBlock(nn.Module):
    """Attention in windows and two linear layers, each normalised before and added to its input."""

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_size: Sequence[int],
        shift_size: Sequence[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.0,
        norm_layer: Callable[..., Any] = nn.LayerNorm,
        attn_layer: Callable[..., Any] = ShiftedWindowAttention,
    ) -> None:
        super().__init__()
        self.norm1 = norm_layer(dim)
        self.attn = attn_layer(dim, window_size, shift_size, num_heads, attention_dropout=attention_dropout, dropout=dropout)
        self.stochastic_depth = StochasticDepth(stochastic_depth_prob, "row")
        self.norm2 = norm_layer(dim)
        self.mlp = MLP(dim, [int(dim * mlp_ratio), dim], activation_layer=nn.GELU, inplace=None, dropout=dropout)
        for module in self.mlp.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.normal_(module.bias, std=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.stochastic_depth(self.attn(self.norm1(x)))
        return x + self.stochastic_depth(self.mlp(self.norm2(x)))


class SwinTransformer(nn.Module):
    """Classifies images (N, 3, H, W): scores (N, num_classes). Every second block shifts its windows by half their size."""

    def __init__(
        self,
        patch_size: Sequence[int],
        embed_dim: int,
        depths: Sequence[int],
        num_heads: Sequence[int],
        window_size: Sequence[int],
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        stochastic_depth_prob: float = 0.1,
        num_classes: int = 1000,
        norm_layer: Callable[..., Any] | None = None,
        block: Callable[..., Any] | None = None,
        downsample_layer: Callable[..., Any] = PatchMerging,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        block, norm_layer = block or SwinTransformerBlock, norm_layer or partial(nn.LayerNorm, eps=1e-5)
        size = tuple(patch_size)
        patches = nn.Conv2d(3, embed_dim, kernel_size=size, stride=size)
        layers: list[Any] = [nn.Sequential(patches, Permute([0, 2, 3, 1]), norm_layer(embed_dim))]
        total, made = sum(depths), 0
        for i, (depth, heads) in enumerate(zip(depths, num_heads, strict=True)):
            dim = embed_dim * 2**i
            blocks = []
            for j in range(depth):
                options = {
                    "window_size": window_size,
                    "shift_size": [0 if j % 2 == 0 else w // 2 for w in window_size],
                    "mlp_ratio": mlp_ratio,
                    "dropout": dropout,
                    "attention_dropout": attention_dropout,
                    "stochastic_depth_prob": stochastic_depth_prob * float(made) / (total - 1),
                    "norm_layer": norm_layer,
                }
                blocks.append(block(dim, heads, **options))
                made += 1
            layers.append(nn.Sequential(*blocks))
            if i < len(depths) - 1:
                layers.append(downsample_layer(dim, norm_layer))
        self.features = nn.Sequential(*layers)
        features = embed_dim * 2 ** (len(depths) - 1)
        self.norm = norm_layer(features)
        self.permute = Permute([0, 3, 1, 2])
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten(1)
        self.head = nn.Linear(features, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.permute(self.norm(self.features(x)))
        return self.head(self.flatten(self.avgpool(x)))


def _swin(width: int, third: int, heads: Sequence[int], drop: float, options: dict[str, Any]) -> SwinTransformer:
    shape = {"patch_size": [4, 4], "embed_dim": width, "depths": [2, 2, third, 2], "num_heads": heads, "window_size": [7, 7]}
    return SwinTransformer(**{**shape, "stochastic_depth_prob": drop, **options})


@builder
def swin_t(**options: Any) -> SwinTransformer:
    """Swin transformer, tiny."""
    return _swin(96, 6, [3, 6, 12, 24], 0.2, options)


@builder
def swin_s(**options: Any) -> SwinTransformer:
    """Swin transformer, small."""
    return _swin(96, 18, [3, 6, 12, 24], 0.3, options)


@builder
def swin_b(**options: Any) -> SwinTransformer:
    """Swin transformer, base."""
    return _swin(128, 18, [4, 8, 16, 32], 0.5, options)
