"""The histories of draws: as PyTorch records it, they depend on what they were drawn with, by a step whose gradients and tangents are 0."""

from __future__ import annotations

import functools
from typing import Any

from ...asg.declare import DETACH
from ...ops.movement import cast, copy, expand
from ..core import Tensor, node_of, wrap
from ..register import FUNCTIONS
from ..steps import note
from . import random

assert random  # which declares them

__all__: list[str] = []


def _depending(name: str, operands: Any, step: Any) -> None:
    make = FUNCTIONS[name]

    @functools.wraps(make)
    def drawn(*args: Any, **kwargs: Any) -> Tensor:
        result = make(*args, **kwargs)
        given = () if kwargs.get("out") is not None else operands(*args, **kwargs)
        tied = [t for t in given if isinstance(t, Tensor) and (t.dtype.is_floating_point or t.dtype.is_complex) and node_of(t).rg]
        if not tied:
            return result  # type: ignore[no-any-return]
        n = node_of(result)
        n = DETACH(n) if n.rg else n
        for x in map(node_of, tied):
            x = x if x.dtype is n.dtype else cast(x, n.dtype)
            n = copy(x if tuple(x.shape) == tuple(n.shape) else expand(x, *n.shape), n)
        result = wrap(n)
        note(result, step(*args, **kwargs))
        return result  # type: ignore[no-any-return]

    FUNCTIONS[name] = drawn
    if hasattr(Tensor, name):
        setattr(Tensor, name, drawn)


def _two(mean: Any = 0.0, std: Any = 1.0, size: Any = None, **_: Any) -> tuple[Any, Any]:
    return (mean, std) if size is None else (None, None)


def _normal_step(*args: Any, **kwargs: Any) -> str:
    mean, std = _two(*args, **kwargs)
    return f"NormalBackward{isinstance(mean, Tensor) + 2 * isinstance(std, Tensor)}"


_depending("bernoulli", lambda input, p=None, **_: (input,) if p is None else (), lambda *_, **__: "BernoulliBackward0")
_depending("normal", _two, _normal_step)
_depending("poisson", lambda input, generator=None: (input,), lambda *_, **__: "PoissonBackward0")
