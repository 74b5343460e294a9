"""Generators: the state behind random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..devices import device as _device
from ..rng import Engine
from .core import Tensor

__all__ = ["Generator", "default_generator"]


class Generator:
    """A source of random numbers with a state of its own. ``get_state``/``set_state`` speak PyTorch's bytes."""

    def __init__(self, device: Any = "cpu") -> None:
        self.device = _device(device)
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

        return tensor(self._engine.get_state())

    def set_state(self, new_state: Any) -> Generator:
        """Go on from a state that `get_state`, here or in PyTorch, returned."""
        self._engine.set_state(_state_bytes(new_state))
        return self

    def clone_state(self) -> Generator:
        """A new generator in this one's state."""
        other = Generator(self.device)
        other._engine, other._counter = self._engine.copy(), self._counter
        return other

    def graphsafe_get_state(self) -> Generator:
        """Alias of `clone_state`."""
        return self.clone_state()

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
