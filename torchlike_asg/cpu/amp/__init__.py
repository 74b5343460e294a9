"""``torch.cpu.amp``: `torch.amp` for the device "cpu"."""

from __future__ import annotations

from typing import Any

from ... import amp, dtypes, notices

__all__ = ["GradScaler", "autocast"]

_OLD = "`torch.cpu.amp.{0}(args...)` is deprecated. Please use `torch.amp.{0}('cpu', args...)` instead."


class autocast(amp.autocast):
    """``torch.amp.autocast("cpu", ...)``."""

    def __init__(self, enabled: bool = True, dtype: Any = dtypes.bfloat16, cache_enabled: bool = True) -> None:
        notices.deprecated(_OLD.format("autocast"))
        super().__init__("cpu", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """``torch.amp.GradScaler("cpu", ...)``."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        notices.deprecated(_OLD.format("GradScaler"))
        super().__init__("cpu", init_scale, growth_factor, backoff_factor, growth_interval, enabled)
