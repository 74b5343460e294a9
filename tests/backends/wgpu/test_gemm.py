"""Matrix products as shaders against NumPy: sizes around the tiles' edges, layouts, batches, parts, epilogues, element types."""

from dataclasses import replace

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.asg.reference import rounded
from torchlike_asg.backends.wgpu import gemm
from torchlike_asg.backends.wgpu.calls import LIBRARY, Binding, Epilogue, LibraryNode, View, word
from torchlike_asg.backends.wgpu.gemm import lowering as lowering_module
from torchlike_asg.backends.wgpu.gemm import tiles
from torchlike_asg.backends.wgpu.gemm.tiles import CANDIDATES, Plan, Tile, plan

from .harness import device, lowering, memory, run
from .nodes import check, check_all, node_of

assert gemm  # importing it registers the generators


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture
def planned(monkeypatch):
    """Makes every product use a certain tile and number of parts."""

    def choose(tile, parts=1):
        monkeypatch.setattr(lowering_module, "suits", lambda *sizes: False)
        monkeypatch.setattr(lowering_module, "planned", lambda low, kind, count, m, n, k, build: tiles.in_parts(tile, parts, k))

    return choose


@pytest.mark.parametrize("m,n,k", [(3, 5, 7), (33, 65, 17), (64, 32, 64), (100, 4, 96), (1, 1, 1), (20, 24, 0), (0, 5, 3)])
def test_sizes_and_layouts(m, n, k):
    check_all("matmul", (normal(1, m, k), normal(2, k, n)))


@pytest.mark.parametrize(
    "a,b", [((3, 2, 5, 4), (3, 2, 4, 6)), ((2, 1, 5, 4), (3, 4, 6)), ((7, 3, 5), (5, 2)), ((5,), (3, 5, 4)), ((4, 5), (5,)), ((6,), (6,))]
)  # fmt: skip
def test_batches_broadcast_and_vectors(a, b):
    check_all("matmul", (normal(1, *a), normal(2, *b)), layouts=("contiguous", "reversed"))


def test_linear_with_bias_of_any_shape():
    for bias in ((9,), (6, 9), (1,), ()):
        check_all("linear", (normal(1, 2, 6, 5), normal(2, 9, 5), normal(3, *bias)), layouts=("contiguous",))


@pytest.mark.parametrize("parts", [2, 3])
def test_long_sums_in_parts(parts, planned):
    planned(Tile(8, 32, 8, 4, 4, False), parts)
    check_all("linear", (normal(1, 3, 5, 203), normal(2, 37, 203), normal(3, 37)), layouts=("contiguous",))
    check_all("matmul", (normal(1, 3, 2, 5, 64), normal(2, 2, 64, 8)), layouts=("contiguous",))


_WRITTEN_OUT = (
    Tile(16, 8, 4, 4, 4),
    Tile(64, 32, 4, 8, 4, patch=4),
    Tile(32, 64, 8, 4, 8, patch=8),
)


@pytest.mark.parametrize("tile", _WRITTEN_OUT, ids=str)
def test_steps_written_out(tile, planned):
    planned(tile)
    check_all("matmul", (normal(1, 19, 14), normal(2, 14, 16)), layouts=("contiguous",), results=("contiguous",))
    check_all("matmul", (normal(1, 19, 4), normal(2, 4, 8)), layouts=("reversed",), results=("contiguous",))
    check_all("matmul", (normal(1, 67, 24), normal(2, 24, 72)), results=("contiguous",))


@pytest.mark.slow
@pytest.mark.parametrize("tile", [t for t, _, _ in CANDIDATES], ids=str)
def test_every_tile(tile, planned):
    planned(tile)
    m, n, k = tile.rows + 3, tile.columns + 8, 2 * tile.depth + 4
    check_all("matmul", (normal(1, m, k), normal(2, k, n)), layouts=("contiguous",), results=("contiguous",))
    check_all("matmul", (normal(1, m, tile.depth), normal(2, tile.depth, 8)), layouts=("reversed",), results=("contiguous",))


@pytest.mark.parametrize("m,n,k", [(1, 40, 64), (3, 37, 1030), (20, 68, 50), (90, 2, 33), (1, 128, 128)])
def test_few_rows_or_columns(m, n, k):
    """In every layout: some have k adjacent in the larger matrix, some its other dimension, some neither."""
    check_all("matmul", (normal(1, m, k), normal(2, k, n)))
    check_all("linear", (normal(1, m, k), normal(2, n, k), normal(3, n)), layouts=("contiguous",))
    check_all("matmul", (normal(1, 3, m, k), normal(2, 3, k, n)), layouts=("contiguous",), results=("contiguous",))


def test_more_workgroups_than_a_dimension_has(planned):
    planned(Tile(8, 8, 4, 4, 4, False))
    check_all("matmul", (normal(1, 70_000, 1, 2), normal(2, 70_000, 2, 3)), layouts=("contiguous",), results=("contiguous",))


@pytest.mark.parametrize("shapes", [((5, 40, 33), (5, 33, 17)), ((90, 33), (33, 17)), ((5, 33), (33, 170))])
def test_operands_over_the_binding_limit_are_halved(shapes):
    n, operands = node_of(REGISTRY["matmul"], Sample(tuple(normal(i, *s) for i, s in enumerate(shapes))))
    largest = max(a.nbytes for a in operands)
    caps = replace(device().caps, limits={**device().caps.limits, "max-storage-buffer-binding-size": largest // 2 + 1024})
    assert check(n, operands, caps=caps)


@pytest.mark.parametrize("d", [dtypes.int8, dtypes.uint8, dtypes.int32, dtypes.int64])
def test_integers_wrap(d):
    a, b = np.random.default_rng(0).integers(-100, 100, (2, 17, 17)).astype(d.storage)
    check_all("matmul", (a, b), layouts=("contiguous",), results=("contiguous",))


@pytest.mark.parametrize("d", [dtypes.float16, dtypes.bfloat16])
def test_narrow_floats_are_rounded_once(d):
    a, b = (rounded(normal(i, 20, 20), d) for i in range(2))
    exact = rounded((a.astype(np.float64) @ b).astype(np.float32), d)
    views = tuple(View(i, (20, 20), (20, 1), 0, d) for i in range(3))
    held = memory(np.zeros((20, 20), np.float32), d)
    low = lowering(3)
    assert LIBRARY["matmul"](low, LibraryNode("matmul", (), views[:2], views[2]))
    run(low, {0: memory(a, d), 1: memory(b, d), 2: held})
    out = held.astype(np.float32)
    assert np.array_equal(rounded(out, d), out)
    np.testing.assert_allclose(out, exact, rtol=2**-7 if d is dtypes.bfloat16 else 2**-10)


def _epilogue(slot_scale, slot_out, n):
    """out[i] = max(value * scale[i % n] + 1, 0)"""

    def write(operands, words):
        return (
            f"fn epilogue(row: u32, column: u32, value: f32) {{ m{operands + 1}[row * {word(words)} + column] = "
            f"max(value * m{operands}[column] + {word(words + 1, 'f32')}, 0f); }}"
        )

    return Epilogue(("test",), (Binding(slot_scale), Binding(slot_out)), (n, 1.0), write, ("f32", "f32"), (slot_out,))


@pytest.mark.parametrize("parts", [0, 1, 3], ids=["thin", "whole", "in parts"])
@pytest.mark.parametrize("with_bias", [False, True])
def test_an_epilogue_takes_the_place_of_the_store(parts, with_bias, planned):
    if parts:
        planned(Tile(32, 32, 8, 4, 4, False), parts)
    x, w, bias, scale = normal(1, 3, 7, 50), normal(2, 36, 50), normal(3, 36), normal(4, 36)
    f = dtypes.float32
    operands = (View(0, (3, 7, 50), (350, 50, 1), 0, f), View(1, (36, 50), (50, 1), 0, f), View(2, (36,), (1,), 0, f))
    low = lowering(6)
    node = LibraryNode("linear", (), operands[: 2 + with_bias], View(5, (3, 7, 36), (252, 36, 1), 0, f), epilogue=_epilogue(3, 4, 36))
    assert LIBRARY["linear"](low, node)
    out = np.zeros((3, 7, 36), np.float32)
    run(low, {0: x, 1: w, 2: bias, 3: scale, 4: out})
    np.testing.assert_allclose(out, np.maximum((x @ w.T + with_bias * bias) * scale + 1, 0), rtol=1e-4, atol=1e-4)


def test_plans_fill_a_large_gpu():
    caps = replace(
        device().caps, software=False, limits={"max-compute-workgroup-storage-size": 49152, "max-compute-invocations-per-workgroup": 1024}
    )
    assert plan(caps, 1, 8192, 8192, 8192).tile.rows >= 128
    for m, n, k in ((64, 64, 60_000), (144, 16, 131_072), (10, 64, 4096)):
        p = plan(caps, 1, m, n, k)
        assert isinstance(p, Plan) and p.parts > 8 and p.step % p.tile.depth == 0 and p.parts * p.step >= k > (p.parts - 1) * p.step
    assert plan(caps, 1, 64, 128, 784).parts >= 1
    assert plan(caps, 64, 512, 64, 512).parts == 1
