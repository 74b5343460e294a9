"""The attention kernels against the operations' NumPy references: sizes around tiles, strides, masks, element types, parts, sharing."""

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import get
from torchlike_asg.backends.cpu import attention, isa
from torchlike_asg.backends.cpu.calls import LIBRARY, SELECTORS, LibraryNode, Lowering, View

from .harness import LEVELS, run

FORWARD, GRADIENT = "scaled_dot_product_attention", "sdpa_grad"
WHICH = ("query", "key", "value", "mask")
TOLERANCE = {np.dtype(np.float32): 2e-5, np.dtype(np.float64): 1e-12}
HALF = {"float16": 2.0**-10, "bfloat16": 2.0**-7}


def _view(slot, a, dtype=None):
    """The view of an array whose memory begins at its first element."""
    return View(
        slot,
        a.shape,
        tuple(s // a.itemsize for s in a.strides),
        0,
        dtype or getattr(dtypes, {"bool": "bool_"}.get(str(a.dtype), str(a.dtype))),
    )


def _lower(op, arrays, attrs, results, dtype=None, level=None):
    """The lowering of a node and its memory; `results` maps the selecting attribute (or None) to an array."""
    lowering = Lowering(100)
    if level:
        lowering.isa = isa.describe(level)
    operands = tuple(_view(i, a, None if a.dtype == bool else dtype) for i, a in enumerate(arrays))
    places = [(which, _view(50 + i, a, dtype)) for i, (which, a) in enumerate(results.items())]
    selected = (places[0][0],) if op in SELECTORS else ()
    node = LibraryNode(op, (*attrs, *selected), operands, places[0][1], siblings=tuple(places[1:]))
    assert LIBRARY[op](lowering, node)
    memory = dict(enumerate(arrays)) | {50 + i: a for i, a in enumerate(results.values())}
    return lowering, memory


def _check(arrays, attrs, dtype=None, level=None, threads=3, results=None):
    """Forward and all gradients, the gradients computed together."""
    q, k, v, *mask = arrays
    batch = np.broadcast_shapes(*[a.shape[:-2] for a in arrays])
    kind = dtype or getattr(dtypes, str(q.dtype))
    tolerance = HALF.get(kind.name) or TOLERANCE[q.dtype]
    out = np.full((*batch, q.shape[-2], v.shape[-1]), 7, q.dtype)
    lowering, memory = _lower(FORWARD, arrays, attrs, {None: out}, dtype, level)
    assert not run(lowering, memory, threads)
    expected = reference.rounded(get(FORWARD).ref(*arrays, *attrs), kind)
    np.testing.assert_allclose(out, expected, tolerance, tolerance)
    g = np.random.default_rng(1).standard_normal(out.shape).astype(q.dtype)
    tails = {"query": q.shape[-2:], "key": k.shape[-2:], "value": v.shape[-2:], "mask": (q.shape[-2], k.shape[-2])}
    wanted = WHICH[: 4 if mask and mask[0].dtype.kind == "f" else 3]
    got = {which: np.full((*batch, *tails[which]), 7, q.dtype) for which in wanted}
    lowering, memory = _lower(GRADIENT, [g, *arrays], attrs, got, dtype, level)
    assert not run(lowering, memory, threads)
    for which, value in got.items():
        expected = reference.rounded(get(GRADIENT).ref(g, *arrays, *attrs, which), kind)
        scale = max(1.0, np.abs(expected).max(initial=0.0, where=np.isfinite(expected)))
        np.testing.assert_allclose(value / scale, expected / scale, tolerance, tolerance, err_msg=which)
    return lowering


def _draw(*shapes, dtype=np.float32, seed=0):
    r = np.random.default_rng(seed)
    return [r.standard_normal(s).astype(dtype) for s in shapes]


def _qkv(batch, queries, keys, width, width_v, dtype=np.float32):
    return _draw((*batch, queries, width), (*batch, keys, width), (*batch, keys, width_v), dtype=dtype)


# ---------------------------------------------------------------- the registry's samples
@pytest.mark.parametrize("op", [FORWARD, GRADIENT])
def test_samples(op):
    for sample in get(op).samples():
        arrays = [np.asarray(a) for a in sample.operands]
        expected = get(op).ref(*arrays, *sample.attrs)
        out = np.empty_like(expected)
        attrs, which = (sample.attrs, None) if op == FORWARD else (sample.attrs[:-1], sample.attrs[-1])
        lowering, memory = _lower(op, arrays, attrs, {which: out})
        assert not run(lowering, memory)
        np.testing.assert_allclose(out, expected, 1e-12, 1e-12)


# ---------------------------------------------------------------- sizes and instruction sets
#: queries, keys, width of queries and keys, width of values
SIZES = [
    (1, 1, 4, 4),
    (1, 90, 32, 32),
    (5, 7, 4, 2),
    (7, 8, 3, 3),
    (8, 9, 16, 8),
    (16, 16, 17, 15),
    (31, 33, 24, 40),
    (64, 64, 32, 32),
    (65, 71, 33, 31),
    (130, 66, 8, 100),
    (17, 3, 1, 1),
]


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(sizes, causal):
    _check(_qkv((2, 3), *sizes), (causal, 0.3))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_vector_width(level, dtype):
    for sizes in ((33, 70, 24, 40), (5, 3, 7, 2), (64, 64, 16, 16)):
        mask = _draw((sizes[0], sizes[1]), dtype=dtype)
        _check([*_qkv((2,), *sizes, dtype=dtype), *mask], (False, 0.5), level=level)
        _check(_qkv((2,), *sizes, dtype=dtype), (True, 0.5), level=level)


@pytest.mark.parametrize("sizes", [(0, 4, 8, 8), (4, 0, 8, 8), (4, 4, 0, 8), (4, 4, 8, 0)], ids=str)
def test_empty(sizes):
    _check(_qkv((2,), *sizes), (False, 0.5))
    _check(_qkv((0, 2), 3, 3, 4, 4), (False, 0.5))


@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (2, 1, 3), (2, 3, 2, 2)], ids=str)
def test_batch_dimensions(batch):
    _check(_qkv(batch, 9, 11, 8, 8), (True, 0.5))


def test_grouped_queries_broadcast_keys_and_values():
    q, k, v = _draw((2, 3, 4, 20, 8), (2, 3, 1, 20, 8), (3, 1, 20, 8))
    _check([q, k, v], (True, 0.5))


# ---------------------------------------------------------------- masks
MASKS = [(40, 50), (1, 50), (40, 1), (2, 3, 40, 50), (2, 1, 1, 50), (3, 1, 1), (2, 1, 40, 1)]


@pytest.mark.parametrize("shape", MASKS, ids=str)
@pytest.mark.parametrize("kind", ["bool", "float"])
def test_masks(shape, kind):
    mask = np.random.default_rng(3).standard_normal(shape).astype(np.float32)
    _check([*_qkv((2, 3), 40, 50, 8, 8), mask > -0.5 if kind == "bool" else mask], (False, 0.5))


def test_mask_of_any_strides():
    mask = np.random.default_rng(3).standard_normal((50, 40)).astype(np.float32)
    for m in (mask.T, np.repeat(mask, 2, 0)[::2].T, mask.T > 0):
        _check([*_qkv((2, 3), 40, 50, 8, 8), m], (False, 0.5))


def test_mask_with_causality():
    mask = np.random.default_rng(3).standard_normal((70, 70)).astype(np.float32)
    for m in (mask, mask > -0.5):
        _check([*_qkv((2,), 70, 70, 8, 8), m], (True, 0.5))


@pytest.mark.parametrize("kind", ["bool", "float"])
@pytest.mark.parametrize("keys", [64, 130, 195])
def test_blocks_that_a_mask_hides(kind, keys):
    """Triangles either way, and a band: blocks of keys hidden from whole panels of queries, with a few keys in the last block."""
    below, above = np.tri(130, keys, dtype=bool), ~np.tri(130, keys, 3, dtype=bool)
    for visible in (below, above, below & ~np.tri(130, keys, -20, dtype=bool)):
        mask = visible if kind == "bool" else np.where(visible, np.float32(0.25), np.float32(-np.inf))
        _check([*_qkv((2,), 130, keys, 8, 8), mask], (False, 0.5))


def test_float32_mask_for_float64():
    mask = np.random.default_rng(3).standard_normal((20, 30)).astype(np.float32)
    q, k, v = _qkv((2,), 20, 30, 8, 8, np.float64)
    out = np.empty((2, 20, 8))
    lowering, memory = _lower(FORWARD, [q, k, v, mask], (False, 0.5), {None: out})
    assert not run(lowering, memory)
    np.testing.assert_allclose(out, get(FORWARD).ref(q, k, v, mask, False, 0.5), 1e-12, 1e-12)


def test_queries_that_see_nothing_get_zeros():
    q, k, v = _qkv((2,), 40, 70, 8, 8)
    hidden = np.ones((40, 70), bool)
    hidden[3] = hidden[35:] = False
    for mask in (hidden, np.where(hidden, np.float32(0), np.float32(-np.inf))):
        _check([q, k, v, mask], (False, 0.5))
        out = np.empty((2, 40, 8), np.float32)
        run(*_lower(FORWARD, [q, k, v, mask], (False, 0.5), {None: out}))
        assert not out[:, 3].any() and not out[:, 35:].any() and out[:, 4].all()


# ---------------------------------------------------------------- few queries
FEW = [(1, 2, 4, 4), (1, 64, 32, 32), (2, 65, 16, 64), (3, 70, 17, 37), (8, 129, 64, 80), (8, 9, 3, 130), (1, 300, 100, 5)]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("sizes", FEW, ids=str)
def test_few_queries(sizes, level):
    queries, keys = sizes[:2]
    operands = _qkv((2, 2), *sizes)
    (mask,) = _draw((2, 1, queries, keys), seed=4)
    for causal, masks in ((False, []), (True, []), (False, [mask]), (False, [mask > -0.5]), (True, [mask > 0])):
        lowering = _check([*operands, *masks], (causal, 0.3), level=level)
        assert lowering.isa.name == level
        forward, _ = _lower(
            FORWARD, [*operands, *masks], (causal, 0.3), {None: np.empty((2, 2, queries, sizes[3]), np.float32)}, level=level
        )
        assert forward.calls[0].source.key[0] == "attention_few"


def test_few_queries_of_other_types():
    sizes = (3, 70, 17, 37)
    (mask,) = _draw((3, 70), seed=4)
    _check([*_qkv((2,), *sizes, np.float64), mask.astype(np.float64)], (False, 0.3))
    d = dtypes.bfloat16
    _check([*[reference.rounded(a, d) for a in _qkv((2,), *sizes)], mask > 0], (False, 0.3), d)


def test_few_queries_that_see_nothing():
    q, k, v = _qkv((2,), 3, 150, 8, 8)
    hidden = np.zeros((3, 150), bool)
    hidden[0, 140:] = hidden[2, :3] = True
    for mask in (hidden, np.where(hidden, np.float32(0), np.float32(-np.inf))):
        out = np.full((2, 3, 8), 7, np.float32)
        run(*_lower(FORWARD, [q, k, v, mask], (False, 0.5), {None: out}))
        np.testing.assert_allclose(out, get(FORWARD).ref(q, k, v, mask, False, 0.5), 1e-5, 1e-6)
        assert not out[:, 1].any()


# ---------------------------------------------------------------- values
@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_half_types_round_results(name):
    d = getattr(dtypes, name)
    arrays = [reference.rounded(a, d) for a in _qkv((2,), 40, 70, 24, 24)]
    _check(arrays, (False, 0.3), d)
    out = np.empty((2, 40, 24), np.float32)
    run(*_lower(FORWARD, arrays, (False, 0.3), {None: out}, d))
    assert np.array_equal(out, reference.rounded(out, d))


def test_half_types_round_sums_of_parts_once():
    d = dtypes.bfloat16
    arrays = [reference.rounded(a, d) for a in _qkv((1,), 512, 20, 8, 8)]
    lowering = _check(arrays, (False, 0.3), d)
    assert len(lowering.calls) == 3


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_nan_and_infinity():
    q, k, v = _qkv((1,), 40, 70, 8, 8)
    q[0, 2, 1], q[0, 3, 0], v[0, 5, 6] = np.nan, np.inf, np.inf
    out = np.empty((1, 40, 8), np.float32)
    run(*_lower(FORWARD, [q, k, v], (False, 0.5), {None: out}))
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(out, get(FORWARD).ref(q, k, v, False, 0.5), 1e-5, 1e-5)
    assert np.isnan(out[0, 2]).all() and np.isinf(out[0, 4, 6])


def test_scores_of_any_size():
    q, k, v = _qkv((1,), 40, 140, 8, 8)
    q[0, 1] *= 1e4
    k[0, ::3] *= 1e3
    _check([q.astype(np.float64), k.astype(np.float64), v.astype(np.float64)], (False, 0.5))
    q[0, 7] = 0
    out = np.empty((1, 40, 8), np.float32)
    run(*_lower(FORWARD, [q, k, v], (False, 0.5), {None: out}))
    assert np.isfinite(out).all()
    np.testing.assert_allclose(out[0, 7], v[0].mean(0), 1e-5, 1e-6)


# ---------------------------------------------------------------- memory
def test_parts_of_one_projection_and_results_beside_each_other():
    """q, k and v in one tensor with heads in between; gradients into one tensor of the same layout."""
    b, t, h, d = 2, 50, 3, 8
    (qkv,) = _draw((b, t, 3, h, d))
    q, k, v = (qkv[:, :, i].transpose(0, 2, 1, 3) for i in range(3))
    out = np.full((b, t, h, d), 7, np.float32)
    run(*_lower(FORWARD, [q, k, v], (True, 0.5), {None: out.transpose(0, 2, 1, 3)}))
    np.testing.assert_allclose(out.transpose(0, 2, 1, 3), get(FORWARD).ref(q, k, v, True, 0.5), 1e-5, 1e-5)
    (g,) = _draw((b, h, t, d), seed=1)
    all_three = np.full_like(qkv, 7)
    got = {which: all_three[:, :, i].transpose(0, 2, 1, 3) for i, which in enumerate(WHICH[:3])}
    run(*_lower(GRADIENT, [g, q, k, v], (True, 0.5), got))
    for which, value in got.items():
        np.testing.assert_allclose(value, get(GRADIENT).ref(g, q, k, v, True, 0.5, which), 1e-4, 1e-5)


def test_elements_that_are_not_neighbours():
    """Features along the outer dimension, for operands and results."""
    q, k, v, g = (np.ascontiguousarray(a.swapaxes(-1, -2)).swapaxes(-1, -2) for a in _draw((2, 40, 9), (2, 50, 9), (2, 50, 7), (2, 40, 7)))
    out = np.full((2, 7, 40), 7, np.float32).swapaxes(-1, -2)
    run(*_lower(FORWARD, [q, k, v], (True, 0.5), {None: out}))
    np.testing.assert_allclose(out, get(FORWARD).ref(q, k, v, True, 0.5), 1e-5, 1e-5)
    got = {w: np.full(a.shape[:-2] + a.shape[:-3:-1], 7, np.float32).swapaxes(-1, -2) for w, a in zip(WHICH, (q, k, v), strict=False)}
    run(*_lower(GRADIENT, [g, q, k, v], (True, 0.5), got))
    for which, value in got.items():
        np.testing.assert_allclose(value, get(GRADIENT).ref(g, q, k, v, True, 0.5, which), 1e-4, 1e-5)


@pytest.mark.parametrize("wanted", [("value",), ("query",), ("key", "value"), ("mask",), ("mask", "query")], ids="+".join)
def test_any_choice_of_gradients(wanted):
    q, k, v, mask = _draw((2, 20, 8), (2, 30, 8), (2, 30, 4), (20, 30))
    (g,) = _draw((2, 20, 4), seed=1)
    got = {w: np.full((2, *{"query": (20, 8), "key": (30, 8), "value": (30, 4), "mask": (20, 30)}[w]), 7, np.float32) for w in wanted}
    run(*_lower(GRADIENT, [g, q, k, v, mask], (True, 0.5), got))
    for which, value in got.items():
        np.testing.assert_allclose(value, get(GRADIENT).ref(g, q, k, v, mask, True, 0.5, which), 1e-4, 1e-5)


# ---------------------------------------------------------------- threads and code
def test_few_attentions_are_divided_and_bits_do_not_depend_on_threads():
    q, k, v = _qkv((1, 1), 700, 100, 8, 8)
    (g,) = _draw((1, 1, 700, 8), seed=1)
    found = []
    for threads in (1, 2, 5):
        got = {w: np.full_like(a, 7) for w, a in zip(WHICH, (q, k, v), strict=False)}
        lowering, memory = _lower(GRADIENT, [g, q, k, v], (False, 0.5), got)
        run(lowering, memory, threads)
        found.append(got)
    assert lowering.calls[0].units > 1
    for which in WHICH[:3]:
        np.testing.assert_allclose(found[0][which], get(GRADIENT).ref(g, q, k, v, False, 0.5, which), 1e-4, 1e-5)
        assert all(np.array_equal(found[0][which], other[which]) for other in found[1:])


def test_one_code_for_all_sizes():
    keys = set()
    for batch, queries, keys_, width, causal in (((2, 3), 40, 50, 8, True), ((7,), 1, 1, 64, False), ((), 300, 2, 5, False)):
        q, k, v = _qkv(batch, queries, keys_, width, width)
        lowering, _ = _lower(FORWARD, [q, k, v], (causal, 0.1), {None: np.empty_like(q)})
        keys.add(lowering.calls[0].source.key)
    assert len(keys) == 1


def test_no_array_of_queries_by_keys():
    q, k, v = _qkv((1,), 2048, 2048, 8, 8)
    lowering, _ = _lower(FORWARD, [q, k, v], (False, 0.1), {None: np.empty_like(q)})
    assert lowering.calls[0].scratch < 1 << 16 and not lowering.temporaries
    lowering, _ = _lower(GRADIENT, [q, q, k, v], (False, 0.1), {"query": np.empty_like(q)})
    assert max(c.scratch for c in lowering.calls) + sum(lowering.temporaries.values()) < q.shape[-2] * k.shape[-2]


def test_other_element_types_go_to_the_reference():
    q = np.zeros((2, 3, 4), np.complex64)
    node = LibraryNode(FORWARD, (False, 1.0), (_view(0, q),) * 3, _view(1, q))
    assert not attention.forward.lower(Lowering(9), node)
