"""Operations that the values of their operands can make fail, computed by the call that asks for them.

An operation is recorded, and computed when something is read; what its values make fail is raised there. That is too late for code that
guards the call: ``try: L = torch.linalg.cholesky(K)``, with more on the diagonal of K where that fails. Factorizations are rare and take
much longer than a read, so they are computed at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from ..asg.batching import depends
from ..asg.trace import current
from .core import Tensor, node_of
from .held import held_value

__all__ = ["computed", "has_values", "outright"]

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")


def has_values(t: Tensor) -> bool:
    """Whether there are values to look at: not for one example of a batch that `vmap` maps over, nor on the meta device."""
    return t.device.type != "meta" and not (current().mapped and depends((node_of(t),)))


def computed(found: R) -> R:
    """What a function returns, the first of several results computed where it `has_values`."""
    t = found[0] if isinstance(found, tuple) else found
    if isinstance(t, Tensor) and has_values(t):
        held_value(t)
    return found


def outright(fn: F) -> F:
    """Decorator: what the function returns is `computed`."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        return computed(fn(*args, **kwargs))

    return call  # type: ignore[return-value]
