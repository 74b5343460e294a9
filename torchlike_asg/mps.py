"""``torch.mps`` as it is on a machine without Apple's GPU backend; `torch.backends.mps.is_available()` is False."""

from __future__ import annotations

from typing import Any

__all__ = [
    "current_allocated_memory",
    "is_available",
    "device_count",
    "driver_allocated_memory",
    "empty_cache",
    "manual_seed",
    "seed",
    "synchronize",
]


def is_available() -> bool:
    """False."""
    return False


def device_count() -> int:
    """Zero."""
    return 0


def manual_seed(seed: int) -> None:
    """There is no generator to seed."""


def seed() -> None:
    """There is no generator to seed."""


def empty_cache() -> None:
    """Nothing is cached."""


def synchronize() -> None:
    """Nothing runs there, so there is nothing to wait for."""


def current_allocated_memory() -> int:
    """Zero bytes."""
    return 0


def driver_allocated_memory() -> int:
    """Zero bytes."""
    return 0


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    from .errors import Unsupported

    raise Unsupported(f"torch.mps.{name} needs Apple's MPS backend, which this package does not have")
