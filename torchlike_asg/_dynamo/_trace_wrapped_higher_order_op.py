"""A context that packages open around functions that index tensors with tensors under `vmap`."""

from __future__ import annotations

from contextlib import nullcontext

__all__ = ["TransformGetItemToIndex"]


class TransformGetItemToIndex(nullcontext[None]):
    """Nothing to transform: indexing with a tensor stays an operation under `vmap`."""
