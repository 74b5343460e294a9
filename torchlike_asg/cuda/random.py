"""Seeds and generator states of CUDA devices. There are none, so seeding is harmless and states cannot be had; where "cuda" means "wgpu",
they are those of its devices.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from .. import accelerator
from ..devices import cuda_means_wgpu
from ..facade.generator import Generator, generator_of

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


def _there() -> bool:
    return cuda_means_wgpu[0] and accelerator.is_available()


def _generator(device: Any) -> Generator:
    """The default generator of a device, given as PyTorch takes it; AssertionError where there is no device."""
    if not _there():
        raise AssertionError(_MISSING)
    return generator_of(f"wgpu:{device}" if isinstance(device, int) else device)


def _all() -> list[Generator]:
    return [generator_of(f"wgpu:{i}") for i in range(accelerator.device_count())] if _there() else []


def manual_seed(seed: int) -> None:
    """Seed the current device's generator, if there is one."""
    if _there():
        _generator("cuda").manual_seed(int(seed))


def manual_seed_all(seed: int) -> None:
    """Seed the generators of all devices there are."""
    for g in _all():
        g.manual_seed(int(seed))


def seed() -> None:
    """Seed the current device's generator, if there is one, from a number nobody chose."""
    manual_seed(int.from_bytes(os.urandom(8), "little"))


def seed_all() -> None:
    """Seed the generators of all devices there are from one number nobody chose."""
    manual_seed_all(int.from_bytes(os.urandom(8), "little"))


def initial_seed() -> int:
    """The seed of the current device's generator. AssertionError if there is none."""
    return _generator("cuda").initial_seed()


def get_rng_state(device: Any = "cuda") -> Any:
    """The state of a device's generator, a uint8 tensor of 16 bytes. AssertionError if there is none."""
    return _generator(device).get_state()


def get_rng_state_all() -> list[Any]:
    """The states of all devices."""
    return [g.get_state() for g in _all()]


def set_rng_state(new_state: Any, device: Any = "cuda") -> None:
    """Put a device's generator into a state; nothing if there is no device."""
    if _there():
        _generator(device).set_state(new_state)


def set_rng_state_all(new_states: Iterable[Any]) -> None:
    """Put the generators of all devices into states that `get_rng_state_all` gave."""
    for g, state in zip(_all(), new_states, strict=False):
        g.set_state(state)
