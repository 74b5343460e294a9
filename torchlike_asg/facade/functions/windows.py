"""Windows for short-time transforms: weights that fade a frame's ends out.

Formulas: Harris (1978), "On the use of windows for harmonic analysis with the discrete Fourier transform".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import dtypes
from ..core import Tensor
from ..misfits import combination
from ..register import function, named
from .creation import finish, from_array
from .factory_arguments import device_of


def _window(name: str, size: int, periodic: bool, formula: Callable[[Any], Any], dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """``formula(k / n)`` for k below `size`; n is `size` for one period of a periodic window, one less for a symmetric one."""
    d = dtypes.get_default_dtype() if dtype is None else dtype
    if not d.is_floating_point:
        raise RuntimeError(f"{name} expects floating point dtypes, got: {d}")
    if size < 0:
        raise RuntimeError(f"{name} requires non-negative window_length, got window_length={size}")
    n = size if periodic else size - 1
    values = formula(np.arange(size) / n) if size > 1 else np.ones(size)
    return finish(from_array(values, d, device_of(device)), requires_grad)  # type: ignore[no-any-return]


def _cosines(*factors: float) -> Callable[[Any], Any]:
    """The sum of ``(-1)^j a_j cos(2 pi j t)``."""
    return lambda t: sum((-1) ** j * a * np.cos(2 * np.pi * j * t) for j, a in enumerate(factors))


def _plain(name: str, formula: Callable[[Any], Any], what: str) -> Any:
    def f(
        window_length: int,
        periodic: bool = True,
        *,
        dtype: Any = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
    ) -> Tensor:
        return _window(name, window_length, periodic, formula, dtype, device, requires_grad)

    return function(method=False, name=name)(named(f, name, f"{what}, of `window_length` elements; not `periodic`: symmetric."))


hann_window = _plain("hann_window", _cosines(0.5, 0.5), "The Hann window, a raised cosine")
blackman_window = _plain("blackman_window", _cosines(0.42, 0.5, 0.08), "The Blackman window")
bartlett_window = _plain("bartlett_window", lambda t: 1 - np.abs(2 * t - 1), "The Bartlett window, a triangle")


@function(method=False)
def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """The Hamming window ``alpha - beta cos(2 pi t)``, of `window_length` elements; not `periodic`: symmetric."""
    return _window("hamming_window", window_length, periodic, _cosines(alpha, beta), dtype, device, requires_grad)


@function(method=False)
def kaiser_window(
    window_length: int,
    periodic: bool | None = None,
    beta: float | None = None,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """The Kaiser window of shape `beta` (12), of `window_length` elements; not `periodic` (it is by default): symmetric."""
    if beta is None:
        beta = 12.0
    elif periodic is None:
        raise combination("kaiser_window", (window_length,), {"beta": beta}, ", but expected (int, bool periodic, float beta)")
    periodic = True if periodic is None else periodic

    def formula(t: Any) -> Any:
        return np.i0(beta * np.sqrt(np.maximum(1 - (2 * t - 1) ** 2, 0))) / np.i0(beta)

    return _window("kaiser_window", window_length, periodic, formula, dtype, device, requires_grad)
