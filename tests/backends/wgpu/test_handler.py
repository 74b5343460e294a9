"""Every word of the formula vocabulary in WGSL, against NumPy in float64, at ordinary and extraordinary values."""

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.backends.wgpu import loops
from torchlike_asg.backends.wgpu.calls import View
from torchlike_asg.compiler.kernel import Apply, Load, LoopKernel, Operand
from torchlike_asg.ops.scalar import NumpyHandler

from .harness import lowering, memory, run

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, 1e-6, -1e-6, np.inf, -np.inf, np.nan, 1e30, -1e30, 88.0, -88.0, 700.0])
PLAIN = np.concatenate([np.linspace(-12, 12, 401), np.linspace(-1, 1, 301), np.geomspace(1e-5, 1e4, 101)])
#: word -> largest error relative to the larger of the value and the second number
UNARY = {
    "exp": (3e-7, 0), "exp2": (1e-6, 0), "expm1": (4e-7, 0), "log": (4e-7, 1e-6), "log2": (4e-7, 1e-6), "log10": (5e-7, 1e-6),
    "log1p": (5e-7, 0), "sin": (5e-7, 1e-2), "cos": (5e-7, 1e-2), "tan": (2e-6, 1e-1), "asin": (5e-7, 0), "acos": (5e-7, 1e-1),
    "atan": (4e-7, 0), "sinh": (1e-6, 0), "cosh": (1e-6, 0), "tanh": (6e-7, 0), "asinh": (1e-6, 0), "acosh": (1e-6, 1e-2),
    "atanh": (1e-6, 0), "sigmoid": (4e-7, 0), "erf": (6e-7, 0), "erfc": (2e-6, 0), "erfinv": (3e-6, 0), "lgamma": (2e-6, 1),
    "digamma": (6e-6, 1), "sqrt": (3e-7, 0), "rsqrt": (5e-7, 0), "neg": (0, 0), "abs": (0, 0), "sign": (0, 0), "floor": (0, 0),
    "ceil": (0, 0), "round": (0, 0), "trunc": (0, 0), "reciprocal": (3e-7, 0),
}  # fmt: skip
BINARY = {
    "add": (1e-7, 0), "sub": (1e-7, 0), "mul": (1e-7, 0), "div": (3e-7, 0), "pow": (2e-6, 0), "fmod": (1e-6, 1), "remainder": (1e-6, 1),
    "floor_div": (0, 0), "maximum": (0, 0), "minimum": (0, 0), "atan2": (6e-7, 0),
}  # fmt: skip
TESTS = ("eq", "ne", "lt", "le", "gt", "ge", "logical_and", "logical_or", "logical_xor")
WHOLE = (
    "add", "sub", "mul", "div", "fmod", "remainder", "floor_div", "maximum", "minimum", "bit_and", "bit_or", "bit_xor", "shift_left",
    "shift_right", "pow",
)  # fmt: skip


def compute(names, operands, d, result):
    """Each word on the operands, all in one kernel."""
    n = len(operands[0])
    body = [Load(k, d) for k in range(len(operands))]
    for name in names:
        body.append(Apply(name, tuple(range(len(operands))), (), result, d, lambda e, *xs, name=name: getattr(e, name)(*xs)))
    count = len(operands)
    places = (*[Operand(d, (1,))] * count, *[Operand(result, (1,))] * len(names))
    stores = tuple((count + i, count + i) for i in range(len(names)))
    low = lowering(len(places))
    loops.lower(low, LoopKernel((n,), 1, places, tuple(body), stores), [View(i, (), (), 0, p.dtype) for i, p in enumerate(places)])
    arrays = {i: memory(x, d) for i, x in enumerate(operands)}
    for i in range(len(names)):
        arrays[count + i] = memory(np.zeros(n, result.compute), result)
    run(low, arrays)
    return [arrays[count + i].astype(result.compute) for i in range(len(names))]


def check(name, got, want, bounds, inputs):
    relative, floor = bounds
    want = np.where(np.abs(want) > np.finfo(np.float32).max, np.copysign(np.inf, want), want)
    normal = np.isfinite(want) & ((np.abs(want) > 1e-37) | (want == 0))
    for test in (np.isnan, np.isposinf, np.isneginf):
        wrong = test(got) != test(want)
        assert not wrong.any(), (name, [x[wrong][:5] for x in inputs], got[wrong][:5], want[wrong][:5])
    error = np.abs(got[normal] - want[normal]) / np.maximum(np.abs(want[normal]), max(floor, 1e-37))
    worst = int(np.argmax(error))
    assert error[worst] <= relative + 6e-8, (
        name,
        [x[normal][worst] for x in inputs],
        got[normal][worst],
        want[normal][worst],
        error[worst],
    )


def test_functions_of_one_number():
    x = np.concatenate([PLAIN, SPECIAL]).astype(np.float32)
    for start in range(0, len(UNARY), 12):
        names = list(UNARY)[start : start + 12]
        for name, got in zip(names, compute(names, [x], dtypes.float32, dtypes.float32), strict=True):
            with np.errstate(all="ignore"):
                want = np.asarray(getattr(NumpyHandler(np.float64), name)(x.astype(np.float64)), np.float64)
            keep = np.ones(len(x), bool)
            if name in ("sin", "cos", "tan"):
                keep = ~(np.abs(x) > 1e4) | ~np.isfinite(x)
            if name in ("digamma", "lgamma"):  # next to a pole, the last place of the argument is what decides
                with np.errstate(invalid="ignore"):
                    keep = (x > 0) | (np.abs(x - np.round(x)) > 0.05) | (x == np.round(x))
            check(name, got[keep], want[keep], UNARY[name], [x[keep]])


def test_functions_of_two_numbers():
    few = np.concatenate([SPECIAL, np.linspace(-3, 3, 13), [7.25, -7.25, 0.1]])
    a, b = (v.reshape(-1).astype(np.float32) for v in np.meshgrid(few, few))
    for name, got in zip(BINARY, compute(list(BINARY), [a, b], dtypes.float32, dtypes.float32), strict=True):
        with np.errstate(all="ignore"):
            want = np.asarray(getattr(NumpyHandler(np.float64), name)(a.astype(np.float64), b.astype(np.float64)))
        keep = np.ones(len(a), bool)
        if name in ("fmod", "remainder", "floor_div"):
            with np.errstate(all="ignore"):
                keep = ~(np.abs(a / b) > 1e5) | ~np.isfinite(a / b)
        check(name, got[keep], want[keep], BINARY[name], [a[keep], b[keep]])


def test_comparisons_know_nan():
    few = np.concatenate([SPECIAL, [0.25]]).astype(np.float32)
    a, b = (v.reshape(-1) for v in np.meshgrid(few, few))
    for name, got in zip(TESTS, compute(list(TESTS), [a, b], dtypes.float32, dtypes.bool_), strict=True):
        np.testing.assert_array_equal(got, getattr(NumpyHandler(np.float32), name)(a, b), err_msg=name)
    for name, got in zip(("isnan", "isinf"), compute(["isnan", "isinf"], [a], dtypes.float32, dtypes.bool_), strict=True):
        np.testing.assert_array_equal(got, getattr(np, name)(a), err_msg=name)


@pytest.mark.parametrize("d", [dtypes.int32, dtypes.int8, dtypes.uint8, dtypes.int16], ids=lambda d: d.name)
def test_integers_wrap(d):
    info = np.iinfo(d.storage)
    few = np.array([info.min, info.max, 0, 1, 2, 3, 5, 7, 12, 31] + ([-1, -2, -7] if info.min < 0 else []), d.storage)
    a, b = (v.reshape(-1) for v in np.meshgrid(few, few))
    for name, got in zip(WHOLE, compute(list(WHOLE), [a, b], d, d), strict=True):
        keep = np.ones(len(a), bool)
        if name in ("div", "fmod", "remainder", "floor_div"):
            keep = (b != 0) & ~((a == info.min) & (b == -1 if info.min < 0 else False))
        if name == "pow":
            keep = b >= 0
        if name.startswith("shift"):
            keep = (b >= 0) & (b < info.bits)
        with np.errstate(all="ignore"):
            want = getattr(NumpyHandler(d.storage), name)(a[keep], b[keep])
        want = np.trunc(want).astype(np.int64).astype(d.storage) if name == "div" else want
        np.testing.assert_array_equal(got[keep], want, err_msg=name)
