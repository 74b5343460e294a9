"""Swin transformer V2 (Liu et al., "Swin Transformer V2: Scaling Up Capacity and Resolution", 2022)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torchlike_asg as torch

from ... import nn
from ...nn import functional as F
from .registry import builder
from .swin_transformer import PatchMerging, ShiftedWindowAttention, SwinTransformer, SwinTransformerBlock

__all__ = ["PatchMergingV2", "ShiftedWindowAttentionV2", "SwinTransformerBlockV2", "swin_v2_b", "swin_v2_s", "swin_v2_t"]


class PatchMergingV2(PatchMerging):
    """(..., H, W, C) to (..., H / 2, W / 2, 2 C), normalised after the channels were reduced."""

    def __init__(self, dim: int, norm_layer: Callable[..., Any] = nn.LayerNorm) -> None:
        nn.Module.__init__(self)
        self.dim = dim
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = norm_layer(2 * dim)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.reduction(self.neighbours(x)))


class ShiftedWindowAttentionV2(ShiftedWindowAttention):
    """Attention by the cosine of queries and keys, with a bias that a small network makes of the logarithm of how far places are apart."""

    def _make_bias(self, num_heads: int) -> None:
        apart = []
        for size in self.window_size:
            scaled = torch.arange(-(size - 1), size, dtype=torch.float32) / (size - 1) * 8
            apart.append(torch.sign(scaled) * torch.log2(torch.abs(scaled) + 1.0) / 3.0)
        self.register_buffer("relative_coords_table", torch.stack(torch.meshgrid(*apart, indexing="ij"), dim=-1).unsqueeze(0))
        self.register_buffer("relative_position_index", self._index())
        self.logit_scale = nn.Parameter(torch.log(10 * torch.ones(num_heads, 1, 1)))
        self.cpb_mlp = nn.Sequential(nn.Linear(2, 512, bias=True), nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False))

    def get_relative_position_bias(self) -> torch.Tensor:
        table = self.cpb_mlp(self.relative_coords_table).view(-1, self.num_heads)
        return 16 * torch.sigmoid(self._for_each_pair(table))

    def _project(self, x: torch.Tensor) -> torch.Tensor:
        bias = self.qkv.bias
        if bias is None:
            return self.qkv(x)
        third = bias.numel() // 3  # keys have none: softmax would not notice it before the cosine
        return F.linear(x, self.qkv.weight, torch.cat([bias[:third], torch.zeros_like(bias[:third]), bias[2 * third :]]))

    def _scores(self, q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
        cosines = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-2, -1)
        return cosines * torch.clamp(self.logit_scale, max=math.log(100.0)).exp()


class SwinTransformerBlockV2(SwinTransformerBlock):
    """Attention in windows and two linear layers, the result of each normalised before it is added to its input."""

    def __init__(self, dim: int, num_heads: int, window_size: Sequence[int], shift_size: Sequence[int], **options: Any) -> None:
        super().__init__(dim, num_heads, window_size, shift_size, **{"attn_layer": ShiftedWindowAttentionV2, **options})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.stochastic_depth(self.norm1(self.attn(x)))
        return x + self.stochastic_depth(self.norm2(self.mlp(x)))


def _swin(width: int, third: int, heads: Sequence[int], drop: float, options: dict[str, Any]) -> SwinTransformer:
    shape = {"patch_size": [4, 4], "embed_dim": width, "depths": [2, 2, third, 2], "num_heads": heads, "window_size": [8, 8]}
    kind = {"block": SwinTransformerBlockV2, "downsample_layer": PatchMergingV2}
    return SwinTransformer(**{**shape, **kind, "stochastic_depth_prob": drop, **options})


@builder
def swin_v2_t(**options: Any) -> SwinTransformer:
    """Swin transformer V2, tiny."""
    return _swin(96, 6, [3, 6, 12, 24], 0.2, options)


@builder
def swin_v2_s(**options: Any) -> SwinTransformer:
    """Swin transformer V2, small."""
    return _swin(96, 18, [3, 6, 12, 24], 0.3, options)


@builder
def swin_v2_b(**options: Any) -> SwinTransformer:
    """Swin transformer V2, base."""
    return _swin(128, 18, [4, 8, 16, 32], 0.5, options)
