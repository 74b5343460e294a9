"""How an elementwise operation is declared: by its formula over a scalar handler (ops/scalar.py), with broadcasting and type promotion."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Meta, Op, Sample, get, keep
from ..asg.geometry import broadcast
from ..asg.node import Node
from .promotion import promoting
from .scalar import evaluate

BOTH = keep((0, (1,)), (1, (0,)))  # a product keeps each factor for the other's gradient
INPUT_ = keep((0, (0,)))


def bar(n: Node) -> Node:
    """The complex conjugate, with which gradients of holomorphic functions multiply; a real value itself."""
    return get("conj")(n) if n.dtype.is_complex else n


def shape_rule(*args: Any) -> Meta:
    operands = [a for a in args if a.__class__ is Node]
    return broadcast(*[n.shape for n in operands]), operands[-1].dtype


def shape_rule_bool(*args: Any) -> Meta:
    return broadcast(*[a.shape for a in args if a.__class__ is Node]), dtypes.bool_


def reference(formula: Any, count: int) -> Any:
    def ref(*args: Any) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(evaluate(formula, args[:count], args[count:]))

    return ref


def pointwise(
    name: str,
    category: str,
    count: int,
    formula: Any,
    vjp: Any = None,
    saves: Any = None,
    *,
    floating: bool = False,
    boolean: bool = False,
    prepare: Any = "promote",
    ref: Any = None,
    params: tuple[str, ...] = (),
    samples: Any = None,
    differentiable: bool = True,
) -> Op:
    """Declare an elementwise operation of `count` operands by its formula over a scalar handler (see ops/scalar.py).

    `floating`: integers are converted to the default floating type first. `boolean`: the result is a bool.
    """
    return Op(
        name,
        category,
        shape_rule_bool if boolean else shape_rule,
        ref or reference(formula, count),
        vjp=vjp,
        saves=saves,
        scalar=formula,
        prepare=promoting(count, floating) if prepare == "promote" else prepare,
        layout="pointwise",
        params=params,
        samples=samples or (unary_samples if count == 1 else binary_samples),
        differentiable=differentiable and not boolean,
    )


_X = np.array([[-2.3, -0.7, 0.4], [1.1, 0.9, 2.6]])
_Y = np.array([[1.7, -1.2, 0.6], [-0.8, 2.2, 0.3]])
_P = np.abs(_X) + 0.2


def unary_samples() -> list[Sample]:
    return [Sample((_X,)), Sample((np.zeros((0, 3)),)), Sample((np.asarray(0.7),)), Sample((_X.astype(np.float32),), (), False)]


def positive_samples() -> list[Sample]:
    return [Sample((_P,)), Sample((np.zeros((0, 3)),)), Sample((np.asarray(0.7),)), Sample((_P.astype(np.float32),), (), False)]


def unit_samples() -> list[Sample]:
    return [Sample((_X / 3,)), Sample((np.zeros((0, 3)),)), Sample((np.asarray(0.7),))]


def binary_samples() -> list[Sample]:
    return [
        Sample((_X, _Y)),
        Sample((_X, _Y[:1])),
        Sample((_X[:, :1], _Y[0])),
        Sample((np.zeros((0, 3)), np.ones(3))),
        Sample((np.asarray(0.5), _Y)),
        Sample((_X.astype(np.float32), _Y.astype(np.float32)), (), False),
    ]


def logic_samples() -> list[Sample]:
    return [Sample((_X > 0, _Y > 0), (), False), Sample((np.array([0, 1, 2]), np.array([0, 0, 3])), (), False)]


def integer_samples() -> list[Sample]:
    return [
        Sample((np.array([5, -7, 12]), np.array([3, 2, 4])), (), False),
        Sample((np.array([5, 7], np.int32), np.array([[3], [2]], np.int32)), (), False),
    ]


def binary(name: str, formula: Any, vjp: Any = None, saves: Any = None, **kw: Any) -> Op:
    return pointwise(name, kw.pop("category", "arithmetic"), 2, formula, vjp, saves, **kw)


def unary(name: str, formula: Any, vjp: Any = None, saves: Any = INPUT_, **kw: Any) -> Op:
    kw.setdefault("floating", True)
    return pointwise(name, kw.pop("category", "arithmetic"), 1, formula, vjp, saves if vjp else None, **kw)
