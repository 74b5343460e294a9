"""Numbers and nested lists of Python as arrays, with the element types and the errors that PyTorch gives them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import dtypes
from ...dtypes import dtype
from ..core import Tensor

_NUMBERS = frozenset((int, float, bool))


def as_array(data: Any, d: dtype | None) -> tuple[np.ndarray[Any, Any], dtype]:
    """Nested Python data -> array and element type: `d`, or what PyTorch infers.

    Raises ValueError for lists of unequal lengths and for text, RuntimeError or TypeError for anything else that is no number.
    """
    if isinstance(data, (np.ndarray, np.generic)):
        a = np.asarray(data)
        return a, dtypes.from_numpy(a.dtype) if d is None else d
    kind = data.__class__
    if kind is float or kind is int or kind is bool or kind is complex:
        a = np.asarray(data)
        return a, inferred(a) if d is None else d
    plain = _plain(data)
    try:
        a = np.array(plain)
    except ValueError as error:
        raise ValueError(_ragged(plain)) from error
    if a.dtype == object:
        _reject(plain)
    if a.dtype.kind in "US":
        raise ValueError("too many dimensions 'str'")
    if a.size == 0 and a.dtype == np.float64:
        return a, dtypes.get_default_dtype() if d is None else d
    numeric = _first(plain)
    return a, (dtypes.from_numpy(a.dtype) if isinstance(numeric, np.generic) else inferred(a)) if d is None else d


def _plain(data: Any) -> Any:
    """Tensors inside lists become arrays or numbers."""
    if isinstance(data, Tensor):
        return data.item() if data.numel() == 1 else data.tolist()  # as an element of a list a tensor of one element is a number
    if isinstance(data, (list, tuple)):
        if _NUMBERS.issuperset(map(type, data)):
            return data
        if any([isinstance(v, str) for v in data]):
            raise ValueError("too many dimensions 'str'")
        return [_plain(v) for v in data]
    if hasattr(data, "__array__") or isinstance(data, (int, float, complex, np.generic)):
        return data
    if isinstance(data, str):
        raise TypeError("new(): invalid data type 'str'")
    if isinstance(data, (dict, set, frozenset)):
        raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")
    if hasattr(data, "__iter__"):
        return [_plain(v) for v in data]
    raise RuntimeError(f"Could not infer dtype of {type(data).__name__}")


def _first(data: Any) -> Any:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return data.reshape(-1)[0] if isinstance(data, np.ndarray) and data.size else data


def inferred(a: np.ndarray[Any, Any]) -> dtype:
    """The element type of a tensor of Python numbers, given them as an array."""
    if a.dtype.kind == "f":
        return dtypes.get_default_dtype()
    if a.dtype.kind == "c":
        return dtypes.get_default_dtype().to_complex()
    return dtypes.bool_ if a.dtype.kind == "b" else dtypes.int64


def _ragged(data: Any, dim: int = 0) -> str:
    lengths = [len(v) if isinstance(v, (list, tuple, np.ndarray)) else None for v in data]
    if len(set(lengths)) > 1:
        first = lengths[0]
        i = next(k for k, n in enumerate(lengths) if n != first)
        return f"expected sequence of length {first} at dim {dim + 1} (got {lengths[i]})"
    return next((m for v in data if isinstance(v, (list, tuple)) and (m := _ragged(v, dim + 1))), "")


def _reject(data: Any) -> None:
    bad = data
    while isinstance(bad, (list, tuple)) and bad:
        bad = next((v for v in bad if not isinstance(v, (int, float, complex))), bad[0])
    if isinstance(bad, int):
        raise RuntimeError("Overflow when unpacking long long")
    raise RuntimeError(f"Could not infer dtype of {type(bad).__name__}")
