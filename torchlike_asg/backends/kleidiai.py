"""``torch.backends.kleidiai`` for scripts that ask: KleidiAI."""

from __future__ import annotations


def is_available() -> bool:
    """False."""
    return False
