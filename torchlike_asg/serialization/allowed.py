"""What every file may contain: standard containers, NumPy arrays and scalars. Each is rebuilt by checked code of ours."""

from __future__ import annotations

import math
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np

from .unpickler import Known, check_key

__all__ = ["standard_globals"]

_ARRAY_KINDS = "biufcSU"  # no objects, no records, no dates
_DTYPE = re.compile(r"[<>|=]?[biufcSU]\d{1,9}")


def _ordered_dict(pairs: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict(_checked_pairs(pairs))


def _checked_pairs(pairs: Any) -> list[tuple[Any, Any]]:
    if type(pairs) not in (list, tuple):
        raise ValueError("expected a list of pairs")
    for key, _ in pairs:
        check_key(key)
    return [(key, value) for key, value in pairs]


def _counter(counts: Any = None) -> Counter[Any]:
    if counts is not None and type(counts) is not dict:
        raise ValueError("expected the counts of a Counter to be a dict")
    return Counter(counts)


def _dict(content: Any = None) -> dict[Any, Any]:
    if content is not None and type(content) is not dict:
        raise ValueError("expected the content of a dict to be a dict")
    return dict(content or {})


def _default_dict(factory: Any = None) -> defaultdict[Any, Any]:
    if factory is not None and not any(factory is t for t in (list, dict, set, int, float, str, bool, tuple, OrderedDict)):
        raise ValueError("the default factory of a defaultdict is not a built-in type")
    return defaultdict(factory)


def _deque(items: Any = (), maxlen: Any = None) -> deque[Any]:
    if type(items) not in (list, tuple):
        raise ValueError("expected the items of a deque to be a list")
    return deque(items, maxlen)


def _members(kind: type) -> Callable[..., Any]:
    def make(items: Any = ()) -> Any:
        if type(items) not in (list, tuple, set, frozenset):
            raise ValueError(f"expected the members of a {kind.__name__} to be a list")
        for item in items:
            check_key(item)
        return kind(items)

    return make


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise ValueError("bytes are not written as latin1 text")
    return text.encode("latin1")


def _byte_string(kind: type) -> Callable[..., Any]:
    def make(content: Any = b"", encoding: Any = "latin1") -> Any:
        if type(content) is str:
            content = _encode(content, encoding)
        if type(content) is list:
            content = bytes(content)
        if type(content) not in (bytes, bytearray):  # a number would allocate that many bytes
            raise ValueError(f"expected the content of {kind.__name__} to be bytes")
        return kind(content)

    return make


def _attributes(obj: Any, state: Any) -> None:
    if type(state) is not dict or not all(type(name) is str for name in state):
        raise ValueError("expected attributes to be a dict")
    obj.__dict__.update(state)


def _bag(module: str, name: str) -> Callable[[], Known]:
    """A class that is nothing but attributes; imported when a file first mentions it."""

    def known() -> Known:
        cls = getattr(__import__(module), name)
        return Known(f"{module}.{name}", cls, call=lambda: cls(), new=lambda: cls(), build=_attributes)

    return known


# -- NumPy ----------------------------------------------------------------------------------------------------------


def _dtype(text: Any, align: Any = False, copy: Any = True) -> np.dtype[Any]:
    if type(text) is not str or not _DTYPE.fullmatch(text):
        raise ValueError(f"NumPy type {text!r} is not supported in files")
    return np.dtype(text, bool(align), True)


def _dtype_state(d: np.dtype[Any], state: Any) -> None:
    _, order, subtype, names, fields, itemsize, *_ = state
    if (
        order not in ("<", ">", "|", "=")
        or subtype is not None
        or names is not None
        or fields is not None
        or itemsize not in (-1, d.itemsize)
    ):
        raise ValueError(f"NumPy type {d} has a state that is not supported in files")
    restored: Any = d
    restored.__setstate__((3, order, None, None, None, itemsize, state[6] if itemsize != -1 else -1, 0))


def _checked_dtype(d: Any) -> np.dtype[Any]:
    if not isinstance(d, np.dtype) or d.kind not in _ARRAY_KINDS:
        raise ValueError(f"{d!r} is not a NumPy type that files may contain")
    return d


def _scalar(d: Any, content: Any) -> Any:
    d = _checked_dtype(d)
    if type(content) is not bytes or len(content) != d.itemsize:
        raise ValueError("a NumPy scalar has the wrong number of bytes")
    return np.frombuffer(content, d)[0] if d.itemsize else np.zeros((), d)[()]


def _reconstruct(cls: Any, shape: Any, code: Any) -> np.ndarray[Any, Any]:
    if cls is not np.ndarray or shape != (0,):
        raise ValueError("only plain NumPy arrays are supported in files")
    return np.empty(0, np.int8)


def _array_state(array: Any, state: Any) -> None:
    shape, d, fortran, content = state[-4:]  # a version number may come first
    _check_content(shape, d, content)
    array.__setstate__((1, shape, d, bool(fortran), bytes(content)))


def _check_content(shape: Any, d: Any, content: Any) -> None:
    if type(shape) is not tuple or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError("a NumPy array has no valid shape")
    if type(content) not in (bytes, bytearray) or len(content) != math.prod(shape) * _checked_dtype(d).itemsize:
        raise ValueError("a NumPy array has the wrong number of bytes")


def _from_buffer(content: Any, d: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    _check_content(shape, d, content)
    if order not in ("C", "F"):
        raise ValueError("a NumPy array has an unknown order")
    return np.frombuffer(bytearray(content), d).reshape(shape, order=order)


# -- the table --------------------------------------------------------------------------------------------------------


def _table() -> dict[str, Known | Callable[[], Known]]:
    found: dict[str, Any] = {
        "argparse.Namespace": _bag("argparse", "Namespace"),
        "types.SimpleNamespace": _bag("types", "SimpleNamespace"),
    }

    def allow(
        name: str, value: Any = None, call: Callable[..., Any] | None = None, build: Callable[[Any, Any], None] | None = None
    ) -> None:
        found[name] = Known(name, value, call=call, build=build)

    allow("collections.OrderedDict", OrderedDict, _ordered_dict)
    allow("collections.Counter", Counter, _counter)
    allow("collections.defaultdict", defaultdict, _default_dict)
    allow("collections.deque", deque, _deque)
    allow("_codecs.encode", None, _encode)
    builtin: dict[type, Callable[..., Any] | None] = {complex: complex, slice: slice, range: range}
    builtin |= {kind: _members(kind) for kind in (set, frozenset)}
    builtin |= {kind: _byte_string(kind) for kind in (bytes, bytearray)}
    builtin |= dict.fromkeys((bool, int, float, str, list, tuple)) | {dict: _dict}
    for kind, call in builtin.items():
        allow(f"builtins.{kind.__name__}", kind, call)
    allow("numpy.ndarray", np.ndarray)
    allow("numpy.dtype", np.dtype, _dtype, _dtype_state)
    for package in ("numpy.core", "numpy._core"):  # before and since NumPy 2
        allow(f"{package}.multiarray.scalar", None, _scalar)
        allow(f"{package}.multiarray._reconstruct", None, _reconstruct, _array_state)
        allow(f"{package}.numeric._frombuffer", None, _from_buffer)
    return found


_TABLE = _table()
_PYTHON_2 = {"__builtin__.xrange": "builtins.range", "__builtin__.unicode": "builtins.str", "__builtin__.long": "builtins.int"}


def standard_globals(module: str, name: str) -> Known | None:
    """The Known for ``module.name``, or None."""
    full = f"{module}.{name}"
    full = _PYTHON_2.get(full) or full.replace("__builtin__.", "builtins.", 1)
    entry = _TABLE.get(full)
    if entry is not None and not isinstance(entry, Known):
        entry = _TABLE[full] = entry()
    return entry
