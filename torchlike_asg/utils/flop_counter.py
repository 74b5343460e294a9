"""``torch.utils.flop_counter``, for packages that import it: operations are not counted here."""

from __future__ import annotations

from typing import Any

from ..errors import Unsupported

__all__ = ["FlopCounterMode"]


class FlopCounterMode:
    """Cannot be made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported("torch.utils.flop_counter.FlopCounterMode: torch.profiler tells of time and bytes; operations are not counted")
