"""Generators and seeds. On the CPU `manual_seed` gives PyTorch's own streams, bit for bit (docs/RANDOMNESS.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from .facade.core import Tensor
from .facade.functions.random import dropout_mask
from .facade.generator import Generator, default_generator, device_states, seed_all, set_device_states

__all__ = [
    "Generator",
    "default_generator",
    "dropout_mask",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "seed",
    "set_rng_state",
    "thread_safe_generator",
]


def manual_seed(seed: int) -> Generator:
    """Seed the default generators of all devices."""
    return seed_all(int(seed))


def seed() -> int:
    """Seed the default generators from a number nobody chose, and return it."""
    chosen = default_generator.seed()
    seed_all(chosen)
    return chosen


def initial_seed() -> int:
    """The default generator's seed."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The default generator's state, in PyTorch's bytes."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Put the default generator into a state from `get_rng_state`."""
    default_generator.set_state(new_state)


def thread_safe_generator() -> Generator | None:
    """The generator of a DataLoader worker thread; None elsewhere."""
    return None


@contextlib.contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, _caller: str = "fork_rng", _devices_kw: str = "devices", device_type: str = "cpu"
) -> Iterator[None]:
    """Restore the default generators' states at the end of the block."""
    if not enabled:
        yield
        return
    kept, counter, others = default_generator._engine.copy(), default_generator._counter, device_states()
    try:
        yield
    finally:
        default_generator._engine.set_state(kept.get_state())
        default_generator._counter = counter
        set_device_states(others)
