"""``torch.distributed.rpc``: not there, and says so. Packages ask `is_available()` before they use it."""

from __future__ import annotations

__all__ = ["is_available"]


def is_available() -> bool:
    """False: there is one process, and nobody to call."""
    return False
