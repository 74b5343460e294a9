"""``torch.testing``: `assert_close` and `make_tensor`."""

from __future__ import annotations

import cmath
import math
import numbers
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import dtypes, notices
from .absent import asked
from .dtypes import dtype
from .facade.core import Tensor
from .facade.functions.creation import as_tensor, empty
from .facade.functions.random import randint
from .facade.held import value_of
from .facade.leaves import require_grad

__all__ = ["assert_allclose", "assert_close", "make_tensor"]

#: default tolerances (relative, absolute) by element type; types not listed compare exactly
_TOLERANCES = {
    dtypes.float16: (1e-3, 1e-5),
    dtypes.bfloat16: (1.6e-2, 1e-5),
    dtypes.float32: (1.3e-6, 1e-5),
    dtypes.float64: (1e-7, 1e-7),
    dtypes.complex64: (1.3e-6, 1e-5),
    dtypes.complex128: (1e-7, 1e-7),
}


@dataclass
class _Rules:
    """The arguments of `assert_close` that every comparison needs."""

    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool
    allow_subclasses: bool

    def tolerances(self, *types: dtype) -> tuple[float, float]:
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        found = [_TOLERANCES.get(d, (0.0, 0.0)) for d in types]
        return max(r for r, _ in found), max(a for _, a in found)


class _Mismatch(Exception):
    """A comparison failed: the message, and where in nested containers."""


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raise AssertionError unless ``|actual - expected| <= atol + rtol * |expected|`` everywhere.

    Takes tensors, arrays, numbers, None, and sequences and mappings of these. Without tolerances they depend on the element type
    (float32: 1.3e-6 and 1e-5; integers and booleans: exact). Shapes, types and devices must agree unless told otherwise.
    `msg` replaces the message, or makes one of it.
    """
    __tracebackhide__ = True
    if (rtol is None) != (atol is None):
        raise ValueError(f"Both 'rtol' and 'atol' must be either specified or omitted, but got no {'rtol' if rtol is None else 'atol'}.")
    rules = _Rules(rtol, atol, equal_nan, check_device, check_dtype, check_layout, check_stride, allow_subclasses)
    for a, e, where in list(_pairs(actual, expected, ())):
        try:
            _compare(a, e, rules)
        except _Mismatch as error:
            text = str(error) + (f"\n\nThe failure occurred for item {''.join(f'[{k!r}]' for k in where)}" if where else "")
            raise AssertionError(text if msg is None else msg(text) if callable(msg) else msg) from None


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True, msg: str = ""
) -> None:
    """`assert_close`, by its old name (deprecated in PyTorch, too): types and devices may differ."""
    notices.deprecated(
        "`torch.testing.assert_allclose()` is deprecated since 1.12 and will be removed in a future release. "
        "Please use `torch.testing.assert_close()` instead: it compares types and devices, too."
    )
    a, e = (x if isinstance(x, Tensor) else as_tensor(x) for x in (actual, expected))
    if rtol is None and atol is None:
        rtol, atol = {dtypes.float16: (1e-3, 1e-3), dtypes.float32: (1e-4, 1e-5)}.get(e.dtype, (1e-5, 1e-8))
    assert_close(a, e, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False, check_stride=False, msg=msg or None)


def _is_sequence(x: Any) -> bool:
    return isinstance(x, Sequence) and not isinstance(x, str)


def _pairs(a: Any, e: Any, where: tuple[Any, ...]) -> Iterator[tuple[Any, Any, tuple[Any, ...]]]:
    """The leaves of two equally built nests of sequences and mappings."""
    at = f"\n\nThe failure occurred for item {''.join(f'[{k!r}]' for k in where)}" if where else ""
    if _is_sequence(a) and _is_sequence(e):
        if len(a) != len(e):
            raise AssertionError(f"The length of the sequences mismatch: {len(a)} != {len(e)}{at}")
        for i in range(len(a)):
            yield from _pairs(a[i], e[i], (*where, i))
    elif isinstance(a, Mapping) and isinstance(e, Mapping):
        missing, more = [k for k in e if k not in a], [k for k in a if k not in e]
        if missing or more:
            raise AssertionError(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(missing)}\nAdditional keys in the actual mapping: {sorted(more)}{at}"
            )
        for k in a:
            yield from _pairs(a[k], e[k], (*where, k))
    else:
        yield a, e, where


def _compare(a: Any, e: Any, rules: _Rules) -> None:
    if a is None or e is None:
        if a is not e:
            raise _Mismatch(f"None mismatch: {_shown(a)} is not {_shown(e)}")
        return
    if isinstance(a, (bool, np.bool_)) and isinstance(e, (bool, np.bool_)):
        if bool(a) is not bool(e):
            raise _Mismatch(f"Booleans mismatch: {bool(a)} is not {bool(e)}")
        return
    if _is_number(a) and _is_number(e):
        _compare_numbers(a, e, rules)
        return
    if not _is_like_tensor(a, e, rules):
        raise TypeError(f"No comparison pair was able to handle inputs of type {type(a)} and {type(e)}.")
    _compare_tensors(as_tensor(a), as_tensor(e), rules)


def _shown(x: Any) -> Any:
    return x.item() if isinstance(x, Tensor) and not x.shape else x  # type: ignore[attr-defined]


def _is_number(x: Any) -> bool:
    return isinstance(x, numbers.Number) and not isinstance(x, (bool, np.bool_)) and not isinstance(x, Tensor)


def _is_like_tensor(a: Any, e: Any, rules: _Rules) -> bool:
    if not all(isinstance(x, (Tensor, np.ndarray)) for x in (a, e)):
        return False
    related = isinstance(a, type(e)) or isinstance(e, type(a))
    return related and (rules.allow_subclasses or type(a) is type(e))


# ---------------------------------------------------------------- numbers
_OF_KIND = {int: dtypes.int64, float: dtypes.float64, complex: dtypes.complex128}


def _compare_numbers(a: Any, e: Any, rules: _Rules) -> None:
    plain = [x.item() if isinstance(x, np.generic) else x for x in (a, e)]
    if rules.check_dtype and type(plain[0]) is not type(plain[1]):
        raise _Mismatch(f"The (d)types do not match: {type(plain[0])} != {type(plain[1])}.")
    rtol, atol = rules.tolerances(*[_OF_KIND[type(x)] for x in plain])
    _check_scalar(plain[0], plain[1], rtol, atol, rules.equal_nan)


def _check_scalar(a: Any, e: Any, rtol: float, atol: float, equal_nan: bool) -> None:
    difference = abs(a - e)
    if a == e or (cmath.isfinite(a) and cmath.isfinite(e) and difference <= atol + rtol * abs(e)) or (equal_nan and a != a and e != e):
        return
    relative = difference / abs(e) if e != 0 else math.inf
    exact = rtol == atol == 0
    up_to = ["", ""] if exact else [f" (up to {atol} allowed)", f" (up to {rtol} allowed)"]
    raise _Mismatch(
        f"Scalars are not {'equal' if exact else 'close'}!\n\nExpected {e} but got {a}.\n"
        f"Absolute difference: {difference}{up_to[0]}\nRelative difference: {relative}{up_to[1]}"
    )


# ---------------------------------------------------------------- tensors
def _attribute(name: str, a: Any, e: Any) -> None:
    if a != e:
        raise _Mismatch(f"The values for attribute '{name}' do not match: {a} != {e}.")


def _compare_tensors(a: Tensor, e: Tensor, rules: _Rules) -> None:
    _attribute("shape", a.shape, e.shape)
    if rules.check_layout:
        _attribute("layout", a.layout, e.layout)  # type: ignore[attr-defined]
    if rules.check_stride:
        _attribute("stride()", tuple(a.geometry[1]), tuple(e.geometry[1]))
    if rules.check_device:
        _attribute("device", a.device, e.device)
    if rules.check_dtype:
        _attribute("dtype", a.dtype, e.dtype)
    if a.device.type == "meta" == e.device.type:  # there are no values
        return
    rtol, atol = rules.tolerances(a.dtype, e.dtype)
    common = dtypes.promote_types(a.dtype, e.dtype)
    work = np.int64 if common.category < dtypes.FLOAT else common.compute
    x, y = value_of(a).astype(work), value_of(e).astype(work)
    if not x.shape:
        _check_scalar(x.item(), y.item(), rtol, atol, rules.equal_nan)
        return
    with np.errstate(all="ignore"):
        difference = np.abs(x - y)
        good = (x == y) | (np.isfinite(x) & np.isfinite(y) & (difference <= atol + rtol * np.abs(y)))
        if rules.equal_nan:
            good |= np.isnan(x) & np.isnan(y)
        if good.all():
            return
        relative = np.where(good, 0, difference / np.abs(y))
    if not (common.is_floating_point or common.is_complex):
        relative = relative.astype(np.float32)
    elif common.itemsize == 2:  # PyTorch states the differences as it computes them
        difference, relative = (dtypes.load(dtypes.store(d, common), common).astype(work) for d in (difference, relative))
    raise _Mismatch(_describe(good, np.where(good, 0, difference), relative, rtol, atol))


def _describe(good: Any, difference: Any, relative: Any, rtol: float, atol: float) -> str:
    bad, total, exact = int((~good).sum()), good.size, rtol == atol == 0
    lines = [f"Tensor-likes are not {'equal' if exact else 'close'}!\n", f"Mismatched elements: {bad} / {total} ({bad / total:.1%})"]
    for name, values, allowed in (("absolute", difference, atol), ("relative", relative, rtol)):
        worst = int(np.argmax(values))
        at = tuple(int(i) for i in np.unravel_index(worst, values.shape))
        lines.append(
            f"Greatest {name} difference: {values.flat[worst].item()} at index {at}" + ("" if exact else f" (up to {allowed} allowed)")
        )
    return "\n".join(lines)


# ---------------------------------------------------------------- random tensors of a type
def _interval(low: Any, high: Any, least: Any, beyond: Any, usual: tuple[Any, Any], d: dtype) -> tuple[Any, Any]:
    low, high = usual[0] if low is None else low, usual[1] if high is None else high
    if any(isinstance(v, float) and math.isnan(v) for v in (low, high)):
        raise ValueError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    if high < least or low >= beyond:
        raise ValueError(f"The value interval specified by `low` and `high` is [{low}, {high}), but {d} only supports [{least}, {beyond})")
    return max(low, least), min(high, beyond)


def _uniform(target: Any, low: float, high: float, most: float) -> Any:
    """`target`, filled evenly; an interval wider than its type goes is filled at half its width."""
    return target.uniform_(low / 2, high / 2).mul_(2) if high - low >= most else target.uniform_(low, high)


def make_tensor(
    *shape: Any,
    dtype: dtype,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of random values in ``[low, high)``: by default from -9 to 9, for uint8 from 0 to 9, both truth values for bool.

    `noncontiguous` gives every second element of a larger tensor; `exclude_zero` replaces zeros by the smallest positive number.
    Raises ValueError for an interval the type does not have, and for `requires_grad` with a type that cannot.
    """
    sizes = tuple(shape[0]) if len(shape) == 1 and isinstance(shape[0], Sequence) else shape
    if noncontiguous and memory_format is not None:
        raise ValueError(
            f"The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got {noncontiguous=} and {memory_format=}"
        )
    if requires_grad and dtype.category < dtypes.FLOAT:
        raise ValueError(f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {dtype=}")
    apart = noncontiguous and math.prod(sizes) > 1
    if apart:
        sizes = (*sizes[:-1], 2 * sizes[-1])
    if dtype.category < dtypes.FLOAT:
        limits = (0, 2) if dtype is dtypes.bool_ else (dtypes.iinfo(dtype).min, dtypes.iinfo(dtype).max + 1)
        usual = (0, 2) if dtype is dtypes.bool_ else (0 if dtype is dtypes.uint8 else -9, 10)
        low, high = _interval(low, high, *limits, usual, dtype)
        result = randint(math.ceil(low), math.ceil(high), sizes, dtype=dtype, device=device)  # type: ignore[arg-type]
    else:
        part = dtype.to_real()
        most = dtypes.finfo(part).max
        low, high = _interval(low, high, -most, most, (-9, 9), dtype)
        if dtype.is_complex:
            pairs = _uniform(empty((*sizes, 2), dtype=part, device=device), low, high, most)
            result = (pairs[..., 0] + pairs[..., 1] * 1j).to(dtype)
        else:
            result = _uniform(empty(sizes, dtype=dtype, device=device), low, high, most)
    if apart:
        result = result[..., 1::2]
    if exclude_zero:
        result[result == 0] = 1 if dtype.category < dtypes.FLOAT else dtypes.finfo(dtype.to_real()).tiny
    return require_grad(result, True) if requires_grad else result  # type: ignore[no-any-return]


__getattr__ = asked(__name__)
