"""Warm-ups, in steps: names of this package, not of PyTorch. They stay where they end, however long one goes on."""

from __future__ import annotations

from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, warn_outside_step
from .cosine import cosine

__all__ = ["LinearWarmup", "WarmupCosine"]


class LinearWarmup(LRScheduler):
    """From zero straight up to the initial rate at step `warmup_steps`, and that rate from there on."""

    def __init__(self, optimizer: Optimizer, warmup_steps: int, last_epoch: int = -1) -> None:
        self.warmup_steps = _count(warmup_steps, "warmup_steps")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        warn_outside_step(self)
        factor = min(1.0, self.last_epoch / self.warmup_steps) if self.warmup_steps else 1.0
        return [base * factor for base in self.base_lrs]


class WarmupCosine(LRScheduler):
    """From zero straight up to the initial rate at step `warmup_steps`, then down half a cosine wave to `min_lr` at step `total_steps`."""

    def __init__(self, optimizer: Optimizer, warmup_steps: int, total_steps: int, min_lr: float = 0.0, last_epoch: int = -1) -> None:
        self.warmup_steps, self.total_steps = _count(warmup_steps, "warmup_steps"), _count(total_steps, "total_steps")
        if total_steps < warmup_steps:
            raise ValueError(f"Expected total_steps >= warmup_steps, but got {total_steps} < {warmup_steps}")
        self.min_lr = min_lr
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[Any]:
        warn_outside_step(self)
        step = self.last_epoch
        if step < self.warmup_steps:
            return [base * (step / self.warmup_steps) for base in self.base_lrs]
        done = min(1.0, (step - self.warmup_steps) / max(1, self.total_steps - self.warmup_steps))
        return [cosine(base, self.min_lr, done) for base in self.base_lrs]


def _count(value: Any, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"Expected non-negative integer {name}, but got {value}")
    return value
