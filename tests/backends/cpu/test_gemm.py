"""Matrix products of the CPU backend against float64 NumPy: sizes around tile edges, layouts, batches, element types, partitions."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchlike_asg import dtypes
from torchlike_asg.asg.declare import REGISTRY
from torchlike_asg.asg.reference import rounded
from torchlike_asg.backends.cpu import isa

from .gemm_cases import compute

LAYOUTS = ("rows", "columns", "padded", "strided")
#: sums of k products of standard normals: errors relative to the size of a typical sum
TOLERANCE = {"float32": 2e-6, "float64": 1e-14}


def laid_out(array, layout):
    """Equal numbers in another memory layout: row-major, column-major, rows of a wider array, every third element."""
    if layout == "rows":
        return np.ascontiguousarray(array)
    if layout == "columns":
        return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)
    step = 3 if layout == "strided" else 1
    wide = np.full((*array.shape[:-1], step * array.shape[-1] + 5), np.nan, array.dtype)
    part = wide[..., : step * array.shape[-1] : step]
    part[...] = array
    return part


def normal(rng, *shape, dtype="float32"):
    return rng.standard_normal(shape).astype(dtype)


def check(got, exact, k):
    tolerance = TOLERANCE[got.dtype.name] * max(1, k) ** 0.5
    np.testing.assert_allclose(got, exact, rtol=tolerance, atol=4 * tolerance)


sizes = st.one_of(st.integers(1, 40), st.sampled_from([63, 64, 65, 96, 127, 129]))


@settings(deadline=None, max_examples=150)
@given(
    sizes,
    sizes,
    st.one_of(st.integers(0, 40), st.sampled_from([255, 256, 257, 300, 513])),
    *[st.sampled_from(LAYOUTS)] * 3,
    st.integers(1, 3),
)
def test_sizes_and_layouts(m, n, k, of_a, of_b, of_c, pieces):
    rng = np.random.default_rng(m * 7919 + n * 31 + k)
    a, b = normal(rng, m, k), normal(rng, k, n)
    result = laid_out(np.zeros((m, n), "float32"), of_c)
    compute("matmul", laid_out(a, of_a), laid_out(b, of_b), result=result, pieces=pieces, threads=pieces)
    check(result, a.astype("float64") @ b, k)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("of_a", LAYOUTS)
@pytest.mark.parametrize("of_b", LAYOUTS)
def test_several_blocks(of_a, of_b, dtype):
    rng = np.random.default_rng(0)
    a, b = normal(rng, 301, 530, dtype=dtype), normal(rng, 530, 333, dtype=dtype)
    check(compute("matmul", laid_out(a, of_a), laid_out(b, of_b), shape=(301, 333)), a.astype("float64") @ b, 530)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("m,n", [(1, 1), (1, 40), (2, 19), (3, 33), (4, 4), (7, 21), (40, 1), (300, 2), (37, 3), (1, 600)])
@pytest.mark.parametrize("k", [1, 7, 64, 130, 1024, 2100])
def test_few_rows_or_columns(m, n, k, dtype):
    rng = np.random.default_rng(10)
    a, b = normal(rng, m, k, dtype=dtype), normal(rng, k, n, dtype=dtype)
    exact = a.astype("float64") @ b
    for of_a, of_b, of_c in (
        ("rows", "columns", "rows"),
        ("rows", "rows", "columns"),
        ("columns", "columns", "rows"),
        ("rows", "columns", "strided"),
    ):
        result = laid_out(np.zeros((m, n), dtype), of_c)
        check(compute("matmul", laid_out(a, of_a), laid_out(b, of_b), result=result, pieces=2, threads=2), exact, k)


@pytest.mark.parametrize("m,n,k", [(32, 32, 10007), (3, 50, 50000), (1, 1, 300001), (2, 1, 262144), (60, 40, 4096)])
@pytest.mark.parametrize("of_a", LAYOUTS[:2])
@pytest.mark.parametrize("of_c", LAYOUTS)
def test_long_k_is_cut_into_parts(m, n, k, of_a, of_c):
    rng = np.random.default_rng(12)
    x, w, bias = normal(rng, m, k), normal(rng, n, k), normal(rng, n)
    exact = x.astype("float64") @ w.T.astype("float64") + bias
    results = [
        compute("linear", laid_out(x, of_a), w, bias, result=laid_out(np.zeros((m, n), "float32"), of_c), threads=threads, pieces=threads)
        for threads in (1, 3)
    ]
    check(results[0], exact, k)
    np.testing.assert_array_equal(*results)


@pytest.mark.parametrize("d", [dtypes.float16, dtypes.bfloat16])
@pytest.mark.parametrize("of_c", ["rows", "columns", "strided"])
def test_narrow_sums_of_parts_are_rounded_once(d, of_c):
    rng = np.random.default_rng(13)
    a, b = rounded(normal(rng, 20, 20000), d), rounded(normal(rng, 30, 20000), d)
    result = laid_out(np.zeros((20, 30), "float32"), of_c)
    compute("linear", a, b, result=result, d=d)
    np.testing.assert_array_equal(result, rounded(result, d))
    np.testing.assert_allclose(result, a.astype("float64") @ b.T, rtol=2.0**-10 if d is dtypes.float16 else 2.0**-7, atol=1e-3)


@pytest.mark.parametrize("of_bias", [(1,), (37,), (21, 1), (21, 37)])
@pytest.mark.parametrize("k", [60, 1500])
def test_bias_of_dot_products(k, of_bias):
    rng = np.random.default_rng(11)
    x, w, bias = normal(rng, 21, k), normal(rng, 37, k), normal(rng, *of_bias)
    for rows in (1, 3, 21):
        b = bias if len(of_bias) == 1 else bias[:rows]
        exact = x[:rows].astype("float64") @ w.T.astype("float64") + b
        for of_c in LAYOUTS:
            check(compute("linear", x[:rows], w, b, result=laid_out(np.zeros((rows, 37), "float32"), of_c)), exact, k)


@pytest.mark.parametrize("stride", [512, 1024, 2048])
def test_operands_copied_because_of_their_stride(stride):
    rng = np.random.default_rng(1)
    a, b = normal(rng, 600, stride), normal(rng, stride, 256)
    check(compute("matmul", a[:, :200], b[:200], shape=(600, 256)), a[:, :200].astype("float64") @ b[:200], 200)
    check(compute("matmul", a.T, a[:, :300], shape=(stride, 300)), a.T.astype("float64") @ a[:, :300], 600)
    check(compute("matmul", b[:70].T, a[:70, :200], shape=(256, 200)), b[:70].T.astype("float64") @ a[:70, :200], 70)


BATCHES = [
    ((5,), (7, 5, 4)),
    ((6, 3, 5), (5, 4)),
    ((6, 3, 5), (6, 5, 4)),
    ((3, 5), (6, 5, 4)),
    ((2, 1, 3, 5), (7, 5, 4)),
    ((2, 1, 30, 50), (3, 50, 40)),
    ((2, 3, 20, 30), (30,)),
    ((30,), (30,)),
    ((30, 40), (40,)),
    ((40,), (40, 30)),
    ((9, 1, 40), (40, 30)),
    ((1, 1, 40), (1, 40, 30)),
    ((0, 4), (4, 3)),
    ((3, 0), (0, 2)),
    ((4, 3, 0), (4, 0, 2)),
    ((0, 3, 4), (4, 5)),
]


@pytest.mark.parametrize("pieces", [1, 3])
@pytest.mark.parametrize("of_a,of_b", BATCHES)
def test_batches_and_vectors(of_a, of_b, pieces):
    rng = np.random.default_rng(2)
    a, b = normal(rng, *of_a), normal(rng, *of_b)
    exact = np.asarray(a.astype("float64") @ b.astype("float64"))
    check(compute("matmul", a, b, shape=exact.shape, pieces=pieces), exact, of_a[-1])


def test_operands_that_are_permuted_or_broadcast():
    rng = np.random.default_rng(3)
    x, w = normal(rng, 6, 20, 4, 30), normal(rng, 30, 50)
    heads = x.transpose(0, 2, 1, 3)  # as an attention's heads lie in one projection
    exact = heads.astype("float64") @ w
    check(compute("matmul", heads, np.broadcast_to(w, (6, 4, 30, 50)), shape=(6, 4, 20, 50)), exact, 30)
    result = np.zeros((6, 20, 4, 50), "float32").transpose(0, 2, 1, 3)
    check(compute("matmul", heads, w, result=result, pieces=2), exact, 30)


LINEAR = [
    ((3, 4), (2, 4), (2,)),
    ((64, 100), (70, 100), (70,)),
    ((64, 100), (70, 100), None),
    ((5, 16, 100), (70, 100), (70,)),
    ((100,), (70, 100), (70,)),
    ((5, 16, 100), (100,), None),
    ((64, 100), (70, 100), (1,)),
    ((64, 100), (70, 100), (64, 70)),
    ((64, 100), (70, 100), (64, 1)),
    ((5, 16, 100), (70, 100), (5, 1, 70)),
    ((64, 0), (70, 0), (70,)),
    ((1, 64), (128, 64), (128,)),
]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("of_x,of_w,of_b", LINEAR)
def test_linear(of_x, of_w, of_b, transposed):
    rng = np.random.default_rng(4)
    x, w = normal(rng, *of_x), normal(rng, *of_w)
    bias = () if of_b is None else (normal(rng, *of_b),)
    exact = x.astype("float64") @ w.astype("float64").T + (bias[0] if bias else 0)
    result = np.zeros(exact.shape, "float32")
    if transposed and result.ndim == 2:
        result = np.zeros(exact.shape[::-1], "float32").T
    check(compute("linear", x, w, *bias, result=result, pieces=2), exact, of_x[-1])


@pytest.mark.parametrize("name", ["matmul", "linear"])
def test_samples_of_the_declaration(name):
    op = REGISTRY[name]
    for sample in op.samples():
        arrays = [np.asarray(a, np.float32 if np.asarray(a).dtype.kind == "f" else None) for a in sample.operands]
        expected = np.asarray(op.ref(*arrays))
        got = compute(name, *arrays, shape=expected.shape)
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64"])
def test_integers_wrap_around(dtype):
    rng = np.random.default_rng(5)
    info = np.iinfo(dtype)
    a, b = (rng.integers(info.min, info.max, shape, dtype, endpoint=True) for shape in ((3, 9, 21), (3, 21, 13)))
    got = compute("matmul", a, laid_out(b, "columns"), shape=(3, 9, 13), pieces=2)
    np.testing.assert_array_equal(got, a @ b)


@pytest.mark.parametrize("d", [dtypes.float16, dtypes.bfloat16])
@pytest.mark.parametrize("m,n,k", [(3, 5, 4), (70, 90, 33)])
@pytest.mark.parametrize("transposed", [False, True])
def test_narrow_floats_are_rounded_once(d, m, n, k, transposed):
    rng = np.random.default_rng(6)
    a, b, bias = rounded(normal(rng, m, k), d), rounded(normal(rng, n, k), d), rounded(normal(rng, n), d)
    result = np.zeros((n, m), "float32").T if transposed else np.zeros((m, n), "float32")
    compute("linear", a, b, bias, result=result, d=d)
    np.testing.assert_array_equal(result, rounded(result, d))
    exact = a.astype("float64") @ b.T.astype("float64") + bias
    step = 2.0**-10 if d is dtypes.float16 else 2.0**-7
    np.testing.assert_allclose(result, exact, rtol=step, atol=1e-5)


def test_narrow_floats_keep_infinities_and_nan():
    a = np.array([[np.inf], [np.nan], [1.0], [-0.0], [1e-40]], "float32").repeat(30, 0)
    b = np.ones((1, 40), "float32")
    for d in (dtypes.float16, dtypes.bfloat16):
        got = compute("matmul", a, b, shape=(150, 40), d=d)
        np.testing.assert_array_equal(got, rounded(a @ b, d))


@pytest.mark.parametrize("m,n,k", [(2, 3, 4), (1, 70, 40), (33, 70, 300)])
def test_special_numbers_stay_in_their_rows_and_columns(m, n, k):
    rng = np.random.default_rng(7)
    a, b = normal(rng, m, k), normal(rng, k, n)
    a[0, k // 2], a[m - 1, 0], b[1, n - 1] = np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        exact = a.astype("float64") @ b
    for of_b in LAYOUTS[:2]:
        got = compute("matmul", a, laid_out(b, of_b), shape=(m, n))
        np.testing.assert_array_equal(np.isnan(got), np.isnan(exact))
        check(got, exact, k)


@pytest.mark.parametrize("batch,m,n,k", [((), 300, 200, 530), ((), 29, 1030, 70), ((6,), 40, 50, 60), ((), 1, 700, 90), ((), 700, 1, 90)])
@pytest.mark.parametrize("of_b", LAYOUTS[:2])
def test_equal_bits_for_every_partition(batch, m, n, k, of_b):
    rng = np.random.default_rng(8)
    a, b = normal(rng, *batch, m, k), laid_out(normal(rng, *batch, k, n), of_b)
    first = compute("matmul", a, b, shape=(*batch, m, n))
    for threads in (2, 5, 64):
        for pieces in (1, threads):
            np.testing.assert_array_equal(compute("matmul", a, b, shape=(*batch, m, n), threads=threads, pieces=pieces), first)


@pytest.mark.parametrize("level", ["avx2", "sse2", "neon"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_other_instruction_sets(level, dtype):
    rng = np.random.default_rng(9)
    for m, n, k in ((31, 37, 70), (1, 33, 20), (16, 5, 300), (2, 21, 1024), (1, 9, 1024)):
        a, b = normal(rng, m, k, dtype=dtype), normal(rng, k, n, dtype=dtype)
        for of_b in LAYOUTS[:2]:
            got = compute("matmul", a, laid_out(b, of_b), shape=(m, n), isa=isa.describe(level))
            check(got, a.astype("float64") @ b, k)


def test_complex_numbers_are_left_to_the_reference():
    from torchlike_asg.backends.cpu.calls import LIBRARY, Lowering

    from .gemm_cases import node

    a = np.zeros((2, 2), "complex64")
    assert not LIBRARY["matmul"](Lowering(8), node("matmul", (a, a), a))


def fused_sum(a, b, start):
    """start + a @ b with one rounding for each multiply-add, k in order (a product of floats is exact in double precision)."""
    for i in range(a.shape[1]):
        start = (a[:, i, None].astype("float64") * b[i].astype("float64") + start).astype("float32")
    return start


@pytest.mark.parametrize("k,cuts", [(192, [0, 192]), (193, [0, 96, 192, 193]), (200, [0, 100, 200]), (600, [0, 192, 384, 576, 600])])
@pytest.mark.parametrize("biased", [False, True])
def test_sums_are_in_the_order_of_mkl(k, cuts, biased):
    """Products equal PyTorch's on AVX-512 bit for bit: blocks of 192 along k, or halves of less than 384, are added one by one."""
    if "+fma" not in isa.host().features.split(","):
        pytest.skip("multiply-adds are not fused here")
    rng = np.random.default_rng(k)
    m, n = 64, 48
    a, b, bias = normal(rng, m, k), normal(rng, k, n), normal(rng, n)
    expected = np.broadcast_to(bias, (m, n)) if biased else np.zeros((m, n), "float32")
    for lo, hi in itertools.pairwise(cuts):
        expected = expected + fused_sum(a[:, lo:hi], b[lo:hi], np.zeros((m, n), "float32"))
    operands = (a, np.ascontiguousarray(b.T), bias) if biased else (a, b)
    np.testing.assert_array_equal(compute("linear" if biased else "matmul", *operands, shape=(m, n)), expected)
