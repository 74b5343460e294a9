"""``torch.accelerator``: the accelerator of this machine, if this package can use one. The CPU is none."""

from __future__ import annotations

from typing import Any

from .devices import device

__all__ = ["current_accelerator", "current_device_index", "device_count", "is_available", "set_device_index", "synchronize"]

_NONE = "Cannot access accelerator device when none is available."


def is_available() -> bool:
    """Whether an accelerator can be used."""
    return device_count() > 0


def device_count() -> int:
    """The number of accelerators."""
    return 0


def current_accelerator(check_available: bool = False) -> device | None:
    """The accelerator's device, or None."""
    return None


def current_device_index() -> int:
    """The index of the accelerator in use; raises RuntimeError without one."""
    raise RuntimeError(_NONE)


def set_device_index(device: Any, /) -> None:
    """Choose an accelerator; raises RuntimeError without one."""
    raise RuntimeError(_NONE)


def current_stream(device: Any = None) -> Any:
    """Raises RuntimeError without an accelerator."""
    raise RuntimeError(_NONE)


def synchronize(device: Any = None, /) -> None:
    """Wait for the accelerator; without one there is nothing to wait for."""


def empty_cache() -> None:
    """Give cached memory of the accelerator back; without one there is none."""


def memory_allocated(device: Any = None, /) -> int:
    """Bytes in use on the accelerator."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated
current_device_idx, set_device_idx = current_device_index, set_device_index
