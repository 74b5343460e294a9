"""Powers as NumPy computes them, where PyTorch does it otherwise: of integers to negative ones, and of complex numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..asg.declare import Array

#: exponents that are no powers in PyTorch
_COMPLEX_POWERS: dict[complex, Callable[[Array], Array]] = {
    0: np.ones_like,
    0.5: np.sqrt,
    1: np.positive,
    2: lambda a: np.power(a, np.full(1, 2, a.dtype)),
    3: lambda a: np.power(a, np.full(1, 3, a.dtype)),
    -0.5: lambda a: 1 / np.sqrt(a),
    -1: np.reciprocal,
    -2: lambda a: 1 / (a * a),
}


def power(a: Array, b: Array) -> Array:
    """``a ** b``, element by element. RuntimeError for integers to a negative integer."""
    if a.dtype.kind in "iu" and (np.asarray(b) < 0).any():
        if b.ndim == 0:
            raise RuntimeError("Integers to negative integer powers are not allowed.")
        exact = np.where(a == 1, 1, np.where(a == -1, np.where(b % 2 == 0, 1, -1), 0)).astype(a.dtype)
        return np.where(b < 0, exact, np.power(a, np.maximum(b, 0)))
    with np.errstate(all="ignore"):
        if a.dtype.kind != "c" and b.dtype.kind != "c":
            if b.size == 1 and a.ndim and b == 0.5:
                b = np.full(a.shape, b)  # of one exponent NumPy takes the square root, which differs at -0 and -inf
            return np.power(a, b)
        if b.ndim == 0 and (plain := _COMPLEX_POWERS.get(complex(b))):
            return plain(a)
        return np.asarray(np.exp(np.log(a) * b))  # rounded, and undefined, where PyTorch is: NumPy multiplies for integers up to 100
