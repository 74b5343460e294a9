"""``torch.xpu`` as it is on a machine without Intel's GPU backend: `is_available()` is False, seeds and statistics are harmless."""

from __future__ import annotations

from typing import Any

from .errors import Unsupported

__all__ = ["device_count", "empty_cache", "is_available", "is_bf16_supported", "is_initialized", "manual_seed", "manual_seed_all",
           "max_memory_allocated", "memory_allocated", "memory_reserved", "reset_peak_memory_stats", "seed", "seed_all",
           "synchronize"]  # fmt: skip


def is_available() -> bool:
    """False: GPUs are reached through wgpu."""
    return False


def is_initialized() -> bool:
    """False."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def device_count() -> int:
    """Zero."""
    return 0


def manual_seed(seed: int) -> None:
    """There is no generator to seed."""


def seed() -> None:
    """There is no generator to seed."""


manual_seed_all, seed_all = manual_seed, seed


def empty_cache() -> None:
    """Nothing is cached."""


def synchronize(device: Any = None) -> None:
    """Nothing runs there, so there is nothing to wait for."""


def reset_peak_memory_stats(device: Any = None) -> None:
    """Nothing is measured."""


def memory_allocated(device: Any = None) -> int:
    """Zero bytes."""
    return 0


max_memory_allocated = memory_reserved = memory_allocated


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torch.xpu.{name} needs Intel's GPU backend, which this package does not have: use the device 'wgpu'")
