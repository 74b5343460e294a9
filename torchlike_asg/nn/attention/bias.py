"""``torch.nn.attention.bias``: causal masks for queries and keys that differ in number, to be given as `attn_mask`."""

from __future__ import annotations

import enum

import torchlike_asg as torch

__all__ = ["CausalVariant", "causal_lower_right", "causal_upper_left"]


class CausalVariant(enum.IntEnum):
    """Which corner of the scores the diagonal begins in."""

    UPPER_LEFT = 1
    LOWER_RIGHT = 2


def causal_upper_left(*size: int) -> torch.Tensor:
    """True where query i may see key j: ``j <= i``. `size`: (queries, keys)."""
    queries, keys = _pair(size)
    return torch.ones(queries, keys, dtype=torch.bool).tril()


def causal_lower_right(*size: int) -> torch.Tensor:
    """True where query i may see key j, the last query seeing every key: ``j <= i + keys - queries``. `size`: (queries, keys)."""
    queries, keys = _pair(size)
    return torch.ones(queries, keys, dtype=torch.bool).tril(diagonal=keys - queries)


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    if len(size) != 2:
        raise AssertionError("only supports 2D tensors")
    return size  # type: ignore[return-value]
