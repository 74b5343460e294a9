"""``torch.backends.mha`` for scripts that ask: PyTorch's fast path of attention."""

from __future__ import annotations

_fastpath = [True]


def get_fastpath_enabled() -> bool:
    """What `set_fastpath_enabled` was given; attention has one implementation here."""
    return _fastpath[0]


def set_fastpath_enabled(value: bool) -> None:
    """Remembered, without effect."""
    _fastpath[0] = value
