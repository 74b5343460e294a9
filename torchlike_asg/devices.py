"""Device strings and objects: ``"cpu"``, ``"wgpu"``, ``"wgpu:1"``, ``"meta"`` (shapes without values), and ``"gpu"``, which is another
name of ``"wgpu"``.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from .errors import CudaMissing

__all__ = ["device"]

KINDS = ("cpu", "wgpu", "meta")
_FOREIGN = ("cuda", "mps", "xpu", "hip", "xla", "hpu", "mtia")


class device:
    """Where a tensor lives. ``device("wgpu:1")``, ``device("wgpu", 1)`` and ``device(other)`` are accepted; compared by value."""

    __slots__ = ("type", "index")

    type: str
    index: int | None

    def __new__(cls, type: Any = None, index: int | None = None, **named: Any) -> device:
        if named:
            if named.keys() != {"device"} or type is not None or index is not None:
                raise TypeError("device() received an invalid combination of arguments")
            type = named["device"]
        if isinstance(type, device):
            return type
        if _is_index(type):
            type, index = "wgpu", type.__index__()
        if not isinstance(type, str):
            raise TypeError(f"device(): argument 'type' must be str, not {type.__class__.__name__}")
        if not type:
            raise RuntimeError("Device string must not be empty")
        if index is not None:
            if not _is_index(index):
                raise TypeError(f"device(): argument 'index' (position 2) must be int, not {index.__class__.__name__}")
            index = index.__index__()
            if index < 0:
                raise RuntimeError("Device index must not be negative")
        kind, _, number = type.partition(":")
        kind = "wgpu" if kind == "gpu" else kind
        if number or type.endswith(":"):
            if index is not None or not number.isdecimal() or number != str(int(number)):
                raise RuntimeError(
                    f"Invalid device string: '{type}'"
                    if index is None
                    else f"type (string) must not include an index because index was passed explicitly: {type}"
                )
            index = int(number)
        if kind in _FOREIGN:
            return _foreign(kind, index)
        if kind not in KINDS:
            raise RuntimeError(f"Expected one of cpu, wgpu device type at start of device string: {kind}")
        return _intern(kind, index)

    def __repr__(self) -> str:
        return f"device(type='{self.type}'" + (f", index={self.index})" if self.index is not None else ")")

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and self.type == other.type and self.index == other.index

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type, self.index)

    def __enter__(self) -> device:
        """``with torch.device("wgpu"):`` factory functions, and modules made there, use the device."""
        _left.append(default[0])
        default[0] = check(self)
        return self

    def __exit__(self, *_: object) -> None:
        default[0] = _left.pop()


def _is_index(value: Any) -> bool:
    """Whether a value counts devices: Python's and NumPy's integers, no flags."""
    return hasattr(value, "__index__") and not isinstance(value, bool) and type(value).__name__ != "Tensor"


_interned: dict[tuple[str, int | None], device] = {}


def _intern(kind: str, index: int | None) -> device:
    d = _interned.get((kind, index))
    if d is None:
        d = object.__new__(device)
        d.type, d.index = kind, index
        d = _interned.setdefault((kind, index), d)
    return d


#: whether ``"cuda"`` is another name of ``"wgpu"`` (see backends.wgpu.use_for_cuda)
cuda_means_wgpu = [os.environ.get("TORCHLIKE_ASG_CUDA", "").strip().lower() == "wgpu"]


def _foreign(kind: str, index: int | None) -> device:
    """A device of PyTorch's that this package does not drive: the object exists (scripts build it behind a test), using it raises."""
    if kind == "cuda" and cuda_means_wgpu[0]:
        return _intern("wgpu", index)
    return _intern(kind, index)


cpu = device("cpu")
#: where factory functions put new tensors; those that `with` blocks replaced
default = [cpu]
_left: list[device] = []
#: the device of what is computed from literals alone: any device takes part in what it computes. It is equal to `cpu`
free = object.__new__(device)
free.type, free.index = "cpu", None
#: the index that ``"wgpu"`` without one means
current_index = [0]


def _present(d: device) -> device:
    """A device of wgpu with its index; RuntimeError if there is no such adapter."""
    index = current_index[0] if d.index is None else d.index
    adapters: Any = importlib.import_module("torchlike_asg.backends.wgpu.adapter")  # from above: only when a GPU is asked for
    adapters.choose(index)
    return _intern("wgpu", index)


def refuse(d: device, element: Any) -> None:
    """TypeError for an element type that a device does not have."""
    if d.type == "wgpu" and element.name in ("float64", "complex128"):
        single = "float32" if element.name == "float64" else "complex64"
        raise TypeError(
            f"Cannot convert a tensor to {element.name} on the wgpu device, as shaders do not have that type. Please use {single} instead, "
            "or compute on the CPU (.cpu())"
        )


def check(d: device) -> device:
    """The device of tensors that are put on `d`, or the error a user should see."""
    if d.type in _FOREIGN:
        raise (CudaMissing if d.type == "cuda" else RuntimeError)(
            f"torchlike_asg is not compiled with {d.type.upper()} support: use device='cpu' (or 'wgpu' for a GPU through wgpu)"
            + ("; TORCHLIKE_ASG_CUDA=wgpu has 'cuda' mean that" if d.type == "cuda" else "")
        )
    if d.type == "wgpu":
        return _present(d)
    if d.type == "meta":
        return _intern("meta", None)
    return d if d.index is None else cpu  # there is one, whatever its number
