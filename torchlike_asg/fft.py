"""torch.fft: discrete Fourier transforms of complex and of real signals, their inverses, frequencies and shifts."""

from __future__ import annotations

import math as _math
from typing import Any

import numpy as _np

from .dtypes import dtype as _dtype
from .dtypes import get_default_dtype as _get_default_dtype
from .errors import Unsupported
from .facade.core import Tensor
from .facade.functions import fourier as _fourier
from .facade.functions.arrange import roll as _roll
from .facade.functions.spaced import arange as _arange
from .facade.functions.views import dims_of as _dims_of
from .facade.register import function
from .facade.results import deliver as _deliver

#: (name, kind, forward, what it gives)
_TRANSFORMS = (
    ("fft", "complex", True, "The discrete Fourier transform"),
    ("ifft", "complex", False, "The inverse discrete Fourier transform"),
    ("rfft", "from real", True, "The first half of the discrete Fourier transform of real numbers"),
    ("irfft", "to real", False, "The real numbers whose discrete Fourier transform has `input` as its first half"),
    ("hfft", "to real", True, "The discrete Fourier transform, which is real, of a signal that is symmetric with conjugation"),
    ("ihfft", "from real", False, "The first half of the inverse of `hfft`"),
)
_NORMS = '`norm` divides the inverse ("backward", the default), the transform ("forward") or both by the root ("ortho").'


def _one(name: str, kind: str, forward: bool, what: str) -> Any:
    def f(input: Tensor, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Tensor | None = None) -> Tensor:
        return _fourier.along_one(kind, name, input, n, dim, norm, forward)

    f.__doc__ = f"{what}, along `dim`, of `n` elements (cut, or filled up with zeros). {_NORMS}"
    return _named(f, name)


def _two(name: str, kind: str, forward: bool, what: str) -> Any:
    def f(input: Tensor, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Tensor | None = None) -> Tensor:
        return _fourier.along_several(kind, name, input, s, dim, norm, forward)

    f.__doc__ = f"{what}, along the two dimensions `dim`, of sizes `s`. {_NORMS}"
    return _named(f, name)


def _several(name: str, kind: str, forward: bool, what: str) -> Any:
    def f(input: Tensor, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Tensor | None = None) -> Tensor:
        return _fourier.along_several(kind, name, input, s, dim, norm, forward)

    f.__doc__ = f"{what}, along the dimensions `dim` (None: all, or the last of as many as `s` names), of sizes `s`. {_NORMS}"
    return _named(f, name)


def _named(f: Any, name: str) -> Any:
    f.__name__ = f.__qualname__ = f"fft_{name}"
    return function(method=False, namespace=False)(f)


for _name, _kind, _forward, _what in _TRANSFORMS:
    globals()[_name] = _one(_name, _kind, _forward, _what)
    globals()[f"{_name}2"] = _two(f"{_name}2", _kind, _forward, _what)
    globals()[f"{_name}n"] = _several(f"{_name}n", _kind, _forward, _what)


def _per(time: float) -> float:
    return 1 / time if time else _math.nan


def _check(name: str, n: Any, d: Any, dtype: Any) -> None:
    """The arguments of `fftfreq` and `rfftfreq`, as PyTorch's parser reads them."""
    for argument, value, kinds, kind in (
        ("'n' (position 1)", n, (int, _np.integer), "int"),
        ("'d' (position 2)", d, (int, float, _np.number), "float"),
        ("'dtype'", dtype, (_dtype, type(None), type), "torch.dtype"),
    ):
        scalar = isinstance(value, Tensor) and not value.shape
        if not (isinstance(value, kinds) or (scalar and kind != "torch.dtype")) or (kind == "int" and isinstance(value, bool)):
            raise TypeError(f"fft_{name}(): argument {argument} must be {kind}, not {type(value).__name__}")


def _frequencies(name: str, count: int, dtype: Any, options: Any, out: Tensor | None) -> Tensor:
    if out is not None and dtype is None:
        dtype = out.dtype
    if isinstance(dtype, type):
        dtype = _arange(0, dtype=dtype).dtype
    if dtype is not None and not (dtype.is_floating_point or dtype.is_complex):
        raise RuntimeError(f"{name} requires a floating point or complex dtype")
    return _arange(count, dtype=dtype or _get_default_dtype(), **options)  # type: ignore[no-any-return]


def fftfreq(n: int, d: float = 1.0, *, out: Tensor | None = None, dtype: Any = None, **options: Any) -> Tensor:
    """The frequencies of the elements of a transform of `n` samples a time `d` apart: ``[0, 1, ..., -2, -1] / (d n)``."""
    _check("fftfreq", n, d, dtype)
    at = _frequencies("fftfreq", n, dtype, options, out)
    values = (at - n * (at >= (n + 1) // 2)) * _per(n * d)
    return values if out is None else _deliver(values, out, "fftfreq")  # type: ignore[no-any-return]


def rfftfreq(n: int, d: float = 1.0, *, out: Tensor | None = None, dtype: Any = None, **options: Any) -> Tensor:
    """The frequencies of the elements of half a spectrum: ``[0, 1, ..., n // 2] / (d n)``."""
    _check("rfftfreq", n, d, dtype)
    values = _frequencies("rfftfreq", n // 2 + 1, dtype, options, out) * _per(n * d)
    return values if out is None else _deliver(values, out, "rfftfreq")  # type: ignore[no-any-return]


def fftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The elements rolled along `dim` (None: all) so that frequency 0 is in the middle."""
    dims = tuple(range(len(input.shape))) if dim is None else _dims_of(dim, len(input.shape))
    return _roll(input, tuple([input.shape[d] // 2 for d in dims]), dims)  # type: ignore[no-any-return]


def ifftshift(input: Tensor, dim: Any = None) -> Tensor:
    """The inverse of `fftshift`."""
    dims = tuple(range(len(input.shape))) if dim is None else _dims_of(dim, len(input.shape))
    return _roll(input, tuple([(input.shape[d] + 1) // 2 for d in dims]), dims)  # type: ignore[no-any-return]


__all__ = [name + end for name, *_ in _TRANSFORMS for end in ("", "2", "n")]
__all__ += ["fftfreq", "fftshift", "ifftshift", "rfftfreq"]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torch.fft.{name} is not implemented; fft has {', '.join(__all__)}")
