"""Complex numbers: made of parts, taken apart, conjugates and angles.

`view_as_real`, `view_as_complex`, ``.real`` and ``.imag`` are copies here, not views; assigning to ``z.real`` and ``z.imag`` writes.
"""

from __future__ import annotations

import math
from typing import Any

from ...ops import complex as ops
from ..core import Tensor, binary, node_of, unary
from ..register import function
from ..write import write
from .early import adjoint
from .math import atan2, cos, sin
from .pointwise import where


@function(method=False, name="complex")
def complex_(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``real + i imag`` of two real tensors of one type, broadcast."""
    return binary(ops.complex_, real, imag)


@function(method=False)
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex numbers with these absolute values and angles, two real tensors of one type, broadcast."""
    if abs.dtype is not angle.dtype:
        ops.complex_(node_of(abs), node_of(angle))  # raises
    return binary(ops.complex_, abs * cos(angle), abs * sin(angle))  # type: ignore[operator]


@function(method=False)
def view_as_complex(input: Tensor) -> Tensor:
    """A real tensor whose last dimension has size two as complex numbers (a copy)."""
    return unary(ops.as_complex, input)


@function(method=False)
def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as real and imaginary parts, along a last dimension of size two (a copy)."""
    return unary(ops.as_real, input)


# ---------------------------------------------------------------- parts
@function(method=False)
def real(input: Tensor) -> Tensor:
    """The real part: of a complex tensor a copy, of a real one the tensor itself."""
    return unary(ops.real, input) if input.dtype.is_complex else input


@function(method=False)
def imag(input: Tensor) -> Tensor:
    """The imaginary part of a complex tensor (a copy); raises RuntimeError for a real one."""
    if not input.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    return unary(ops.imag, input)


def _set_real(self: Tensor, value: Any) -> None:
    if not self.dtype.is_complex:
        self.copy_(value) if isinstance(value, Tensor) else self.fill_(value)  # type: ignore[attr-defined]
        return
    _set_part(self, value, lambda n, v: ops.complex_(v, ops.imag(n)))


def _set_imag(self: Tensor, value: Any) -> None:
    if not self.dtype.is_complex:
        raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")
    _set_part(self, value, lambda n, v: ops.complex_(ops.real(n), v))


def _set_part(t: Tensor, value: Any, join: Any) -> None:
    from .creation import tensor

    v = value if isinstance(value, Tensor) else tensor(value)
    v = v.to(t.dtype.to_real()).expand(t.shape)  # type: ignore[attr-defined]
    write(t, lambda n: join(n, node_of(v)), (v,))


Tensor.real = property(real, _set_real, doc="The real part.")  # type: ignore[attr-defined]
Tensor.imag = property(imag, _set_imag, doc="The imaginary part.")  # type: ignore[attr-defined]


# ---------------------------------------------------------------- conjugates and angles
@function()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate: a real tensor itself. It is computed at once, so that `is_conj` is always False."""
    return unary(ops.conj, input) if input.dtype.is_complex else input


@function(aliases=("resolve_neg",))
def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: no conjugation or negation is ever put off."""
    return input


@function(inplace=True)
def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex conjugate: a real tensor itself."""
    return conj(input)  # type: ignore[no-any-return]


def _hermitian(self: Tensor) -> Tensor:
    if len(self.shape) not in (0, 2):
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {len(self.shape)}-D tensor.")
    return adjoint(self) if len(self.shape) else conj(self)  # type: ignore[no-any-return]


Tensor.H = property(_hermitian, doc="The conjugate transpose of a matrix.")  # type: ignore[attr-defined]
Tensor.mH = property(adjoint, doc="The conjugate transpose of matrices.")  # type: ignore[attr-defined]


@function()
def angle(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in the complex plane: of a real number 0, of a negative one pi; NaN stays."""
    if input.dtype.is_complex:
        x, y = real(input), imag(input)
        nowhere = (x == 0) & (y == 0)
        return where(nowhere, atan2(y, x).detach(), atan2(y, where(nowhere, 1.0, x)))  # type: ignore[attr-defined, no-any-return]
    value = input if input.dtype.is_floating_point else input.float()  # type: ignore[attr-defined]
    return where(value < 0, math.pi, where(value == value, 0.0, value)).to(value.dtype)  # type: ignore[attr-defined, no-any-return]
