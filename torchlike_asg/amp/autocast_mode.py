"""``with autocast("wgpu", dtype=torch.float16):`` and its like: regions whose products run in 16 bits (see facade/autocast.py)."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable
from typing import Any

from .. import devices
from ..backends.wgpu.adapter import is_available
from ..dtypes import bfloat16, dtype, float16, float64
from ..facade.autocast import REGIONS
from ..facade.core import Tensor

__all__ = ["autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]

_TYPES = (bfloat16, float16)
_DEVICES = ("cpu", "wgpu", *devices._FOREIGN)
_chosen = threading.local()  # .types: device type -> the type of the innermost region, enabled or not


def _kind(device_type: str) -> str:
    """The device type that is meant: "gpu" is "wgpu", and so is "cuda" where it means that."""
    if device_type == "gpu" or (device_type == "cuda" and devices.cuda_means_wgpu[0]):
        return "wgpu"
    return device_type


def is_autocast_available(device_type: str) -> bool:
    """Whether autocast regions may be entered for a device type."""
    return _kind(device_type) in ("cpu", "wgpu")


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether this thread is in an enabled region for that device type (default "cuda", as in PyTorch)."""
    return _kind(device_type or "cuda") in REGIONS.get(threading.get_ident(), ())


def is_autocast_cpu_enabled() -> bool:
    """Whether this thread is in an enabled region for the CPU."""
    return is_autocast_enabled("cpu")


def is_autocast_cache_enabled() -> bool:
    """True: a cast of a weight is a node, so that it is made once however often it is asked for."""
    return True


def get_autocast_dtype(device_type: str) -> dtype:
    """The type of the innermost region for a device type; outside of regions bfloat16 for the CPU, float16 for GPUs."""
    found: dtype | None = getattr(_chosen, "types", {}).get(_kind(device_type))
    return found or (bfloat16 if device_type == "cpu" else float16)


def get_autocast_cpu_dtype() -> dtype:
    """`get_autocast_dtype` of the CPU."""
    return get_autocast_dtype("cpu")


def get_autocast_gpu_dtype() -> dtype:
    """`get_autocast_dtype` of CUDA."""
    return get_autocast_dtype("cuda")


class autocast:
    """A region, or a decorator, for mixed precision: products and convolutions run in `dtype` (bfloat16 by default on the CPU, float16 on
    a GPU), what needs range or many digits in float32; docs/GPU.md has the lists. Regions nest, and belong to their thread.

    A region is disabled, with PyTorch's warning, for a device that is not there and for other types. `cache_enabled` changes nothing:
    see `is_autocast_cache_enabled`.
    """

    def __init__(self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")
        self.device = _kind(device_type)
        if self.device not in _DEVICES:
            raise RuntimeError(f"User specified an unsupported autocast device_type '{device_type}'")
        self.fast_dtype = get_autocast_dtype(self.device) if dtype is None else dtype
        name = device_type.upper()
        if enabled and (self.device in devices._FOREIGN or (self.device == "wgpu" and not is_available())):
            warnings.warn(
                "CUDA is not available or torch_xla is imported. Disabling autocast."
                if self.device == "cuda"
                else f"User provided device_type of '{device_type}', but {name} is not available. Disabling",
                stacklevel=2,
            )
            enabled = False
        if enabled and self.fast_dtype not in _TYPES:
            warnings.warn(
                f"In {name} autocast, but the target dtype is not supported. Disabling autocast.\n{name} Autocast only supports dtypes of "
                "torch.bfloat16, torch.float16 currently.",
                stacklevel=2,
            )
            enabled = False
        self._enabled = enabled
        self._outer: list[tuple[dict[str, Any] | None, dict[str, Any]]] = []  # the states to go back to

    def __enter__(self) -> autocast:
        me = threading.get_ident()
        region, types = REGIONS.get(me), getattr(_chosen, "types", {})
        self._outer.append((region, types))
        _chosen.types = {**types, self.device: self.fast_dtype}
        inner = {k: d for k, d in (region or {}).items() if k != self.device}
        _set(me, {**inner, self.device: self.fast_dtype} if self._enabled else inner)
        return self

    def __exit__(self, *_: Any) -> None:
        region, _chosen.types = self._outer.pop()
        _set(threading.get_ident(), region)

    def __call__(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with autocast(self.device, self.fast_dtype, self._enabled):  # one of its own: threads may call the function at once
                return func(*args, **kwargs)

        return inside


def _set(me: int, region: dict[str, Any] | None) -> None:
    if region:
        REGIONS[me] = region
    else:
        REGIONS.pop(me, None)


# ---------------------------------------------------------------- the same state, set by hand
def set_autocast_enabled(*args: Any) -> None:
    """``set_autocast_enabled(device_type, enabled)``, or of CUDA ``set_autocast_enabled(enabled)``: from now on in this thread."""
    kind, enabled = (_kind(args[0]), args[1]) if len(args) == 2 else ("cuda", *args)
    me = threading.get_ident()
    others = {k: d for k, d in REGIONS.get(me, {}).items() if k != kind}
    _set(me, {**others, kind: get_autocast_dtype(kind)} if enabled else others)


def set_autocast_dtype(device_type: str, dtype: dtype) -> None:
    """The type of regions for a device type that name none, and of the one this thread is in."""
    kind, me = _kind(device_type), threading.get_ident()
    _chosen.types = {**getattr(_chosen, "types", {}), kind: dtype}
    if kind in REGIONS.get(me, ()):
        _set(me, {**REGIONS[me], kind: dtype})


def set_autocast_cpu_enabled(enabled: bool) -> None:
    """`set_autocast_enabled` of the CPU."""
    set_autocast_enabled("cpu", enabled)


def set_autocast_cpu_dtype(dtype: dtype) -> None:
    """`set_autocast_dtype` of the CPU."""
    set_autocast_dtype("cpu", dtype)


def set_autocast_gpu_dtype(dtype: dtype) -> None:
    """`set_autocast_dtype` of CUDA."""
    set_autocast_dtype("cuda", dtype)


def set_autocast_cache_enabled(enabled: bool) -> None:
    """Accepted: see `is_autocast_cache_enabled`."""


def clear_autocast_cache() -> None:
    """Nothing is cached: see `is_autocast_cache_enabled`."""


def autocast_increment_nesting() -> int:
    """Counts regions entered by hand, for code that clears PyTorch's cache at the outermost: the number of them."""
    _chosen.depth = getattr(_chosen, "depth", 0) + 1
    return int(_chosen.depth)


def autocast_decrement_nesting() -> int:
    """The other end of `autocast_increment_nesting`."""
    _chosen.depth = getattr(_chosen, "depth", 0) - 1
    return int(_chosen.depth)


def custom_fwd(fwd: Callable[..., Any] | None = None, *, device_type: str, cast_inputs: dtype | None = None) -> Any:
    """Decorator of ``forward`` in an autograd.Function. Without `cast_inputs` it runs under the state it is called in, which `custom_bwd`
    restores; with it, floating-point operands come in that type and autocast is off inside, if a region was active.
    """
    _check_name(device_type)
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)
    method = fwd

    @functools.wraps(method)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        active = is_autocast_enabled(device_type)
        ctx._dtype, ctx._fwd_used_autocast = get_autocast_dtype(device_type), active and cast_inputs is None
        if not active or cast_inputs is None:
            return method(ctx, *args, **kwargs)
        with autocast(device_type, enabled=False):
            return method(ctx, *_cast(args, _kind(device_type), cast_inputs), **_cast(kwargs, _kind(device_type), cast_inputs))

    return forward


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str) -> Any:
    """Decorator of ``backward`` in an autograd.Function: it runs under the autocast state of ``forward`` (see `custom_fwd`)."""
    _check_name(device_type)
    if bwd is None:
        return functools.partial(custom_bwd, device_type=device_type)
    method = bwd

    @functools.wraps(method)
    def backward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        with autocast(device_type, ctx._dtype, ctx._fwd_used_autocast):
            return method(ctx, *args, **kwargs)

    return backward


def _check_name(device_type: Any) -> None:
    if not isinstance(device_type, str):
        raise ValueError(f"Expected `device_type` of type `str`, got: `{type(device_type)}`")


def _cast(value: Any, device: str, d: dtype) -> Any:
    """Tensors on a device in type `d`, if they are floating ones of at most 32 bits; also inside of containers."""
    if isinstance(value, Tensor):
        fits = value.dtype.is_floating_point and value.dtype is not float64 and value.device.type == device
        return value.to(d) if fits else value  # type: ignore[attr-defined]
    if isinstance(value, dict):
        return {k: _cast(v, device, d) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([_cast(v, device, d) for v in value])
    return value
