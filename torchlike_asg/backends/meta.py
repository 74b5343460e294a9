"""The meta device: shapes, element types and layouts without values. Operations on it are recorded as everywhere, and never computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..asg.geometry import contiguous
from ..asg.node import Node
from ..dtypes import dtype
from .wgpu.memory import DeviceArray, normal

NO_DATA = "Cannot copy out of meta tensor; no data!"


class _Flags:
    """What of NumPy's flags the facade asks for."""

    __slots__ = ("c_contiguous", "writeable")

    def __init__(self, c_contiguous: bool) -> None:
        self.c_contiguous, self.writeable = c_contiguous, False


_CONTIGUOUS, _STRIDED = _Flags(True), _Flags(False)


class Absent:
    """Stands for a value on the meta device where an array stands for one on the CPU and a `DeviceArray` for one on a GPU: it has their
    ``dtype``, ``shape``, ``layout`` and ``flags``, and takes no memory. Asking for its elements raises NotImplementedError.
    """

    __slots__ = ("__weakref__", "dtype", "element", "flags", "layout", "shape", "size")

    nbytes = 0

    def __init__(self, shape: Sequence[int], layout: Sequence[int], d: dtype) -> None:
        self.shape, self.layout, self.element, self.dtype = tuple(shape), normal(shape, layout), d, d.compute
        self.size = math.prod(self.shape)
        self.flags = _CONTIGUOUS if self.layout == contiguous(self.shape) or self.size < 2 else _STRIDED

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        """Raises: there are no elements."""
        raise NotImplementedError(NO_DATA)

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        return self.numpy()

    def copy(self, order: str = "C") -> Absent:
        """The same: nothing is there that a copy would keep apart."""
        return self


#: the classes of values that are not in the computer's own memory
AWAY = frozenset((DeviceArray, Absent))


def absent(n: Node) -> Absent:
    """What stands for the value of a node of the meta device."""
    return Absent(n.shape, n.strides, n.dtype)
