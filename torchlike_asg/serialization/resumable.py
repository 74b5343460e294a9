"""A data loader whose position in an epoch can be saved and found again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .components import capture_rng, restore_rng

__all__ = ["ResumableLoader"]


class ResumableLoader:
    """Wraps a DataLoader and remembers where it is; after `load_state_dict`, the next ``for`` loop over it continues there.

    The state is the random state from which the epoch's order was drawn, and the number of batches taken. Continuing draws the same order
    again, passes over that many batches, and puts the random state back: the batches that follow, and all random numbers, are those an
    uninterrupted run would see. The batches passed over are loaded once more. Randomness that a Dataset carries from batch to batch inside
    a worker process is not restored.

    A loop that was left by ``break`` leaves an unfinished epoch, which is what the state then describes; call `restart` if an epoch is to
    count as over. A new loop in the same process always begins a new epoch, as with any loader.

    Attributes: `loader`, the wrapped one; `epoch`, how many were begun before the current one; `batch`, how many of its batches were taken.
    """

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.epoch = self.batch = 0
        self._origin: dict[str, Any] | None = None  # random state at the start of the epoch under way
        self._resume = False

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Any]:
        iterator = self._continued() if self._resume else self._begun()
        for item in iterator:
            self.batch += 1
            yield item
        self.restart()

    def restart(self) -> None:
        """Count the epoch under way as over; the next loop begins a new one."""
        if self._origin is not None:
            self.epoch += 1
        self.batch, self._origin, self._resume = 0, None, False

    def state_dict(self) -> dict[str, Any]:
        return {"epoch": self.epoch, "batch": self.batch, "origin": self._origin, "generator": self._own_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.epoch, self.batch, self._origin = state["epoch"], state["batch"], state["origin"]
        self._resume = self._origin is not None
        self._set_own_state(state["generator"])

    def _begun(self) -> Iterator[Any]:
        self.restart()
        self._origin = self._random_state()
        iterator: Iterator[Any] = iter(self.loader)
        return iterator

    def _continued(self) -> Iterator[Any]:
        now = self._random_state()
        self._resume = False
        assert self._origin is not None
        self._set_random_state(self._origin)
        iterator: Iterator[Any] = iter(self.loader)
        for _ in range(self.batch):
            if next(iterator, self) is self:
                raise RuntimeError(
                    f"the data ended before batch {self.batch}, where the epoch is to continue: is it the data it was saved with?"
                )
        if self.batch:  # else the order is yet to be drawn, by the first batch, from where the epoch began
            self._set_random_state(now)
        return iterator

    def _random_state(self) -> dict[str, Any]:
        return {"global": capture_rng(python=True, numpy=True), "generator": self._own_state()}

    def _set_random_state(self, state: dict[str, Any]) -> None:
        restore_rng(state["global"])
        self._set_own_state(state["generator"])

    def _own_state(self) -> Any:
        generator = getattr(self.loader, "generator", None)
        return None if generator is None else generator.get_state()

    def _set_own_state(self, state: Any) -> None:
        if state is not None:
            self.loader.generator.set_state(state)
