"""Where a loader is in its dataset: what `DataLoader.state_dict` saves and an iterator needs to continue from there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import randomness
from .randomness import Snapshot

__all__ = ["Position"]

VERSION = 1


@dataclass
class Position:
    """The progress of one pass over a loader's dataset."""

    base_seed: int | None  # None: no pass has begun
    num_workers: int
    consumed: int = 0  # index batches handed out to the caller
    finished: bool = False
    before_sampler: Snapshot | None = None  # random states just before iter(sampler) ...
    before_first_index: Snapshot | None = None  # ... and just before its first next(): samplers draw in either
    worker_batches: list[int] = field(default_factory=list)  # consumed, per worker
    worker_states: list[Snapshot | None] = field(default_factory=list)  # after the last consumed batch; None: as seeded
    worker_states_at_epoch: list[Snapshot | None] = field(default_factory=list)
    next_worker: int = 0

    def __post_init__(self) -> None:
        workers = self.num_workers
        self.worker_batches = self.worker_batches or [0] * workers
        self.worker_states = self.worker_states or [None] * workers
        self.worker_states_at_epoch = self.worker_states_at_epoch or [None] * workers

    def next_pass(self, worker_states: list[Snapshot | None]) -> Position:
        """The beginning of the next pass with the same (persistent) workers, whose random states are these."""
        return Position(self.base_seed, self.num_workers, worker_states=list(worker_states), worker_states_at_epoch=list(worker_states))

    def state_dict(self, loader: Any) -> dict[str, Any]:
        """Plain containers, numbers and uint8 tensors."""
        return {
            "version": VERSION,
            "base_seed": self.base_seed,
            "num_workers": self.num_workers,
            "consumed": self.consumed,
            "finished": self.finished,
            "before_sampler": self.before_sampler,
            "before_first_index": self.before_first_index,
            "worker_batches": list(self.worker_batches),
            "worker_states": list(self.worker_states),
            "worker_states_at_epoch": list(self.worker_states_at_epoch),
            "next_worker": self.next_worker,
            "generators": randomness.private_states(loader),
        }

    @classmethod
    def from_state_dict(cls, state: dict[str, Any], loader: Any) -> Position:
        """The saved position. ValueError if the state is of another version or of a loader with other workers."""
        if state.get("version") != VERSION:
            raise ValueError(f"unknown version of a DataLoader state: {state.get('version')!r} (this package reads version {VERSION})")
        if state["num_workers"] != loader.num_workers:
            raise ValueError(
                f"the DataLoader state was saved with num_workers={state['num_workers']}, "
                f"this DataLoader has num_workers={loader.num_workers}"
            )
        return cls(**{name: value for name, value in state.items() if name not in ("version", "generators")})
