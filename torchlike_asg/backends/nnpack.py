"""``torch.backends.nnpack`` for scripts that ask: NNPACK."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


def is_available() -> bool:
    """False."""
    return False


def set_flags(_enabled: bool) -> tuple[bool]:
    """Accepted; returns the previous value."""
    return (False,)


@contextmanager
def flags(enabled: bool = False) -> Iterator[None]:
    """Without effect."""
    yield
