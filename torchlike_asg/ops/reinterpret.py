"""Views that read the same memory as another element type: the parts of complex numbers, pairs as complex numbers, lazy conjugates.

Each has the value of a dense operation of ops/complex.py and, besides, the geometry that PyTorch reports for the view. `bits` and `unbits`
are the same for a whole storage: how such a view is derived again after a write, and how it is written through.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import dtypes
from ..asg import gradients
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.geometry import Geometry, flat, gather
from ..asg.node import Node
from . import complex as parts
from .pointwise import neg
from .promotion import title


@dataclass
class Reading:
    """Rule of a view that changes the element type: ``check(dtype, geometry)`` raises, ``move(geometry)`` maps, ``to(dtype)`` is the new type."""  # noqa: E501

    check: Any
    move: Any
    to: Any

    def geometry(self, g: Geometry, d: dtypes.dtype) -> Geometry:
        """The view's geometry, in elements of its own type."""
        self.check(d, g)
        return self.move(*g)  # type: ignore[no-any-return]

    def __call__(self, s: Node) -> Meta:
        shape, strides, offset = self.geometry((tuple(s.shape), s.strides, s.offset), s.dtype)
        return shape, self.to(s.dtype), strides, offset


def _complex_only(text: str) -> Any:
    def check(d: dtypes.dtype, g: Geometry) -> None:
        if not d.is_complex:
            raise RuntimeError(text)

    return check


def _check_pairs(d: dtypes.dtype, g: Geometry) -> None:
    shape, strides, offset = g
    if d not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(
            f"view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: {title(d)}"
        )
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if strides[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(s % 2 for s in strides[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if offset % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")


def _doubled(strides: Any) -> tuple[int, ...]:
    return tuple([2 * s for s in strides])


def _same_place(shape: Any, strides: Any, offset: int) -> Geometry:
    return shape, strides, offset


def _same_type(d: dtypes.dtype) -> dtypes.dtype:
    return d


def _any(d: dtypes.dtype, g: Geometry) -> None:
    pass


def _view(name: str, of: Op, check: Any, move: Any, to: Any) -> Op:
    return Op(name, "shape", Reading(check, move, to), of.ref, vjp=of.vjp, view=True, samples=of.samples)


real_of = _view(
    "real_of",
    parts.real,
    _complex_only("real is not implemented for tensors with non-complex dtypes."),
    lambda shape, strides, offset: (shape, _doubled(strides), 2 * offset),
    dtypes.dtype.to_real,
)
imag_of = _view(
    "imag_of",
    parts.imag,
    _complex_only("imag is not implemented for tensors with non-complex dtypes."),
    lambda shape, strides, offset: (shape, _doubled(strides), 2 * offset + 1),
    dtypes.dtype.to_real,
)
pairs_of = _view(
    "pairs_of",
    parts.as_real,
    _complex_only("view_as_real is only supported for complex tensors"),
    lambda shape, strides, offset: ((*shape, 2), (*_doubled(strides), 1), 2 * offset),
    dtypes.dtype.to_real,
)
complex_of = _view(
    "complex_of",
    parts.as_complex,
    _check_pairs,
    lambda shape, strides, offset: (shape[:-1], tuple([s // 2 for s in strides[:-1]]), offset // 2),
    dtypes.dtype.to_complex,
)
conj_of = _view("conj_of", parts.conj, _complex_only("conj of a tensor with a non-complex dtype"), _same_place, _same_type)
neg_of = _view("neg_of", neg, _any, _same_place, _same_type)
neg_of.vjp = lambda n, g: (neg(g),)


def reinterpreted(g: Geometry, old: dtypes.dtype, new: dtypes.dtype) -> Geometry:
    """The geometry of ``view(dtype)``: the last dimension grows or shrinks with the size of an element."""
    shape, strides, offset = g
    a, b = old.itemsize, new.itemsize
    if a == b:
        return g
    names, reason = (title(old), title(new)), "(different element sizes)"
    if not shape:
        raise RuntimeError(f"self.dim() cannot be 0 to view {names[0]} as {names[1]} {reason}")
    k = max(a, b) // min(a, b)
    if a < b:
        for what, value in (("self.size(-1)", shape[-1]), ("self.storage_offset()", offset)):
            if value % k:
                raise RuntimeError(f"{what} must be divisible by {k} to view {names[0]} as {names[1]} {reason}, but got {value}")
    if strides[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 to view {names[0]} as {names[1]} {reason}, but got {strides[-1]}")
    if a > b:
        return (*shape[:-1], shape[-1] * k), (*[s * k for s in strides[:-1]], 1), offset * k
    for i, value in enumerate(strides[:-1]):
        if value % k:
            raise RuntimeError(f"self.stride({i}) must be divisible by {k} to view {names[0]} as {names[1]} {reason}, but got {value}")
    return (*shape[:-1], shape[-1] // k), (*[s // k for s in strides[:-1]], 1), offset // k


# ---------------------------------------------------------------- a whole storage
def bytes_as(stored: Array, d: dtypes.dtype) -> Array:
    """Stored elements (one-dimensional) as stored elements of type `d`; zeros fill up a last element."""
    raw = np.ascontiguousarray(stored).view(np.uint8)
    missing = -raw.size % d.itemsize
    if missing:
        raw = np.concatenate([raw, np.zeros(missing, np.uint8)])
    return raw.view(d.storage)


def _vjp_bits(n: Node, g: Node) -> Grads:
    source, d = n.attrs[1:]
    if d.is_complex is source.is_complex:
        return (None,)
    return (unbits(g, tuple(n.srcs[0].shape), n.attrs[0], d, source),)


#: The memory of a storage with dense `strides` as a vector of type `d`. Differentiable between real numbers and complex ones made of them.
bits = Op(
    "bits",
    "shape",
    lambda h, strides, source, d: ((-(-h.numel * source.itemsize // d.itemsize),), d, (1,), 0),
    lambda h, strides, source, d: dtypes.load(bytes_as(dtypes.store(flat(h, strides), source), d), d),
    vjp=_vjp_bits,
    view=True,
    params=("stride", "source", "dtype"),
    samples=lambda: [
        Sample((parts.Z,), ((3, 1), dtypes.complex128, dtypes.float64), False),
        Sample((np.arange(6, dtype=np.float32).reshape(2, 3),), ((1, 2), dtypes.float32, dtypes.int32), False),
        Sample((np.arange(3, dtype=np.float32),), ((1,), dtypes.float32, dtypes.complex64), False),
    ],
)


def _ref_unbits(v: Array, shape: Any, strides: Any, source: dtypes.dtype, d: dtypes.dtype) -> Array:
    stored = bytes_as(dtypes.store(v, source), dtypes.uint8)[: math.prod(shape) * d.itemsize]
    return gather(dtypes.load(stored.view(d.storage), d), (shape, strides, 0))


def _vjp_unbits(n: Node, g: Node) -> Grads:
    _, strides, source, d = n.attrs
    return (None,) if d.is_complex is source.is_complex else (bits(g, strides, d, source),)


#: The inverse of `bits`: a vector of type `source` as the storage whose memory it is.
unbits = Op(
    "unbits",
    "shape",
    lambda v, shape, strides, source, d: (shape, d, strides, 0),
    _ref_unbits,
    vjp=_vjp_unbits,
    params=("size", "stride", "source", "dtype"),
    samples=lambda: [
        Sample((np.arange(12.0),), ((2, 3), (3, 1), dtypes.float64, dtypes.complex128), False),
        Sample((np.arange(6, dtype=np.int32),), ((2, 3), (1, 2), dtypes.int32, dtypes.float32), False),
    ],
)
gradients.COMPLEX.update(("real_of", "imag_of", "pairs_of", "complex_of", "conj_of", "neg_of", "bits", "unbits"))
