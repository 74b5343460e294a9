"""Handles of hooks, under the name PyTorch keeps them."""

from ..facade.hooks import RemovableHandle

__all__ = ["RemovableHandle"]
