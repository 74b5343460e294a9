"""``torch.cuda.amp``: `torch.amp` for the device "cuda". Where "cuda" does not mean "wgpu" it does not exist, so that both classes are
disabled with a warning.
"""

from __future__ import annotations

from typing import Any

from ... import amp, notices
from ...absent import asked
from ...amp.autocast_mode import custom_bwd as _custom_bwd
from ...amp.autocast_mode import custom_fwd as _custom_fwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]

_OLD = "`torch.cuda.amp.{0}(args...)` is deprecated. Please use `torch.amp.{0}({1})` instead."


def custom_fwd(fwd: Any = None, *, cast_inputs: Any = None) -> Any:
    """``torch.amp.custom_fwd(..., device_type="cuda")``."""
    notices.deprecated(_OLD.format("custom_fwd", "args..., device_type='cuda'"))
    return _custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Any) -> Any:
    """``torch.amp.custom_bwd(..., device_type="cuda")``."""
    notices.deprecated(_OLD.format("custom_bwd", "args..., device_type='cuda'"))
    return _custom_bwd(bwd, device_type="cuda")


class autocast(amp.autocast):
    """``torch.amp.autocast("cuda", ...)``."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        notices.deprecated(_OLD.format("autocast", "'cuda', args..."))
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(amp.GradScaler):
    """``torch.amp.GradScaler("cuda", ...)``."""

    def __init__(
        self,
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        notices.deprecated(_OLD.format("GradScaler", "'cuda', args..."))
        super().__init__("cuda", init_scale, growth_factor, backoff_factor, growth_interval, enabled)


__getattr__ = asked(__name__)
