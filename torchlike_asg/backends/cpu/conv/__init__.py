"""Convolutions: direct ones over any geometry, Winograd's algorithm for small square filters, and the gradients."""

from . import lowering

__all__ = ["lowering"]
