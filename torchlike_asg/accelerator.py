"""``torch.accelerator``: the GPU that this package can use through wgpu, if there is one. The CPU is none.

A software adapter counts only where it was asked for (``TORCHLIKE_ASG_ADAPTER=cpu``).
"""

from __future__ import annotations

from typing import Any

from . import devices
from .absent import asked
from .backends.wgpu import adapter
from .devices import device as as_device

__all__ = [
    "current_accelerator",
    "current_device_index",
    "device_count",
    "device_index",
    "empty_cache",
    "empty_host_cache",
    "get_device_capability",
    "get_memory_info",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "memory_stats",
    "reset_accumulated_memory_stats",
    "reset_peak_memory_stats",
    "set_device_index",
    "synchronize",
]

_NONE = "Cannot access accelerator device when none is available."


def is_available() -> bool:
    """Whether an accelerator can be used. Never raises."""
    return adapter.is_available()


def device_count() -> int:
    """The number of accelerators."""
    return len(adapter.usable())


def current_accelerator(check_available: bool = False) -> as_device | None:
    """The accelerator's device, ``wgpu`` without an index as PyTorch gives it; None if there is none."""
    return as_device("wgpu") if adapter.is_available() else None


def _index(device: Any) -> int:
    """The index that a device, number, name or None means; RuntimeError if there is no such accelerator."""
    if not adapter.is_available():
        raise RuntimeError(_NONE)
    if device is None:
        return devices.current_index[0]
    if isinstance(device, int):
        return devices.check(as_device("wgpu", device)).index or 0
    d = devices.check(as_device(device))
    if d.type != "wgpu":
        raise ValueError(f"{d} doesn't match the current accelerator wgpu.")
    return d.index or 0


def current_device_index() -> int:
    """The index of the accelerator that ``"wgpu"`` without an index means; raises RuntimeError without one."""
    return _index(None)


def set_device_index(device: Any, /) -> None:
    """Choose the accelerator that ``"wgpu"`` without an index means; raises RuntimeError without one."""
    devices.current_index[0] = _index(device)


class device_index:
    """``with device_index(1):`` chooses an accelerator as `set_device_index` does, until the end of the block; None changes nothing."""

    def __init__(self, device: int | None, /) -> None:
        self.idx, self.prev_idx = device, -1

    def __enter__(self) -> None:
        if self.idx is not None:
            self.prev_idx = current_device_index()
            set_device_index(self.idx)

    def __exit__(self, *exc_info: object) -> None:
        if self.idx is not None:
            set_device_index(self.prev_idx)


def get_device_capability(device: Any = None, /) -> dict[str, Any]:
    """``{"supported_dtypes": ...}``: the set of types that tensors on the accelerator may have."""
    from .backends.wgpu.backend import backend

    _index(device)
    return {"supported_dtypes": set(backend.caps.dtypes)}


def current_stream(device: Any = None) -> Any:
    """Raises: a device has one queue, which runs everything in order."""
    _index(device)
    raise RuntimeError("torch.accelerator.current_stream: a wgpu device has one queue and no streams")


def _opened(device: Any) -> Any:
    """The device, if it has been used."""
    from .backends.wgpu.device import opened

    return opened(_index(device)) if adapter.is_available() else None


def synchronize(device: Any = None, /) -> None:
    """Compute what is pending and wait for the accelerator; without one there is nothing to wait for."""
    from .facade.flush import flush

    flush()
    d = _opened(device)
    if d is not None:
        d.synchronize()


def empty_cache() -> None:
    """Give memory of the accelerator that no tensor uses back to the system."""
    d = _opened(None)
    if d is not None:
        d.pool.empty()


def empty_host_cache() -> None:
    """Does nothing: no memory of the host is kept for transfers."""


def _statistic(name: str, doc: str) -> Any:
    def read(device_index: Any = None, /) -> int:
        d = _opened(device_index)
        return 0 if d is None else int(getattr(d.pool, name))

    read.__doc__ = doc
    return read


memory_allocated = _statistic("allocated", "Bytes in use on the accelerator.")
memory_reserved = _statistic("reserved", "Bytes in use on the accelerator or kept for the next tensor.")
max_memory_allocated = _statistic("peak", "The most bytes that were in use on the accelerator.")
max_memory_reserved = _statistic("peak_reserved", "The most bytes that were in use or kept.")


def memory_stats(device_index: Any = None, /) -> dict[str, int]:
    """The statistics by PyTorch's names."""
    d = _opened(device_index)
    if d is None:
        return {}
    p = d.pool
    found = {}
    for name, current, peak, ever in (
        ("allocated_bytes", p.allocated, p.peak, p.ever_allocated),
        ("reserved_bytes", p.reserved, p.peak_reserved, p.ever_reserved),
    ):
        values = {"allocated": ever, "current": current, "freed": ever - current, "peak": peak}
        found.update({f"{name}.all.{kind}": value for kind, value in values.items()})
    return found


def get_memory_info(device_index: Any = None, /) -> tuple[int, int]:
    """Raises NotImplementedError: of no device does wgpu tell how much memory it has, or how much of it is free."""
    _index(device_index)
    raise NotImplementedError(
        "torch.accelerator.get_memory_info: wgpu does not tell how much memory a device has; memory_allocated() and memory_reserved() are "
        "what this process uses"
    )


def reset_accumulated_memory_stats(device_index: Any = None, /) -> None:
    """Begin to add up anew what is allocated and freed: what is in use now counts as allocated."""
    d = _opened(device_index)
    if d is not None:
        d.pool.ever_allocated, d.pool.ever_reserved = d.pool.allocated, d.pool.reserved


def reset_peak_memory_stats(device_index: Any = None, /) -> None:
    """Begin to look for the largest amounts anew."""
    d = _opened(device_index)
    if d is not None:
        d.pool.peak, d.pool.peak_reserved = d.pool.allocated, d.pool.reserved


current_device_idx, set_device_idx = current_device_index, set_device_index


__getattr__ = asked(__name__)
