"""Every word of the formula vocabulary as native code, against the NumPy handler."""

from __future__ import annotations

import numpy as np
import pytest

from tests.backends.cpu.random_kernels import compute, expected
from torchlike_asg import dtypes
from torchlike_asg.compiler.kernel import Apply, Convert, Load, LoopKernel, Operand

UNARY = "neg abs sign reciprocal sqrt rsqrt floor ceil round trunc isnan isinf logical_not".split()
BINARY = "add sub mul div pow fmod remainder floor_div maximum minimum eq ne lt le gt ge logical_and logical_or logical_xor".split()
FUNCTIONS = (
    "exp expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh tanh sigmoid erf erfc erfinv lgamma digamma exp2 asinh acosh atanh"
).split()
INTEGER_UNARY = "neg abs sign bit_not logical_not".split()
INTEGER_BINARY = (
    "add sub mul remainder floor_div fmod maximum minimum eq ne lt le gt ge logical_and logical_or logical_xor "
    "bit_and bit_or bit_xor shift_left shift_right pow".split()
)
TESTS = frozenset("isnan isinf eq ne lt le gt ge logical_and logical_or logical_xor logical_not".split())
INTEGERS = [dtypes.uint8, dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64]
LEVELS = ["", "avx2"]


def word(name, d, *xs, level="", result=None):
    """(native, NumPy) results of one word on arrays, for a vector with a remainder and for a scalar."""
    n, count = xs[0].size, len(xs)
    result = result or (dtypes.bool_ if name in TESTS else d)
    i = Apply(f"word_{name}", tuple(range(count)), (), result, d, lambda e, *a: getattr(e, name)(*a))
    k = LoopKernel(
        (n,),
        1,
        tuple(Operand(t, (1,)) for t in [*[d] * count, result]),
        (*[Load(m, d) for m in range(count)], i),
        ((count, count),),
    )
    memories = [*xs, np.zeros(n, result.compute)]
    return compute(k, memories, level=level)[0][count], expected(k, memories)[count]


def floats(d):
    tiny = np.finfo(d.compute).smallest_subnormal
    special = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 3.0, 1e-3, 7.25, -7.75, np.inf, -np.inf, np.nan, 1e30, -1e30, tiny]
    return np.array([*special, *np.random.default_rng(0).standard_normal(50) * 3], d.compute)


def pairs(x):
    return np.repeat(x, x.size), np.tile(x, x.size)


def same(got, want, rtol):
    np.testing.assert_allclose(got, want, rtol=rtol, atol=0)
    zero = want == 0
    np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("d", [dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("name", UNARY)
def test_float_unary(name, d, level):
    got, want = word(name, d, floats(d), level=level)
    same(got, want, 4 * np.finfo(d.compute).eps if name in ("reciprocal", "sqrt", "rsqrt") else 0)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("d", [dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("name", BINARY)
def test_float_binary(name, d, level):
    got, want = word(name, d, *pairs(floats(d)), level=level)
    if name in ("maximum", "minimum"):  # which of two zeros is the larger is open
        np.testing.assert_array_equal(got, want)
    else:
        same(got, want, 4 * np.finfo(d.compute).eps if name in ("pow", "floor_div") else 0)


@pytest.mark.parametrize("d", [dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name, d):
    x = np.concatenate([floats(d), np.linspace(-4, 12, 331).astype(d.compute), np.linspace(-1, 1, 97).astype(d.compute)])
    x = x[np.abs(x) != 1e30] if name in ("sin", "cos", "tan") else x  # NumPy's own reduction is no oracle there
    got, want = word(name, d, x)
    near = np.finfo(d.compute).eps * (1 if d is dtypes.float64 else 0.5)
    np.testing.assert_allclose(got, want, rtol=1e-6 if d is dtypes.float32 else 1e-13, atol=near)


@pytest.mark.parametrize("d", [dtypes.float32, dtypes.float64])
def test_atan2(d):
    same(*word("atan2", d, *pairs(floats(d))), 4 * np.finfo(d.compute).eps)


def integers(d):
    i = np.iinfo(d.compute)
    edge = [i.min, i.min + 1, i.max, i.max - 1, 0, 1, 2, 3, 5, 7, 8, 15, 16, 31, 32, 63, 64, 100]
    return np.array([*edge, *([-1, -2, -3, -7, -64] if d.is_signed else [])]).astype(d.compute)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("d", INTEGERS)
@pytest.mark.parametrize("name", INTEGER_UNARY)
def test_integer_unary(name, d, level):
    np.testing.assert_array_equal(*word(name, d, integers(d), level=level))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("d", INTEGERS)
@pytest.mark.parametrize("name", INTEGER_BINARY)
def test_integer_binary(name, d, level):
    a, b = pairs(integers(d))
    if name in ("remainder", "floor_div", "fmod"):
        a, b = a[b != 0], b[b != 0]
    elif name == "pow":
        a, b = a[b >= 0], b[b >= 0]
    np.testing.assert_array_equal(*word(name, d, a, b, level=level))


@pytest.mark.parametrize("d", INTEGERS)
def test_integer_quotient_is_truncated(d):
    a, b = pairs(integers(d))
    a, b = a[b != 0], b[b != 0]
    got, _ = word("fmod", d, a, b)
    quotient, _ = word("floor_div", d, a, b)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal((a - got) == b * quotient, (got == 0) | ((a < 0) == (b < 0)))


@pytest.mark.parametrize("name", "add mul maximum minimum eq ne logical_and logical_or logical_xor bit_and bit_or bit_xor".split())
def test_booleans(name):
    a, b = pairs(np.array([False, True]))
    np.testing.assert_array_equal(*word(name, dtypes.bool_, np.tile(a, 20), np.tile(b, 20)))


@pytest.mark.parametrize("src", [*INTEGERS, dtypes.bool_, dtypes.float32, dtypes.float64])
@pytest.mark.parametrize("dst", [*INTEGERS, dtypes.bool_, dtypes.float16, dtypes.bfloat16, dtypes.float32, dtypes.float64])
def test_conversions(src, dst):
    if src is dtypes.bool_:
        x = np.tile([True, False], 20)
    elif src.is_floating_point:
        x = np.array(
            [0.0, -0.0, 0.4, 1.7, -1.7, 100.9, -100.9, *np.random.default_rng(0).standard_normal(50) * 40, np.nan, np.inf, -np.inf]
        )
        x = x.astype(src.compute)
        if dst is dtypes.uint8:
            x = np.abs(x)
        if dst.category == dtypes.INTEGER:  # what NumPy makes of infinities depends on its loops; 32 and 64 bits give the smallest number
            x = x if dst.itemsize >= 4 else x[np.isfinite(x)]
    else:
        x = integers(src)
    k = LoopKernel((x.size,), 1, (Operand(src, (1,)), Operand(dst, (1,))), (Load(0, src), Convert(0, dst)), ((1, 1),))
    memories = [x, np.zeros(x.size, dst.compute)]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(compute(k, memories)[0][1], expected(k, memories)[1])


@pytest.mark.parametrize("d", [dtypes.float16, dtypes.bfloat16])
def test_rounding_to_halves(d):
    bits = np.random.default_rng(0).integers(0, 2**32, 200_000, dtype=np.uint32)
    short = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
    short = short[np.isfinite(short)]
    ties = (short[:-1] + short[1:]) / 2
    edges = np.array([65519.996, 65520.0, np.inf, -0.0], np.float32)
    x = np.concatenate([bits.view(np.float32), short, ties, edges])
    k = LoopKernel((x.size,), 1, (Operand(dtypes.float32, (1,)), Operand(d, (1,))), (Load(0, dtypes.float32), Convert(0, d)), ((1, 1),))
    memories = [x, np.zeros(x.size, np.float32)]
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(compute(k, memories)[0][1], expected(k, memories)[1])


def test_choice_by_numbers_and_booleans_beside_numbers():
    d, b = dtypes.float32, dtypes.bool_
    x, m = np.array([0.0, -1.5, np.nan, 2.0], np.float32), np.array([True, False, True, False])
    i = Apply("mixed", (0, 1), (), d, d, lambda e, x, m: e.where(x, e.add(e.mul(x, m), m), e.sub(m, x)))
    k = LoopKernel((4,), 1, (Operand(d, (1,)), Operand(b, (1,)), Operand(d, (1,))), (Load(0, d), Load(1, b), i), ((2, 2),))
    got = compute(k, [x, m, np.zeros(4, np.float32)])[0][2]
    np.testing.assert_array_equal(got, np.where(x != 0, x * m + m, m - x).astype(np.float32))
