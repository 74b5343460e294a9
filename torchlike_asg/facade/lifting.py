"""Numbers that change from step to step (learning rates, temperatures, slopes) become run-time data, so that the graph stays the same.

A Python number beside an operand, or one that an operation is told as an attribute of continuous meaning (`Op.varying`), is a part of the
graph until a later trace brings another one to the same operand of the same operation, or to the same place in the script: then it is
lifted, an Input. Places matter because an operand that follows from a number that changed is not met again: all numbers of a step are
lifted at once, not one more in each, and those of a solver's later steps at all. In a trace that is read again and again a place is
lifted after a few values.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..asg import arena, scope
from ..asg.declare import Op
from ..asg.node import Node, check_held, held_in_64_bits, weak
from ..asg.trace import Trace, current

__all__ = ["changes", "lifted", "scalar", "scalar_input", "told"]

_LIFTED = "lifted"
_NUMBERS = frozenset((bool, int, float, complex))
#: operations of which a number that is data costs no more than a constant (as an exponent, or as a bound, it does)
_ARITHMETIC = frozenset(("add", "sub", "mul", "div", "add_scaled"))
#: operations that make elements of their number
_STORED = frozenset(("copy", "fill", "index_fill", "index_put", "masked_fill", "scatter"))
#: what is recorded where -> (trace, values there), or that the values change
_places: dict[Any, Any] = {}
#: values of one place in a trace that is read meanwhile, from which on they are taken for changing ones
_FEW = 4
#: places that are noted before all are forgotten
_MOST = 16384


def scalar(op: Op, value: Any, beside: Node, first: bool = False) -> Node:
    """The node of a Python number that is an operand of `op` beside another one, or before it (`first`)."""
    kind = value.__class__
    if kind not in _NUMBERS:
        value = weak(value).attrs[0]
        kind = value.__class__
    if kind is bool:
        return weak(value)
    if kind is int and not held_in_64_bits(value):
        return weak(value)  # which refuses it, before it is noted for calls to come
    if kind is int and op.name in _ARITHMETIC and beside.dtype.is_floating_point:
        kind = float  # beside which both are the same: a rising weight, ``min(1, step / 100)``, ends at an integer
    site = (beside, kind)
    seen = op.sites.get(site)
    if op.name in _STORED:
        check_held(value, beside.dtype)
    if seen == _LIFTED:
        return scalar_input(value, beside, _rounds(op, first))

    def forget(values: dict[Any, Any]) -> None:
        for v in map(weak, values):
            op.table.pop((beside, v), None)
            op.table.pop((v, beside), None)

    found = lifted(op, site, value, None, kind, op.name in _ARITHMETIC, forget)
    return scalar_input(value, beside, _rounds(op, first)) if found else weak(value)


def told(op: Op, srcs: tuple[Node, ...], attrs: tuple[Any, ...]) -> Node:
    """``op(*srcs, *attrs)``, of which attributes whose numbers change are data. Numbers that are not finite, and zero, say something else
    than their neighbours and stay.
    """
    d = srcs[0].dtype
    if not d.is_floating_point or (d.compute is not d.storage and op.scalar is None):
        return op(*srcs, *attrs)

    def forget(values: dict[Any, Any]) -> None:
        for a in values.values():
            op.table.pop((*srcs, *a), None)

    given = list(attrs)
    for i in op.varying:
        value = attrs[i]
        if value.__class__ is not float or not value or not math.isfinite(value):
            continue
        if lifted(op, (srcs, i), value, attrs, i, op.scalar is not None, forget):
            wide = dtypes.float64 if any(s.dtype is dtypes.float64 for s in srcs) else dtypes.float32
            given[i] = current().input(np.asarray(value, wide.storage), (), (), wide, srcs[0].device, "number")
    if given == list(attrs):
        return op(*srcs, *attrs)
    assert op.varied is not None
    return op.varied(srcs, tuple(given))


def lifted(op: Op, site: Any, value: Any, attrs: Any, kind: Any, between: bool, forget: Callable[[dict[Any, Any]], None]) -> bool:
    """Whether the number at a site of an operation is data. From when it is, what was recorded with those before is forgotten."""
    seen = op.sites.get(site)
    if seen == _LIFTED:
        return True
    if seen is not None and value in seen[2]:
        return False
    tr = current()
    here = (op.name, kind, scope.place(3))
    if changes(here, value, tr, between):
        if seen is None:
            op.sites[site] = _LIFTED
        elif seen[3] == here:  # elsewhere the same operand may stand beside constants
            op.sites[site] = _LIFTED
            forget(seen[2])
        return True
    if seen is None:
        op.sites[site] = (tr.index, tr.generation, {value: attrs}, here)
        return False
    index, generation, values, _ = seen
    if (index, generation) == (tr.index, tr.generation):
        values[value] = attrs
        return False
    _note(here, _LIFTED)
    op.sites[site] = _LIFTED
    forget(values)
    return True


def changes(key: tuple[Any, ...], value: Any, tr: Trace, between: bool = False) -> bool:
    """Whether the values of something at a place (the last of `key`, see `scope.place`) change. `between`: also if they differ between two
    traces, whatever is beside them."""
    seen = _places.get(key)
    if seen == _LIFTED:
        return True
    now = (tr.index, tr.generation)
    if seen is None or (seen[0] != now and not between):
        _note(key, (now, {value}))
        return False
    trace, values = seen
    if value not in values:
        if trace != now or (len(values) >= _FEW and tr.flushes):
            _note(key, _LIFTED)
            return True
        values.add(value)
    return False


def _note(key: Any, found: Any) -> None:
    if len(_places) >= _MOST:
        _places.clear()
    _places[key] = found


def _rounds(op: Op, first: bool) -> bool:
    """Whether an operation rounds a number as elements are, see `promotion.promoting`."""
    rounds = getattr(op.prepare, "elements", (op.name in _STORED,))
    return bool(rounds[0 if first else -1])


def scalar_input(value: Any, beside: Node, rounds: bool = False) -> Node:
    """A Python number as a 0-d Input of the type it would have had as a constant beside that operand, or as an element of that type."""
    from ..ops.promotion import result_type

    d = result_type((beside, weak(type(value)(1))))
    data = np.asarray(value).astype(d.compute)
    if rounds and d.compute is not d.storage:
        data = np.asarray(dtypes.load(dtypes.store(data, d), d))
    return current().input(data, (), (), d, beside.device, "number")


@arena.register
def _prune(dead: Any) -> None:
    for key in [key for key, seen in list(_places.items()) if seen != _LIFTED]:
        _places.pop(key, None)
