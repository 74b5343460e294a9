"""Helpers of PyTorch's that scripts for several processes import: tensors of one type joined into one, and taken apart again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torchlike_asg as torch

__all__: list[str] = []


def _flatten_dense_tensors(tensors: Sequence[Any]) -> Any:
    """The elements of all, as one vector."""
    return torch.cat([t.contiguous().view(-1) for t in tensors]) if len(tensors) != 1 else tensors[0].contiguous().view(-1)


def _unflatten_dense_tensors(flat: Any, tensors: Sequence[Any]) -> tuple[Any, ...]:
    """Views of the parts of a vector, in the shapes of `tensors`."""
    parts = torch.split(flat, [t.numel() for t in tensors])
    return tuple(part.view(t.shape) for part, t in zip(parts, tensors, strict=True))
