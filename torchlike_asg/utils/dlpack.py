"""``torch.utils.dlpack``: tensors from and for other array libraries, in memory that both share."""

from __future__ import annotations

from typing import Any

import numpy as np

import torchlike_asg as torch

from ..absent import asked

__all__ = ["from_dlpack", "to_dlpack"]


class _Capsule:
    """A capsule with the methods that NumPy asks for. (It says nothing of writing, so NumPy takes it for read-only.)"""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **options: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0


class _Writable:
    """An array's memory, to be written as well."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self.array = array  # keeps the memory
        interface = array.__array_interface__
        self.__array_interface__ = interface | {"data": (interface["data"][0], False)}


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> torch.Tensor:
    """A tensor in the memory of an array of another library (anything with ``__dlpack__``), or of a capsule, on the CPU.

    On another `device`, or with `copy`, in memory of its own.

    Raises:
        BufferError, ValueError: the array is elsewhere, of a type NumPy lacks, or read-only.
    """
    if hasattr(ext_tensor, "__dlpack__"):
        shared = torch.from_numpy(np.from_dlpack(ext_tensor))
    else:
        shared = torch.from_numpy(np.asarray(_Writable(np.from_dlpack(_Capsule(ext_tensor)))))
    if device is not None and torch.device(device) != shared.device:
        if copy is False:
            raise ValueError(f"cannot move an array to {device} without a copy")
        return shared.to(device)  # type: ignore[no-any-return]
    return shared.clone() if copy else shared


def to_dlpack(tensor: torch.Tensor) -> Any:
    """A capsule that another library takes the tensor's memory from, once."""
    return tensor.__dlpack__()


__getattr__ = asked(__name__)
