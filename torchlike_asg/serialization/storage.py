"""Storages and strided tensors as files know them: bytes and numbers, no Tensor."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import dtypes
from ..dtypes import dtype

__all__ = ["STORAGE_NAMES", "STORAGE_TYPES", "Storage", "StridedRecord"]

MAX_RANK = 64  # NumPy's

#: PyTorch's names of typed storages, by element type.
STORAGE_NAMES: dict[dtype, str] = {
    dtypes.bool_: "BoolStorage",
    dtypes.uint8: "ByteStorage",
    dtypes.int8: "CharStorage",
    dtypes.int16: "ShortStorage",
    dtypes.int32: "IntStorage",
    dtypes.int64: "LongStorage",
    dtypes.float16: "HalfStorage",
    dtypes.bfloat16: "BFloat16Storage",
    dtypes.float32: "FloatStorage",
    dtypes.float64: "DoubleStorage",
    dtypes.complex64: "ComplexFloatStorage",
    dtypes.complex128: "ComplexDoubleStorage",
}
STORAGE_TYPES: dict[str, dtype] = {name: d for d, name in STORAGE_NAMES.items()}


class Storage:
    """A run of bytes that tensors are views of. Given to `map_location` callables, and returned by them.

    `device` is where it will live; `location` the device string the file gives, such as ``"cuda:0"``.
    """

    __slots__ = ("cells", "content", "device", "location")

    def __init__(self, content: np.ndarray[Any, Any], location: str, device: Any) -> None:
        self.content, self.location, self.device = content, location, device
        self.cells: dict[dtype, Any] = {}  # what the tensors made over it share, by element type

    def nbytes(self) -> int:
        return int(self.content.nbytes)

    def size(self) -> int:
        return self.nbytes()

    __len__ = size

    def to(self, device: Any) -> Storage:
        """The same bytes, to live on `device`."""
        from ..devices import check
        from ..devices import device as device_type

        return Storage(self.content, self.location, check(device_type(device)))

    def cpu(self) -> Storage:
        return self.to("cpu")

    def cuda(self, device: int | None = None) -> Storage:
        return self.to("cuda" if device is None else f"cuda:{device}")

    def __repr__(self) -> str:
        return f"Storage({self.nbytes()} bytes, device={self.device})"


@dataclass(slots=True)
class StridedRecord:
    """A tensor on its way into a file.

    `elements` is the 1-D buffer of its storage in stored form (bfloat16 as uint16); tensors with equal `identity` share it.
    Offset and strides count elements. `owner` keeps the identity from being reused. `elements` is None on the meta device.
    """

    identity: int
    elements: np.ndarray[Any, Any] | None
    dtype: dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    requires_grad: bool = False
    is_parameter: bool = False
    location: str = "cpu"
    attributes: dict[str, Any] = field(default_factory=dict)
    owner: Any = None


def check_extent(size: Any, stride: Any, offset: Any, elements: int) -> None:
    """Raises ValueError unless the strided region lies inside `elements` elements."""
    numbers = (*size, *stride, offset)
    if len(size) > MAX_RANK or len(size) != len(stride) or any(type(n) is not int or n < 0 for n in numbers):
        raise ValueError(f"a tensor has size {tuple(size)}, stride {tuple(stride)}, offset {offset}")
    if 0 in size:
        return
    last = offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))
    if last >= elements:
        raise ValueError(
            f"a tensor of size {tuple(size)}, stride {tuple(stride)}, offset {offset} does not fit its storage of {elements} elements"
        )
