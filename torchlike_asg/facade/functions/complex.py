"""Complex numbers: made of parts, taken apart, conjugates and angles.

`view_as_real`, `view_as_complex`, ``.real``, ``.imag`` and `conj` are views: they read the same memory in another way (facade/lens.py).
"""

from __future__ import annotations

import math
from typing import Any

from ... import notices
from ...dtypes import dtype
from ...ops import complex as ops
from ...ops import reinterpret as views
from ..core import Tensor, begin, binary, face, node_of, unary
from ..families import apart, family_of, inherited_kind
from ..lens import lens_over
from ..register import function
from ..steps import RESULT, step, unsaved
from .early import adjoint
from .math import atan2, cos, sin
from .pointwise import where


def reading(op: Any, a: Tensor, d: dtype, conj: bool = False, neg: bool = False) -> Tensor:
    """``op(a)`` for an operation of ops/reinterpret.py: a view that reads the memory of `a` as type `d`, conjugated, or with the sign changed."""  # noqa: E501
    if a._n is None:
        begin((a,))
    f = family_of(a)
    geometry = op.rule.geometry(a.geometry, a.dtype)
    source = f.h.dtype if f.h is not None else f.cell.dtype
    lens, kind = lens_over(source, d, conj, neg), inherited_kind(a, "view")
    if a._n is None and f.h is None and f.past is None and not f.wants:
        return face(f, None, 0, kind, geometry, lens=lens)  # type: ignore[no-any-return]
    n = apart(op(node_of(a)))
    t = face(f, n, geometry[2] - n.offset, kind, lens=lens)
    if f.cell.exposed:
        t._geo, t._n = t.geometry, None
    return t  # type: ignore[no-any-return]


@function(method=False, name="complex")
@step(None, keeps=((0, (0,)), (1, (1,))))
def complex_(real: Tensor, imag: Tensor, *, out: Tensor | None = None) -> Tensor:
    """``real + i imag`` of two real tensors of one type, broadcast."""
    return binary(ops.complex_, real, imag)


@function(method=False)
@step("PolarBackward0", keeps=((RESULT, (0, 1)),))
def polar(abs: Tensor, angle: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex numbers with these absolute values and angles, two real tensors of one type, broadcast."""
    if abs.dtype is not angle.dtype:
        ops.complex_(node_of(abs), node_of(angle))  # raises
    abs, angle = unsaved(abs), unsaved(angle)
    return binary(ops.complex_, abs * cos(angle), abs * sin(angle))  # type: ignore[operator]


@function(method=False)
def view_as_complex(input: Tensor) -> Tensor:
    """A real tensor whose last dimension has size two as complex numbers: a view of the same memory."""
    return reading(views.complex_of, input, input.dtype.to_complex())


@function(method=False)
def view_as_real(input: Tensor) -> Tensor:
    """A complex tensor as real and imaginary parts, along a last dimension of size two: a view of the same memory."""
    if input._lens is not None and input._lens.conj:
        raise RuntimeError(
            "view_as_real doesn't work on unresolved conjugated tensors.  To resolve the conjugate tensor so you can view it as real, use "
            "self.resolve_conj(); however, be warned that the resulting tensor will NOT alias the original."
        )
    return reading(views.pairs_of, input, input.dtype.to_real())


# ---------------------------------------------------------------- parts
@function(method=False)
def real(input: Tensor) -> Tensor:
    """The real part: of a complex tensor a view, of a real one the tensor itself."""
    return reading(views.real_of, input, input.dtype.to_real()) if input.dtype.is_complex else input


@function(method=False)
def imag(input: Tensor) -> Tensor:
    """The imaginary part of a complex tensor (a view); raises RuntimeError for a real one."""
    return reading(views.imag_of, input, input.dtype.to_real(), neg=input._lens is not None and input._lens.conj)


def _set(part: Any) -> Any:
    def assign(self: Tensor, value: Any) -> None:
        target = part(self)
        target.copy_(value) if isinstance(value, Tensor) else target.fill_(value)

    return assign


Tensor.real = property(real, _set(real), doc="The real part.")  # type: ignore[attr-defined]
Tensor.imag = property(imag, _set(imag), doc="The imaginary part.")  # type: ignore[attr-defined]


# ---------------------------------------------------------------- conjugates and angles
@function()
def conj(input: Tensor) -> Tensor:
    """The complex conjugate: a view of the same memory, marked as conjugate (`is_conj`); a real tensor itself."""
    if not input.dtype.is_complex:
        return input
    return reading(views.conj_of, input, input.dtype, conj=not is_conj(input))


@function()
def is_conj(input: Tensor) -> bool:
    """Whether the tensor is a view that shows its memory's conjugate."""
    return input._lens is not None and input._lens.conj


@function()
def is_neg(input: Tensor) -> bool:
    """Whether the tensor is a view that shows its memory's negative, such as the imaginary part of a lazy conjugate."""
    return input._lens is not None and input._lens.neg


@function()
def resolve_conj(input: Tensor) -> Tensor:
    """A copy in which the conjugate is in memory, if this is a lazy conjugate; else the tensor itself."""
    return input.clone() if is_conj(input) else input  # type: ignore[attr-defined, no-any-return]


@function()
def resolve_neg(input: Tensor) -> Tensor:
    """A copy in which the negative is in memory, if this is a lazy negative; else the tensor itself."""
    return input.clone() if is_neg(input) else input  # type: ignore[attr-defined, no-any-return]


@function(inplace=True)
def conj_physical(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The complex conjugate, computed: a real tensor itself."""
    return unary(ops.conj, input) if input.dtype.is_complex else input


def _hermitian(self: Tensor) -> Tensor:
    if len(self.shape) not in (0, 2):
        batches = " For batches of matrices, consider using tensor.mH" if len(self.shape) > 2 else ""
        raise RuntimeError(f"tensor.H is only supported on matrices (2-D tensors). Got {len(self.shape)}-D tensor.{batches}")
    if not self.shape:
        notices.once(notices.H_OF_SCALAR)
    return adjoint(self) if len(self.shape) else conj(self)  # type: ignore[no-any-return]


Tensor.H = property(_hermitian, doc="The conjugate transpose of a matrix.")  # type: ignore[attr-defined]


def _matrices_adjoint(self: Tensor) -> Tensor:
    if len(self.shape) == 1:
        raise RuntimeError("tensor.mH is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return adjoint(self)  # type: ignore[no-any-return]


Tensor.mH = property(_matrices_adjoint, doc="The conjugate transpose of matrices.")  # type: ignore[attr-defined]


@function()
@step("AngleBackward0", keeps=((0, (0,)),))
def angle(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in the complex plane: of a real number 0, of a negative one pi; NaN stays."""
    if input.dtype.is_complex:
        x, y = real(input), imag(input)
        nowhere = (x == 0) & (y == 0)
        return where(nowhere, atan2(y, x).detach(), atan2(y, where(nowhere, 1.0, x)))  # type: ignore[attr-defined, no-any-return]
    value = input if input.dtype.is_floating_point else input.float()  # type: ignore[attr-defined]
    return where(value < 0, math.pi, where(value == value, 0.0, value)).to(value.dtype)  # type: ignore[attr-defined, no-any-return]
