"""Evenly spaced numbers: arange, range, linspace, logspace."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import dtypes, notices
from ...asg.node import Node, const
from ...asg.reference import rounded
from ...asg.trace import current
from ...dtypes import dtype
from ...ops import movement
from ...ops.formula import refuse
from ...ops.pointwise import add
from ...ops.promotion import to
from ...rng.fma import fma32, fma64
from ..core import Tensor, wrap
from ..lifting import lifted
from ..register import function
from ..remembered import recall, remember, unremember
from .creation import finish, from_array, of_values, placed
from .factory_arguments import device_of

#: numbers that no integer type fails to hold
_LARGE = 1 << 62


def _number(name: str, argument: str, v: Any) -> Any:
    if isinstance(v, Tensor) and v.shape:
        kind = RuntimeError if name in ("linspace", "logspace") else TypeError
        raise kind(f"{name} only supports 0-dimensional start and end tensors, but got {argument} with {len(v.shape)} dimension(s).")
    if isinstance(v, Tensor) and v.requires_grad and name in ("arange", "range"):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not Tensor")
    v = v.item() if isinstance(v, (Tensor, np.generic)) else v
    if not isinstance(v, (int, float, complex)):
        raise TypeError(f"{name}(): argument '{argument}' must be Number, not {type(v).__name__}")
    if isinstance(v, int) and abs(v) >> 64:
        raise OverflowError("int too big to convert")
    return v


def _count(name: str, first: Any, last: Any, by: Any, d: dtype) -> None:
    """Refuse bounds and steps that count nothing, and types that do not count."""
    if d.is_complex or d is dtypes.bool_:
        raise refuse(f"{name}_cpu", d)
    if isinstance(first, complex) or isinstance(last, complex) or isinstance(by, complex):
        raise RuntimeError("value cannot be converted to type double without overflow")
    if not (by > 0 or by < 0):
        raise RuntimeError("step must be nonzero")
    if not (math.isfinite(first) and math.isfinite(last)):
        raise RuntimeError(f"unsupported range: {first} -> {last}")
    if (by > 0 and first > last) or (by < 0 and first < last):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")


@function(method=False)
def arange(
    *args: Any,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    start: Any = None,
    end: Any = None,
    step: Any = None,
) -> Tensor:
    """Values from `start` (default 0) up to but not including `end`, `step` apart: ``arange(end)``, ``arange(start, end[, step])``."""
    key = None
    if end is None and step is None and all(a.__class__ is int for a in args):
        key = ("arange", *args, dtypes.int64 if dtype is None else dtype)
        found = recall(key)
        if found is not None:
            return finish(wrap(placed(found[0], device_of(device))), requires_grad)  # type: ignore[no-any-return]
    if end is not None:
        args = ((start if start is not None else args[0]) if args or start is not None else 0, end, *((step,) if step is not None else ()))
    elif step is not None:
        args = (*args, step)
    if not 1 <= len(args) <= 3:
        raise TypeError(f"arange() received an invalid combination of arguments - got {len(args)}, but expected end; start, end[, step]")
    names = ("end",) if len(args) == 1 else ("start", "end", "step")
    values = [_number("arange", name, a) for name, a in zip(names, args, strict=False)]
    first, last, by = (0, values[0], 1) if len(values) == 1 else (values[0], values[1], values[2] if len(values) > 2 else 1)
    integral = all(isinstance(v, int) for v in (first, last, by))
    d = (dtypes.int64 if integral else dtypes.get_default_dtype()) if dtype is None else dtype
    _count("arange", first, last, by, d)
    if d.category < dtypes.FLOAT:
        first, last, by = (int(v) if d is not dtypes.bool_ else v for v in (first, last, by))
    count = -(-(last - first) // by) if integral or d.category < dtypes.FLOAT else math.ceil((last - first) / by)
    work = dtypes.int64 if d.category == dtypes.INTEGER else dtypes.float64 if d.is_floating_point else d
    over, count, on = const(by, work), int(count), device_of(device)
    if count and on.type == "cpu" and _moves(first, over, count, d, key):
        return finish(wrap(_from(first, over, count, d, on)), requires_grad)  # type: ignore[no-any-return]
    n = movement.arange(const(first, work), over, count, d)
    if key is not None:
        tr = current()
        remember(key, (n,), tr, tr.slots)
    return finish(wrap(placed(n, on)), requires_grad)  # type: ignore[no-any-return]


def _moves(first: Any, by: Node, count: int, d: dtype, key: Any) -> bool:
    """Whether the first of `count` numbers changes from iteration to iteration: then it is data. `key`: what is remembered of the call."""

    def forget(values: dict[Any, Any]) -> None:
        for value, called in values.items():
            movement.arange.table.pop((const(value, by.dtype), by, count, d), None)
            unremember(called)

    return abs(first) < _LARGE and lifted(movement.arange, (by, count, d), first, key, (by.attrs[0], count, d), True, forget)


def _from(first: Any, by: Node, count: int, d: dtype, on: Any) -> Node:
    """`arange` from a number that is data."""
    work = by.dtype
    start = current().input(np.asarray(first, work.storage), (), (), work, on)
    return to(add(movement.arange(const(0, work), by, count, work), start), d)


@function(method=False)
def range(
    start: Any,
    end: Any,
    step: Any = 1,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """Like `arange`, but including `end` (deprecated in PyTorch as well)."""
    notices.once(notices.RANGE)
    first, last, step = _number("range", "start", start), _number("range", "end", end), _number("range", "step", step)
    d = dtypes.get_default_dtype() if dtype is None else dtype
    _count("range", first, last, step, d)
    count = math.floor((last - first) / step) + 1
    n = movement.arange(const(first, dtypes.float64), const(step, dtypes.float64), count, d)
    return finish(wrap(placed(n, device_of(device))), requires_grad)  # type: ignore[no-any-return]


@function(method=False)
def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """`steps` values evenly spaced from `start` to `end`, both included; the second half is counted back from `end`."""
    d, first, last = _bounds("linspace", start, end, steps, dtype)
    return finish(of_values((steps,), d, device_of(device), lambda: spaced(first, last, steps, d)), requires_grad)  # type: ignore[no-any-return]


def _bounds(name: str, start: Any, end: Any, steps: int, d: dtype | None) -> tuple[dtype, Any, Any]:
    """The type of a row of numbers, and its first and last one."""
    first, last = _number(name, "start", start), _number(name, "end", end)
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    between = isinstance(first, complex) or isinstance(last, complex)
    if d is None:
        d = dtypes.get_default_dtype()
        d = d.to_complex() if between else d
    elif between and not d.is_complex:
        wide = dtypes.get_default_dtype().to_complex()
        raise RuntimeError(f"torch.{name}(): inferred dtype {wide} can't be safely cast to passed dtype {d}")
    if d is dtypes.bool_:
        raise refuse(f"{name}_cpu", d)
    return d, first, last


def spaced(first: Any, last: Any, steps: int, d: dtype) -> np.ndarray[Any, Any]:
    """PyTorch's numbers bit for bit: a product and a sum rounded once in the arithmetic of `d`, integers in float64 and cut."""
    if d.is_complex:
        part = d.to_real()
        ends = [complex(v) for v in (first, last)]
        pairs = [(e.real, e.imag) for e in ends]
        rows = [spaced(lo, hi, steps, part) for lo, hi in zip(*pairs, strict=True)]
        out = np.empty(steps, d.compute)
        out.real, out.imag = rows
        return out
    if d.category < dtypes.FLOAT:
        return np.trunc(_row(np.float64(int(first)), np.float64(int(last)), steps, fma64))
    if d is dtypes.float64:
        return _row(np.float64(first), np.float64(last), steps, fma64)
    if d is dtypes.float32:
        return _row(np.float32(first), np.float32(last), steps, fma32)

    def each(x: Any, y: Any, z: Any) -> Any:  # half precision is converted after every operation
        return rounded(z + rounded(rounded(x, d) * y, d), d)

    return _row(*(rounded(np.float32(v), d) for v in (first, last)), steps, each, lambda v: rounded(v, d))


def _row(lo: Any, hi: Any, steps: int, fma: Any, rounded: Any = lambda v: v) -> np.ndarray[Any, Any]:
    """`steps` numbers from `lo` to `hi`: the first half counted from one end, the second from the other."""
    work = lo.dtype.type
    if steps == 1:
        return np.array([lo], work)
    by = work(rounded(rounded(hi - lo) / rounded(work(max(steps - 1, 1)))))
    i = np.arange(steps)
    return np.where(i < steps // 2, fma(i.astype(work), by, lo), fma(i[::-1].astype(work), -by, hi))


@function(method=False)
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """`steps` values whose logarithms to `base` are evenly spaced from `start` to `end`."""
    d, first, last = _bounds("logspace", start, end, steps, dtype)
    if d.category < dtypes.FLOAT and steps > 1:  # PyTorch cuts bounds to the type, and the powers of what lies between them
        first, last = int(first), int(last)
    wide = dtypes.complex128 if d.is_complex else dtypes.float64
    work = wide.compute.type
    a = np.power(work(base), _row(work(first), work(last), steps, lambda x, y, z: z + x * y))
    return finish(from_array(a, d, device_of(device)), requires_grad)  # type: ignore[no-any-return]
