"""Element types: PyTorch's names, how each is stored in a NumPy buffer, and PyTorch's promotion rules.

``bfloat16`` has no NumPy counterpart: it is stored as ``uint16`` (the upper half of the float32 bits) and
computed in float32, see :func:`load` and :func:`store`. ``float16`` is stored natively and computed in float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from .errors import Unsupported

__all__ = ["dtype", "finfo", "iinfo", "promote_types"]


class dtype:
    """An element type. Instances are singletons, compared by identity; ``repr`` is ``torch.float32`` as in PyTorch."""

    __slots__ = ("name", "short", "storage", "compute", "itemsize", "category", "rank", "is_floating_point", "is_complex", "is_signed")

    name: str
    short: str
    storage: np.dtype[Any]
    compute: np.dtype[Any]
    itemsize: int
    category: int
    rank: int
    is_floating_point: bool
    is_complex: bool
    is_signed: bool

    def __init__(self, name: str, short: str, storage: Any, compute: Any, category: int, rank: int) -> None:
        self.name, self.short, self.category, self.rank = name, short, category, rank
        self.storage, self.compute = np.dtype(storage), np.dtype(compute)
        self.itemsize = self.storage.itemsize
        self.is_floating_point, self.is_complex = category == FLOAT, category == COMPLEX
        self.is_signed = category >= FLOAT or (category == INTEGER and self.storage.kind == "i")

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return "bool_" if self is bool_ else self.name  # where this module keeps it

    def __copy__(self) -> dtype:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> dtype:
        return self

    def to_complex(self) -> dtype:
        """The complex type whose parts are of this type."""
        return complex128 if self is float64 else complex64

    def to_real(self) -> dtype:
        """The type of a complex type's parts; a floating-point type itself; of any other type float32."""
        return float64 if self in (complex128, float64) else self if self.is_floating_point else float32


BOOLEAN, INTEGER, FLOAT, COMPLEX = range(4)  # promotion categories, weakest first

bool_ = dtype("bool", "b8", np.bool_, np.bool_, BOOLEAN, 0)
uint8 = dtype("uint8", "u8", np.uint8, np.uint8, INTEGER, 1)
int8 = dtype("int8", "i8", np.int8, np.int8, INTEGER, 1)
int16 = dtype("int16", "i16", np.int16, np.int16, INTEGER, 2)
int32 = dtype("int32", "i32", np.int32, np.int32, INTEGER, 3)
int64 = dtype("int64", "i64", np.int64, np.int64, INTEGER, 4)
float16 = dtype("float16", "f16", np.float16, np.float32, FLOAT, 5)
bfloat16 = dtype("bfloat16", "bf16", np.uint16, np.float32, FLOAT, 5)
float32 = dtype("float32", "f32", np.float32, np.float32, FLOAT, 6)
float64 = dtype("float64", "f64", np.float64, np.float64, FLOAT, 7)
complex64 = dtype("complex64", "c64", np.complex64, np.complex64, COMPLEX, 8)
complex128 = dtype("complex128", "c128", np.complex128, np.complex128, COMPLEX, 9)


class NamedOnly(dtype):
    """A type of PyTorch's that can be named, compared and put in tables; no tensor has it. `limits`: those that `finfo` and `iinfo` give,
    (eps, max, tiny) of a floating-point type, (max,) of an integer one.
    """

    __slots__ = ("limits",)

    def __init__(self, name: str, itemsize: int, category: int, limits: tuple[float, ...], is_signed: bool = True) -> None:
        self.name = self.short = name
        self.itemsize, self.category, self.rank, self.limits = itemsize, category, -1, limits
        self.is_floating_point, self.is_complex, self.is_signed = category == FLOAT, category == COMPLEX, is_signed

    def refuse(self) -> NoReturn:
        instead = {FLOAT: "float16 or bfloat16", INTEGER: "int32 or int64", COMPLEX: "complex64"}[self.category]
        raise Unsupported(f"torch.{self.name} can be named, but no tensor can have this type: use {instead}")

    def __getattr__(self, name: str) -> Any:
        if name in ("storage", "compute"):
            self.refuse()
        raise AttributeError(name)


float8_e4m3fn = NamedOnly("float8_e4m3fn", 1, FLOAT, (0.125, 448.0, 2.0**-6))
float8_e4m3fnuz = NamedOnly("float8_e4m3fnuz", 1, FLOAT, (0.125, 240.0, 2.0**-7))
float8_e5m2 = NamedOnly("float8_e5m2", 1, FLOAT, (0.25, 57344.0, 2.0**-14))
float8_e5m2fnuz = NamedOnly("float8_e5m2fnuz", 1, FLOAT, (0.125, 57344.0, 2.0**-15))
float8_e8m0fnu = NamedOnly("float8_e8m0fnu", 1, FLOAT, (1.0, 2.0**127, 2.0**-127), is_signed=False)
complex32 = NamedOnly("complex32", 4, COMPLEX, ())
uint16, uint32, uint64 = [NamedOnly(f"uint{bits}", bits // 8, INTEGER, (2**bits - 1,), is_signed=False) for bits in (16, 32, 64)]
# What tables of types, and arguments of functions for quantisation, name.
qint8, qint32 = [NamedOnly(f"qint{bits}", bits // 8, INTEGER, (2 ** (bits - 1) - 1,)) for bits in (8, 32)]
quint8, quint4x2, quint2x4 = [NamedOnly(name, 1, INTEGER, (255,), is_signed=False) for name in ("quint8", "quint4x2", "quint2x4")]

ALL = (bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64, complex64, complex128)
BY_NAME = {d.name: d for d in ALL} | {"double": float64, "float": float32, "half": float16, "long": int64, "int": int32, "short": int16}
BY_SHORT = {d.short: d for d in ALL}
#: Python's types that stand for element types wherever one is asked for
OF_PYTHON: dict[Any, dtype] = {float: float64, int: int64, bool: bool_, complex: complex128}
_FROM_NUMPY = {d.storage: d for d in ALL if d is not bfloat16}


def from_numpy(d: Any) -> dtype:
    """The element type that stores NumPy dtype `d`; raises TypeError for types PyTorch has no counterpart of."""
    found = _FROM_NUMPY.get(np.dtype(d))
    if found is None and np.dtype(d).newbyteorder("=") in _FROM_NUMPY:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. "
            "Conversion between byte orders is currently not supported."
        )
    if found is None:
        raise TypeError(
            f"can't convert np.ndarray of type numpy.{np.dtype(d).type.__name__}. The only supported types are: float64, float32, float16, "
            "complex64, complex128, int64, int32, int16, int8, uint8, and bool."
        )
    return found


def required(value: Any, function: str, name: str, position: int | None = None) -> dtype:
    """The element type that the argument `name` of `function` names, itself or as Python's float, int, bool or complex; raises TypeError
    for anything else.
    """
    if isinstance(value, dtype):
        return value
    if isinstance(value, type) and value in OF_PYTHON:
        return OF_PYTHON[value]
    where = "" if position is None else f" (position {position})"
    raise TypeError(f"{function}(): argument '{name}'{where} must be torch.dtype, not {type(value).__name__}")


def load(buffer: np.ndarray[Any, Any], d: dtype) -> np.ndarray[Any, Any]:
    """Stored elements -> an array one can compute with or show (bfloat16 bits become float32; others unchanged, no copy)."""
    if d is bfloat16:
        return (buffer.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return buffer


def store(values: Any, d: dtype) -> np.ndarray[Any, Any]:
    """Values of any NumPy type -> stored elements of `d`. bfloat16 rounds to nearest even and keeps NaN."""
    if d is not bfloat16:
        if values.__class__ is np.ndarray and values.dtype == d.storage:
            return values  # type: ignore[no-any-return]
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(values).astype(d.storage, copy=False)
    with np.errstate(over="ignore"):
        exact = np.asarray(values, np.float32)
    bits = exact.view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(exact), np.uint32(0x7FC0), rounded).astype(np.uint16)


def promote_types(type1: dtype, type2: dtype) -> dtype:
    """The smallest type both convert to, by PyTorch's lattice."""
    a, b = type1, type2
    if a is b:
        return a
    a, b = required(a, "promote_types", "type1", 1), required(b, "promote_types", "type2", 2)
    if a is b:
        return a
    if a.category != b.category:
        low, high = (a, b) if a.category < b.category else (b, a)
        return complex128 if high is complex64 and low is float64 else high
    if a.category == INTEGER and uint8 in (a, b):
        other = b if a is uint8 else a
        return int16 if other is int8 else other
    if {a, b} == {float16, bfloat16}:
        return float32
    return a if a.rank > b.rank else b


_default = float32
#: called when the default type has become another: tables of what was inferred with the one before
on_change: list[Callable[[], None]] = []


def get_default_dtype() -> dtype:
    """The type of floating-point tensors made without one: float32 unless `set_default_dtype` chose another."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Choose the type of floating-point tensors made without one. Raises TypeError for any other type."""
    global _default
    if not isinstance(d, dtype) or not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    if d is not _default:
        _default = d
        for forget in on_change:
            forget()


def _the_type(name: str, given: tuple[Any, ...], default: dtype | None) -> dtype:
    """The argument `type` of finfo and iinfo."""
    if not given and default is not None:
        return default
    if len(given) != 1:
        found = type(given[0]).__name__ if given else "nothing"
        raise TypeError(f"{name}(): argument 'type' (position 1) must be torch.dtype, not {found}")
    return required(given[0], name, "type", 1)


class finfo:
    """Limits of a floating-point type, or of the parts of a complex one: ``bits, eps, max, min, tiny, smallest_normal, resolution``."""

    def __init__(self, *type: dtype) -> None:
        d = _the_type("finfo", type, _default)
        if d.is_complex:
            d = d.to_real()
        if not d.is_floating_point:
            raise TypeError("torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.iinfo'")
        self.dtype, self.bits = d.name, d.itemsize * 8
        if d is bfloat16:
            self.eps, self.max, self.tiny, self.resolution = 2.0**-7, float(2.0**128 - 2.0**120), 2.0**-126, 0.01
        elif isinstance(d, NamedOnly):
            (self.eps, self.max, self.tiny), self.resolution = d.limits, 1.0
        else:
            f = np.finfo(d.storage)
            self.eps, self.max, self.tiny, self.resolution = float(f.eps), float(f.max), float(f.tiny), 10.0**-f.precision
        self.min, self.smallest_normal = -self.max if d.is_signed else self.tiny, self.tiny

    def __repr__(self) -> str:
        numbers = ", ".join(f"{name}={getattr(self, name):g}" for name in ("resolution", "min", "max", "eps", "smallest_normal", "tiny"))
        return f"finfo({numbers}, dtype={self.dtype})"


class iinfo:
    """Limits of an integer type: ``bits, max, min``."""

    def __init__(self, *type: dtype) -> None:
        d = _the_type("iinfo", type, None)
        if d.category != INTEGER:
            raise TypeError("torch.iinfo() requires an integer input type.")
        self.dtype, self.bits = d.name, d.itemsize * 8
        if isinstance(d, NamedOnly):
            self.max = int(d.limits[0])
            self.min = -self.max - 1 if d.is_signed else 0
        else:
            i = np.iinfo(d.storage)
            self.max, self.min = int(i.max), int(i.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
