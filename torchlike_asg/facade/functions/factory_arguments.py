"""How functions that make tensors read their arguments: devices, and sizes in PyTorch's several forms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import devices
from ...devices import check, device
from ...dtypes import dtype
from ..core import Tensor
from ..misfits import final

#: the largest number of bytes, and of elements of a dimension
_LARGEST = 2**63 - 1
_OVERFLOW = '"Overflow when unpacking long long"'


def device_of(d: Any, like: Tensor | None = None) -> device:
    """The device argument of a factory function."""
    if d is None:
        return like.device if like is not None else devices.default[0]  # type: ignore[no-any-return]
    return check(device(d))


def sizes(args: tuple[Any, ...], name: str = "size", function: str = "") -> tuple[int, ...]:
    """Size arguments: ``f(2, 3)``, ``f((2, 3))``, ``f([2, 3])``, ``f(torch.Size(...))``. Without any: TypeError of `function`."""
    if function and not args:
        raise final(TypeError(f'{function}() missing 1 required positional arguments: "{name}"'))
    if len(args) == 1 and not isinstance(args[0], (int, np.integer, Tensor)):
        args = args[0]
        if not isinstance(args, (tuple, list)):
            raise TypeError(f"argument '{name}' (position 1) must be tuple of ints, not {type(args).__name__}")
    if args and args[0].__class__ is bool:  # PyTorch looks at the first one only
        raise TypeError(f"argument '{name}' (position 1) must be tuple of ints, but found element of type bool at pos 0")
    return tuple([_index(d, name, i) for i, d in enumerate(args)])


def sequence(size: Any, name: str = "size", position: int = 1) -> tuple[int, ...]:
    """Sizes in one tuple or list, where a single number is none."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"argument '{name}' (position {position}) must be tuple of ints, not {type(size).__name__}")
    return sizes((size,), name)


def given_sizes(args: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """`sizes`, or the argument ``size=``, which is a sequence."""
    if size is None:
        if not args:
            raise TypeError("missing 1 required positional argument: 'size'")
        return sizes(args)
    if args:
        raise TypeError("received an invalid combination of arguments: sizes both by position and as 'size'")
    return sequence(size)


def whole_size(n: int) -> int:
    """`n`, unless 64 bits do not hold it: a ValueError."""
    if not -_LARGEST <= n + 1 <= _LARGEST + 1:
        raise ValueError("Overflow when unpacking long long")
    return n


def _index(d: Any, name: str, place: int = 0) -> int:
    if d.__class__ is not int:
        if isinstance(d, float) or not hasattr(d, "__index__"):
            raise TypeError(f"argument '{name}' must be tuple of ints, but found element of type {type(d).__name__} at pos {place}")
        d = int(d.__index__())
    if not -_LARGEST <= d + 1 <= _LARGEST + 1:
        raise TypeError(
            f"argument '{name}' failed to unpack the object at pos {place + 1} with error \"Overflow when unpacking long long\""
        )
    return d  # type: ignore[no-any-return]


def allocatable(shape: tuple[int, ...], d: dtype, zeros: bool = False) -> tuple[int, ...]:
    """`shape`, if a new tensor can have it; else RuntimeError."""
    if shape and min(shape) < 0:
        raise RuntimeError(
            "zeros: Dimension size must be non-negative."
            if zeros
            else f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    if math.prod(shape) * d.itemsize > _LARGEST:
        raise RuntimeError(f"Storage size calculation overflowed with sizes={list(shape)}")
    return shape
