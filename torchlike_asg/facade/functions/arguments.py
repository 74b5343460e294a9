"""Arguments that several families read alike: dimensions to reduce, checks of types."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import Tensor
from ..misfits import what
from .views import dims_of, wrap_dim


def check_tensor(name: str, argument: str, position: int, value: Any) -> None:
    """TypeError, as PyTorch's argument parser, unless `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' (position {position}) must be Tensor, not {type(value).__name__}")


def whole(value: Any) -> int:
    """An integer, NumPy's or of a tensor with one, as Python's. Raises TypeError for anything else, flags among them."""
    if value.__class__ is int:
        return value  # type: ignore[no-any-return]
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise TypeError(f"must be tuple of ints, but found element of type {type(value).__name__}")
    return value.__index__()  # type: ignore[no-any-return]


def wholes(value: Any) -> tuple[int, ...]:
    """`whole` of one integer or of each of several."""
    return tuple([whole(v) for v in value]) if isinstance(value, (tuple, list)) else (whole(value),)


def reduced_dims(name: str, dim: Any, rank: int) -> tuple[int, ...]:
    """The dimensions to reduce, sorted and non-negative. None or no dimension at all means every one."""
    if dim.__class__ is int:
        d = wrap_dim(dim, rank)
        return (d,) if rank else ()
    if dim is None:
        return tuple(range(rank))
    if isinstance(dim, (bool, float, str)):
        raise TypeError(f"{name}(): argument 'dim' must be tuple of ints, not {type(dim).__name__}")
    if not (isinstance(dim, (tuple, list)) or hasattr(dim, "__index__")):
        raise TypeError(f"{name}(): argument 'dim' must be tuple of ints, not {what(dim)}")
    if not isinstance(dim, (tuple, list)):
        return reduced_dims(name, dim.__index__(), rank)
    if not dim:
        return tuple(range(rank))
    dims = dims_of(dim, rank)
    return tuple(sorted(dims)) if rank else ()


def one_dim(name: str, dim: Any, rank: int) -> int:
    """A single dimension as a non-negative number (0 for a 0-d tensor)."""
    if dim.__class__ is not int:
        if isinstance(dim, (bool, float, str, tuple, list)) or not hasattr(dim, "__index__"):
            raise TypeError(f"{name}(): argument 'dim' (position 2) must be int, not {type(dim).__name__}")
        dim = dim.__index__()
    return wrap_dim(dim, rank)


def check_flag(name: str, argument: str, value: Any) -> bool:
    """A bool argument; PyTorch's parser takes no number for one."""
    if value.__class__ is not bool:
        raise TypeError(f"{name}(): argument '{argument}' must be bool, not {type(value).__name__}")
    return value
