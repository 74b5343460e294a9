"""Exceptions of our own, and the text PyTorch users expect."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TypeVar

__all__ = ["Absent", "CudaMissing", "GraphError", "MissingGradientError", "ReferenceWarning", "Unsupported", "failed", "refuses"]

F = TypeVar("F", bound=Callable[..., object])


class GraphError(RuntimeError):
    """An invariant of the graph does not hold (raised by the verifier and the compiler)."""


class MissingGradientError(RuntimeError):
    """An operation on the path of a backward pass declares no gradient."""


class ReferenceWarning(UserWarning):
    """An operation without a native kernel runs through its NumPy reference: right, but slow."""


class CudaMissing(AssertionError, RuntimeError):
    """There is no CUDA. PyTorch built without it raises an AssertionError; code that guards the call expects a RuntimeError."""


class Unsupported(NotImplementedError, AttributeError):
    """A PyTorch name that this package does not have. `hasattr` sees it as absent; calling it says what to use instead."""


class Absent:
    """A class of PyTorch's that scripts may name, in annotations and for `isinstance`, which is always false: it has no instances here, and
    making one raises Unsupported. ``within``: the module under which PyTorch users know it; ``instead``: what to use, or why there is none.
    """

    _within = _instead = ""

    def __init_subclass__(cls, *, within: str = "", instead: str = "", **kw: object) -> None:
        super().__init_subclass__(**kw)
        if within:
            cls._within, cls._instead = within, instead

    def __init__(self, *args: object, **kwargs: object) -> None:
        raise Unsupported(f"{self._within}.{type(self).__name__}: {self._instead}")


def refuses(function: F) -> F:
    """Mark a function that only raises Unsupported, so that lists of what is supported leave it out (docs/list_names.py)."""
    function.refuses = True  # type: ignore[attr-defined]
    return function


def failed(error: Exception, origin: int) -> None:
    """Keep on an exception the serial of the recorded node whose computation raised it; whoever knows the graph says its place."""
    if not hasattr(error, "_asg_origin"):
        with contextlib.suppress(AttributeError):
            error._asg_origin = origin  # type: ignore[attr-defined]


class DeviceLostError(RuntimeError):
    """A device is gone (reset by its driver, unplugged); the message names the tensor that needed it and its size. What is on the host
    survives, and the next operation on the device opens it anew.
    """


class HostMemoryError(RuntimeError, MemoryError):
    """The host has no memory for what is computed: a RuntimeError, as PyTorch's is, and Python's own."""


class OutOfMemoryError(RuntimeError):
    """A device has no memory left for a tensor; the message names it and its size. What is on the host is not affected."""
