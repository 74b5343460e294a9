"""The names PyTorch's messages give to element types, and the checks several draws share."""

from __future__ import annotations

from .. import dtypes

__all__ = ["C_NAME", "DIGITS", "LARGEST", "NAME", "require_floating", "shown"]

#: PyTorch's names of scalar types
NAME = {
    dtypes.bool_: "Bool",
    dtypes.uint8: "Byte",
    dtypes.int8: "Char",
    dtypes.int16: "Short",
    dtypes.int32: "Int",
    dtypes.int64: "Long",
    dtypes.float16: "Half",
    dtypes.bfloat16: "BFloat16",
    dtypes.float32: "Float",
    dtypes.float64: "Double",
    dtypes.complex64: "ComplexFloat",
    dtypes.complex128: "ComplexDouble",
}
#: and of the C++ types behind them
C_NAME = {
    dtypes.bool_: "bool",
    dtypes.uint8: "unsigned char",
    dtypes.int8: "signed char",
    dtypes.int16: "short int",
    dtypes.int32: "int",
    dtypes.int64: "long int",
    dtypes.float16: "c10::Half",
    dtypes.bfloat16: "c10::BFloat16",
    dtypes.float32: "float",
    dtypes.float64: "double",
    dtypes.complex64: "c10::complex<float>",
    dtypes.complex128: "c10::complex<double>",
}
#: Binary digits of the significand: integers up to 2^digits are exact.
DIGITS = {dtypes.float16: 11, dtypes.bfloat16: 8, dtypes.float32: 24, dtypes.float64: 53}
#: Largest finite value
LARGEST = {dtype: dtypes.finfo(dtype).max for dtype in DIGITS}


def shown(value: float) -> str:
    """A number as C++ streams print it: six significant digits."""
    return f"{value:g}"


def require_floating(dtype: dtypes.dtype, kernel: str) -> None:
    if not dtype.is_floating_point:
        raise NotImplementedError(f"\"{kernel}\" not implemented for '{NAME[dtype]}'")
