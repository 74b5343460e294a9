"""Handles of hooks, under the name PyTorch keeps them."""

from ..nn.modules.hook_handle import RemovableHandle

__all__ = ["RemovableHandle"]
