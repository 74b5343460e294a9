"""Parts of complex numbers. Complex tensors can be stored and printed, not computed with: for real ones these functions are exact."""

from __future__ import annotations

import math
from typing import Any

from ...errors import Unsupported, refuses
from ..core import Tensor
from ..register import FUNCTIONS, function
from .pointwise import where

_ADVICE = "complex arithmetic is not supported: keep real and imaginary parts (cosine and sine) in two real tensors"


def _refuse_complex(name: str, input: Tensor) -> None:
    if input.dtype.is_complex:
        raise Unsupported(f"torch.{name} of a complex tensor: {_ADVICE}")


@function(method=False)
def real(input: Tensor) -> Tensor:
    """The real part: a real tensor itself."""
    _refuse_complex("real", input)
    return input


@function(method=False)
def imag(input: Tensor) -> Tensor:
    """The imaginary part; raises RuntimeError for a real tensor."""
    _refuse_complex("imag", input)
    raise RuntimeError("imag is not implemented for tensors with non-complex dtypes.")


Tensor.real = property(real, doc="The real part.")  # type: ignore[attr-defined]
Tensor.imag = property(imag, doc="The imaginary part.")  # type: ignore[attr-defined]


@function(aliases=("conj_physical", "resolve_conj", "resolve_neg"))
def conj(input: Tensor) -> Tensor:
    """The complex conjugate: a real tensor itself."""
    _refuse_complex("conj", input)
    return input


@function()
def angle(input: Tensor, *, out: Tensor | None = None) -> Tensor:
    """The angle in the complex plane: of a real number 0, of a negative one pi; NaN stays."""
    _refuse_complex("angle", input)
    value = input if input.dtype.is_floating_point else input.float()  # type: ignore[attr-defined]
    return where(value < 0, math.pi, where(value == value, 0.0, value)).to(value.dtype)  # type: ignore[attr-defined, no-any-return]


def _unsupported(name: str) -> None:
    @refuses
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise Unsupported(f"torch.{name}: {_ADVICE}")

    refuse.__name__, refuse.__doc__ = name, f"Not supported: {_ADVICE}."
    FUNCTIONS[name] = refuse


for _name in ("complex", "polar", "view_as_complex", "view_as_real"):
    _unsupported(_name)
