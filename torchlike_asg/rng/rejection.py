"""Draws that consume a varying number of words: Poisson, gamma and binomial. All arithmetic in float64, whatever the type."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from .. import dtypes
from .checks import NAME, require_floating
from .engine import Engine
from .layout import rounded
from .native import libm_address
from .uniform import uniform64

__all__ = ["binomial", "poisson", "standard_gamma"]

Array = np.ndarray[Any, Any]

_AHEAD = 512  # uniform draws made at a time


class _Stream:
    """Single draws from an engine, made in blocks; on leaving, the engine stands right behind the last draw that was used."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def __enter__(self) -> _Stream:
        self.engine.lock.acquire()
        self._start = self.engine.snapshot()
        self._used = 0
        self._ready: list[float] = []
        return self

    def __exit__(self, *error: object) -> None:
        cached = self.engine.cached_normal
        self.engine.restore(self._start)
        self.engine.raw_words(2 * self._used)
        self.engine.cached_normal = cached
        self.engine.lock.release()

    def uniform(self) -> float:
        """A float64 of [0, 1)."""
        if not self._ready:
            self._ready = uniform64(self.engine, _AHEAD)[::-1].tolist()
        self._used += 1
        return self._ready.pop()

    def normal(self) -> float:
        """A standard normal: the one the generator kept, or the first of a new pair."""
        kept = self.engine.cached_normal
        if kept is not None:
            self.engine.cached_normal = None
            return kept
        angle, tail = self.uniform(), self.uniform()
        radius = math.sqrt(-2.0 * math.log1p(-tail))
        self.engine.cached_normal = radius * math.sin(2 * math.pi * angle)
        return radius * math.cos(2 * math.pi * angle)


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


@cache
def _libm(name: str, kind: Any) -> Callable[[float], float]:
    """A function of the C library that Python lacks or does its own way, with other last bits."""
    function = ctypes.CFUNCTYPE(kind, kind)(libm_address(name))
    return function


def poisson(engine: Engine, rates: Array, dtype: dtypes.dtype) -> Array:
    """`torch.poisson`: an event count for each rate, of `dtype` like the rates; row major, however they lie.

    RuntimeError for a negative rate, NotImplementedError for types that are not real floating-point.
    """
    require_floating(dtype, "poisson_cpu")
    if not (rates >= 0).all():
        raise RuntimeError("invalid Poisson rate, expected rate to be non-negative")
    with _Stream(engine) as stream:
        counts = np.array([_poisson(rate, stream) for rate in rates.ravel().tolist()], np.float64)
    return rounded(counts, dtype).reshape(rates.shape)


def _poisson(rate: float, stream: _Stream) -> float:
    if math.isinf(rate):
        return -(2.0**63)  # what the conversion of an infinite number to int64 gives there
    if rate >= 10:
        return _poisson_transformed(rate, stream)
    if rate == 0:
        return 0
    threshold, count, product = math.exp(-rate), 0, 1.0
    while True:
        product *= stream.uniform()
        if product <= threshold:
            return count
        count += 1


def _poisson_transformed(rate: float, stream: _Stream) -> float:
    """Algorithm PTRS of Hörmann, "The transformed rejection method for generating Poisson random variables" (1993)."""
    lgamma = _libm("lgamma", ctypes.c_double)
    root, log_rate = math.sqrt(rate), math.log(rate)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    accepted = 0.9277 - 3.6224 / (b - 2)
    while True:
        u = stream.uniform() - 0.5
        v = stream.uniform()
        distance = 0.5 - abs(u)
        count = math.floor((2 * a / distance + b) * u + rate + 0.43) if distance else -1
        if distance >= 0.07 and v <= accepted:
            return count
        if count < 0 or (distance < 0.013 and v > distance):
            continue
        if math.log(v) + math.log(inverse_alpha) - math.log(a / (distance * distance) + b) <= -rate + count * log_rate - lgamma(count + 1):
            return count


def standard_gamma(engine: Engine, alphas: Array, dtype: dtypes.dtype) -> Array:
    """`torch._standard_gamma`: a Gamma(alpha, 1) value for each alpha, of `dtype` like them and at least the type's smallest normal;
    row major. Marsaglia and Tsang, "A simple method for generating gamma variables" (2000).

    NotImplementedError for types but float32 and float64.
    """
    narrow = _arithmetic(dtype, "gamma_cpu")
    with _Stream(engine) as stream:
        values = np.array([_gamma(alpha, stream, narrow) for alpha in alphas.ravel().tolist()], np.float64)
    return np.maximum(rounded(values, dtype), dtypes.finfo(dtype).tiny).reshape(alphas.shape)


def _arithmetic(dtype: dtypes.dtype, kernel: str) -> Callable[[float], float]:
    """How an intermediate value is rounded that PyTorch computes in the tensor's type."""
    if dtype is dtypes.float64:
        return float
    if dtype is dtypes.float32:
        return lambda value: float(np.float32(value))
    raise NotImplementedError(f"\"{kernel}\" not implemented for '{NAME[dtype]}'")


_THIRD = float(np.float32(1) / np.float32(3))
_SQUEEZE = float(np.float32(0.0331))


def _gamma(alpha: float, stream: _Stream, narrow: Callable[[float], float]) -> float:
    scale = 1.0
    if alpha < 1.0:
        if alpha == 0.0:
            return 0.0
        scale = math.pow(1 - stream.uniform(), narrow(1.0 / alpha))
        alpha = narrow(alpha + 1.0)
    d = narrow(alpha - _THIRD)
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        y = 0.0
        while y <= 0.0:
            x = stream.normal()
            y = 1.0 + c * x
        v = y * y * y
        u = 1 - stream.uniform()
        square = x * x
        if u < 1.0 - _SQUEEZE * square * square or _log(u) < 0.5 * square + d * (1.0 - v + math.log(v)):
            return scale * d * v


def binomial(engine: Engine, counts: Array, chances: Array, dtype: dtypes.dtype) -> Array:
    """`torch.binomial`: successes among `counts` trials of probability `chances`, both of `dtype`, broadcast together; row major.

    NotImplementedError for types but float32 and float64.
    """
    narrow = _arithmetic(dtype, "binomial_cpu")
    counts, chances = np.broadcast_arrays(counts, chances)
    pairs = zip(counts.ravel().tolist(), chances.ravel().tolist(), strict=True)
    with _Stream(engine) as stream:
        values = np.array([_binomial(count, chance, stream, narrow) for count, chance in pairs], np.float64)
    return rounded(values, dtype).reshape(counts.shape)


def _binomial(count: float, chance: float, stream: _Stream, narrow: Callable[[float], float]) -> float:
    if count <= 0.0 or chance <= 0.0:
        return 0.0
    if chance >= 1.0:
        return count
    if math.isnan(chance) or math.isnan(count):
        return math.nan
    rare = chance if chance <= 0.5 else narrow(1.0 - chance)
    method = _binomial_transformed if narrow(count * rare) >= 10.0 else _binomial_by_waiting
    successes = method(count, rare, stream, narrow)
    return successes if chance <= 0.5 else count - successes


def _binomial_by_waiting(count: float, chance: float, stream: _Stream, narrow: Callable[[float], float]) -> float:
    """Adds up the waiting times between successes."""
    log_failure = math.log1p(-chance) if narrow is float else _libm("log1pf", ctypes.c_float)(-chance)
    trials, successes = 0.0, 0.0
    while True:
        trials += math.ceil(_log(stream.uniform()) / log_failure)
        if trials > count:
            return successes
        successes += 1


def _binomial_transformed(count: float, chance: float, stream: _Stream, narrow: Callable[[float], float]) -> float:
    """Algorithm BTRS of Hörmann, "The generation of binomial random variates" (1993), with the logarithm of V it omits."""
    failure = narrow(1 - chance)
    expected = narrow(count * chance)
    deviation = narrow(math.sqrt(narrow(expected * failure)))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * chance
    center = expected + 0.5
    accepted = 0.92 - 4.2 / b
    odds = narrow(chance / failure)
    alpha = (2.83 + 5.1 / b) * deviation
    mode = math.floor(narrow((count + 1) * chance))
    while True:
        u = stream.uniform() - 0.5
        v = stream.uniform()
        distance = 0.5 - abs(u)
        if distance == 0.0:
            continue
        k = math.floor((2 * a / distance + b) * u + center)
        if k < 0 or k > count:
            continue
        if distance >= 0.07 and v <= accepted:
            return k
        v = _log(v * alpha / (a / (distance * distance) + b))
        bound = (
            (mode + 0.5) * math.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * math.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * math.log(odds * (count - k + 1) / (k + 1))
            + _stirling_tail(mode)
            + _stirling_tail(count - mode)
            - _stirling_tail(k)
            - _stirling_tail(count - k)
        )
        if v <= bound:
            return k


#: log k! minus Stirling's approximation, for small k
_STIRLING_TAILS = (
    0.0810614667953272,
    0.0413406959554092,
    0.0276779256849983,
    0.02079067210376509,
    0.0166446911898211,
    0.0138761288230707,
    0.0118967099458917,
    0.0104112652619720,
    0.00925546218271273,
    0.00833056343336287,
)


def _stirling_tail(k: float) -> float:
    if k < len(_STIRLING_TAILS):
        return _STIRLING_TAILS[int(k)]
    square = (k + 1) * (k + 1)
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)
