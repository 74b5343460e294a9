"""Names of the torch namespace that are no functions of tensors: memory formats, layouts, autocast state."""

from __future__ import annotations

from typing import Any

from . import config, formats
from .amp.autocast_mode import (
    autocast,
    autocast_decrement_nesting,
    autocast_increment_nesting,
    clear_autocast_cache,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_available,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
    set_autocast_cache_enabled,
    set_autocast_cpu_dtype,
    set_autocast_cpu_enabled,
    set_autocast_dtype,
    set_autocast_enabled,
    set_autocast_gpu_dtype,
)
from .amp.grad_scaler import GradScaler
from .asserting import NAMES as _CHECKS
from .autograd.anomaly import set_detect_anomaly
from .control_flow import cond, while_loop
from .errors import OutOfMemoryError
from .facade.core import Tensor


def _assert(condition: Any, message: str) -> None:
    """Python's assert as a function, which PyTorch's tracer can see."""
    assert condition, message


def is_anomaly_enabled() -> bool:
    """Whether gradients are checked for NaN (`autograd.set_detect_anomaly`)."""
    return bool(config.detect_anomaly)


def is_anomaly_check_nan_enabled() -> bool:
    """True: where anomalies are looked for, NaN is one."""
    return True


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Turn anomaly detection on or off."""
    set_detect_anomaly(mode, check_nan)


def _method(name: str) -> Any:
    """A Tensor method as a function of the namespace."""

    def call(input: Tensor, *args: Any, **kwargs: Any) -> Any:
        return getattr(input, name)(*args, **kwargs)

    call.__name__, call.__doc__ = name, f"``input.{name}(...)``"
    return call


#: merged into the package's namespace
NAMES: dict[str, Any] = {
    **formats.NAMES,
    **_CHECKS,
    **{name: _method(name) for name in ("detach", "detach_", "fill_", "zero_")},
    "_assert": _assert,
    "GradScaler": GradScaler,
    "OutOfMemoryError": OutOfMemoryError,
    "autocast": autocast,
    "is_anomaly_enabled": is_anomaly_enabled,
    "set_anomaly_enabled": set_anomaly_enabled,
    "cond": cond,
    "while_loop": while_loop,
    "is_anomaly_check_nan_enabled": is_anomaly_check_nan_enabled,
    "get_autocast_cpu_dtype": get_autocast_cpu_dtype,
    "get_autocast_dtype": get_autocast_dtype,
    "get_autocast_gpu_dtype": get_autocast_gpu_dtype,
    "is_autocast_available": is_autocast_available,
    "is_autocast_cache_enabled": is_autocast_cache_enabled,
    "is_autocast_cpu_enabled": is_autocast_cpu_enabled,
    "is_autocast_enabled": is_autocast_enabled,
    "autocast_decrement_nesting": autocast_decrement_nesting,
    "autocast_increment_nesting": autocast_increment_nesting,
    "clear_autocast_cache": clear_autocast_cache,
    "set_autocast_cache_enabled": set_autocast_cache_enabled,
    "set_autocast_cpu_dtype": set_autocast_cpu_dtype,
    "set_autocast_cpu_enabled": set_autocast_cpu_enabled,
    "set_autocast_dtype": set_autocast_dtype,
    "set_autocast_enabled": set_autocast_enabled,
    "set_autocast_gpu_dtype": set_autocast_gpu_dtype,
}
