"""Lists of tensors by device and type, as optimizers of others sort them before they update each list at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__: list[str] = []


def _group_tensors_by_device_and_dtype(tensorlistlist: Sequence[Sequence[Any]], with_indices: bool = False) -> dict[Any, Any]:
    """(device, type of the first list's tensor) -> (the parts of all lists that belong there, their places if `with_indices`)."""
    groups: dict[Any, Any] = {}
    for place, first in enumerate(tensorlistlist[0]):
        lists, places = groups.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
        for part, tensors in zip(lists, tensorlistlist, strict=True):
            if tensors:
                part.append(tensors[place])
        places.append(place)
    return groups if with_indices else {key: (lists, []) for key, (lists, _) in groups.items()}


def _get_foreach_kernels_supported_devices() -> list[str]:
    """Kinds of devices with functions of whole lists (``torch._foreach_*``)."""
    return ["cpu", "wgpu"]


_get_fused_kernels_supported_devices = _get_foreach_kernels_supported_devices


def _device_has_foreach_support(device: Any) -> bool:
    """Whether a device has functions of whole lists."""
    return device.type in _get_foreach_kernels_supported_devices()


def _has_foreach_support(tensors: Sequence[Any], device: Any) -> bool:
    """The same for a list of tensors, or None, on it."""
    return _device_has_foreach_support(device)
