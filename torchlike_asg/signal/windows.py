"""torch.signal.windows: window functions of `M` points, symmetric or (``sym=False``) one period of a periodic window.

Formulas: Harris (1978), "On the use of windows for harmonic analysis with the discrete Fourier transform"; Nuttall (1981) for `nuttall`.
All give float32 or float64 (the default floating type unless `dtype` says otherwise); ``M = 0`` gives an empty tensor.

Raises:
    ValueError: a negative length, or a type that is neither float32 nor float64.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import dtypes
from ..facade.core import Tensor
from ..facade.functions.creation import finish, from_array
from ..facade.functions.factory_arguments import device_of

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]

Array = np.ndarray[Any, Any]


def _made(name: str, M: int, formula: Callable[[Array], Any], dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """``formula([0, 1, ..., M - 1])`` as a tensor."""
    d = dtypes.get_default_dtype() if dtype is None else dtype
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if d not in (dtypes.float32, dtypes.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {d}")
    values = np.asarray(formula(np.arange(M, dtype=np.float64)), np.float64)
    return finish(from_array(values, d, device_of(device)), requires_grad)  # type: ignore[no-any-return]


def _period(M: int, sym: bool) -> int:
    """The distance between the two ends: one point more where the window is periodic. 1 for a window of one point."""
    return max(M - 1 if sym else M, 1)


def _cosines(M: int, factors: Iterable[float], sym: bool) -> Callable[[Array], Any]:
    step = 2 * math.pi / _period(M, sym)
    if M == 1:
        return np.ones_like
    return lambda k: sum((-1) ** j * a * np.cos(j * step * k) for j, a in enumerate(factors))


def general_cosine(
    M: int, *, a: Iterable[float], sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The sum of ``(-1)^j a[j] cos(2 pi j k / period)``."""
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    factors = tuple(a)
    if not factors:
        raise ValueError("Coefficients cannot be empty")
    return _made("general_cosine", M, _cosines(M, factors, sym), dtype, device, requires_grad)


def general_hamming(
    M: int,
    *,
    alpha: float = 0.54,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``alpha - (1 - alpha) cos(2 pi k / period)``."""
    return _made("general_hamming", M, _cosines(M, (alpha, 1 - alpha), sym), dtype, device, requires_grad)


def _fixed(name: str, factors: tuple[float, ...], what: str) -> Any:
    def window(
        M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
    ) -> Tensor:
        return _made(name, M, _cosines(M, factors, sym), dtype, device, requires_grad)

    window.__name__ = window.__qualname__ = name
    window.__doc__ = f"{what}: a sum of cosines with the factors {', '.join(map(str, factors))}."
    return window


hamming = _fixed("hamming", (0.54, 0.46), "The Hamming window")
hann = _fixed("hann", (0.5, 0.5), "The Hann window")
blackman = _fixed("blackman", (0.42, 0.5, 0.08), "The Blackman window")
nuttall = _fixed("nuttall", (0.3635819, 0.4891775, 0.1365995, 0.0106411), "The minimum 4-term Blackman-Harris window of Nuttall")


def bartlett(M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The triangle that falls to zero at both ends."""
    formula = np.ones_like if M == 1 else lambda k: 1 - np.abs(2 * k / _period(M, sym) - 1)
    return _made("bartlett", M, formula, dtype, device, requires_grad)


def cosine(M: int, *, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Half a wave: ``sin(pi (k + 1/2) / M)``."""
    points = M + 1 if not sym and M > 1 else M
    return _made("cosine", M, lambda k: np.sin(np.pi * (k + 0.5) / max(points, 1)), dtype, device, requires_grad)


def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """``exp(-|k - center| / tau)``; a `center` of one's own needs ``sym=False``."""
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    middle = (M if not sym and M > 1 else M - 1) / 2 if center is None else center
    return _made("exponential", M, lambda k: np.exp(-np.abs(k - middle) / tau), dtype, device, requires_grad)


def gaussian(
    M: int, *, std: float = 1.0, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """``exp(-(k - middle)^2 / (2 std^2))``."""
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    middle = (M if not sym and M > 1 else M - 1) / 2
    return _made("gaussian", M, lambda k: np.exp(-(((k - middle) / std) ** 2) / 2), dtype, device, requires_grad)


def kaiser(
    M: int, *, beta: float = 12.0, sym: bool = True, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """The Kaiser window: ``I0(beta sqrt(1 - t^2)) / I0(beta)`` for t from -1 to 1."""
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")

    def formula(k: Array) -> Any:
        return np.i0(beta * np.sqrt(np.maximum(1 - (2 * k / _period(M, sym) - 1) ** 2, 0))) / np.i0(beta)

    return _made("kaiser", M, np.ones_like if M == 1 else formula, dtype, device, requires_grad)
