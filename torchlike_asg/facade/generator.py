"""Generators: the state behind random numbers. The CPU has a default one, and so has each GPU, as in PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..devices import CudaMissing, check, current_index
from ..devices import device as _device
from ..rng import Engine
from .core import Tensor

__all__ = ["Generator", "default_generator", "generator_of", "seed_all"]


class Generator:
    """A source of random numbers with a state of its own. ``get_state``/``set_state`` speak PyTorch's bytes: those of its CPU generators,
    or for a GPU the seed and the number of the next block, 64 bits each.
    """

    def __init__(self, device: Any = "cpu") -> None:
        try:
            self.device = check(_device(device))
        except CudaMissing as error:
            raise RuntimeError(str(error)) from None
        self._engine = Engine()
        #: numbers drawn so far by counter-based operations
        self._counter = 0

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream of `seed` (-2**63 to 2**64 - 1)."""
        self._engine.manual_seed(seed)
        self._counter = 0
        return self

    def initial_seed(self) -> int:
        """The seed the stream was started with."""
        return self._engine.initial_seed()

    def seed(self) -> int:
        """Start a stream from a seed nobody chose, and return it."""
        self._counter = 0
        return self._engine.seed()

    def get_state(self) -> Tensor:
        """The state as a uint8 tensor of PyTorch's layout."""
        from .functions.creation import tensor

        if self.device.type != "cpu":
            return tensor(np.array([self.initial_seed() & (2**64 - 1), self._counter], "<u8").view(np.uint8))
        return tensor(self._engine.get_state())

    def set_state(self, new_state: Any) -> Generator:
        """Go on from a state that `get_state`, here or in PyTorch, returned."""
        state = _state_bytes(new_state)
        if self.device.type == "cpu":
            self._engine.set_state(state)
        elif state.shape != (16,):
            raise RuntimeError(f"RNG state is wrong size: that of a GPU's generator has 16 bytes, not {state.size}")
        else:
            seed, self._counter = (int(word) for word in np.ascontiguousarray(state).view("<u8"))
            self._engine.manual_seed(seed)
        return self

    def clone_state(self) -> Generator:
        """A new generator in this one's state."""
        other = Generator(self.device)
        other._engine, other._counter = self._engine.copy(), self._counter
        return other

    def graphsafe_get_state(self) -> Generator:
        """Alias of `clone_state`."""
        return self.clone_state()

    def get_offset(self) -> int:
        """RuntimeError: the CPU's stream has no offset."""
        raise RuntimeError("CPU Generator does not use offset")

    def set_offset(self, offset: int) -> None:
        """RuntimeError: the CPU's stream has no offset."""
        raise RuntimeError("CPU Generator does not use offset")

    def __deepcopy__(self, memo: dict[int, Any]) -> Generator:
        return self.clone_state()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (str(self.device), self._engine.get_state().tobytes(), self._counter)

    def take(self, count: int) -> int:
        """Reserve `count` blocks, of four numbers each, of the counter-based stream; returns the first one's number."""
        start = self._counter
        self._counter += count
        return start


def _rebuild(device: str, state: bytes, counter: int) -> Generator:
    g = Generator(device)
    g._engine.set_state(np.frombuffer(state, np.uint8))
    g._counter = counter
    return g


def _state_bytes(state: Any) -> Any:
    if not isinstance(state, Tensor):
        raise TypeError(f"expected a torch.ByteTensor, but got {type(state).__name__}")
    if state.dtype.name != "uint8":
        raise TypeError("RNG state must be a torch.ByteTensor")
    return state.numpy()  # type: ignore[attr-defined]


default_generator = Generator()
#: the default generators of GPUs, by the index of the device, from when they are first used
_of_devices: dict[int, Generator] = {}


def generator_of(device: Any) -> Generator:
    """The default generator of a device. A GPU's begins with the seed that `seed_all` gave last."""
    d = _device(device)
    if d.type != "wgpu":
        return default_generator
    index = current_index[0] if d.index is None else d.index
    found = _of_devices.get(index)
    if found is None:
        found = _of_devices[index] = Generator(d).manual_seed(default_generator.initial_seed())
    return found


def seed_all(seed: int) -> Generator:
    """Start the default generators of all devices from a seed; gives the CPU's."""
    for g in _of_devices.values():
        g.manual_seed(seed)
    return default_generator.manual_seed(seed)


def device_states() -> dict[int, tuple[int, int]]:
    """Seed and next block of each GPU's default generator."""
    return {index: (g.initial_seed(), g._counter) for index, g in _of_devices.items()}


def set_device_states(states: Mapping[int, tuple[int, int]]) -> None:
    """Have the GPUs' default generators go on from states that `device_states` gave; those that are not among them begin anew."""
    for index in [i for i in _of_devices if i not in states]:
        del _of_devices[index]
    for index, (seed, counter) in states.items():
        g = generator_of(f"wgpu:{index}").manual_seed(seed)
        g._counter = counter
