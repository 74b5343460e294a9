"""``torch.backends.cudnn``: switches that scripts set, remembered and without effect, since there is no cuDNN here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

enabled = True
benchmark = False
benchmark_limit: int | None = 10
deterministic = False
allow_tf32 = True
fp32_precision = "none"


def is_available() -> bool:
    """False: there is no cuDNN here."""
    return False


def version() -> int | None:
    """None: there is no cuDNN here."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """Whether cuDNN could work on a tensor: no."""
    return False


def set_flags(
    _enabled: bool | None = None,
    _benchmark: bool | None = None,
    _benchmark_limit: int | None = None,
    _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
) -> tuple[Any, ...]:
    """Set what is not None; returns the previous values."""
    state = globals()
    names = ("enabled", "benchmark", "benchmark_limit", "deterministic", "allow_tf32")
    before = tuple([state[n] for n in names])
    for n, value in zip(names, (_enabled, _benchmark, _benchmark_limit, _deterministic, _allow_tf32), strict=True):
        if value is not None:
            state[n] = value
    return before


@contextmanager
def flags(
    enabled: bool = False, benchmark: bool = False, benchmark_limit: int = 10, deterministic: bool = False, allow_tf32: bool = True
) -> Iterator[None]:
    """Set the switches inside a ``with`` block."""
    before = set_flags(enabled, benchmark, benchmark_limit, deterministic, allow_tf32)
    try:
        yield
    finally:
        set_flags(*before)


#: precisions of single kinds of operations, as scripts set them
conv, rnn = SimpleNamespace(fp32_precision="tf32"), SimpleNamespace(fp32_precision="tf32")
