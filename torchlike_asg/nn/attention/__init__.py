"""``torch.nn.attention``: choosing how attention is computed. There is one way for each device, so a choice is checked and no more."""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator

from ...absent import asked
from . import bias, flex_attention

__all__ = ["SDPBackend", "bias", "flex_attention", "sdpa_kernel"]


class SDPBackend(enum.IntEnum):
    """PyTorch's implementations of `scaled_dot_product_attention`."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4


@contextlib.contextmanager
def sdpa_kernel(backends: list[SDPBackend] | SDPBackend, set_priority: bool = False) -> Iterator[None]:
    """Which of PyTorch's implementations may be used inside: all give the same values, and here one kernel takes the place of each.

    Raises:
        AssertionError: not a `SDPBackend`, or a list of them.
    """
    chosen = [backends] if isinstance(backends, SDPBackend) else backends
    assert isinstance(chosen, list | set | tuple) and all(isinstance(b, SDPBackend) for b in chosen), (
        "Backend must be an instance of SDPBackend or a list of SDPBackend instances"
    )
    yield


__getattr__ = asked(__name__)
