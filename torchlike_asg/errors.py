"""Exceptions of our own, and the text PyTorch users expect."""

from __future__ import annotations

__all__ = ["GraphError", "MissingGradientError", "Unsupported"]


class GraphError(RuntimeError):
    """An invariant of the graph does not hold (raised by the verifier and the compiler)."""


class MissingGradientError(RuntimeError):
    """An operation on the path of a backward pass declares no gradient."""


class Unsupported(NotImplementedError, AttributeError):
    """A PyTorch name that this package does not have. `hasattr` sees it as absent; calling it says what to use instead."""
