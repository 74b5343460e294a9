"""Random tensors and in-place samplers. PyTorch's stream is drawn from when the call is made, in program order, and enters the graph as
data; numbers of the counter-based stream, which GPUs take (and the CPU with `config.fused_random`), are made by the kernels that use them.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from ... import config, dtypes
from ...asg.batching import depends
from ...asg.node import Node
from ...asg.trace import current
from ...dtypes import dtype
from ...ops import pointwise as ops
from ...ops.attention_dropout import kept_factor
from ...ops.random import philox_normal, philox_uniform
from ...rng import draws
from ...size import Size
from ..core import Tensor, binary, nary, unary, wrap
from ..generator import Generator, default_generator, generator_of
from ..register import FUNCTIONS, function, method
from ..write import write
from .creation import device_of, finish, from_array, given_sizes, sizes
from .reading import value_of


def engine_of(generator: Any) -> Any:
    """The engine to draw from."""
    if generator is None:
        return default_generator._engine
    if not isinstance(generator, Generator):
        raise TypeError(f"expected a torch.Generator, but got {type(generator).__name__}")
    return generator._engine


def _float_type(d: dtype | None) -> dtype:
    return dtypes.get_default_dtype() if d is None else d


def _counted(dev: Any, d: dtype, generator: Any) -> bool:
    """Whether floating-point numbers for a device come from the counter-based stream. A GPU takes the CPU's stream from a generator of the
    CPU that the caller chose."""
    if not d.is_floating_point or (generator is not None and generator.device.type != dev.type):
        return False
    return dev.type == "wgpu" or config.fused_random


def _uniform_numbers(shape: Any, d: dtype, dev: Any, generator: Any, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Numbers from [low, high) of the counter-based stream."""
    u = counter_uniform(shape, generator, device=dev)
    if (low, high) != (0.0, 1.0):
        u = binary(ops.add, binary(ops.mul, u, high - low), low)
        u = nary(ops.where, (binary(ops.ge, u, high), low, u))  # what is rounded up to the bound
    return u if d is dtypes.float32 else unary(ops_cast(), u, d)


def _normal_numbers(shape: Any, d: dtype, dev: Any, generator: Any, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal numbers of the counter-based stream."""
    z = counter_uniform(shape, generator, normal=True, device=dev)
    if (mean, std) != (0.0, 1.0):
        z = binary(ops.add, binary(ops.mul, z, std), mean)
    return z if d is dtypes.float32 else unary(ops_cast(), z, d)


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
        names: Any = None,
    ) -> Tensor:
        d, dev = _float_type(dtype), device_of(device)
        wanted = given_sizes(shape, size)
        if _counted(dev, d, generator):
            return finish(numbers(wanted, d, dev, generator), requires_grad)  # type: ignore[no-any-return]
        return finish(from_array(draw(engine_of(generator), wanted, None, d), d, dev), requires_grad)  # type: ignore[no-any-return]

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
        if _counted(dev, d, generator):
            return finish(_in_order_of(input, lambda shape: numbers(shape, d, dev, generator), memory_format), requires_grad)  # type: ignore[no-any-return]
        return finish(_like(input, d, lambda shape, strides: draw(engine_of(generator), shape, strides, d), memory_format), requires_grad)  # type: ignore[no-any-return]

    make.__name__, make.__doc__ = name, f"A tensor of {doc}."
    like.__name__, like.__doc__ = f"{name}_like", f"A tensor of {doc}, of the shape and (by default) type of `input`."
    function(method=False)(make)
    function(method=False)(like)


def _like(t: Tensor, d: dtype, draw: Any, memory_format: Any = None) -> Tensor:
    """A new tensor laid out as `t` is (or in another memory format), filled in memory order."""
    from ...asg.geometry import flat
    from ..core import concrete
    from .layout import format_strides

    shape, strides, _ = t.geometry
    strides = format_strides(memory_format, shape, strides)
    values = draw(tuple(shape), strides)
    return concrete(flat(dtypes.store(values, d), strides), shape, d, t.device, strides)  # type: ignore[no-any-return]


def _in_order_of(t: Tensor, numbers: Any, memory_format: Any = None) -> Tensor:
    """``numbers(shape)``, given out in the order in which the elements of `t` lie in memory, and laid out like them (or in another memory
    format)."""
    from ...ops.movement import permute
    from .layout import format_strides

    shape, strides, _ = t.geometry
    strides = format_strides(memory_format, shape, strides)
    order = sorted(range(len(shape)), key=lambda d: (-strides[d], d))
    if order == list(range(len(shape))):
        return numbers(tuple(shape))  # type: ignore[no-any-return]
    return unary(permute, numbers(tuple([shape[d] for d in order])), *[order.index(d) for d in range(len(shape))])


_factory("rand", lambda e, shape, strides, d: draws.uniform(e, shape, strides, d), _uniform_numbers, "uniform random numbers in [0, 1)")
_factory("randn", lambda e, shape, strides, d: draws.normal(e, shape, strides, d), _normal_numbers, "standard normal random numbers")


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
    if size is None:
        size = rest.pop()
    if high is None:
        high = rest.pop()
    if rest:
        low = rest.pop(0)
    d = dtypes.int64 if dtype is None else dtype
    values = draws.randint(engine_of(generator), int(low or 0), int(high), sizes((size,)), d)
    return finish(from_array(values, d, device_of(device)), requires_grad)  # type: ignore[no-any-return]


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
    if len(args) == 2:
        low, high = args
    elif args:
        high = args[0]
    d = input.dtype if dtype is None else dtype
    return finish(
        _like(input, d, lambda shape, strides: draws.random_(engine_of(generator), shape, strides, d, int(low), int(high)), memory_format),
        requires_grad,
    )  # type: ignore[no-any-return, arg-type]


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
    return finish(from_array(draws.randperm(engine_of(generator), int(n), d), d, device_of(device)), requires_grad)  # type: ignore[no-any-return]


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
    if not isinstance(mean, Tensor) and not isinstance(std, Tensor):
        if size is None:
            raise TypeError("normal() received an invalid combination of arguments: a size is needed where mean and std are numbers")
        d, dev = _float_type(dtype), device_of(device)
        if _counted(dev, d, generator):
            return finish(_normal_numbers(sizes((size,)), d, dev, generator, float(mean), float(std)), requires_grad)  # type: ignore[no-any-return]
        engine = engine_of(generator)
        return finish(
            from_array(draws.normal(engine, sizes((size,)), None, d, float(mean), float(std)), d, device_of(device)), requires_grad
        )  # type: ignore[no-any-return]
    like = mean if isinstance(mean, Tensor) else std
    if _counted(like.device, like.dtype, generator):
        shape = np.broadcast_shapes(*[tuple(t.shape) for t in (mean, std) if isinstance(t, Tensor)])
        z = _normal_numbers(shape, like.dtype, like.device, generator)
        return z * std + mean  # type: ignore[no-any-return, operator]
    engine = engine_of(generator)
    m = value_of(mean) if isinstance(mean, Tensor) else float(mean)
    s = value_of(std) if isinstance(std, Tensor) else float(std)
    shape = np.broadcast_shapes(getattr(m, "shape", ()), getattr(s, "shape", ()))
    return from_array(draws.normal_tensors(engine, shape, like.dtype, m, s), like.dtype, like.device)


def _bernoulli_numbers(shape: Any, d: dtype, dev: Any, generator: Any, p: Any) -> Tensor:
    """Ones with probability `p` (a number or a tensor), by the counter-based stream."""
    u = counter_uniform(shape, generator, device=dev)
    return unary(ops_cast(), binary(ops.lt, u, p.detach() if isinstance(p, Tensor) else p), d)


@function()
def bernoulli(input: Tensor, p: Any = None, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """Zeros and ones: one with the probability each element says, or `p` for all."""
    shape = tuple(input.shape)
    if _counted(input.device, dtypes.float32, generator) and not input.dtype.is_complex:
        return _bernoulli_numbers(shape, input.dtype, input.device, generator, input if p is None else float(p))
    engine = engine_of(generator)
    if p is not None:
        return from_array(draws.bernoulli(engine, shape, None, float(p), input.dtype), input.dtype, input.device)
    return from_array(draws.bernoulli_tensor(engine, shape, None, value_of(input), input.dtype), input.dtype, input.device)


@function()
def multinomial(input: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None, out: Tensor | None = None) -> Tensor:
    """Category numbers drawn with the (unnormalised) weights in each row of `input`."""
    return from_array(
        draws.multinomial(engine_of(generator), np.ascontiguousarray(value_of(input)), input.dtype, int(num_samples), replacement),
        dtypes.int64,
        input.device,
    )


@function()
def poisson(input: Tensor, generator: Any = None) -> Tensor:
    """Poisson random numbers with the rates in `input`."""
    return from_array(draws.poisson(engine_of(generator), value_of(input), input.dtype), input.dtype, input.device)


@function(method=False)
def binomial(count: Tensor, prob: Tensor, generator: Any = None) -> Tensor:
    """Binomial random numbers of `count` trials with probability `prob`."""
    return from_array(draws.binomial(engine_of(generator), value_of(count), value_of(prob), count.dtype), count.dtype, count.device)


def _standard_gamma(input: Tensor, generator: Any = None) -> Tensor:
    """Gamma random numbers of shape parameter `input` and scale one."""
    return from_array(draws.standard_gamma(engine_of(generator), value_of(input), input.dtype), input.dtype, input.device)


# ---------------------------------------------------------------- in place
def overwrite(t: Tensor, values: np.ndarray[Any, Any]) -> Tensor:
    """Replace every element by drawn values."""
    tr = current()
    d = t.dtype
    data = np.asarray(values, order="C").astype(d.compute, copy=False)
    n = tr.input(data, tuple(data.shape), _strides_of(data), d, t.device)

    def value(cur: Any) -> Any:
        from ...ops.movement import copy

        return copy(cur, n)

    return write(t, value, ())


def _overwrite_by(t: Tensor, numbers: Any) -> Tensor:
    """Replace every element by ``numbers(shape)``, which kernels make."""
    from ...ops.movement import copy

    made = _in_order_of(t, numbers)._n
    return write(t, lambda cur: copy(cur, made), ())


def _strides_of(a: np.ndarray[Any, Any]) -> tuple[int, ...]:
    from ...asg.geometry import contiguous

    return contiguous(a.shape)


def _sampler(name: str, draw: Any, doc: str, numbers: Any = None) -> None:
    def sample(self: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        if "from" in kwargs:
            kwargs["low"] = kwargs.pop("from")
        if "to" in kwargs:
            kwargs["high"] = kwargs.pop("to")
        if numbers is not None and _counted(self.device, self.dtype, generator):
            return _overwrite_by(self, lambda shape: numbers(shape, self.dtype, self.device, generator, *args, **kwargs))
        shape, strides, _ = self.geometry
        return overwrite(self, draw(engine_of(generator), tuple(shape), strides, self.dtype, *args, **kwargs))

    sample.__name__, sample.__doc__ = name, doc
    setattr(Tensor, name, sample)


def _number(v: Any) -> float:
    return float(v)


_sampler(
    "uniform_",
    lambda e, s, st, d, low=0.0, high=1.0: draws.uniform(e, s, st, d, _number(low), _number(high)),
    "Fill with uniform numbers from [low, high).",
    lambda s, d, dev, g, low=0.0, high=1.0: _uniform_numbers(s, d, dev, g, _number(low), _number(high)),
)
_sampler(
    "normal_",
    lambda e, s, st, d, mean=0.0, std=1.0: draws.normal(e, s, st, d, _number(mean), _number(std)),
    "Fill with normal numbers.",
    lambda s, d, dev, g, mean=0.0, std=1.0: _normal_numbers(s, d, dev, g, _number(mean), _number(std)),
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
    return overwrite(self, draws.random_(engine_of(generator), tuple(shape), strides, self.dtype, low, high))


@method()
def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Any = None) -> Tensor:
    """Fill with ones with probability `p` (a number or a tensor), zeros elsewhere."""
    shape, strides, _ = self.geometry
    if _counted(self.device, dtypes.float32, generator) and not self.dtype.is_complex:
        chosen = p if isinstance(p, Tensor) else float(p)
        made = _bernoulli_numbers(tuple(shape), self.dtype, self.device, generator, chosen)._n
        from ...ops.movement import copy

        return write(self, lambda cur: copy(cur, made), ())
    engine = engine_of(generator)
    if isinstance(p, Tensor):
        return overwrite(self, draws.bernoulli_tensor(engine, tuple(shape), strides, value_of(p), p.dtype, self.dtype))
    return overwrite(self, draws.bernoulli(engine, tuple(shape), strides, float(p), self.dtype))


# ---------------------------------------------------------------- dropout
def dropout_mask(shape: Any, strides: Any, d: dtype, p: float, generator: Any = None, device: Any = None) -> Tensor:
    """The factors of dropout, zero with probability p and 1 / (1 - p) elsewhere, as a tensor of `shape` and type `d`; 0 < p < 1.

    With `config.fused_random`, and always on a GPU, they come from the counter-based stream and are made inside the kernel that uses them.
    """
    shape, dev = tuple(shape), device_of(device)
    if _counted(dev, d, generator):
        u = counter_uniform(shape, generator, device=dev)
        keep = unary(ops_cast(), binary(ops.ge, u, float(p)), d)
        return binary(ops.mul, keep, kept_factor(p, d))
    return from_array(draws.dropout_noise(engine_of(generator), shape, strides, d, float(p)), d)


def ops_cast() -> Any:
    from ...ops.movement import cast

    return cast


def counter_uniform(shape: tuple[int, ...], generator: Any = None, normal: bool = False, device: Any = None) -> Tensor:
    """Uniform (or normal) float32 numbers of the counter-based stream, generated on use."""
    inputs = counter_state(Size(shape).numel(), generator, device)
    return wrap((philox_normal if normal else philox_uniform)(*inputs, shape))


def counter_state(count: int, generator: Any = None, device: Any = None) -> tuple[Node, Node]:
    """Key and first block of `count` numbers of the counter-based stream, which are nobody else's; int64 data of the current trace."""
    tr, dev = current(), device_of(device)
    g = generator_of(dev) if generator is None else generator
    key = np.asarray(np.uint64(g.initial_seed() & (2**64 - 1)).astype(np.int64))
    block = np.asarray(g.take(-(-count // 4)), np.int64)
    return tr.input(key, (), (), dtypes.int64, dev), tr.input(block, (), (), dtypes.int64, dev)


# ---------------------------------------------------------------- inside vmap
def _mapped(make: Any) -> Any:
    @functools.wraps(make)
    def drawn(*args: Any, **kwargs: Any) -> Tensor:
        tr = current()
        return tr.mapped[-1].draw(lambda: make(*args, **kwargs)) if tr.mapped else make(*args, **kwargs)  # type: ignore[no-any-return]

    return drawn


def _of_examples(make: Any, draw: Any) -> Any:
    """A random function of tensors that, inside vmap, may have no values: then it is computed from draws of the plain kind."""

    @functools.wraps(make)
    def drawn(*args: Any, **kwargs: Any) -> Tensor:
        tr = current()
        tensors = [a._n for a in (*args, *kwargs.values()) if isinstance(a, Tensor) and a._n is not None]
        return draw(*args, **kwargs) if tr.mapped and depends(tensors) else make(*args, **kwargs)  # type: ignore[no-any-return]

    return drawn


def _bernoulli_of_examples(input: Tensor, *, generator: Any = None, out: Any = None) -> Tensor:
    return (FUNCTIONS["rand_like"](input, generator=generator) < input).to(input.dtype)  # type: ignore[no-any-return]


def _normal_of_examples(mean: Any, std: Any = 1.0, *, generator: Any = None, out: Any = None) -> Tensor:
    noise = FUNCTIONS["randn_like"](mean + std * 0.0, generator=generator)
    return mean + std * noise  # type: ignore[no-any-return]


def _mapped_in_place(sample: Any) -> Any:
    @functools.wraps(sample)
    def drawn(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        tr = current()
        if not tr.mapped:
            return sample(self, *args, **kwargs)  # type: ignore[no-any-return]
        blank = FUNCTIONS["empty"](self.shape, dtype=self.dtype)
        return self.copy_(tr.mapped[-1].draw(lambda: sample(blank.clone(), *args, **kwargs)))  # type: ignore[attr-defined, no-any-return]

    return drawn


for _name in ("rand", "rand_like", "randn", "randn_like", "randint", "randint_like", "randperm", "normal", "bernoulli", "multinomial",
              "poisson", "binomial"):  # fmt: skip
    _plain = FUNCTIONS[_name]
    FUNCTIONS[_name] = _mapped(_plain)
    if Tensor.__dict__.get(_name) is _plain:
        setattr(Tensor, _name, FUNCTIONS[_name])
for _name, _draw in (("bernoulli", _bernoulli_of_examples), ("normal", _normal_of_examples)):
    FUNCTIONS[_name] = _of_examples(FUNCTIONS[_name], _draw)
Tensor.bernoulli = FUNCTIONS["bernoulli"]  # type: ignore[attr-defined]
for _name in ("uniform_", "normal_", "exponential_", "geometric_", "cauchy_", "log_normal_", "random_", "bernoulli_"):
    setattr(Tensor, _name, _mapped_in_place(getattr(Tensor, _name)))
dropout_mask = _mapped(dropout_mask)
_standard_gamma = _mapped(_standard_gamma)
