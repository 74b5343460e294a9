"""Samplers that fill a tensor in place: ``uniform_``, ``normal_``, ``random_``, ``bernoulli_`` and their like."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.batching import depends
from ...asg.geometry import broadcast, contiguous, preserved_strides
from ...asg.trace import current
from ...ops.movement import copy
from ...rng import draws
from ..core import Tensor, node_of
from ..generator import Generator
from ..misfits import combination
from ..parsing import constant
from ..register import FUNCTIONS, method, named
from ..steps import note_write
from ..write import write
from .reading import value_of
from .streams import (
    bernoulli_numbers,
    counted,
    engine_of,
    for_examples,
    in_order_of,
    laid_out_of_examples,
    mapped,
    normal_numbers,
    uniform_numbers,
)


def _overwrite(t: Tensor, draw: Callable[[], np.ndarray[Any, Any]]) -> Tensor:
    """Replace every element by drawn values. Nothing is drawn for the meta device."""
    if t.device.type == "meta":
        return t.zero_()  # type: ignore[attr-defined, no-any-return]
    tr = current()
    d = t.dtype
    data = np.asarray(draw(), order="C").astype(d.compute, copy=False)
    n = tr.input(data, tuple(data.shape), contiguous(data.shape), d, t.device)

    return write(t, lambda cur: copy(cur, n), ())


def _overwrite_by(t: Tensor, numbers: Any) -> Tensor:
    """Replace every element by ``numbers(shape)``, which kernels make."""
    made = in_order_of(t, numbers)._n
    return write(t, lambda cur: copy(cur, made), ())


def _inside_vmap(sample: Any) -> Any:
    """Inside vmap, fill a tensor of the examples' shape by `sample` and copy it."""

    def filled(shape: Any, strides: Any, d: Any, dev: Any, args: Any, kwargs: Any) -> Tensor:
        empty = FUNCTIONS["empty_strided"](
            shape, contiguous(shape) if strides is None else preserved_strides(shape, strides), dtype=d, device=dev
        )
        return sample(empty, *args, **kwargs)  # type: ignore[no-any-return]

    each = mapped(filled)

    @functools.wraps(sample)
    def drawn(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not current().mapped:
            return sample(self, *args, **kwargs)  # type: ignore[no-any-return]
        p = args[0] if args else kwargs.get("p")
        if isinstance(p, Tensor) and depends((node_of(p),)):  # of `bernoulli_`: the probabilities of one example
            wide = p.expand(self.shape)  # type: ignore[attr-defined]
            return self.copy_(FUNCTIONS["bernoulli"](wide, generator=kwargs.get("generator")))  # type: ignore[attr-defined, no-any-return]
        shape, d, dev = tuple(self.shape), self.dtype, self.device
        if any(isinstance(a, Tensor) for a in (*args, *kwargs.values())):
            return self.copy_(each(shape, None, d, dev, args, kwargs))  # type: ignore[attr-defined, no-any-return]
        if any(m.randomness == "different" for m in current().mapped):
            return self.copy_(laid_out_of_examples(self, lambda s, strides: filled(s, strides, d, dev, args, kwargs)))  # type: ignore[attr-defined, no-any-return]
        return self.copy_(for_examples(lambda lead: filled((*lead, *shape), None, d, dev, args, kwargs)))  # type: ignore[attr-defined, no-any-return]

    return drawn


def _sampler(name: str, draw: Any, doc: str, numbers: Any = None) -> None:
    def sample(self: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        if generator is not None and not isinstance(generator, Generator):
            raise TypeError(f"{name}(): argument 'generator' must be torch.Generator, not {type(generator).__name__}")
        if "from" in kwargs:
            kwargs["low"] = kwargs.pop("from")
        if "to" in kwargs:
            kwargs["high"] = kwargs.pop("to")
        if numbers is not None and counted(self.device, self.dtype, generator):
            return _overwrite_by(self, lambda shape: numbers(shape, self.dtype, self.device, generator, *args, **kwargs))
        shape, strides, _ = self.geometry
        return _overwrite(self, lambda: draw(engine_of(generator), tuple(shape), strides, self.dtype, *args, **kwargs))

    named(sample, name, doc)
    setattr(Tensor, name, sample)


def _number(v: Any) -> float:
    if isinstance(v, str) or (isinstance(v, Tensor) and not constant(v)):
        raise TypeError(f"a parameter of a distribution must be float, not {type(v).__name__}")
    return float(v)


_sampler(
    "uniform_",
    lambda e, s, st, d, low=0.0, high=1.0: draws.uniform(e, s, st, d, _number(low), _number(high)),
    "Fill with uniform numbers from [low, high).",
    lambda s, d, dev, g, low=0.0, high=1.0: uniform_numbers(s, d, dev, g, _number(low), _number(high)),
)
_sampler(
    "normal_",
    lambda e, s, st, d, mean=0.0, std=1.0: draws.normal(e, s, st, d, _number(mean), _number(std)),
    "Fill with normal numbers.",
    lambda s, d, dev, g, mean=0.0, std=1.0: normal_numbers(s, d, dev, g, _number(mean), _number(std)),
)
_sampler(
    "exponential_",
    lambda e, s, st, d, lambd=1.0: draws.exponential(e, s, st, d, _number(lambd)),
    "Fill with exponential numbers of rate `lambd`.",
)
_sampler(
    "geometric_",
    lambda e, s, st, d, p: draws.geometric(e, s, st, d, _number(p)),
    "Fill with geometric numbers (trials up to the first success).",
)
_sampler(
    "cauchy_",
    lambda e, s, st, d, median=0.0, sigma=1.0: draws.cauchy(e, s, st, d, _number(median), _number(sigma)),
    "Fill with Cauchy numbers.",
)
_sampler(
    "log_normal_",
    lambda e, s, st, d, mean=1.0, std=2.0: draws.log_normal(e, s, st, d, _number(mean), _number(std)),
    "Fill with log-normal numbers.",
)


@method()
def random_(self: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
    """Fill with random integers: ``random_()``, ``random_(to)``, ``random_(from, to)``."""
    low, high = kwargs.get("from"), kwargs.get("to")
    if len(args) == 1:
        low, high = (0, args[0]) if low is None else (low, args[0])
    elif len(args) == 2:
        low, high = args
    elif high is not None and low is None:
        low = 0
    shape, strides, _ = self.geometry
    return _overwrite(self, lambda: draws.random_(engine_of(generator), tuple(shape), strides, self.dtype, low, high))


@method()
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Fill with ones with probability `p` (a number or a tensor), zeros elsewhere."""
    if counted(self.device, dtypes.float32, generator) and not self.dtype.is_complex:
        chosen = p if isinstance(p, Tensor) else float(p)
        made = bernoulli_numbers(tuple(self.shape), self.dtype, self.device, generator, chosen)._n
        return write(self, lambda cur: copy(cur, made), ())
    shape, strides, _ = self.geometry
    d, engine = self.dtype, engine_of(generator)
    if not isinstance(p, (Tensor, int, float, np.number)):
        raise combination("bernoulli_", (p,), {}, ", but expected (Tensor p) or (float p)")
    if isinstance(p, Tensor):
        if broadcast(tuple(p.shape), tuple(shape)) != tuple(shape):
            raise RuntimeError(f"output with shape {list(shape)} doesn't match the broadcast shape of the probabilities, {list(p.shape)}")
        return _overwrite(self, lambda: draws.bernoulli_tensor(engine, tuple(shape), strides, value_of(p), p.dtype, d))
    return _overwrite(self, lambda: draws.bernoulli(engine, tuple(shape), strides, float(p), d))


def _random_step(*args: Any, **kwargs: Any) -> str:
    bounds = len(args) + ("from" in kwargs) + ("to" in kwargs)
    return f"RandomBackward{2 - bounds}"


def _bernoulli_step(p: Any = 0.5, **_: Any) -> str:
    return f"BernoulliBackward{1 if isinstance(p, Tensor) else 2}"


def _named_in_histories(sample: Any, step: Any) -> Any:
    """The write of the numbers has the name of the draw as its step."""

    @functools.wraps(sample)
    def drawn(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        result = sample(self, *args, **kwargs)
        kwargs.pop("generator", None)
        note_write(self, step if isinstance(step, str) else step(*args, **kwargs))
        return result  # type: ignore[no-any-return]

    return drawn


for _name, _step in (
    ("uniform_", "UniformBackward0"),
    ("normal_", "NormalBackward0"),
    ("exponential_", "ExponentialBackward0"),
    ("geometric_", "GeometricBackward0"),
    ("cauchy_", "CauchyBackward0"),
    ("log_normal_", "LogNormalBackward0"),
    ("random_", _random_step),
    ("bernoulli_", _bernoulli_step),
):
    setattr(Tensor, _name, _named_in_histories(_inside_vmap(getattr(Tensor, _name)), _step))
