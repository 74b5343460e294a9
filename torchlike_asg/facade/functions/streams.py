"""Where random numbers come from: PyTorch's stream of a generator, drawn on the host, or the counter-based stream, whose numbers are nodes
that kernels compute where they are used.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import config, dtypes
from ...asg.batching import depends
from ...asg.declare import get
from ...asg.node import Node
from ...asg.trace import current
from ...dtypes import dtype
from ...ops import logic
from ...ops import pointwise as ops
from ...ops.movement import cast, permute
from ...ops.random import philox_normal, philox_uniform
from ...size import Size
from ..core import Tensor, binary, nary, node_of, unary, wrap
from ..examples import whole_layout
from ..generator import Generator, default_generator, generator_of
from ..register import FUNCTIONS
from .factory_arguments import device_of
from .layout import format_strides


def engine_of(generator: Any) -> Any:
    """The engine to draw from."""
    if generator is None:
        return default_generator._engine
    if not isinstance(generator, Generator):
        raise TypeError(f"expected a torch.Generator, but got {type(generator).__name__}")
    return generator._engine


def counted(dev: Any, d: dtype, generator: Any) -> bool:
    """Whether floating-point numbers for a device come from the counter-based stream. A GPU takes the CPU's stream from a generator of the
    CPU that the caller chose; nothing is drawn on the meta device."""
    if dev.type == "meta" or not d.is_floating_point or (generator is not None and generator.device.type != dev.type):
        return False
    return dev.type == "wgpu" or config.fused_random


def counter_state(count: int, generator: Any = None, device: Any = None) -> tuple[Node, Node]:
    """Key and first block of `count` numbers of the counter-based stream, which are nobody else's; int64 data of the current trace."""
    tr, dev = current(), device_of(device)
    g = generator_of(dev) if generator is None else generator
    key = np.asarray(np.uint64(g.initial_seed() & (2**64 - 1)).astype(np.int64))
    block = np.asarray(g.take(-(-count // 4)), np.int64)
    return tr.input(key, (), (), dtypes.int64, dev), tr.input(block, (), (), dtypes.int64, dev)


def counter_uniform(shape: tuple[int, ...], generator: Any = None, normal: bool = False, device: Any = None) -> Tensor:
    """Uniform (or normal) float32 numbers of the counter-based stream, generated on use."""
    inputs = counter_state(Size(shape).numel(), generator, device)
    return wrap((philox_normal if normal else philox_uniform)(*inputs, shape))


def uniform_numbers(shape: Any, d: dtype, dev: Any, generator: Any, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Numbers from [low, high) of the counter-based stream."""
    u = counter_uniform(shape, generator, device=dev)
    if (low, high) != (0.0, 1.0):
        u = binary(ops.add, binary(ops.mul, u, high - low), low)
        u = nary(ops.where, (binary(logic.ge, u, high), low, u))  # what is rounded up to the bound
    return u if d is dtypes.float32 else unary(cast, u, d)


def normal_numbers(shape: Any, d: dtype, dev: Any, generator: Any, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal numbers of the counter-based stream."""
    z = counter_uniform(shape, generator, normal=True, device=dev)
    if (mean, std) != (0.0, 1.0):
        z = binary(ops.add, binary(ops.mul, z, std), mean)
    return z if d is dtypes.float32 else unary(cast, z, d)


def bernoulli_numbers(shape: Any, d: dtype, dev: Any, generator: Any, p: Any) -> Tensor:
    """Ones with probability `p` (a number or a tensor), by the counter-based stream."""
    u = counter_uniform(shape, generator, device=dev)
    return unary(cast, binary(logic.lt, u, p.detach() if isinstance(p, Tensor) else p), d)


def in_order_of(t: Tensor, numbers: Any, memory_format: Any = None) -> Tensor:
    """``numbers(shape)``, given out in the order in which the elements of `t` lie in memory, and laid out like them (or in another memory
    format)."""
    shape, strides, _ = t.geometry
    strides = format_strides(memory_format, shape, strides)
    order = sorted(range(len(shape)), key=lambda d: (-strides[d], d))
    if order == list(range(len(shape))):
        return numbers(tuple(shape))  # type: ignore[no-any-return]
    return unary(permute, numbers(tuple([shape[d] for d in order])), *[order.index(d) for d in range(len(shape))])


# ---------------------------------------------------------------- inside vmap
SAME = "Vmap does not currently support same randomness with a batched tensor input."


def for_examples(make: Callable[[tuple[int, ...]], Tensor]) -> Tensor:
    """Random numbers of one example: ``make(lead)`` draws them with dimensions `lead` in front, those of every vmap around that gives each
    of its examples numbers of its own. RuntimeError if one of them allows none."""
    levels = current().mapped
    return _handed_out(make(_lead(levels)), levels) if levels else make(())


def laid_out_of_examples(t: Tensor, make: Callable[[tuple[int, ...], tuple[int, ...]], Tensor]) -> Tensor:
    """`for_examples` of numbers that are drawn in the order in which the whole batches of `t` lie: ``make(shape, strides)`` draws them."""
    levels = current().mapped
    _lead(levels)
    batches, strides, _ = whole_layout(node_of(t))
    ahead = [(m.size, step or 0) for m, step in zip(levels, batches, strict=True) if m.randomness == "different"]
    shape = (*[size for size, _ in ahead], *t.shape)
    return _handed_out(make(shape, (*[step for _, step in ahead], *strides)), levels)


def _lead(levels: list[Any]) -> tuple[int, ...]:
    if any(m.randomness == "error" for m in levels):
        raise RuntimeError(
            "vmap: called random operation while in randomness error mode. Please either use the 'same' or 'different' randomness "
            "flags on vmap or perform the randomness operation out of vmap"
        )
    return tuple([m.size for m in levels if m.randomness == "different"])


def _handed_out(t: Tensor, levels: list[Any]) -> Tensor:
    """One example of `t`, which has the batches in front, the outermost first."""
    n = node_of(t)
    for m in levels:
        if m.randomness == "different":
            n = m.stand_in(n, False)
    return t if n is t._n else wrap(n)


def of_values_of_examples(name: str, batch: Any, random: bool = True) -> None:
    """Inside vmap, have the function `name`, which looks at the values of its first argument, ask ``batch(plain, whole, ...)`` for all the
    examples at once, where `plain` is that function."""
    plain = FUNCTIONS[name]

    @functools.wraps(plain)
    def called(input: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        levels = current().mapped
        if not levels or not isinstance(input, Tensor) or not depends((node_of(input),)):
            return plain(input, *args, **kwargs)  # type: ignore[no-any-return]
        if random and not all(_lead([m]) for m in levels):
            raise RuntimeError(SAME)
        return levels[-1].over(input, lambda whole: batch(called, whole, *args, **kwargs))  # type: ignore[no-any-return]

    FUNCTIONS[name] = called
    if name in vars(Tensor):
        setattr(Tensor, name, called)


def mapped(make: Any) -> Any:
    """A random function that, inside vmap, is called for each example, or once for all, or is an error, as `randomness` says."""

    @functools.wraps(make)
    def drawn(*args: Any, **kwargs: Any) -> Tensor:
        levels = current().mapped
        if not levels:
            return make(*args, **kwargs)  # type: ignore[no-any-return]
        lead = _lead(levels)
        if not lead:
            return make(*args, **kwargs)  # type: ignore[no-any-return]
        rows = [node_of(make(*args, **kwargs)) for _ in range(math.prod(lead))]
        if depends(rows):
            return wrap(levels[-1].apart(rows))
        return _handed_out(wrap(get("reshape")(get("stack")(*rows, 0), (*lead, *rows[0].shape))), levels)

    return drawn
