"""``torchvision.transforms``: preparing and augmenting images, PIL images and tensors (..., C, H, W) alike.

The random ones draw torchvision's numbers in torchvision's order. Tensors that hold data are worked on at once, beside what a training
loop has pending (`isolation.py`); one that requires a gradient is differentiated through.
"""

from __future__ import annotations

from typing import Any

from . import functional, transforms
from .transforms import *  # noqa: F403
from .transforms import __all__ as _classes

__all__ = [*_classes, "functional", "transforms"]


def __getattr__(name: str) -> Any:
    if name == "v2":
        import importlib

        return importlib.import_module(f"{__name__}.v2")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
