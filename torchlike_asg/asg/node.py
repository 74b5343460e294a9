"""Graph nodes and their leaves. A node is immutable and interned: being the same object *is* being the same expression."""

from __future__ import annotations

import itertools
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import devices, dtypes
from ..size import Size, sized
from . import scope
from .geometry import Geometry, Shape, contiguous

if TYPE_CHECKING:
    from .declare import Op

COUNTS = {"nodes": 0, "plans": 0, "compiles": 0, "flushes": 0, "cache_hits": 0, "interpreted": 0}
_serial = itertools.count()


class Node:
    """One operation on operands (``srcs``) with static attributes (``attrs``) and everything inferred about its result.

    ``shape, dtype, strides, offset, device``  the result, with PyTorch's visible layout (strides in elements)
    ``rg``      whether a gradient flows through it
    ``saved``   operands (or itself) that its gradient reads: what PyTorch would save for backward; None = reads nothing
    ``twins``   further identities of the same expression, for other storages holding equal values (see the facade)
    ``site``    (module path, file, line) of the record that created it;  ``serial`` its place in creation order
    ``origin``  the serial of the node that the compiler made it of, its own otherwise
    ``owner``   leaves only: a weak reference to the storage the value comes from
    """

    __slots__ = (
        "__weakref__",
        "attrs",
        "device",
        "dtype",
        "offset",
        "op",
        "origin",
        "owner",
        "rg",
        "saved",
        "serial",
        "shape",
        "site",
        "srcs",
        "strides",
        "twins",
    )

    op: Op
    srcs: tuple[Node, ...]
    attrs: tuple[Any, ...]
    shape: Size
    dtype: dtypes.dtype
    strides: Shape
    offset: int
    device: devices.device
    rg: bool
    saved: tuple[Node, ...] | None
    twins: list[Node] | None
    site: tuple[str, str, int]
    serial: int
    origin: int
    owner: Any

    def __init__(self, op: Op, srcs: tuple[Node, ...], attrs: tuple[Any, ...], shape: Shape, d: dtypes.dtype, strides: Shape | None = None,
                 offset: int = 0, device: devices.device = devices.cpu, rg: bool = False) -> None:  # fmt: skip
        if d.__class__ is dtypes.NamedOnly:
            d.refuse()
        self.op, self.srcs, self.attrs, self.dtype = op, srcs, attrs, d
        self.shape = shape if shape.__class__ is Size else sized(shape)
        self.strides = contiguous(shape) if strides is None else strides
        self.offset, self.device, self.rg = offset, device, rg
        self.twins = self.owner = self.saved = None
        self.site, self.serial = scope.site(), next(_serial)
        source = scope.origin()
        self.origin = self.serial if source is None else source
        COUNTS["nodes"] += 1
        if rg and op.saves is not None:
            self.saved = op.saves(self)

    @property
    def geometry(self) -> Geometry:
        return self.shape, self.strides, self.offset

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def numel(self) -> int:
        return self.shape.numel()

    def __repr__(self) -> str:
        return f"{self.op.name}{list(self.shape)}:{self.dtype.short}"

    def twin(self) -> Node:
        """A new identity of the same expression; the compiler computes it only once."""
        other = Node(self.op, self.srcs, self.attrs, self.shape, self.dtype, self.strides, self.offset, self.device, self.rg)
        other.owner = self.owner
        if self.twins is None:
            self.twins = []
        self.twins.append(other)
        return other


# ---------------------------------------------------------------- constants
_CONSTS: dict[Any, Node] = {}
#: Python scalars as operands, by (class, value); never holds a zero, whose sign such a key would lose.
WEAK: dict[Any, Node] = {}
_WEAK_TYPES = {bool: dtypes.bool_, int: dtypes.int64, float: dtypes.float32, complex: dtypes.complex64}


def _bits(value: Any) -> Any:
    if isinstance(value, float):
        return struct.pack("d", value)
    if isinstance(value, complex):
        return struct.pack("dd", value.real, value.imag)
    return int(value)


def const(value: Any, d: dtypes.dtype) -> Node:
    """A typed 0-d literal, interned by type and bit pattern (so 0.0 and -0.0 differ, and a NaN equals itself)."""
    from .declare import CONST

    if isinstance(value, complex) and value.imag != 0.0 and not (d.is_complex or d is dtypes.bool_):
        raise overflow(d)
    if isinstance(value, complex) and not d.is_complex:
        value = value.real if d is not dtypes.bool_ else bool(value)
    if d.category == dtypes.INTEGER:
        if isinstance(value, float) and not math.isfinite(value):
            raise overflow(d)
        value = int(value)
        limits = dtypes.iinfo(d)
        if not (limits.min or -limits.max) <= value <= limits.max:  # negative numbers wrap around in an unsigned type, as in PyTorch
            raise overflow(d)
        value = wrapped(value, d)
    elif d.is_floating_point:
        value = float(value)
    elif d.is_complex:
        value = complex(value)
    else:
        value = bool(value)
    key = (d, _bits(value))
    n = _CONSTS.get(key)
    if n is None:
        n = _CONSTS.setdefault(key, Node(CONST, (), (value, d), (), d))
    return n


#: what PyTorch's messages call the types that have another name in C++
_IN_C = {"uint8": "uint8_t", "int8": "int8_t", "int16": "int16_t", "int32": "int", "int64": "int64_t", "float16": "c10::Half"}
_IN_C |= {"bfloat16": "c10::BFloat16", "float32": "float", "float64": "double", "complex64": "c10::complex<float>"}


def overflow(d: dtypes.dtype) -> RuntimeError:
    """The error for a number that an element type cannot hold."""
    return RuntimeError(f"value cannot be converted to type {_IN_C.get(d.name, d.name)} without overflow")


def element(value: Any, d: dtypes.dtype, exact: bool = True) -> Node:
    """A literal that stands for an element: `const`, rounded as elements are; what an element cannot hold is refused, if `exact`."""
    if exact:
        check_held(value, d)
    if d.category >= dtypes.FLOAT:
        if isinstance(value, complex) and not d.is_complex:
            value = value.real
        if d.compute is not d.storage:
            value = dtypes.load(dtypes.store(np.asarray(value), d), d).item()
    return const(value, d)


def check_held(value: Any, d: dtypes.dtype) -> None:
    """RuntimeError for a number that an element cannot hold: beyond the type's range; for integers also NaN, and what is not real."""
    if isinstance(value, complex) and not d.is_complex and d is not dtypes.bool_:
        if value.imag:
            raise overflow(d)
        value = value.real
    if d.category == dtypes.INTEGER:
        limits = dtypes.iinfo(d)
        least = limits.min if isinstance(value, float) else limits.min or -limits.max  # negative integers wrap around, as in PyTorch
        held = least <= value <= limits.max
    else:
        held = d.category < dtypes.FLOAT or within(value, dtypes.finfo(d).max)
    if not held:
        raise overflow(d)


def within(value: complex, size: float) -> bool:
    """Whether no part of a number is finite and larger than `size`."""
    parts = (value.real, value.imag) if isinstance(value, complex) else (value,)
    return all(abs(p) <= size or p in (math.inf, -math.inf) or p != p for p in parts)


def wrapped(value: int, d: dtypes.dtype) -> int:
    """An integer as the bits of an integer type show it."""
    limits = dtypes.iinfo(d)
    return (value - limits.min) % (limits.max - limits.min + 1) + limits.min


def held_in_64_bits(value: int) -> bool:
    """Whether an integer is one of int64 or uint64."""
    return -(2**63) <= value < 2**64


def weak(value: Any) -> Node:
    """A Python scalar as an operand: it takes part in type promotion only by its kind, and becomes a `const` when used."""
    from .declare import SCALAR

    kind = value.__class__
    if kind not in _WEAK_TYPES:
        value = value.item() if isinstance(value, np.generic) else value
        kind = next((k for k in (bool, int, float, complex) if isinstance(value, k)), None)
        if kind is None:
            raise TypeError(f"expected a tensor or a number, not {value.__class__.__name__}")
        value = kind(value)
    if kind is int and not held_in_64_bits(value):
        raise OverflowError("int too big to convert" if value > 0 else "can't convert negative int to unsigned")
    key = (kind, value)
    if value != 0 and value == value:
        n = WEAK.get(key)
        if n is None:
            n = WEAK.setdefault(key, Node(SCALAR, (), (value,), (), _WEAK_TYPES[kind]))
        return n
    key = (kind, _bits(value))
    n = _CONSTS.get(key)
    if n is None:
        n = _CONSTS.setdefault(key, Node(SCALAR, (), (value,), (), _WEAK_TYPES[kind]))
    return n
