"""``torch.backends.cusparselt`` for scripts that ask: cuSPARSELt."""

from __future__ import annotations


def is_available() -> bool:
    """False."""
    return False
