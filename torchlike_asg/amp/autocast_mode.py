"""``with autocast("cpu", dtype=torch.bfloat16):``. Operations keep the types of their operands: a region computes in float32 what
PyTorch would compute in bfloat16, more exactly and with the same types after it."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from ..devices import _FOREIGN
from ..dtypes import bfloat16, dtype, float16
from ..errors import Unsupported

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_active: list[tuple[str, dtype, bool]] = []
_told = [False]
_NOTE = "autocast: mixed precision is not applied; operations in this region keep the types of their operands (this is said once)."
_DEVICES = ("cpu", "wgpu", *_FOREIGN)


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast regions may be entered for a device type."""
    return device_type == "cpu"


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether an enabled region for that device type (default "cuda", as in PyTorch) is active."""
    return any(kind == (device_type or "cuda") and on for kind, _, on in _active[-1:])


def is_autocast_cpu_enabled() -> bool:
    """Whether an enabled region for the CPU is active."""
    return is_autocast_enabled("cpu")


def is_autocast_cache_enabled() -> bool:
    """Whether casts of weights would be cached: PyTorch's default."""
    return True


def get_autocast_dtype(device_type: str) -> dtype:
    """The type that autocast regions of a device type have unless told otherwise."""
    return next((d for kind, d, _ in reversed(_active) if kind == device_type), bfloat16 if device_type in ("cpu", "wgpu") else float16)


def get_autocast_cpu_dtype() -> dtype:
    """`get_autocast_dtype` of the CPU."""
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype() -> dtype:
    """`get_autocast_dtype` of CUDA."""
    return get_autocast_dtype("cuda")


class autocast:
    """A region, or a decorator, in which PyTorch would compute products and convolutions in a smaller type.

    Here such a region changes nothing (a warning says so once). On a device that does not exist it is disabled with PyTorch's
    warning. float16 on the CPU raises `Unsupported`.
    """

    def __init__(self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        if device_type not in _DEVICES:
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.device = device_type
        self.fast_dtype = get_autocast_dtype(device_type) if dtype is None else dtype
        if enabled and device_type in _FOREIGN:
            warnings.warn(
                f"User provided device_type of '{device_type}', but {device_type.upper()} is not available. Disabling", stacklevel=2
            )
            enabled = False
        if enabled and self.fast_dtype is float16:
            raise Unsupported("autocast to float16 is not supported: use dtype=torch.bfloat16 (which keeps float32 here), or enabled=False")
        self._enabled = enabled

    def __enter__(self) -> autocast:
        if self._enabled and not _told[0]:
            _told[0] = True
            warnings.warn(_NOTE, stacklevel=2)
        _active.append((self.device, self.fast_dtype, self._enabled))
        return self

    def __exit__(self, *_: Any) -> None:
        _active.pop()

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with self:
                return func(*args, **kwargs)

        return inside


def custom_fwd(fwd: Callable[..., Any] | None = None, *, device_type: str = "cuda", cast_inputs: dtype | None = None) -> Any:
    """Decorator of ``forward`` in an autograd.Function: nothing is cast here, so the method itself."""
    return fwd if fwd is not None else (lambda f: f)


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str = "cuda") -> Any:
    """Decorator of ``backward`` in an autograd.Function: nothing is cast here, so the method itself."""
    return bwd if bwd is not None else (lambda f: f)
