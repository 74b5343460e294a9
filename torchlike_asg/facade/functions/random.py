"""Random tensors. PyTorch's stream is drawn from when the call is made, in program order, and enters the graph as data; numbers of the
counter-based stream, which GPUs take (and the CPU with `config.fused_random`), are made by the kernels that use them.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.batching import depends
from ...asg.geometry import broadcast, flat, preserved_strides
from ...asg.trace import current
from ...dtypes import dtype
from ...ops import logic
from ...ops import pointwise as ops
from ...ops.attention_dropout import kept_factor
from ...ops.movement import cast
from ...rng import draws
from ..core import Tensor, binary, concrete, unary
from ..misfits import combination
from ..register import FUNCTIONS, function, named
from .arguments import whole
from .creation import blank, finish, from_array, of_values
from .factory_arguments import allocatable, device_of, given_sizes, sequence
from .layout import format_strides
from .reading import value_of
from .streams import (
    SAME,
    bernoulli_numbers,
    counted,
    counter_uniform,
    engine_of,
    for_examples,
    in_order_of,
    laid_out_of_examples,
    mapped,
    normal_numbers,
    of_values_of_examples,
    uniform_numbers,
)


def _float_type(d: dtype | None) -> dtype:
    return dtypes.get_default_dtype() if d is None else d


def _factory(name: str, draw: Any, numbers: Any, doc: str) -> None:
    def make(
        *shape: Any,
        size: Any = None,
        generator: Any = None,
        out: Tensor | None = None,
        dtype: dtype | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        pin_memory: bool = False,
    ) -> Tensor:
        d, dev = _float_type(dtype), device_of(device)
        wanted = allocatable(given_sizes(shape, size), d)

        def drawn(lead: tuple[int, ...]) -> Tensor:
            shape = (*lead, *wanted)
            if counted(dev, d, generator):
                return numbers(shape, d, dev, generator)  # type: ignore[no-any-return]
            return of_values(shape, d, dev, lambda: draw(engine_of(generator), shape, None, d))

        return finish(for_examples(drawn), requires_grad)  # type: ignore[no-any-return]

    def like(
        input: Tensor,
        *,
        generator: Any = None,
        dtype: dtype | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        memory_format: Any = None,
        pin_memory: bool = False,
    ) -> Tensor:
        d, dev = input.dtype if dtype is None else dtype, input.device if device is None else device_of(device)
        if counted(dev, d, generator):
            if current().mapped:
                return make(input.shape, generator=generator, dtype=d, device=dev, requires_grad=requires_grad)
            return finish(in_order_of(input, lambda shape: numbers(shape, d, dev, generator), memory_format), requires_grad)  # type: ignore[no-any-return]
        return finish(
            _like(input, d, dev, lambda shape, strides: draw(engine_of(generator), shape, strides, d), memory_format), requires_grad
        )  # type: ignore[no-any-return]

    named(make, name, f"A tensor of {doc}.")
    named(like, f"{name}_like", f"A tensor of {doc}, of the shape and (by default) type of `input`.")
    function(method=False)(make)
    function(method=False)(like)


def _like(t: Tensor, d: dtype, dev: Any, draw: Any, memory_format: Any = None) -> Tensor:
    """A new tensor laid out as `t` is (or in another memory format), filled in memory order."""
    if current().mapped:
        return laid_out_of_examples(t, lambda shape, strides: _laid_out(shape, strides, d, dev, draw, memory_format))
    return _laid_out(*t.geometry[:2], d, dev, draw, memory_format)


def _laid_out(shape: Any, strides: Any, d: dtype, dev: Any, draw: Any, memory_format: Any) -> Tensor:
    strides = format_strides(memory_format, shape, strides)
    if dev.type == "meta":
        return blank(shape, d, dev, strides)
    values = draw(tuple(shape), strides)
    return concrete(flat(dtypes.store(values, d), strides), shape, d, dev, strides)  # type: ignore[no-any-return]


_factory("rand", lambda e, shape, strides, d: draws.uniform(e, shape, strides, d), uniform_numbers, "uniform random numbers in [0, 1)")
_factory("randn", lambda e, shape, strides, d: draws.normal(e, shape, strides, d), normal_numbers, "standard normal random numbers")


def _whole(name: str, argument: str, value: Any) -> int:
    """An integer, or a tensor of one."""
    if isinstance(value, (bool, float, complex)) or not hasattr(value, "__index__"):
        raise TypeError(f"{name}(): argument '{argument}' must be int, not {type(value).__name__}")
    return int(value.__index__())


@function(method=False)
def randint(
    *args: Any,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    low: Any = None,
    high: Any = None,
    size: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Random integers from `low` (default 0) up to but not including `high`: ``randint(high, size)``, ``randint(low, high, size)``."""
    rest = list(args)
    if len(rest) + sum(v is not None for v in (size, high, low)) not in (2, 3):
        raise TypeError("randint() received an invalid combination of arguments: expected high, size or low, high, size")
    if size is None:
        size = rest.pop()
    if high is None:
        high = rest.pop()
    low = rest.pop(0) if rest else 0 if low is None else low
    shape, low, high = sequence(size), _whole("randint", "low", low), _whole("randint", "high", high)
    d = dtypes.int64 if dtype is None else dtype
    if d.is_complex:
        raise RuntimeError("check_random_bounds handles only integral, floating-point and boolean types")
    allocatable(shape, d)

    def drawn(lead: tuple[int, ...]) -> Tensor:
        whole = (*lead, *shape)
        return of_values(whole, d, device_of(device), lambda: draws.randint(engine_of(generator), low, high, whole, d))

    return finish(for_examples(drawn), requires_grad)  # type: ignore[no-any-return]


@function(method=False)
def randint_like(
    input: Tensor,
    *args: Any,
    low: int = 0,
    high: int | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    generator: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """Random integers of the shape of `input`: ``randint_like(x, high)``, ``randint_like(x, low, high)``."""
    if len(args) > 2 or not (args or high is not None):
        raise combination("randint_like", (input, *args), {}, ", but expected (Tensor input, int high) or (..., int low, int high)")
    if len(args) == 2:
        low, high = args
    elif args:
        high = args[0]
    d, first, last = input.dtype if dtype is None else dtype, _whole("randint_like", "low", low), _whole("randint_like", "high", high)

    def draw(shape: Any, strides: Any) -> Any:
        return draws.random_(engine_of(generator), shape, strides, d, first, last)

    return finish(_like(input, d, device_of(device, input), draw, memory_format), requires_grad)  # type: ignore[no-any-return, arg-type]


@function(method=False)
def randperm(
    n: int,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The integers 0 to n - 1 in random order."""
    d = dtypes.int64 if dtype is None else dtype
    n = operator.index(n)
    return finish(of_values((n,), d, device_of(device), lambda: draws.randperm(engine_of(generator), n, d)), requires_grad)  # type: ignore[no-any-return]


@function(method=False)
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    device: Any = None,
    layout: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """Normal random numbers: with numbers and a size, or with a tensor for the mean, the deviation, or both."""
    if size is not None:  # numbers in tensors are numbers
        mean, std = (v.item() if isinstance(v, Tensor) and not v.shape else v for v in (mean, std))
        if isinstance(mean, Tensor) or isinstance(std, Tensor):
            raise TypeError("normal() received an invalid combination of arguments: a size goes with numbers for mean and std")
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("normal() received an invalid combination of arguments: a size is needed where mean and std are numbers")
        d, dev = _float_type(dtype), device_of(device)
        shape = allocatable(sequence(size, "size", 3), d)

        def drawn(lead: tuple[int, ...]) -> Tensor:
            whole = (*lead, *shape)
            if counted(dev, d, generator):
                return normal_numbers(whole, d, dev, generator, float(mean), float(std))  # type: ignore[no-any-return]
            return of_values(whole, d, dev, lambda: draws.normal(engine_of(generator), whole, None, d, float(mean), float(std)))

        return finish(for_examples(drawn), requires_grad)  # type: ignore[no-any-return]
    like = mean if isinstance(mean, Tensor) else std
    shape = broadcast(*[tuple(t.shape) for t in (mean, std) if isinstance(t, Tensor)])
    if counted(like.device, like.dtype, generator):
        z = normal_numbers(shape, like.dtype, like.device, generator)
        return z * std + mean  # type: ignore[no-any-return, operator]

    def drawn_by_tensors() -> np.ndarray[Any, Any]:
        m, s = (value_of(t) if isinstance(t, Tensor) else float(t) for t in (mean, std))
        return draws.normal_tensors(engine_of(generator), shape, like.dtype, m, s)  # type: ignore[no-any-return]

    return of_values(shape, like.dtype, like.device, drawn_by_tensors)


@function()
def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """Zeros and ones: one with the probability each element says, or `p` for all."""
    shape = tuple(input.shape)
    if counted(input.device, dtypes.float32, generator) and not input.dtype.is_complex:
        return bernoulli_numbers(shape, input.dtype, input.device, generator, input if p is None else float(p))

    def drawn() -> np.ndarray[Any, Any]:
        engine, d = engine_of(generator), input.dtype
        if p is not None:
            return draws.bernoulli(engine, shape, None, float(p), d)  # type: ignore[no-any-return]
        return draws.bernoulli_tensor(engine, shape, None, value_of(input), d)  # type: ignore[no-any-return]

    return of_values(shape, input.dtype, input.device, drawn)


@function()
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """Category numbers drawn with the (unnormalised) weights in each row of `input`."""
    count = whole(num_samples)

    def drawn() -> np.ndarray[Any, Any]:
        weights = np.ascontiguousarray(value_of(input))
        strides = preserved_strides(tuple(input.shape), input.geometry[1])
        return draws.multinomial(engine_of(generator), weights, input.dtype, count, replacement, strides)  # type: ignore[no-any-return]

    return of_values((*input.shape[:-1], count), dtypes.int64, input.device, drawn)


@function()
def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson random numbers with the rates in `input`."""
    return of_values(input.shape, input.dtype, input.device, lambda: draws.poisson(engine_of(generator), value_of(input), input.dtype))


@function(method=False)
def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """Binomial random numbers of `count` trials with probability `prob`."""
    d = count.dtype
    return of_values(count.shape, d, count.device, lambda: draws.binomial(engine_of(generator), value_of(count), value_of(prob), d))


def _standard_gamma(input: Tensor, generator: Any = None) -> Tensor:
    """Gamma random numbers of shape parameter `input` and scale one."""
    d = input.dtype
    return of_values(input.shape, d, input.device, lambda: draws.standard_gamma(engine_of(generator), value_of(input), d))


# ---------------------------------------------------------------- dropout
def dropout_mask(shape: Any, strides: Any, d: dtype, p: float, generator: Any = None, device: Any = None) -> Tensor:
    """The factors of dropout, zero with probability p and 1 / (1 - p) elsewhere, as a tensor of `shape` and type `d`; 0 < p < 1.

    With `config.fused_random`, and always on a GPU, they come from the counter-based stream and are made inside the kernel that uses them.
    """
    if current().mapped:
        return for_examples(lambda lead: _mask((*lead, *shape), None, d, p, generator, device))
    return _mask(tuple(shape), strides, d, p, generator, device)


def _mask(shape: tuple[int, ...], strides: Any, d: dtype, p: float, generator: Any, device: Any) -> Tensor:
    dev = device_of(device)
    if counted(dev, d, generator):
        u = counter_uniform(shape, generator, device=dev)
        keep = unary(cast, binary(logic.ge, u, float(p)), d)
        return binary(ops.mul, keep, kept_factor(p, d))
    if dev.type == "meta":
        return blank(shape, d, dev, strides)
    return from_array(draws.dropout_noise(engine_of(generator), shape, strides, d, float(p)), d)


# ---------------------------------------------------------------- inside vmap
def _of_examples(make: Any, draw: Any) -> Any:
    """A random function of tensors that, inside vmap, may have no values: then it is computed from draws of the plain kind."""

    @functools.wraps(make)
    def drawn(*args: Any, **kwargs: Any) -> Tensor:
        tr = current()
        tensors = [a._n for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a._n is not None]
        if not tr.mapped or not depends(tensors):
            return make(*args, **kwargs)  # type: ignore[no-any-return]
        if any(m.randomness == "same" for m in tr.mapped):
            raise RuntimeError(SAME)
        return draw(*args, **kwargs)  # type: ignore[no-any-return]

    return drawn


def _of_shape(name: str, like: Tensor, generator: Any) -> Tensor:
    """Draws for all the examples, one after another, however they lie."""
    return FUNCTIONS[name](like.shape, dtype=like.dtype, device=like.device, generator=generator)  # type: ignore[no-any-return]


def _bernoulli_of_examples(input: Tensor, p: Any = None, *, generator: Any = None, out: Any = None) -> Tensor:
    if p is not None:
        return FUNCTIONS["empty"](input.shape, dtype=input.dtype, device=input.device).bernoulli_(p, generator=generator)  # type: ignore[no-any-return]
    return (_of_shape("rand", input, generator) < input).to(input.dtype)  # type: ignore[no-any-return]


def _of_tensors(make: Any) -> Any:
    """`normal` inside vmap: with tensors it is called for each example, with numbers it draws for all of them."""
    each = mapped(make)

    @functools.wraps(make)
    def drawn(mean: Any = 0.0, std: Any = 1.0, size: Any = None, **kwargs: Any) -> Tensor:
        tensors = size is None and (isinstance(mean, Tensor) or isinstance(std, Tensor))
        return (each if tensors else make)(mean, std, size, **kwargs)  # type: ignore[no-any-return]

    return drawn


def _normal_of_examples(mean: Any, std: Any = 1.0, *, generator: Any = None, out: Any = None) -> Tensor:
    noise = _of_shape("randn", mean + std * 0.0, generator)
    return mean + std * noise  # type: ignore[no-any-return]


FUNCTIONS["normal"] = _of_tensors(FUNCTIONS["normal"])
for _name in ("randperm", "bernoulli", "multinomial", "poisson", "binomial"):
    _plain = FUNCTIONS[_name]
    FUNCTIONS[_name] = mapped(_plain)
    if Tensor.__dict__.get(_name) is _plain:
        setattr(Tensor, _name, FUNCTIONS[_name])
for _name, _draw in (("bernoulli", _bernoulli_of_examples), ("normal", _normal_of_examples)):
    FUNCTIONS[_name] = _of_examples(FUNCTIONS[_name], _draw)
Tensor.bernoulli = FUNCTIONS["bernoulli"]  # type: ignore[attr-defined]


def _multinomial_of_all(plain: Any, weights: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    shape = tuple(weights.shape)
    drawn = plain(weights.reshape((-1, shape[-1])), *args, **kwargs)  # type: ignore[attr-defined]
    return drawn.reshape((*shape[:-1], drawn.shape[-1]))  # type: ignore[no-any-return]


of_values_of_examples("multinomial", _multinomial_of_all)
of_values_of_examples("poisson", lambda plain, rates, **options: plain(rates, **options))
_standard_gamma = mapped(_standard_gamma)
