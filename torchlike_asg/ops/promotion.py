"""PyTorch's type promotion: which type an operation computes in, made explicit as casts in the graph.

Operands with dimensions decide first, 0-d tensors second, Python scalars last; a lower rank only raises the category.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import dtypes
from ..asg.declare import SCALAR, node
from ..asg.node import Node, const, element, wrapped
from ..dtypes import dtype, promote_types
from .movement import cast

TITLES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
}


def title(d: dtype) -> str:
    """The C++ name of a type, as PyTorch's messages have it."""
    return TITLES[d.name]


def _weak_type(n: Node) -> dtype:
    kind = n.dtype
    if kind.is_floating_point:
        return dtypes.get_default_dtype()
    return kind if not kind.is_complex else dtypes.get_default_dtype().to_complex()


def result_type(operands: Any) -> dtype:
    """The common type of nodes and Python scalars (as `scalar` nodes)."""
    full: dtype | None = None
    zero: dtype | None = None
    weak: dtype | None = None
    for n in operands:
        if n.op is SCALAR:
            d = _weak_type(n)
            weak = d if weak is None else promote_types(weak, d)
        elif n.shape:
            full = n.dtype if full is None else promote_types(full, n.dtype)
        else:
            zero = n.dtype if zero is None else promote_types(zero, n.dtype)
    found = _combine(full, _combine(zero, weak))
    assert found is not None
    return found


def _combine(higher: dtype | None, lower: dtype | None) -> dtype | None:
    if higher is None or lower is None:
        return higher if lower is None else lower
    if higher.is_complex:
        return higher
    if higher.is_floating_point:
        return higher.to_complex() if lower.is_complex else higher
    if higher is dtypes.bool_ or lower.category >= dtypes.FLOAT:
        return promote_types(higher, lower)
    return higher


def to(n: Node, d: dtype, exact: bool = True, elements: bool = False) -> Node:
    """`n` in type `d`: a cast node, or a constant. An integer that type `d` does not have is refused, or wraps around if not `exact`.

    Arithmetic computes with a number as it is; one that is compared with `elements` or stands for one is rounded as they are.
    """
    if n.op is SCALAR:
        value = n.attrs[0]
        if not exact and value.__class__ is int and d.category == dtypes.INTEGER:
            value = wrapped(value, d)
        return element(value, d, exact) if elements else const(value, d)
    return n if n.dtype is d else cast(n, d)


def promoting(count: int, floating: bool = False, skip: int = 0, exact: bool = False, elements: bool | tuple[bool, ...] = False) -> Any:
    """A `prepare` rule: operands `skip` to `count` are cast to their common type (a floating one, with `floating`).

    Integers that are too large for it wrap around, as in PyTorch's arithmetic and comparisons; with `exact` they are refused, and with
    `elements` besides so are numbers beyond its range. `elements`: numbers are rounded as elements of that type are, said for all
    operands or for each.
    """
    of_elements = elements if isinstance(elements, tuple) else (elements,) * (count - skip)

    def prepare(*args: Any) -> tuple[Any, ...]:
        operands = [node(a) for a in args[:count]]
        d = result_type(operands[skip:])
        if floating and d.category < dtypes.FLOAT:
            d = dtypes.get_default_dtype()
        converted = [to(n, d, exact, rounds) for n, rounds in zip(operands[skip:], of_elements, strict=True)]
        return (*operands[:skip], *converted, *args[count:])

    prepare.elements = of_elements  # type: ignore[attr-defined]
    return prepare


def in_steps(promote: Any, once: Callable[[Node, Node], bool] = lambda a, b: False) -> Any:
    """A `prepare` rule of two operands: of 16-bit floats, unless they are to be rounded `once`, the type is an attribute, to which every
    step of the formula is rounded."""

    def prepare(a: Any, b: Any, *steps: Any) -> tuple[Any, ...]:
        x, y = promote(a, b)
        d = x.dtype
        narrow = d.is_floating_point and d.compute is not d.storage
        return (x, y, d) if narrow and not steps and not once(x, y) else (x, y, *steps)

    prepare.elements = promote.elements  # type: ignore[attr-defined]
    return prepare
