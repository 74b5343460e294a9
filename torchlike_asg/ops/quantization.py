"""Fake quantisation: values rounded to the grid that a quantised tensor could hold, kept in floating point, with a straight-through
gradient.

Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", 2018 (the grid); Bengio et
al., "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional Computation", 2013 (the gradient).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Grads, Sample
from ..asg.node import Node
from .elementwise import pointwise
from .formula import from_formula

_X = np.array([[-7.3, -0.34, 0.06], [0.21, 0.38, 8.5]])
_G = np.array([[0.3, -1.2, 0.8], [1.5, -0.6, 0.9]])
_SCALE, _POINT = np.array([0.1, 0.2, 0.3]), np.array([0.0, 1.0, -2.0])
_PARAMS = ("quant_min", "quant_max", "between")


def _step(e: Any, x: Any, inverse: Any, point: Any, between: bool) -> Any:
    """The step of the grid next to x, halves to the even one. `between`: zero may lie between two steps."""
    x = e.mul(x, inverse)
    return e.round(e.add(x, point)) if between else e.add(e.round(x), point)


def _quantized(e: Any, x: Any, scale: Any, inverse: Any, point: Any, lo: Any, hi: Any, between: bool) -> Any:
    """A NaN is at the lower end, as one that is converted to an integer on x86 is."""
    q = _step(e, x, inverse, point, between)
    kept = e.where(e.ge(q, e.const(lo)), e.where(e.le(q, e.const(hi)), q, e.const(hi)), e.const(lo))
    return e.mul(e.sub(kept, point), scale)


def _through(e: Any, g: Any, x: Any, inverse: Any, point: Any, lo: Any, hi: Any, between: bool) -> Any:
    """The gradient times whether x is within the grid: an infinite gradient outside is NaN, as it is in PyTorch."""
    q = _step(e, x, inverse, point, between)
    return e.mul(g, e.where(e.logical_and(e.ge(q, e.const(lo)), e.le(q, e.const(hi))), e.const(1), e.const(0)))


fake_quantize_grad = pointwise(
    "fake_quantize_grad",
    "gradient",
    4,
    _through,
    params=_PARAMS,
    samples=lambda: [
        Sample((_G, _X, 1 / _SCALE, _POINT), (-8, 7, False)),
        Sample((_G, _X, np.asarray(10.0), np.asarray(2.5)), (-8, 7, True)),
    ],
    prepare=None,
)
fake_quantize_grad.expand = from_formula(fake_quantize_grad.scalar)
fake_quantize_grad.saves = lambda n: n.srcs[1:]


def _vjp(n: Node, g: Node) -> Grads:
    x, _, inverse, point = n.srcs
    return lambda: fake_quantize_grad(g, x, inverse, point, *n.attrs), None, None, None


#: operands of one floating type: x, the grid's step, its inverse (which PyTorch rounds to float32 by itself), and the step that is zero
fake_quantize = pointwise(
    "fake_quantize",
    "activation",
    4,
    _quantized,
    _vjp,
    params=_PARAMS,
    samples=lambda: [
        Sample((_X, _SCALE, 1 / _SCALE, _POINT), (-8, 7, False), False),
        Sample(
            (_X.astype(np.float32), np.float32(0.1).reshape(()), np.float32(10).reshape(()), np.float32(2).reshape(())),
            (-8, 7, False),
            False,
        ),
        Sample((np.zeros((0, 3)), _SCALE, 1 / _SCALE, _POINT), (-8, 7, False), False),
    ],
    prepare=None,
)
