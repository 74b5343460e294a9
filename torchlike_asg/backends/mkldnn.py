"""``torch.backends.mkldnn``: switches that scripts set, remembered and without effect, since oneDNN is not used here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

enabled = True
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """False."""
    return False


@contextmanager
def flags(enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True) -> Iterator[None]:
    """Set the switches inside a ``with`` block."""
    state = globals()
    before = {n: state[n] for n in ("enabled", "deterministic", "allow_tf32")}
    state.update(enabled=enabled, deterministic=deterministic, allow_tf32=allow_tf32)
    try:
        yield
    finally:
        state.update(before)
