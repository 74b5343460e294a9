"""torch.masked: reductions and normalisations that leave out the elements where a mask is False.

`mask` is a tensor of bools that broadcasts to the input, or None: everything counts. An element that is left out is replaced by the
operation's neutral value before the ordinary operation runs, so a line without any element gives that value (0 for sums, -inf for `amax`,
NaN for `mean` and `softmax`). Dimensions follow the ordinary operations: one, several, or None for all.
"""

from __future__ import annotations

import math
from typing import Any

from . import dtypes
from .errors import Absent, Unsupported, refuses
from .facade.core import Tensor
from .facade.functions.creation import full_like, ones_like
from .facade.functions.pointwise import where
from .facade.functions.softmax import log_softmax as _log_softmax
from .facade.functions.softmax import softmax as _softmax
from .facade.register import FUNCTIONS
from .facade.steps import unsaved

__all__ = [
    "amax",
    "amin",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "log_softmax",
    "logaddexp",
    "logsumexp",
    "mean",
    "median",
    "norm",
    "normalize",
    "prod",
    "softmax",
    "softmin",
    "std",
    "sum",
    "var",
]

#: a package for importing: places.py has its parts
__path__: list[str] = []


def _filled(input: Tensor, mask: Tensor | None, neutral: float) -> Tensor:
    if mask is not None and tuple(mask.shape) != tuple(input.shape):  # PyTorch broadcasts a copy
        mask = unsaved(mask)
    return input if mask is None else where(mask, input, full_like(input, neutral))


def _dims(input: Tensor, dim: Any) -> tuple[int, ...]:
    if dim is None or dim == ():
        return tuple(range(input.dim()))
    return tuple(dim) if isinstance(dim, tuple | list) else (dim,)


def _extreme(input: Tensor, largest: bool) -> float:
    """The value below (above) every other of the input's type."""
    if input.dtype.is_floating_point:
        return -math.inf if largest else math.inf
    if input.dtype is dtypes.bool_:
        return 0 if largest else 1
    info = dtypes.iinfo(input.dtype)
    return info.min if largest else info.max


def sum(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The sum of the elements that count; small integers add up as int64."""
    return _filled(input, mask, 0).sum(_dims(input, dim), keepdim, dtype=dtype)  # type: ignore[no-any-return]


def prod(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The product of the elements that count."""
    x = _filled(input, mask, 1)
    for d in sorted((d % max(input.dim(), 1) for d in _dims(input, dim)), reverse=True):
        x = x.prod(d, keepdim, dtype=dtype)
    if input.dim():
        return x
    counted = dtypes.int64 if x.dtype.category < 2 else x.dtype
    return x.to(counted if dtype is None else dtype)  # type: ignore[no-any-return]


def amax(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The largest of the elements that count."""
    x = input if dtype is None else input.to(dtype)
    return _filled(x, mask, _extreme(x, True)).amax(_dims(input, dim), keepdim)  # type: ignore[no-any-return]


def amin(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The smallest of the elements that count."""
    x = input if dtype is None else input.to(dtype)
    return _filled(x, mask, _extreme(x, False)).amin(_dims(input, dim), keepdim)  # type: ignore[no-any-return]


def argmax(input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Where the largest of the elements that count stands, as a number of the input's type."""
    x = input if dtype is None else input.to(dtype)
    return _filled(x, mask, _extreme(x, True)).argmax(dim, keepdim).to(x.dtype)  # type: ignore[no-any-return]


def argmin(input: Tensor, dim: int | None = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Where the smallest of the elements that count stands, as a number of the input's type."""
    x = input if dtype is None else input.to(dtype)
    return _filled(x, mask, _extreme(x, False)).argmin(dim, keepdim).to(x.dtype)  # type: ignore[no-any-return]


def cumsum(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running sums, in which elements that do not count are 0, in the input's type."""
    return _filled(input, mask, 0).cumsum(dim, dtype=input.dtype if dtype is None else dtype)  # type: ignore[no-any-return]


def cumprod(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Running products, in which elements that do not count are 1, in the input's type."""
    return _filled(input, mask, 1).cumprod(dim, dtype=input.dtype if dtype is None else dtype)  # type: ignore[no-any-return]


def _count(input: Tensor, dims: tuple[int, ...], keepdim: bool, mask: Tensor | None) -> Tensor:
    ones = ones_like(input, dtype=dtypes.int64)
    return _filled(ones, mask, 0).sum(dims, keepdim)  # type: ignore[no-any-return]


def mean(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The mean of the elements that count; NaN where none does."""
    asked = input.dtype if dtype is None else dtype
    if not (asked.is_floating_point or asked.is_complex):
        raise ValueError(
            f"mean(): Could not infer output dtype. {'Input' if dtype is None else 'Optional'} dtype must be either a floating point or "
            f"complex dtype. Got: {asked}"
        )
    dims = _dims(input, dim)
    if mask is None:
        return input.mean(dims, keepdim, dtype=dtype)  # type: ignore[no-any-return]
    total = sum(input, dims, keepdim=keepdim, dtype=dtype, mask=mask)
    return total / _count(input, dims, keepdim, mask)  # type: ignore[no-any-return,operator]


def median(input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The (lower) median of the elements that count along one dimension; NaN where none does."""
    x = input if dtype is None else input.to(dtype)
    if not x.dtype.is_floating_point:
        raise ValueError(f"input must be floating-point, got {x.dtype}")
    lines = x.reshape(1) if x.dim() == 0 else x
    kept = None if mask is None else mask.reshape(lines.shape) if x.dim() == 0 else mask
    found = lines.median(dim, keepdim) if kept is None else _filled(lines, kept, math.nan).nanmedian(dim, keepdim)
    return found.values if x.dim() else found.values.reshape(())  # type: ignore[no-any-return]


def norm(
    input: Tensor, ord: float = 2.0, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None
) -> Tensor:
    """The vector norm of order `ord` of the elements that count."""
    x = input if dtype is None else input.to(dtype)
    return FUNCTIONS["norm"](_filled(x, mask, math.inf if ord == -math.inf or ord < 0 else 0), ord, _dims(input, dim), keepdim)  # type: ignore[no-any-return]


def _spread(
    input: Tensor, dim: Any, unbiased: bool | None, correction: float | None, keepdim: bool, dtype: Any, mask: Tensor | None
) -> Tensor:
    x = input if dtype is None else input.to(dtype)
    x = x if x.dtype.is_floating_point or x.dtype.is_complex else x.to(dtypes.get_default_dtype())
    less = (1 if unbiased is None or unbiased else 0) if correction is None else correction
    dims = _dims(input, dim)
    middle = mean(x, dims, keepdim=True, mask=mask)
    away = _filled(x - middle, mask, 0)  # type: ignore[operator]
    squares = away * away.conj() if x.dtype.is_complex else away * away  # type: ignore[operator]
    squares = squares.real if x.dtype.is_complex else squares
    count = _count(input, dims, keepdim, mask) - less  # type: ignore[operator]
    found = squares.sum(dims, keepdim) / count.clamp(min=0)
    return found.to(x.dtype)  # type: ignore[no-any-return]


def var(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The variance of the elements that count: squares over their number less `correction` (1, or 0 unless `unbiased`)."""
    return _spread(input, dim, unbiased, correction, keepdim, dtype, mask)


def std(
    input: Tensor,
    dim: Any = None,
    unbiased: bool | None = None,
    *,
    correction: float | None = None,
    keepdim: bool = False,
    dtype: Any = None,
    mask: Tensor | None = None,
) -> Tensor:
    """The standard deviation of the elements that count, see `var`."""
    return _spread(input, dim, unbiased, correction, keepdim, dtype, mask).sqrt()  # type: ignore[no-any-return]


def softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """Softmax over the elements that count; the others get 0, and a line without any NaN."""
    return _softmax(_filled(input if dtype is None else input.to(dtype), mask, -math.inf), dim)  # type: ignore[no-any-return]


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The logarithm of `softmax`; -inf for the elements that do not count."""
    return _log_softmax(_filled(input if dtype is None else input.to(dtype), mask, -math.inf), dim)  # type: ignore[no-any-return]


def softmin(input: Tensor, dim: int, *, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """`softmax` of the negated input."""
    return softmax(-input, dim, dtype=dtype, mask=mask)  # type: ignore[operator]


def normalize(input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The input over its `norm` along `dim`, which counts as `eps` at least; 0 for the elements that do not count."""
    x = input if dtype is None else input.to(dtype)
    size = norm(x, ord, dim, keepdim=True, mask=mask)
    return _filled(x, mask, 0) / size.clamp(min=eps)  # type: ignore[no-any-return,operator]


def logsumexp(input: Tensor, dim: Any = None, *, keepdim: bool = False, dtype: Any = None, mask: Tensor | None = None) -> Tensor:
    """The logarithm of the sum of exponentials of the elements that count, in the input's type unless `dtype` is given."""
    if mask is not None and input.dtype is dtypes.bool_:
        raise NotImplementedError("identity of logsumexp on torch.bool input")
    # of integers the smallest one counts for nothing, unless all do not count: then it is the result
    least = -math.inf if input.dtype.is_complex or mask is None else _extreme(input, True)
    found = _filled(input, mask, least).logsumexp(_dims(input, dim), keepdim)
    return found.to(input.dtype if dtype is None else dtype)  # type: ignore[no-any-return]


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: Any = None, input_mask: Tensor | None = None, other_mask: Tensor | None = None
) -> Tensor:
    """``log(exp(input) + exp(other))``, where an element that does not count adds nothing."""
    a, b = (x if dtype is None else x.to(dtype) for x in (input, other))
    return FUNCTIONS["logaddexp"](_filled(a, input_mask, -math.inf), _filled(b, other_mask, -math.inf))  # type: ignore[no-any-return]


class MaskedTensor(Absent, within="torch.masked", instead="use a tensor and its mask, with the functions here that take mask="):
    """PyTorch's tensor with a mask, for annotations and `isinstance`, which is false."""

    def __init__(self, data: Any, mask: Any, requires_grad: bool = False) -> None:
        super().__init__()


@refuses
def masked_tensor(data: Any, mask: Any, requires_grad: bool = False) -> Any:
    """Raises: see the error."""
    raise Unsupported("torch.masked.masked_tensor: use a tensor and its mask, with the functions here that take mask=")


@refuses
def as_masked_tensor(data: Any, mask: Any) -> Any:
    """Raises: see the error."""
    raise Unsupported("torch.masked.as_masked_tensor: use a tensor and its mask, with the functions here that take mask=")


def is_masked_tensor(obj: Any) -> bool:
    """False: there are none."""
    return False


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torch.masked.{name} is not implemented: use a tensor and its mask, with the functions here that take mask=")
