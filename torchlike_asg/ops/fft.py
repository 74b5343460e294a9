"""Discrete Fourier transforms: of complex numbers along several dimensions, of real ones along one, and back.

Nothing is normalised but by the factor `scale` that each operation carries. The transforms of real numbers are expansions of the complex
one (half of a spectrum determines the other), which is where their gradients come from; NumPy's are twice as fast.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg import gradients
from ..asg.declare import Array, Meta, Op, Sample
from ..asg.node import Node
from .arrange import flip
from .complex import Z, conj, real
from .join import cat
from .movement import cast, slice_
from .promotion import title

_X = np.array([[-2.3, -0.7, 0.4, 1.2, 0.1], [1.1, 0.9, 2.6, -0.8, 0.5]])


def _complex_of(x: Array) -> Any:
    return np.complex128 if x.dtype in (np.float64, np.complex128) else np.complex64


def strides_of(shape: tuple[int, ...], x: Node, dims: tuple[int, ...], last: tuple[int, ...] = ()) -> tuple[int, ...]:
    """How PyTorch lays a transform of `x` along `dims` out: innermost what was transformed, and both it and the rest in the order of `x`.
    `last` is a further dimension that was transformed and lies innermost.
    """

    def far(d: int) -> int:
        return -x.strides[d]

    order = sorted([d for d in range(len(shape)) if d not in (*dims, *last)], key=far) + sorted(dims, key=far) + list(last)
    strides, step = [0] * len(shape), 1
    for d in reversed(order):
        strides[d] = step
        step *= max(shape[d], 1)
    return tuple(strides)


# ---------------------------------------------------------------- complex to complex
def _rule_fft(z: Node, dims: tuple[int, ...], *_: Any) -> Meta:
    if not z.dtype.is_complex:
        raise RuntimeError(f"fft expects a complex tensor, but got {title(z.dtype)}")
    return z.shape, z.dtype, strides_of(tuple(z.shape), z, dims)


def _ref_fft(z: Array, dims: tuple[int, ...], forward: bool, scale: float) -> Array:
    if not z.size:
        return z.copy()
    found = np.fft.fftn(z, axes=dims) if forward else np.fft.ifftn(z, axes=dims, norm="forward")
    return (found * scale).astype(z.dtype, copy=False)


#: The sum over j of ``z_j exp(-2 pi i j k / n)``, along every one of `dims`; with a positive exponent if not `forward`.
fft = Op(
    "fft",
    "fft",
    _rule_fft,
    _ref_fft,
    vjp=lambda n, g: (fft(g, n.attrs[0], not n.attrs[1], n.attrs[2]),),
    params=("dims", "forward", "scale"),
    samples=lambda: [
        Sample((Z,), ((1,), True, 1.0), False),
        Sample((Z,), ((0, 1), False, 0.5), False),
        Sample((Z[0].astype(np.complex64),), ((0,), True, 1.0), False),
        Sample((Z[:0],), ((1,), True, 1.0), False),
    ],
)


# ---------------------------------------------------------------- real to half a spectrum
def _rule_rfft(x: Node, dim: int, scale: float) -> Meta:
    if x.dtype not in (dtypes.float32, dtypes.float64):
        raise RuntimeError(f"rfft expects a floating point tensor, but got {title(x.dtype)}")
    shape = (*x.shape[:dim], x.shape[dim] // 2 + 1, *x.shape[dim + 1 :])
    return shape, x.dtype.to_complex(), strides_of(shape, x, (dim,))


def _ref_rfft(x: Array, dim: int, scale: float) -> Array:
    shape = (*x.shape[:dim], x.shape[dim] // 2 + 1, *x.shape[dim + 1 :])
    found = np.fft.rfft(x, axis=dim) * scale if x.size else np.zeros(shape)
    return found.astype(_complex_of(x), copy=False)


def _expand_rfft(n: Node) -> Node:
    x, (dim, scale) = n.srcs[0], n.attrs
    return slice_(fft(cast(x, n.dtype), (dim,), True, scale), dim, 0, n.shape[dim], 1)


#: The first half of the transform of real numbers; the other half would be its conjugate in reverse.
rfft = Op(
    "rfft",
    "fft",
    _rule_rfft,
    _ref_rfft,
    expand=_expand_rfft,
    params=("dim", "scale"),
    samples=lambda: [
        Sample((_X,), (1, 1.0), False),
        Sample((_X,), (0, 0.5), False),
        Sample((_X[0, :4].astype(np.float32),), (0, 1.0), False),
        Sample((_X[:0],), (1, 1.0), False),
    ],
)


# ---------------------------------------------------------------- half a spectrum to real
def _rule_irfft(z: Node, dim: int, size: int, scale: float) -> Meta:
    if z.shape[dim] != size // 2 + 1:
        raise RuntimeError(f"irfft expects {size // 2 + 1} elements of a spectrum for {size} real numbers, but got {z.shape[dim]}")
    shape = (*z.shape[:dim], size, *z.shape[dim + 1 :])
    return shape, _rule_fft(z, (dim,))[1].to_real(), strides_of(shape, z, (dim,))


def _ref_irfft(z: Array, dim: int, size: int, scale: float) -> Array:
    shape = (*z.shape[:dim], size, *z.shape[dim + 1 :])
    found = np.fft.irfft(z, size, axis=dim, norm="forward") * scale if z.size else np.zeros(shape)
    return found.astype(z.real.dtype, copy=False)


def _expand_irfft(n: Node) -> Node:
    z, (dim, size, scale) = n.srcs[0], n.attrs
    rest = slice_(z, dim, 1, size - size // 2, 1)
    return real(fft(cat(z, conj(flip(rest, dim)), dim), (dim,), False, scale))


#: The real numbers, `size` of them, whose transform has this first half, not yet divided by their number.
irfft = Op(
    "irfft",
    "fft",
    _rule_irfft,
    _ref_irfft,
    expand=_expand_irfft,
    params=("dim", "size", "scale"),
    samples=lambda: [
        Sample((Z,), (1, 4, 1.0), False),
        Sample((Z,), (1, 5, 0.2), False),
        Sample((Z,), (0, 2, 0.5), False),
        Sample((Z[0].astype(np.complex64),), (0, 5, 1.0), False),
    ],
)
gradients.COMPLEX.add("fft")
