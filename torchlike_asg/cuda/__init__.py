"""``torch.cuda`` as it is on a machine without CUDA: `is_available()` is False, seeds and statistics are harmless, the rest says so.

Scripts guard their CUDA code by `is_available`; the GPU of this package is the device ``"wgpu"``.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from .. import accelerator, devices, notices
from ..absent import asked
from ..errors import OutOfMemoryError
from . import amp, nvtx
from .random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)

_MISSING = "Torch not compiled with CUDA enabled"
#: what scripts ask in place of `is_initialized`, before they save CUDA's random numbers
_initialized = False

__all__ = [
    "OutOfMemoryError",
    "amp",
    "device_count",
    "empty_cache",
    "get_rng_state",
    "get_rng_state_all",
    "initial_seed",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "nvtx",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
    "synchronize",
]


def is_available() -> bool:
    """False: there is no CUDA here. Where "cuda" means "wgpu" (backends.wgpu.use_for_cuda), whether there is a GPU."""
    return devices.cuda_means_wgpu[0] and accelerator.is_available()


def is_initialized() -> bool:
    """`is_available`: a GPU is opened when it is first used."""
    return is_available()


def device_count() -> int:
    """Zero; where "cuda" means "wgpu", the number of GPUs."""
    return accelerator.device_count() if is_available() else 0


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """False."""
    return False


def is_current_stream_capturing() -> bool:
    """False: there are no CUDA graphs."""
    return False


def is_tf32_supported() -> bool:
    """False."""
    return False


def get_arch_list() -> list[str]:
    """Empty."""
    return []


def synchronize(device: Any = None) -> None:
    """Wait for the GPU, where "cuda" means "wgpu"; else there is nothing to wait for."""
    if is_available():
        accelerator.synchronize(device)


def empty_cache() -> None:
    """Give unused memory of the GPU back, where "cuda" means "wgpu"."""
    if is_available():
        accelerator.empty_cache()


def ipc_collect() -> None:
    """Nothing is shared on CUDA."""


def init() -> None:
    """Raises: there is no CUDA here."""
    raise AssertionError(_MISSING)


# ---------------------------------------------------------------- memory
def _amount(name: str) -> Any:
    def amount(device: Any = None) -> int:
        return getattr(accelerator, name)(device) if is_available() else 0  # type: ignore[no-any-return]

    amount.__name__ = amount.__qualname__ = name
    amount.__doc__ = f'`accelerator.{name}` where "cuda" means "wgpu", else zero bytes.'
    return amount


memory_allocated, max_memory_allocated = _amount("memory_allocated"), _amount("max_memory_allocated")
memory_reserved, max_memory_reserved = _amount("memory_reserved"), _amount("max_memory_reserved")


def memory_cached(device: Any = None) -> int:
    """`memory_reserved`, by its old name."""
    notices.deprecated("`torch.cuda.memory_cached` has been renamed to `torch.cuda.memory_reserved`")
    return memory_reserved(device)  # type: ignore[no-any-return]


def max_memory_cached(device: Any = None) -> int:
    """`max_memory_reserved`, by its old name."""
    notices.deprecated("`torch.cuda.max_memory_cached` has been renamed to `torch.cuda.max_memory_reserved`")
    return max_memory_reserved(device)  # type: ignore[no-any-return]


def memory_stats(device: Any = None) -> dict[str, Any]:
    """Empty; where "cuda" means "wgpu", `accelerator.memory_stats`."""
    return accelerator.memory_stats(device) if is_available() else OrderedDict()


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """Says that no memory is used."""
    return "no CUDA memory is in use: CUDA is not available"


def reset_peak_memory_stats(device: Any = None) -> None:
    """Begin to look for the largest amounts anew."""
    if is_available():
        accelerator.reset_peak_memory_stats(device)


reset_max_memory_allocated = reset_max_memory_cached = reset_accumulated_memory_stats = reset_peak_memory_stats


# ---------------------------------------------------------------- what needs a device
def _needs_cuda(name: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError(_MISSING)

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises AssertionError: there is no CUDA here."
    return refuse


def current_device() -> int:
    """The index of the GPU in use; AssertionError where "cuda" means nothing."""
    if not is_available():
        raise AssertionError(_MISSING)
    return accelerator.current_device_index()


def set_device(device: Any = None) -> None:
    """Choose the GPU; AssertionError where "cuda" means nothing."""
    if not is_available():
        raise AssertionError(_MISSING)
    accelerator.set_device_index(device)


def get_device_name(device: Any = None) -> str:
    """The GPU's name; AssertionError where "cuda" means nothing."""
    if not is_available():
        raise AssertionError(_MISSING)
    from ..backends.wgpu.adapter import choose

    return choose(accelerator._index(device)).name


for _name in (
    "get_device_properties",
    "get_device_capability",
    "current_stream",
    "default_stream",
    "mem_get_info",
    "can_device_access_peer",
    "set_per_process_memory_fraction",
    "utilization",
    "temperature",
    "power_draw",
    "clock_rate",
    "memory_usage",
    "set_stream",
):
    globals()[_name] = _needs_cuda(_name)


class device:
    """``with torch.cuda.device(i):`` does nothing for None or a negative index; others raise on entry."""

    def __init__(self, device: Any) -> None:
        self.idx = device if isinstance(device, int) else getattr(device, "index", None)

    def __enter__(self) -> None:
        if self.idx is not None and self.idx >= 0:
            raise AssertionError(_MISSING)

    def __exit__(self, *_: Any) -> None:
        return None


class device_of(device):
    """``with torch.cuda.device_of(tensor):`` does nothing: no tensor lives on CUDA."""

    def __init__(self, obj: Any) -> None:
        super().__init__(-1)


class stream:
    """``with torch.cuda.stream(None):`` does nothing."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def __enter__(self) -> None:
        if self.stream is not None:
            raise AssertionError(_MISSING)

    def __exit__(self, *_: Any) -> None:
        return None


StreamContext = stream


class Event:
    """Cannot be made: there is no CUDA here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            "Tried to instantiate dummy base class Event: torch.cuda.Event requires CUDA support; time with time.perf_counter() after "
            "torch.sync()"
        )


class Stream:
    """Cannot be made: there is no CUDA here."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.Stream requires CUDA support")


class CUDAGraph:
    """Cannot be made: a plan is replayed as it is, without capturing it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.CUDAGraph requires CUDA support; repeated steps replay their compiled plan without it")


class graph:
    """Cannot be opened: see `CUDAGraph`."""

    def __init__(self, cuda_graph: Any, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("torch.cuda.graph requires CUDA support; repeated steps replay their compiled plan without it")


# ---------------------------------------------------------------- tensor types
class _CudaType(type):
    """``torch.cuda.FloatTensor`` and its like: no tensor is an instance, none can be made."""

    is_cuda, is_sparse = True, False

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        raise TypeError(f"type torch.cuda.{cls.__name__} not available. Torch not compiled with CUDA enabled.")

    def __instancecheck__(cls, instance: Any) -> bool:
        return False


for _name in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"):
    globals()[f"{_name}Tensor"] = _CudaType(f"{_name}Tensor", (), {"__module__": "torch.cuda"})


__getattr__ = asked(__name__)
