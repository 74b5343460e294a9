"""What functions of matrices ask of their arguments: tolerances, and values that make them fail."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import dtypes
from ...ops.solve import LinAlgError
from ..core import Tensor
from ..held import value_of
from ..outright import has_values

__all__ = ["check_diagonal", "check_double", "check_tolerance", "tolerance"]

_LAPACK = (dtypes.float32, dtypes.float64, dtypes.complex64, dtypes.complex128)


def check_diagonal(factor: Tensor) -> None:
    """Refuse a triangular factor with a zero on its diagonal, if it has values to look at."""
    if not has_values(factor):
        return
    zero = np.diagonal(value_of(factor), axis1=-2, axis2=-1) == 0
    if zero.any():
        first = zero.reshape(-1, zero.shape[-1]).any(1).argmax()
        which = f"(Batch element {first}): " if zero.ndim > 1 else ""
        raise LinAlgError(
            f"cholesky_inverse: {which}The diagonal element {zero.reshape(-1, zero.shape[-1])[first].argmax() + 1} is zero, the inversion "
            "could not be completed because the input matrix is singular."
        )


def check_tolerance(function: str, name: str, value: Any) -> None:
    """A tolerance is a number, a tensor or None."""
    if value is not None and not isinstance(value, (int, float, np.number, Tensor)):
        raise TypeError(f"{function}(): argument '{name}' must be float, not {type(value).__name__}")


def check_double(A: Tensor) -> None:
    """RuntimeError for types that LAPACK has not."""
    if A.dtype not in _LAPACK:
        raise RuntimeError("This function doesn't handle types other than float and double")


def tolerance(A: Tensor, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """(rtol, atol); by default the larger side times the type's epsilon, unless an absolute tolerance is given. Tensors stay tensors."""
    if rtol is None:
        check_double(A)
        default = max(A.shape[-2:]) * dtypes.finfo(A.dtype).eps
        rtol = (atol <= 0) * default if isinstance(atol, Tensor) else 0.0 if atol is not None and atol > 0 else default  # type: ignore[operator]
    return rtol, 0.0 if atol is None else atol
