"""Random numbers made where they are used: counter-based, so that any device makes any part of a stream."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Meta, Op, Sample
from ..asg.node import Node
from ..rng import philox


def _rule(key: Node, block: Node, shape: Any) -> Meta:
    return shape, dtypes.float32


def _uniform(key: Array, block: Array, shape: Any) -> Array:
    return philox.uniform(int(key) & (2**64 - 1), 4 * int(block), math.prod(shape)).reshape(shape)


def _normal(key: Array, block: Array, shape: Any) -> Array:
    return philox.normal(int(key) & (2**64 - 1), 4 * int(block), math.prod(shape)).reshape(shape)


def _samples() -> list[Sample]:
    return [Sample((np.asarray(7), np.asarray(0)), ((2, 3),), False), Sample((np.asarray(7), np.asarray(5)), ((4,),), False)]


#: float32 values in [0, 1): numbers 4 `block`, 4 `block` + 1, ... of the Philox stream of `key` (0-d int64 both), in row-major order
philox_uniform = Op("philox_uniform", "random", _rule, _uniform, params=("size",), differentiable=False, samples=_samples)
#: standard normal float32 values of the same stream
philox_normal = Op("philox_normal", "random", _rule, _normal, params=("size",), differentiable=False, samples=_samples)
