"""Shared by the tests of loaders: plain forms of batches, and the generators' states."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Batches of either package in one form: a tensor becomes ("tensor", dtype, nested lists)."""
    if hasattr(value, "detach"):
        return "tensor", str(value.dtype), value.tolist()
    if isinstance(value, np.ndarray):
        return "array", str(value.dtype), value.tolist()
    if isinstance(value, dict):
        return type(value).__name__, {key: plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [plain(each) for each in value]
    return value


def outcome(package: Any, seed: int, run: Callable[[Any], Any]) -> tuple[Any, list[int]]:
    """What `run(package)` gives from this seed on, and where it leaves the default generator."""
    package.manual_seed(seed)
    result = run(package)
    return result, package.get_rng_state().tolist()


def generator(package: Any, seed: int) -> Any:
    """A generator of either package."""
    made = package.Generator()
    made.manual_seed(seed)
    return made


class Rows:
    """A map-style dataset for either package: row i is an array and a number."""

    def __init__(self, size: int, width: int = 3) -> None:
        self.size, self.width = size, width

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        if not 0 <= index < self.size:
            raise IndexError(index)
        return np.full(self.width, index, np.float32), index
