"""Arithmetic of sparse tensors: the functions of one number that keep zero, and, of COO tensors, with each other and with dense tensors."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ..errors import Unsupported
from ..facade.core import Tensor
from ..facade.steps import note
from .form import Sparse

__all__ = ["Arithmetic", "Elementwise", "mm"]

#: functions of one number that keep zero; PyTorch adds repeated places up first
_KEEP_ZERO = (
    """abs absolute arcsin arcsinh arctan arctanh asin asinh atan atanh ceil deg2rad erf erfinv expm1 fix floor frac log1p nan_to_num
    rad2deg relu round sgn sign sin sinh sqrt square tan tanh trunc""".split(),
    "floor_divide isinf isnan isneginf isposinf pow signbit".split(),
)
#: functions of one number that give a sum the sum of what they give
_LINEAR = "conj conj_physical neg negative positive resolve_conj resolve_neg".split()


def called(result: Any, step: str) -> Any:
    """`result`, with PyTorch's name for its step if it is dense: it is several here."""
    if not isinstance(result, Sparse):
        note(result, step)
    return result


class Elementwise(Sparse):
    """The part of a sparse tensor that computes with its values alone."""

    def _summed(self) -> Any:
        """This tensor with every place once."""
        raise NotImplementedError

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Tensor) and other.shape != torch.Size(()):
            return self._times(other)
        return self._map(lambda v: v * other)

    mul = multiply = __rmul__ = __mul__

    def _times(self, other: Any) -> Any:
        """The product with another tensor."""
        raise NotImplementedError

    def div(self, other: Any, *, rounding_mode: str | None = None) -> Any:
        if isinstance(other, Tensor) and other.shape != torch.Size(()):
            raise RuntimeError(
                f"Sparse division requires a scalar or zero-dim dense tensor divisor (got shape {list(other.shape)} for divisor)"
            )
        held = self if rounding_mode is None else self._summed()
        return held._map(lambda v: torch.div(v, other, rounding_mode=rounding_mode))

    divide = true_divide = div

    def __truediv__(self, other: Any) -> Any:
        return self.div(other)

    def __floordiv__(self, other: Any) -> Any:
        return self.floor_divide(other)  # type: ignore[attr-defined]

    def __pow__(self, exponent: Any) -> Any:
        return self.pow(exponent)  # type: ignore[attr-defined]

    def __neg__(self) -> Any:
        return self._map(lambda v: -v)

    def __abs__(self) -> Any:
        return self.abs()  # type: ignore[attr-defined]

    def any(self) -> Tensor:
        return self._summed()._held.any()  # type: ignore[no-any-return]

    # so that the left operand stays the object that it is
    def __imul__(self, other: Any) -> Any:
        return self._set(self * other)

    def __itruediv__(self, other: Any) -> Any:
        return self._set(self / other)


class Arithmetic(Elementwise):
    """The part of `SparseTensor` that computes. What it is made of is said there."""

    def mm(self, other: Any) -> Any:
        """The product with a matrix or, as ``matmul``, a vector."""
        return mm(self, other)

    matmul = spmm = __matmul__ = mm

    def __rmatmul__(self, other: Tensor) -> Any:
        return mm(self.t(), other) if other.dim() == 1 else mm(other, self)  # type: ignore[attr-defined]

    def mv(self, vector: Tensor) -> Tensor:
        return called(mm(self, vector.unsqueeze(1)).squeeze(1), "MvBackward0")  # type: ignore[no-any-return,attr-defined]

    def smm(self, other: Any) -> Any:
        """The product with a dense matrix as a sparse one."""
        return mm(self, other).to_sparse()

    def bmm(self, mat2: Any) -> Tensor:
        """The products of the matrices in (b, n, m) with dense ones in (b, m, p)."""
        if self.ndim != 3 or mat2.dim() != 3 or self.sparse_dim() != 3 or self.shape[0] != mat2.shape[0] or self.shape[2] != mat2.shape[1]:  # type: ignore[attr-defined]
            raise RuntimeError(f"bmm: a sparse batch of matrices {tuple(self.shape)} cannot be multiplied by {tuple(mat2.shape)}")
        batch, row, column = self._i  # type: ignore[attr-defined]
        b, n, m = self.shape
        places = torch.stack([batch * n + row, batch * m + column])  # one large matrix with the small ones along its diagonal
        product = mm(type(self)(places, self._held, (b * n, b * m)), mat2.reshape(b * m, -1))  # type: ignore[call-arg]
        return product.view(b, n, -1)  # type: ignore[no-any-return]

    def _times(self, other: Any) -> Any:
        if other.shape != self.shape:
            raise Unsupported("products of sparse tensors that broadcast are not supported: use to_dense()")
        held = self._summed()
        picked = other.to_dense()[tuple(held._i)]
        return held._map(lambda v: v * picked)

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Arithmetic):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        if self.shape != other.shape:
            raise RuntimeError(f"add: expected sizes of 'self' and 'other' to match, but {self.shape} != {other.shape}")
        both = self._joined(other)
        return both.coalesce() if self.is_coalesced() and other.is_coalesced() else both  # type: ignore[attr-defined]

    def _joined(self, other: Any) -> Any:
        """The sum with another tensor of this shape."""
        raise NotImplementedError

    def __radd__(self, other: Any) -> Any:
        return other + self.to_dense()

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return other - self.to_dense()

    def add(self, other: Any, *, alpha: float = 1) -> Any:
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Any:
        return self.add(other, alpha=-alpha)

    subtract = sub

    def addmm(self, mat1: Any, mat2: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        return torch.sparse.addmm(self, mat1, mat2, beta=beta, alpha=alpha)

    def zero_(self) -> Any:
        """No values any more."""
        return self._set(type(self)(self._i[:, :0], self._v[:0], self.shape, True))  # type: ignore[attr-defined,call-arg]

    def norm(self, p: Any = 2, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Tensor:
        if dim is not None and dim != [] and len([dim] if isinstance(dim, int) else dim) != self.ndim:
            raise RuntimeError(
                "norm_sparse currently only supports full reductions, so 'dim' must either be empty or contain all dimensions"
            )
        return self._summed()._held.norm(p, dtype=dtype)  # type: ignore[no-any-return]

    def __iadd__(self, other: Any) -> Any:
        return self._set(self + other)

    def __isub__(self, other: Any) -> Any:
        return self._set(self - other)


def _offer(name: str, inplace: bool, summed: bool) -> None:
    def apply(self: Any, *args: Any, **kwargs: Any) -> Any:
        return (self._summed() if summed else self)._map(lambda v: getattr(v, name)(*args, **kwargs))

    setattr(Elementwise, name, apply)
    if inplace:

        def written(self: Any, *args: Any, **kwargs: Any) -> Any:
            if summed and self._summed() is not self:
                raise RuntimeError(f"{name}_ requires coalesced input")
            return self._set(apply(self, *args, **kwargs))

        setattr(Elementwise, name + "_", written)


def _write(cls: type, name: str) -> None:
    of = getattr(cls, name)
    setattr(cls, name + "_", lambda self, *args, **kwargs: self._set(of(self, *args, **kwargs)))


for _name in _KEEP_ZERO[0]:
    _offer(_name, True, True)
for _name in _KEEP_ZERO[1]:
    _offer(_name, False, True)
for _name in _LINEAR:
    _offer(_name, _name in ("neg", "negative", "conj_physical"), False)
for _name in ("mul", "multiply", "div", "divide", "true_divide"):
    _write(Elementwise, _name)
for _name in ("add", "sub", "subtract"):
    _write(Arithmetic, _name)


def mm(mat1: Any, mat2: Any) -> Any:
    """The product of two matrices, or of a matrix and a vector; sparse if both operands are."""
    if not isinstance(mat1, Sparse):
        if isinstance(mat2, Sparse):
            return called(mm(mat2.t(), mat1.mT).mT, "MmBackward0")  # type: ignore[attr-defined]
        return torch.mm(mat1, mat2)
    if not isinstance(mat1, Arithmetic):
        return mat1.mm(mat2)  # type: ignore[attr-defined]
    if isinstance(mat2, Sparse):
        return mm(mat1, mat2.to_dense()).to_sparse()
    if mat1.ndim != 2 or mat1.shape[1] != mat2.shape[0]:
        shapes = ["x".join(map(str, m.shape)) for m in (mat1, mat2)]
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({shapes[0]} and {shapes[1]})")

    if mat2.dim() == 1:
        return mat1.mv(mat2)
    rows, columns = mat1._i  # type: ignore[attr-defined]
    zeros = torch.zeros(mat1.shape[0], mat2.shape[1], dtype=mat2.dtype, device=mat1.device)
    found = zeros.index_add(0, rows, mat1._v.unsqueeze(1) * mat2.index_select(0, columns))  # type: ignore[attr-defined]
    return called(found, "MmBackward0")
