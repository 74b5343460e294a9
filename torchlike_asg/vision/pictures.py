"""Pillow, asked for only where it is needed, and what counts as an image."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from ..facade.core import Tensor

__all__ = ["is_picture", "is_tensor_image", "pillow", "refuse"]


def pillow(purpose: str, module: str = "Image") -> Any:
    """A module of Pillow, by default the one that holds the image class.

    Raises:
        ImportError: Pillow is not installed; the message says that `purpose` needs it.
    """
    try:
        return importlib.import_module(f"PIL.{module}")
    except ImportError as error:
        raise ImportError(f"{purpose} needs Pillow, which is not installed: pip install pillow", name="PIL") from error


def is_picture(value: Any) -> bool:
    """Whether `value` is a PIL image. Pillow is not imported for the question: where it is not loaded, nothing is one."""
    loaded = sys.modules.get("PIL.Image")
    return loaded is not None and isinstance(value, loaded.Image)


def is_tensor_image(value: Any) -> bool:
    """Whether `value` is a tensor of at least two dimensions, (..., H, W)."""
    return isinstance(value, Tensor) and value.ndim >= 2


def refuse(value: Any) -> TypeError:
    """The error for what is neither a tensor nor a PIL image."""
    hint = ". An array becomes an image with transforms.ToTensor or transforms.ToPILImage" if hasattr(value, "__array__") else ""
    return TypeError(f"img should be PIL Image or a Tensor (..., H, W). Got {type(value)}{hint}")
