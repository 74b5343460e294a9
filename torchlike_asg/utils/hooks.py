"""Handles of hooks, under the name PyTorch keeps them."""

from __future__ import annotations

import warnings
from typing import Any, TypeVar

from ..facade.hooks import RemovableHandle

__all__ = ["RemovableHandle", "unserializable_hook", "warn_if_has_hooks"]

T = TypeVar("T")


def unserializable_hook(f: T) -> T:
    """Mark a hook whose loss should be told of when its tensor is saved."""
    f.__torch_unserializable__ = True  # type: ignore[attr-defined]
    return f


def warn_if_has_hooks(tensor: Any) -> None:
    """Warn of hooks of a tensor that carry the mark: they are not saved with it."""
    for hook in (getattr(tensor, "_backward_hooks", None) or {}).values():
        if hasattr(hook, "__torch_unserializable__"):
            warnings.warn(
                f"backward hook {hook!r} on tensor will not be serialized: it can be decorated with @torch.utils.hooks.unserializable_hook",
                stacklevel=2,
            )
