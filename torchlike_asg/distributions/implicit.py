"""Derivatives of draws that no formula of the noise gives: gamma and beta numbers.

A draw x has ``F(x; a) = u`` with u fixed, so ``dx/da = -(dF/da) / p(x)`` (implicit reparametrisation, Figurnov et al., 2018). The
distribution functions are evaluated on the host in float64; their derivative by the parameter is a central difference, good to about
eight digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import torchlike_asg as torch

from ..facade.functions.creation import from_array
from ..facade.functions.random import _standard_gamma
from ..facade.functions.reading import array_of

__all__ = ["dirichlet_draw", "gamma_draw"]

Array = np.ndarray[Any, Any]


def _log_gamma(x: Array) -> Array:
    return array_of(torch.lgamma(torch.from_numpy(np.asarray(x, order="C"))))


def _gamma_tail(a: Array, x: Array, upper: Array) -> Array:
    """The regularised incomplete gamma function, the upper one where asked."""
    ta, tx = torch.from_numpy(np.asarray(a, order="C")), torch.from_numpy(np.asarray(x, order="C"))
    return np.where(upper, array_of(torch.special.gammaincc(ta, tx)), array_of(torch.special.gammainc(ta, tx)))


def gamma_derivative(a: Array, x: Array) -> Array:
    """d(draw) / d(shape parameter) of a standard gamma number x, in float64."""
    a, x = np.asarray(a, np.float64), np.asarray(x, np.float64)
    h = 1e-4 * np.minimum(a, np.sqrt(a))
    upper = x > a
    change = (_gamma_tail(a + h, x, upper) - _gamma_tail(a - h, x, upper)) / (2 * h) * np.where(upper, -1.0, 1.0)
    with np.errstate(all="ignore"):
        log_density = (a - 1) * np.log(x) - x - _log_gamma(a)
        found = -change * np.exp(-log_density)
    return np.where(np.isfinite(found), found, 0.0)


def _beta_cdf(a: Array, b: Array, x: Array) -> Array:
    """The regularised incomplete beta function by its continued fraction (Lentz), for x below the mean."""
    with np.errstate(all="ignore"):
        front = np.exp(_log_gamma(a + b) - _log_gamma(a) - _log_gamma(b) + a * np.log(x) + b * np.log1p(-x)) / a
        tiny = 1e-300
        c = np.ones_like(x)
        d = 1 / _nonzero(1 - (a + b) * x / (a + 1), tiny)
        h = d.copy()
        for m in range(1, 400):
            even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
            d = 1 / _nonzero(1 + even * d, tiny)
            c = _nonzero(1 + even / c, tiny)
            h = h * d * c
            odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
            d = 1 / _nonzero(1 + odd * d, tiny)
            c = _nonzero(1 + odd / c, tiny)
            step = d * c
            h = h * step
            if np.all(np.abs(step - 1) < 1e-15):
                break
    return front * h


def _nonzero(x: Array, tiny: float) -> Array:
    return np.where(np.abs(x) < tiny, tiny, x)


def beta_derivative(a: Array, b: Array, x: Array) -> Array:
    """d(draw) / d(first parameter) of a beta number x, in float64."""
    flip = x > a / (a + b)  # the continued fraction is quick below the mean; above it the roles change

    def cdf(first: Array) -> Array:
        p, q = np.where(flip, b, first), np.where(flip, first, b)
        return _beta_cdf(p, q, np.where(flip, 1 - x, x)) * np.where(flip, -1.0, 1.0)

    h = 1e-4 * np.minimum(a, np.sqrt(a))
    change = (cdf(a + h) - cdf(a - h)) / (2 * h)
    with np.errstate(all="ignore"):
        log_density = (a - 1) * np.log(x) + (b - 1) * np.log1p(-x) + _log_gamma(a + b) - _log_gamma(a) - _log_gamma(b)
        found = -change * np.exp(-log_density)
    return np.where(np.isfinite(found), found, 0.0)


def gamma_draw(shape: torch.Tensor) -> torch.Tensor:
    """Standard gamma numbers for these shape parameters, with a derivative by them."""
    with torch.no_grad():
        draw = _standard_gamma(shape)
    if not (shape.requires_grad and torch.is_grad_enabled()):
        return draw
    slope = gamma_derivative(array_of(shape), array_of(draw))
    return draw + (shape - shape.detach()) * from_array(slope.astype(shape.dtype.compute), shape.dtype, shape.device)  # type: ignore[no-any-return]


class _Dirichlet(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, concentration: torch.Tensor) -> torch.Tensor:
        gammas = _standard_gamma(concentration.cpu().to(torch.float64))  # a GPU has no float64
        draw = (gammas / gammas.sum(-1, True)).to(concentration.dtype).to(concentration.device)
        numbers = torch.finfo(concentration.dtype)
        draw = draw.clamp(numbers.tiny, 1 - numbers.eps / 2)  # between 0 and 1, which no density has: the next to them
        ctx.save_for_backward(draw, concentration)
        return draw

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        draw, concentration = ctx.saved_tensors
        x, a = array_of(draw).astype(np.float64), array_of(concentration).astype(np.float64)
        slope = beta_derivative(a, a.sum(-1, keepdims=True) - a, x) / np.maximum(1 - x, np.finfo(np.float64).tiny)
        slope_ = from_array(np.where(np.isfinite(slope), slope, 0.0).astype(draw.dtype.compute), draw.dtype, draw.device)
        return slope_ * (grad - (draw * grad).sum(-1, True))


def dirichlet_draw(concentration: torch.Tensor) -> torch.Tensor:
    """Dirichlet vectors for these concentrations, with a derivative by them."""
    return _Dirichlet.apply(concentration)  # type: ignore[no-any-return]
