"""Seeds and generator states of CUDA devices: there are none, so seeding is harmless and states cannot be had."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
]

_MISSING = "Torch not compiled with CUDA enabled"


def manual_seed(seed: int) -> None:
    """There is no CUDA generator to seed."""


def manual_seed_all(seed: int) -> None:
    """There are no CUDA generators to seed."""


def seed() -> None:
    """There is no CUDA generator to seed."""


def seed_all() -> None:
    """There are no CUDA generators to seed."""


def initial_seed() -> int:
    """Raises: there is no CUDA generator."""
    raise AssertionError(_MISSING)


def get_rng_state(device: Any = "cuda") -> Any:
    """Raises: there is no CUDA generator."""
    raise AssertionError(_MISSING)


def get_rng_state_all() -> list[Any]:
    """The states of all CUDA devices: none."""
    return []


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Kept by PyTorch for when CUDA is used; it never is here."""


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Sets the state of every CUDA device: none."""
