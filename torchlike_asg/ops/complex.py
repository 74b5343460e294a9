"""Complex numbers: made of real pairs, taken apart again, conjugated.

The gradient of a real loss by a complex number z = x + iy is dL/dx + i dL/dy, as in PyTorch. So the gradient of a holomorphic function f is
``g * conj(f'(z))``: rules of gradients multiply with `elementwise.bar` of what they would multiply with for real numbers. Every rule
that was written for complex operands is named in `gradients.COMPLEX`; others refuse them rather than leave a conjugate out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg import gradients
from ..asg.declare import Array, Meta, Op, Sample, node
from ..asg.geometry import broadcast
from ..asg.node import Node, const
from .promotion import title, to

Z = np.array([[1.0 + 2.0j, -0.5 + 0.3j, 0.0 - 1.5j], [2.0 + 0.0j, -1.0 - 1.0j, 0.7 - 0.2j]])
_X = np.array([[-2.3, -0.7, 0.4], [1.1, 0.9, 2.6]])


def _refuse_real(name: str, x: Node) -> None:
    if not x.dtype.is_complex:
        raise RuntimeError(f"{name} is not implemented for tensors with non-complex dtypes.")


def _samples(*more: Sample) -> Any:
    return lambda: [Sample((Z,), (), False), Sample((Z[0, 0],), (), False), Sample((Z[:0].astype(np.complex64),), (), False), *more]


# ---------------------------------------------------------------- made of two real tensors
def _prepare_complex(a: Any, b: Any) -> tuple[Any, ...]:
    a, b = node(a), node(b)
    for n in (a, b):
        if n.dtype not in (dtypes.float32, dtypes.float64, dtypes.float16):
            raise RuntimeError(f"Expected both inputs to be Half, Float or Double tensors but got {title(a.dtype)} and {title(b.dtype)}")
    if a.dtype is not b.dtype:
        raise RuntimeError(f"Expected object of scalar type {title(a.dtype)} but got scalar type {title(b.dtype)} for second argument")
    return (to(a, dtypes.float32), to(b, dtypes.float32)) if a.dtype is dtypes.float16 else (a, b)


def _ref_complex(a: Array, b: Array) -> Array:
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), np.complex128 if a.dtype == np.float64 else np.complex64)
    out.real, out.imag = a, b
    return out


#: ``a + i b`` of two real tensors. There is no complex half precision here: halves are widened.
complex_ = Op(
    "complex",
    "arithmetic",
    lambda a, b: (broadcast(a.shape, b.shape), a.dtype.to_complex()),
    _ref_complex,
    vjp=lambda n, g: (lambda: real(g), lambda: imag(g)),
    prepare=_prepare_complex,
    layout="pointwise",
    samples=lambda: [
        Sample((_X, _X[::-1].copy()), (), False),
        Sample((_X, np.asarray(0.5)), (), False),
        Sample((_X[:0], _X[:0]), (), False),
    ],
)


# ---------------------------------------------------------------- parts
def _part(name: str, ref: Any, vjp: Any) -> Op:
    def rule(z: Node) -> Meta:
        _refuse_real(name, z)
        return z.shape, z.dtype.to_real()

    return Op(name, "arithmetic", rule, ref, vjp=vjp, layout="pointwise", samples=_samples())


def zero(like: Node) -> Node:
    """A real zero for the part of a complex number that is missing."""
    return const(0.0, like.dtype)


real = _part("real", lambda z: z.real.copy(), lambda n, g: (complex_(g, zero(g)),))
imag = _part("imag", lambda z: z.imag.copy(), lambda n, g: (complex_(zero(g), g),))
conj = Op(
    "conj",
    "arithmetic",
    lambda z: (z.shape, z.dtype),
    np.conjugate,
    vjp=lambda n, g: (conj(g),),
    layout="preserve",
    samples=_samples(),
)


# ---------------------------------------------------------------- pairs along a last dimension
def _rule_as_real(z: Node) -> Meta:
    if not z.dtype.is_complex:
        raise RuntimeError("view_as_real is only supported for complex tensors")
    return (*z.shape, 2), z.dtype.to_real()


def _ref_as_real(z: Array) -> Array:
    return np.ascontiguousarray(z).view(z.real.dtype).reshape(*z.shape, 2)


def _rule_as_complex(x: Node) -> Meta:
    if x.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            f"view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: {title(x.dtype)}"
        )
    if not x.shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if x.shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    return tuple(x.shape[:-1]), x.dtype.to_complex()


def _ref_as_complex(x: Array) -> Array:
    return np.ascontiguousarray(x).view(np.complex128 if x.dtype == np.float64 else np.complex64).reshape(x.shape[:-1])


as_real = Op("view_as_real", "shape", _rule_as_real, _ref_as_real, vjp=lambda n, g: (as_complex(g),), samples=_samples())
as_complex = Op(
    "view_as_complex",
    "shape",
    _rule_as_complex,
    _ref_as_complex,
    vjp=lambda n, g: (as_real(g),),
    samples=lambda: [
        Sample((np.arange(6.0).reshape(3, 2),), (), False),
        Sample((np.array([1.0, 2.0], np.float32),), (), False),
        Sample((np.zeros((0, 2)),), (), False),
    ],
)

_LINEAR = """
    add sub neg sum mean cumsum sum_to expand view permute select slice reshape clone contiguous relayout cast diagonal unsqueeze squeeze
    unfold restride unview restride_scatter fill copy full where masked_fill cat flip roll tril triu index unindex gather scatter
    scatter_add index_select index_add index_put index_copy index_fill masked_scatter masked_unscatter stack block_diag repeat
    repeat_interleave pad_constant pad_mirror pad_mirror_grad zeros_of complex real imag conj view_as_real view_as_complex
    window unwindow window_put restride_at restride_put roll_at pad_at mirror_at tril_at triu_at
"""
_CONJUGATED = """
    mul div reciprocal pow exp exp2 expm1 log log1p log2 log10 sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh
    sigmoid tanh_grad sigmoid_grad abs sign lerp addcmul addcdiv prod cumprod shift recurrence matmul linear inverse det det_sign logabsdet
    solve solve_triangular cholesky cholesky_solve matrix_exp logsumexp
"""
gradients.COMPLEX.update(_LINEAR.split(), _CONJUGATED.split())
