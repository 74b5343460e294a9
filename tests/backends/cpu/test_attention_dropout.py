"""Attention with dropout: the kernels against the NumPy reference, with the same random numbers."""

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import get
from torchlike_asg.backends.cpu import attention, isa
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering, View

from .harness import LEVELS, run

assert attention
FORWARD, GRADIENT = "sdpa_dropout", "sdpa_dropout_grad"
TOLERANCE = {"float32": 3e-5, "float64": 1e-12, "bfloat16": 2.0**-7}
STATE = (np.array(0x123456789, np.int64), np.array(2**33 + 5, np.int64))


def view(slot, a, d):
    return View(slot, a.shape, tuple(s // a.itemsize for s in a.strides), 0, d)


def lowered(op, arrays, attrs, results, kind, level):
    lowering = Lowering(100)
    if level:
        lowering.isa = isa.describe(level)
    types = [dtypes.bool_ if a.dtype == bool else dtypes.int64 if a.dtype == np.int64 else kind for a in arrays]
    operands = tuple([view(i, a, d) for i, (a, d) in enumerate(zip(arrays, types, strict=True))])
    places = [(which, view(50 + i, a, kind)) for i, (which, a) in enumerate(results.items())]
    selected = (places[0][0],) if op == GRADIENT else ()
    assert LIBRARY[op](lowering, LibraryNode(op, (*attrs, *selected), operands, places[0][1], siblings=tuple(places[1:])))
    return lowering, dict(enumerate(arrays)) | {50 + i: a for i, a in enumerate(results.values())}


def check(q, k, v, mask=(), causal=False, p=0.3, kind=dtypes.float32, level="", threads=3):
    """Forward and all gradients."""
    arrays = (q, k, v, *STATE, *mask)
    attrs = (causal, 1 / np.sqrt(q.shape[-1]), p)
    batch = np.broadcast_shapes(*[a.shape[:-2] for a in (q, k, v, *mask)])
    tolerance = TOLERANCE[kind.name]
    out = np.full((*batch, q.shape[-2], v.shape[-1]), 7, q.dtype)
    lowering, memory = lowered(FORWARD, arrays, attrs, {None: out}, kind, level)
    assert not run(lowering, memory, threads)
    expected = reference.rounded(get(FORWARD).ref(*arrays, *attrs), kind)
    np.testing.assert_allclose(out, expected, tolerance, tolerance)
    g = np.random.default_rng(1).standard_normal(out.shape).astype(q.dtype)
    tails = {"query": q.shape[-2:], "key": k.shape[-2:], "value": v.shape[-2:]}
    if mask and mask[0].dtype.kind == "f":
        tails["mask"] = (q.shape[-2], k.shape[-2])
    got = {which: np.full((*batch, *tail), 7, q.dtype) for which, tail in tails.items()}
    lowering, memory = lowered(GRADIENT, [g, *arrays], attrs, got, kind, level)
    assert not run(lowering, memory, threads)
    for which, value in got.items():
        expected = reference.rounded(get(GRADIENT).ref(g, *arrays, *attrs, which), kind)
        scale = max(1.0, np.abs(expected).max(initial=0.0))
        np.testing.assert_allclose(value / scale, expected / scale, tolerance, tolerance, err_msg=which)
    return lowering


def draw(batch, queries, keys, width, width_v, d=np.float32):
    r = np.random.default_rng(queries)
    return [r.standard_normal((*batch, *s)).astype(d) for s in ((queries, width), (keys, width), (keys, width_v))]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (5, 7, 3, 2), (32, 64, 16, 16), (33, 65, 17, 19), (70, 130, 40, 33), (130, 70, 8, 72)])
def test_sizes(sizes, causal):
    check(*draw((2,), *sizes), causal=causal)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", [dtypes.float32, dtypes.float64], ids=str)
def test_every_vector_width(level, kind):
    check(*draw((3,), 37, 81, 9, 11, kind.compute), kind=kind, level=level)


def test_half_types():
    rounded = [reference.rounded(a, dtypes.bfloat16) for a in draw((2,), 20, 40, 16, 16)]
    check(*rounded, kind=dtypes.bfloat16)


@pytest.mark.parametrize("p", [0.01, 0.5, 0.99])
def test_probabilities(p):
    check(*draw((2, 2), 40, 50, 8, 8), p=p)


@pytest.mark.parametrize("shape", [(45, 90), (1, 90), (45, 1), (2, 1, 45, 90), (3, 1, 90), (2, 3, 45, 90)])
@pytest.mark.parametrize("kind", [bool, np.float32])
def test_masks(shape, kind):
    r = np.random.default_rng(0)
    mask = r.random(shape) < 0.6 if kind is bool else r.standard_normal(shape).astype(np.float32)
    check(*draw((2, 3), 45, 90, 12, 10), mask=(mask,))


def test_a_mask_that_hides_blocks_and_whole_queries():
    mask = np.ones((40, 200), bool)
    mask[:, 60:140] = False
    mask[3] = False
    check(*draw((2,), 40, 200, 12, 10), mask=(mask,))


def test_keys_and_values_of_several_query_heads():
    q, _, _ = draw((2, 3, 2), 34, 50, 8, 6)
    _, k, v = draw((2, 3, 1), 34, 50, 8, 6)
    check(q, k, v, causal=True)


def test_few_attentions_in_parts_have_the_same_bits_for_any_number_of_threads():
    q, k, v = draw((1,), 700, 300, 8, 8)
    lowering = check(q, k, v, causal=True)
    assert any("parts" in c.source.key[0] for c in lowering.calls)
    g, results = np.ones_like(q), []
    for threads in (1, 2, 5):
        got = {which: np.zeros_like(a) for which, a in (("query", q), ("key", k), ("value", v))}
        low, memory = lowered(GRADIENT, [g, q, k, v, *STATE], (True, 0.3, 0.2), got, dtypes.float32, "")
        run(low, memory, threads)
        results.append(got)
    for other in results[1:]:
        for which in other:
            np.testing.assert_array_equal(results[0][which], other[which])


def test_no_array_of_queries_by_keys():
    n = 1024
    arrays = [*draw((1,), n, n, 8, 8), *STATE]
    out = np.zeros((1, n, 8), np.float32)
    forward, _ = lowered(FORWARD, arrays, (True, 0.3, 0.2), {None: out}, dtypes.float32, "")
    results = {"query": out, "key": out, "value": out}
    gradient, _ = lowered(GRADIENT, [out, *arrays], (True, 0.3, 0.2), results, dtypes.float32, "")
    for lowering in (forward, gradient):
        assert max([c.scratch for c in lowering.calls] + list(lowering.temporaries.values())) < 4 * n * n // 4
