"""LLVM's types and values as text: names of types, literals, and `Value`, whose operators write instructions."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .emit import Function

FLOATS = ("half", "bfloat", "float", "double")
SIZES = {"i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "half": 2, "bfloat": 2, "float": 4, "double": 8, "ptr": 8}
MANGLED = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64", "ptr": "p0"}


def vector(element: str, lanes: int) -> str:
    """The type of that many elements; one lane is the element itself."""
    return element if lanes == 1 else f"<{lanes} x {element}>"


def element(type_: str) -> str:
    """The element type of a vector type, or the type itself."""
    return type_[type_.index("x ") + 2 : -1] if type_[0] == "<" else type_


def lanes(type_: str) -> int:
    return int(type_[1 : type_.index(" x")]) if type_[0] == "<" else 1


def mangle(type_: str) -> str:
    """The type as intrinsics' names spell it: v16f32, i64."""
    e = element(type_)
    short = MANGLED.get(e, e)
    return short if type_[0] != "<" else f"v{lanes(type_)}{short}"


def literal(value: Any, type_: str) -> str:
    """A constant of a type; a vector's lanes are all equal. Floats keep NaN, infinities and the sign of zero."""
    e = element(type_)
    if e in FLOATS:
        if e == "float":
            value = struct.unpack("f", struct.pack("f", _to_float32(value)))[0]
        text = _hex(value, e)
    elif e == "i1":
        text = "true" if value else "false"
    else:
        text = str(int(value))
    if type_[0] != "<":
        return text
    return f"splat ({e} {text})"


def _to_float32(value: float) -> float:
    try:
        struct.pack("f", value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    return value


def _hex(value: float, e: str) -> str:
    if e == "half":
        return f"0xH{struct.unpack('<H', struct.pack('<e', value))[0]:04X}"
    if e == "bfloat":
        return f"0xR{struct.unpack('<I', struct.pack('<f', value))[0] >> 16:04X}"
    return f"0x{struct.unpack('<Q', struct.pack('<d', value))[0]:016X}"


class Value:
    """An SSA value: its name (or literal) and its type. Arithmetic on it emits instructions into its function."""

    __slots__ = ("f", "ref", "type")

    def __init__(self, f: Function, ref: str, type_: str) -> None:
        self.f, self.ref, self.type = f, ref, type_

    def __repr__(self) -> str:
        return f"{self.type} {self.ref}"

    @property
    def floating(self) -> bool:
        return element(self.type) in FLOATS

    def __add__(self, other: Any) -> Value:
        return self.f.add(self, other)

    def __radd__(self, other: Any) -> Value:
        return self.f.add(other, self)

    def __sub__(self, other: Any) -> Value:
        return self.f.sub(self, other)

    def __rsub__(self, other: Any) -> Value:
        return self.f.sub(other, self)

    def __mul__(self, other: Any) -> Value:
        return self.f.mul(self, other)

    __rmul__ = __mul__

    def __neg__(self) -> Value:
        return self.f.neg(self)

    def __truediv__(self, other: Any) -> Value:
        return self.f.binary("fdiv", self, other)

    def __rtruediv__(self, other: Any) -> Value:
        return self.f.binary("fdiv", other, self)

    def __floordiv__(self, other: Any) -> Value:
        """Of non-negative integers."""
        return self.f.binary("udiv", self, other)

    def __mod__(self, other: Any) -> Value:
        """Of non-negative integers."""
        return self.f.binary("urem", self, other)

    def __and__(self, other: Any) -> Value:
        return self.f.binary("and", self, other)

    def __or__(self, other: Any) -> Value:
        return self.f.binary("or", self, other)

    def __xor__(self, other: Any) -> Value:
        return self.f.binary("xor", self, other)

    def __lt__(self, other: Any) -> Value:
        return self.f.compare("lt", self, other)

    def __le__(self, other: Any) -> Value:
        return self.f.compare("le", self, other)

    def __gt__(self, other: Any) -> Value:
        return self.f.compare("gt", self, other)

    def __ge__(self, other: Any) -> Value:
        return self.f.compare("ge", self, other)
