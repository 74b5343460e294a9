"""How an elementwise operation is declared: by its formula over a scalar handler (ops/scalar.py), with broadcasting and type promotion."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Meta, Op, Sample, get
from ..asg.geometry import broadcast
from ..asg.node import Node, const
from ..asg.saving import keep
from .promotion import promoting, to
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


class _Given:
    """A handler for which attributes that are operands are values already."""

    def __init__(self, e: Any) -> None:
        self._e = e

    def __getattr__(self, name: str) -> Any:
        return getattr(self._e, name)

    def const(self, value: Any) -> Any:
        return self._e.const(value) if isinstance(value, (bool, int, float)) else value


def product(e: Any, *factors: Any) -> Any:
    """The product of attributes, of numbers in Python's precision."""
    numbers = [f for f in factors if isinstance(f, (int, float))]
    found = e.const(math.prod(numbers))
    for f in factors:
        if not isinstance(f, (int, float)):
            found = e.mul(found, f)
    return found


def given(formula: Any) -> Any:
    """A formula whose attributes may be operands: then they are values of the handler."""
    return lambda e, *args: formula(_Given(e), *args)


def varied(op: Op) -> Any:
    """The `varied` rule of an elementwise operation: what is data, and the attributes before it, are operands. Halves compute in
    float32; the type that their steps are rounded to, which `prepare` adds to the attributes, stays one."""

    def rule(srcs: tuple[Node, ...], attrs: tuple[Any, ...]) -> Node:
        if op.prepare is not None:
            prepared = op.prepare(*srcs, *attrs)
            srcs, attrs = prepared[: len(srcs)], (*attrs, *prepared[len(srcs) + len(attrs) :])
        d = wide = srcs[0].dtype
        if d.compute is not d.storage:
            wide = dtypes.float32
            srcs = tuple([to(s, wide) for s in srcs])
        count = 1 + max(i for i, a in enumerate(attrs) if a.__class__ is Node)
        numbers = [to(a, wide) if a.__class__ is Node else const(a, wide) for a in attrs[:count]]
        return to(op(*srcs, *numbers, *attrs[count:]), d)

    return rule


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
    varying: tuple[str, ...] = (),
) -> Op:
    """Declare an elementwise operation of `count` operands by its formula over a scalar handler (see ops/scalar.py).

    `floating`: integers are converted to the default floating type first. `boolean`: the result is a bool. `varying`: names of the
    attributes that may become data, also where a gradient's operation is given them.
    """
    if params:
        formula = given(formula)
    op = Op(
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
    op.varying = tuple([params.index(name) for name in varying])
    op.varied = varied(op) if varying else None
    return op


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
