"""Pinned memory, under the name PyTorch keeps it: there is no device that would copy from it faster."""

from __future__ import annotations

from typing import TypeVar

__all__ = ["pin_memory"]

T = TypeVar("T")


def pin_memory(data: T, device: object = None) -> T:
    """The data themselves."""
    return data
