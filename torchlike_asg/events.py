"""The event bus: plan-level happenings for viewers, profilers and tests. Nothing is published per operation.

    subscribe("plan_built", print)

With nobody listening a publication costs one truth test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = [
    "CacheMiss",
    "Interpreted",
    "ItemRead",
    "KernelCompiled",
    "PassApplied",
    "PlanBuilt",
    "PlanExecuted",
    "StepDone",
    "subscribe",
    "unsubscribe",
]


@dataclass(frozen=True)
class PlanBuilt:
    """A new plan was compiled: number of graph nodes in, steps out, and the seconds it took."""

    nodes: int
    steps: int
    seconds: float
    plan: Any


@dataclass(frozen=True)
class PassApplied:
    """A compiler pass ran; the node counts are those of its input and output."""

    name: str
    before: int
    after: int


@dataclass(frozen=True)
class PlanExecuted:
    """A plan ran, taking that many seconds."""

    plan: Any
    seconds: float


@dataclass(frozen=True)
class CacheMiss:
    """A flush found no plan. `reason` says in words what differs from the plans known so far."""

    reason: str


@dataclass(frozen=True)
class Interpreted:
    """A flush found no plan, and none was compiled: programs like it run once each. `reason` as that of a `CacheMiss`."""

    nodes: int
    seconds: float
    reason: str


@dataclass(frozen=True)
class KernelCompiled:
    """A backend compiled a kernel it did not have."""

    name: str
    seconds: float


@dataclass(slots=True)
class StepDone:
    """An optimizer step was recorded and flushed: the class's name, and the optimizer."""

    optimizer: str
    source: Any = None


@dataclass(slots=True)
class ItemRead:
    """The script read a tensor's only element."""

    tensor: Any
    value: Any


TOPICS = {"plan_built": PlanBuilt, "pass_applied": PassApplied, "plan_executed": PlanExecuted, "cache_miss": CacheMiss,
          "interpreted": Interpreted, "kernel_compiled": KernelCompiled, "step_done": StepDone, "item_read": ItemRead}  # fmt: skip
listeners: dict[type, list[Callable[[Any], None]]] = {}


def _nobody(_: Any) -> None:
    """Nobody listens."""


NEVER = sys.maxsize
#: how many optimizer steps were done, of all optimizers and threads
steps = 0
#: Two things of a step may be told to one function directly, since an event costs a small step a hundredth of its time:
#: ``before_backward(tensor)`` when ``backward()`` is called, ``after_step(optimizer)`` when an optimizer step is done. They are told from
#: the moment that `due` steps were done: where somebody listens to some steps only, the others cost no more than that test.
due = NEVER
before_backward: Callable[[Any], object] = _nobody
after_step: Callable[[Any], object] = _nobody
#: ``doubtful_read(tensor, value)`` when the script reads a truth value, or a number that is not finite
doubtful_read: Callable[[Any, Any], object] | None = None


def subscribe(topic: str, fn: Callable[[Any], None]) -> Callable[[], None]:
    """Call `fn(event)` for every event of `topic` (a key of `TOPICS`). Returns a function that ends the subscription."""
    if topic not in TOPICS:
        raise ValueError(f"unknown topic {topic!r}: one of {', '.join(TOPICS)}")
    listeners.setdefault(TOPICS[topic], []).append(fn)
    return lambda: unsubscribe(topic, fn)


def unsubscribe(topic: str, fn: Callable[[Any], None]) -> None:
    """End the subscription of `fn` to a topic; nothing happens if there is none. Raises KeyError for an unknown topic."""
    found = listeners.get(TOPICS[topic], [])
    if fn in found:
        found.remove(fn)
    if not found:
        listeners.pop(TOPICS[topic], None)


def wanted(kind: type) -> bool:
    """Whether anybody listens to events of a type: one that nobody wants need not be made."""
    return bool(listeners) and kind in listeners


def publish(event: Any) -> None:
    """Deliver to the listeners of the event's type. A listener that raises is dropped, so that watching cannot break training."""
    for fn in list(listeners.get(type(event), ())):
        try:
            fn(event)
        except Exception as error:
            import warnings

            unsubscribe(next(topic for topic, kind in TOPICS.items() if kind is type(event)), fn)
            warnings.warn(f"an event listener raised {type(error).__name__}: {error}; it was unsubscribed", stacklevel=2)
