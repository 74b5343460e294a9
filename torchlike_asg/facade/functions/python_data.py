"""Numbers, nested lists and arrays as one array, with the element type that PyTorch infers."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any

import numpy as np

from ... import dtypes
from ...dtypes import dtype, promote_types
from ..core import Tensor

_NUMBERS = frozenset((int, float, bool))
#: dimensions of nested sequences: NumPy's arrays have no more (PyTorch goes to 128)
_DEEPEST = 64
#: NumPy's types that no tensor here has, and that PyTorch converts where another type is asked for
WIDE = frozenset(map(np.dtype, ("uint16", "uint32", "uint64")))
#: what NumPy makes of Python's integers beyond 64 bits
_HUGE = (np.dtype(object), np.dtype(np.uint64))


def as_array(data: Any, d: dtype | None, asked: dtype | None = None) -> tuple[np.ndarray[Any, Any], dtype]:
    """Nested Python data -> array and element type. Numbers that an integer type `d` does not have are refused; an array's wrap around.

    `asked`: the type that what is no number is refused for, if that is not `d`.
    """
    asked = d if asked is None else asked
    if isinstance(data, np.ndarray):
        forward(data)
        if d is not None and data.dtype in WIDE:
            return data, d
        found = dtypes.from_numpy(data.dtype)
        return data, found if d is None else d
    kind = data.__class__
    if kind is float or kind is int or kind is bool or kind is complex or isinstance(data, np.generic):
        _check_number(data, d)
        plain, a = data, np.asarray(data)
    else:
        if isinstance(data, (list, tuple)) and _of_first(data)[1]:
            raise ValueError("too many dimensions 'str'")
        plain = _plain(data, asked)
        try:
            a = np.array(plain)
        except ValueError as error:
            shape = _of_first(plain)[0]
            if 0 not in shape:
                raise _uneven(plain, shape, asked or _type_of(data)) from error
            return np.zeros(shape), dtypes.get_default_dtype() if d is None else d  # nothing is read of what is empty
    if a.dtype in _HUGE and not isinstance(data, np.generic) and _any_number(d, a.flat):
        a = a.astype(d.compute)  # type: ignore[union-attr]
    if a.dtype == object:
        _reject(plain, asked)
    if a.dtype.kind in "US":
        raise ValueError("too many dimensions 'str'")
    whole = d is None or d.category == dtypes.INTEGER
    if a.dtype == np.uint64 and whole and not isinstance(data, np.generic):  # what NumPy makes of Python numbers from 2**63 on
        raise ValueError("Overflow when unpacking long long")
    if d is None:
        found = _type_of(data) or dtypes.get_default_dtype()
        if found is dtypes.int64 and a.dtype.kind == "f" and a.size:  # NumPy takes doubles where an integer is beyond 64 bits
            raise ValueError("Overflow when unpacking long long")
        return a, found
    if a.dtype.kind == "c" and not (d.is_complex or d is dtypes.bool_):
        raise TypeError("must be real number, not complex")
    if d.category == dtypes.INTEGER and a.dtype.kind in "if" and a.size:
        _check_range(a, d)
    return a, d


def _check_number(number: Any, d: dtype | None) -> None:
    """TypeError if one of NumPy's numbers is none of type `d`: PyTorch asks those that are no Python numbers for an index."""
    if isinstance(number, np.generic) and d is not None and d.category <= dtypes.INTEGER:
        fits = isinstance(number, (int, float, complex, np.integer)) or (d is dtypes.bool_ and isinstance(number, np.bool_))
        if not fits:
            raise _no_number(number, d)


def _any_number(d: dtype | None, values: Iterable[Any]) -> bool:
    """Whether these are numbers, and a type is asked for that takes any, integers beyond 64 bits, too."""
    return d is not None and d.category != dtypes.INTEGER and all(isinstance(v, (int, float, complex)) for v in values)


def forward(a: np.ndarray[Any, Any]) -> None:
    """ValueError for an array whose elements lie backwards, as PyTorch's tensors cannot."""
    if any(s < 0 for s in a.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently supported. "
            "(You can probably work around this by making a copy of your array with array.copy().)"
        )


def inferred(a: np.ndarray[Any, Any]) -> dtype:
    """The type of Python numbers, which an array holds as NumPy would have them."""
    if a.dtype.kind == "f":
        return dtypes.get_default_dtype()
    if a.dtype.kind == "c":
        return dtypes.get_default_dtype().to_complex()
    return dtypes.bool_ if a.dtype.kind == "b" else dtypes.int64


def _type_of(data: Any) -> dtype | None:
    """The common type of all elements: tensors and NumPy's count with their own types, Python's by their kinds. None: there is none."""
    if isinstance(data, Tensor):
        return data.dtype
    if isinstance(data, (np.ndarray, np.generic)):
        return dtypes.from_numpy(data.dtype)
    if isinstance(data, (bool, int, float, complex)):
        return inferred(np.asarray(data))
    kinds = set(map(type, data)) if isinstance(data, (list, tuple)) else None
    if kinds is not None and kinds <= _NUMBERS:
        return dtypes.get_default_dtype() if float in kinds else dtypes.int64 if int in kinds else dtypes.bool_ if kinds else None
    if hasattr(data, "__array__"):
        return dtypes.from_numpy(np.asarray(data).dtype)
    found = {t for v in data if (t := _type_of(v)) is not None}
    return functools.reduce(promote_types, found) if found else None


def _check_range(a: np.ndarray[Any, Any], d: dtype) -> None:
    limits = dtypes.iinfo(d)
    low, high = a.min().item(), a.max().item()
    if not ((limits.min or -limits.max) <= low and high <= limits.max):  # NaN is neither
        raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")


def _no_number(value: Any, d: dtype | None) -> Exception:
    name = type(value).__name__
    if isinstance(value, (str, bytes)) and d is None:
        return TypeError(f"new(): invalid data type '{name}'")
    if d is None:
        return RuntimeError(f"Could not infer dtype of {name}")
    whole = d.category <= dtypes.INTEGER
    return TypeError(f"{name!r} object cannot be interpreted as an integer" if whole else f"must be real number, not {name}")


def _plain(data: Any, d: dtype | None, within: tuple[Any, ...] = ()) -> Any:
    """Tensors inside lists become numbers. `within`: the lists around it."""
    outermost = not within
    if isinstance(data, Tensor):
        if data.numel() != 1 and not outermost:
            if d is not None and d.category <= dtypes.INTEGER:
                raise TypeError("only integer tensors of a single element can be converted to an index")
            raise ValueError("only one element tensors can be converted to Python scalars")
        if not outermost and d is not None and d.category <= dtypes.INTEGER and data.dtype.category > dtypes.INTEGER:
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return data.item() if data.numel() == 1 else data.tolist()  # as an element of a list a tensor of one element is a number
    if isinstance(data, (list, tuple)):
        if _NUMBERS.issuperset(map(type, data)):
            return data
        within = (*within, data)
        if any(v is outer for v in data for outer in within):
            raise TypeError("new(): self-referential lists are incompatible")
        return [_plain(v, d, within) for v in data]
    if hasattr(data, "__array__") or isinstance(data, (int, float, complex, np.generic)):
        _check_number(data, d)
        return data
    if isinstance(data, (str, bytes)):
        raise _no_number(data, None if outermost else d)
    if isinstance(data, (dict, set, frozenset)):
        raise _no_number(data, d)
    if hasattr(data, "__getitem__") and hasattr(data, "__len__"):
        return [_plain(v, d, (*within, data)) for v in data]
    raise _no_number(data, d)


def _of_first(data: Any) -> tuple[tuple[int, ...], bool]:
    """The shape that nested sequences have by the first of each, and whether what is first is a text. ValueError for more dimensions
    than an array has, as of a list that begins with itself.
    """
    shape: tuple[int, ...] = ()
    while isinstance(data, (list, tuple, np.ndarray)):
        if len(shape) == _DEEPEST:
            raise ValueError(f"too many dimensions '{type(data).__name__}'")
        shape += (len(data),)
        if not len(data):
            break
        data = data[0]
    return shape, isinstance(data, str)


def _uneven(data: Any, shape: tuple[int, ...], kind: dtype | None) -> Exception:
    """What PyTorch says of the first element of nested sequences that does not fit their shape."""
    pending = [(data, 0)]
    while pending:
        found, dim = pending.pop()
        nested = isinstance(found, (list, tuple, np.ndarray))
        if dim == len(shape):
            if nested:
                return _no_number(found, kind)
            continue
        if not nested:
            return TypeError("not a sequence")
        if len(found) != shape[dim]:
            return ValueError(f"expected sequence of length {shape[dim]} at dim {dim} (got {len(found)})")
        pending += [(v, dim + 1) for v in reversed(found)]
    return ValueError("expected sequences of equal lengths")


def _reject(data: Any, d: dtype | None) -> None:
    bad = data
    while isinstance(bad, (list, tuple)) and bad:
        bad = next((v for v in bad if not isinstance(v, (int, float, complex))), bad[0])
    if isinstance(bad, int):
        raise ValueError("Overflow when unpacking long long")
    raise _no_number(bad, d)
