"""Convolutions through their native lowerings: the registry's samples, and many geometries, laid out in several ways."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg import config, dtypes
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.cpu import conv, isa  # noqa: F401 (conv registers the generators)
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering
from torchlike_asg.ops.conv import output_sizes

from .harness import run
from .nodes import check, check_all, laid_out, node_of, shown

LAYOUTS = ("contiguous", "gaps", "reversed", "channels_last")
OPS = ("conv", "conv_transpose", "conv_grad_weight")


@pytest.mark.parametrize("name", OPS)
@pytest.mark.parametrize("single", [False, True])
def test_samples(name, single):
    for sample in REGISTRY[name].samples():
        n, operands = node_of(REGISTRY[name], sample, single)
        for layout, result in itertools.product(LAYOUTS, ("contiguous", "gaps", "channels_last")):
            for threads in (1, 3):
                assert check(n, operands, layout, result, threads), (sample, layout)


def _arrays(rng, x, w, attrs, d=np.float64):
    """Operands of the three operations for an image and a weight of these shapes."""
    out = output_sizes(x[2:], w[2:], *attrs[:3])
    image, weight, g = (rng.standard_normal(s).astype(d) for s in (x, w, (x[0], w[0], *out)))
    return {
        "conv": ((image, weight), attrs),
        "conv_transpose": ((g, weight), (tuple(x[2:]), *attrs)),
        "conv_grad_weight": ((g, image), (tuple(w[2:]), *attrs)),
    }


@st.composite
def _geometries(draw):
    rank = draw(st.integers(1, 3))
    numbers = [st.integers(1, n) for n in (3, 3, 3)]
    kernel, stride, dilation = (tuple(draw(n) for _ in range(rank)) for n in numbers)
    padding = tuple(draw(st.integers(0, 3)) for _ in range(rank))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    sizes = tuple(n + draw(st.integers(0, 6)) for n in least)
    groups, each, outs = draw(st.sampled_from([1, 1, 2, 5])), draw(st.integers(1, 5)), draw(st.integers(1, 20))
    return (draw(st.integers(1, 3)), groups * each, *sizes), (groups * outs, each, *kernel), (stride, padding, dilation, groups)


@given(_geometries(), st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))
@settings(max_examples=40, deadline=None)
def test_any_geometry(geometry, layout, result):
    x, w, attrs = geometry
    for name, (operands, numbers) in _arrays(np.random.default_rng(0), x, w, attrs).items():
        check_all(name, operands, *numbers, layouts=[(layout, result)], threads=(1, 4))


@pytest.mark.parametrize(
    ("x", "w", "attrs"),
    [
        ((2, 16, 9, 11), (33, 16, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((3, 3, 12, 12), (70, 3, 5, 5), ((2, 2), (2, 2), (1, 1), 1)),
        ((2, 40, 7, 6), (48, 40, 1, 1), ((2, 2), (0, 0), (1, 1), 1)),
        ((1, 64, 20, 20), (64, 1, 3, 3), ((1, 1), (1, 1), (1, 1), 64)),
        ((4, 1, 28, 28), (32, 1, 3, 3), ((1, 1), (0, 0), (1, 1), 1)),
    ],
)
def test_networks(x, w, attrs):
    for name, (operands, numbers) in _arrays(np.random.default_rng(0), x, w, attrs, np.float32).items():
        check_all(
            name,
            operands,
            *numbers,
            layouts=[("contiguous", "contiguous"), ("channels_last", "channels_last"), ("reversed", "gaps")],
            threads=(1, 3),
        )


@pytest.mark.parametrize("groups", [1, 2])
def test_gradients_of_many_large_filters_are_turned_first(groups):
    """Sums by taps go into filters that lie far apart: there is a copy between in which each filter lies together."""
    x, w, attrs = (2, 384 * groups, 2, 2), (384 * groups, 384, 3, 3), ((1, 1), (1, 1), (1, 1), groups)
    operands, numbers = _arrays(np.random.default_rng(0), x, w, attrs, np.float32)["conv_grad_weight"]
    views, memory = zip(*[laid_out(i, a.shape, dtypes.float32, "contiguous", a) for i, a in enumerate(operands)], strict=True)
    exact = REGISTRY["conv_grad_weight"].ref(*[a.astype(np.float64) for a in operands], *numbers)
    for layout, threads, copies in (
        ("contiguous", 1, ["turn", "step"]),
        ("contiguous", 3, ["turn", "step"]),
        ("channels_last", 1, ["turn"]),
    ):
        result, arrays = laid_out(9, exact.shape, dtypes.float32, layout)
        low = Lowering(10, threads)
        assert LIBRARY["conv_grad_weight"](low, LibraryNode("conv_grad_weight", numbers, views, result))
        labels = [c.label for c in low.calls]
        product = next(i for i, label in enumerate(labels) if label.startswith("conv_grad_weight"))
        assert [label.split()[1] for label in labels[product:] if label.startswith("copy ")] == copies
        run(low, {**{v.slot: m for v, m in zip(views, memory, strict=True)}, 9: arrays}, threads)
        np.testing.assert_allclose(shown(result, arrays), exact, rtol=1e-4, atol=1e-4)


def test_integers_are_left_to_the_reference():
    sample = Sample((np.ones((1, 1, 3), int), np.ones((1, 1, 2), int)), ((1,), (0,), (1,), 1))
    n, operands = node_of(REGISTRY["conv"], sample, False)
    assert not check(n, operands, "contiguous", "contiguous", 1)


_WINOGRAD = [((3, 32, 33, 30), 48, (1, 1)), ((4, 16, 41, 37), 16, (0, 2)), ((8, 64, 8, 8), 80, (1, 1)), ((1, 96, 29, 30), 32, (2, 3))]


@pytest.mark.parametrize(("x", "outputs", "padding"), _WINOGRAD)
def test_winograd(x, outputs, padding):
    """Within 2e-6 of the largest result, from single precision, in every layout and however it is divided."""
    attrs = ((1, 1), padding, (1, 1), 1)
    rng = np.random.default_rng(1)
    for name, (operands, numbers) in _arrays(rng, x, (outputs, x[1], 3, 3), attrs, np.float32).items():
        if name == "conv":
            operands = (*operands, rng.standard_normal(outputs).astype(np.float32))
        views, memory = zip(*[laid_out(i, a.shape, dtypes.float32, "contiguous", a) for i, a in enumerate(operands)], strict=True)
        exact = REGISTRY[name].ref(*[a.astype(np.float64) for a in operands], *numbers)
        results = []
        for layout, threads in (("contiguous", 1), ("channels_last", 3)):
            result, arrays = laid_out(9, exact.shape, dtypes.float32, layout)
            low = Lowering(10, threads)
            assert LIBRARY[name](low, LibraryNode(name, numbers, views, result))
            assert any(c.source.key[0].startswith("winograd") for c in low.calls)
            assert not run(low, {**dict(enumerate(memory)), 9: arrays}, threads)
            results.append(shown(result, arrays).copy())
        np.testing.assert_array_equal(results[0], results[1])
        assert np.abs(results[0] - exact).max() < 2e-6 * np.abs(exact).max()


def test_exact_convolutions(monkeypatch):
    monkeypatch.setattr(config, "exact_conv", True)
    attrs = ((1, 1), (1, 1), (1, 1), 1)
    for name, (operands, numbers) in _arrays(np.random.default_rng(0), (4, 32, 32, 32), (32, 32, 3, 3), attrs).items():
        views = [laid_out(i, a.shape, dtypes.float32, "contiguous")[0] for i, a in enumerate(operands)]
        result = laid_out(2, (32, 32, 3, 3) if name == "conv_grad_weight" else (4, 32, 32, 32), dtypes.float32, "contiguous")[0]
        low = Lowering(3)
        assert LIBRARY[name](low, LibraryNode(name, numbers, tuple(views), result))
        assert not any(c.source.key[0].startswith("winograd") for c in low.calls)


@pytest.mark.parametrize(
    ("x", "transformed"), [((16, 128, 1, 1), False), ((16, 64, 2, 2), False), ((2, 64, 4, 4), False), ((4, 64, 4, 4), True)]
)
def test_few_small_images_leave_filters_as_they_are(x, transformed):
    """Their tiles are mostly padding, or too few to earn what transforming the filters takes."""
    for name, (operands, numbers) in _arrays(
        np.random.default_rng(0), x, (128, x[1], 3, 3), ((1, 1), (1, 1), (1, 1), 1), np.float32
    ).items():
        views = [laid_out(i, a.shape, dtypes.float32, "contiguous")[0] for i, a in enumerate(operands)]
        result = laid_out(2, REGISTRY[name].ref(*operands, *numbers).shape, dtypes.float32, "contiguous")[0]
        low = Lowering(3)
        assert LIBRARY[name](low, LibraryNode(name, numbers, tuple(views), result))
        assert any(c.source.key[0].startswith("winograd") for c in low.calls) is transformed


def test_results_do_not_depend_on_the_partition():
    """Bit for bit, for one thread and for many."""
    rng = np.random.default_rng(2)
    for name, (operands, numbers) in _arrays(rng, (3, 5, 20, 20), (37, 5, 3, 3), ((2, 1), (1, 1), (1, 1), 1), np.float32).items():
        found = []
        for threads in (1, 2, 7):
            views, memory = zip(*[laid_out(i, a.shape, dtypes.float32, "contiguous", a) for i, a in enumerate(operands)], strict=True)
            shape = REGISTRY[name].ref(*operands, *numbers).shape
            result, arrays = laid_out(9, shape, dtypes.float32, "contiguous")
            low = Lowering(10, threads)
            assert LIBRARY[name](low, LibraryNode(name, numbers, views, result))
            assert not run(low, {**dict(enumerate(memory)), 9: arrays}, threads)
            found.append(shown(result, arrays).copy())
        np.testing.assert_array_equal(found[0], found[1])
        np.testing.assert_array_equal(found[0], found[2])


_NARROW = [
    ((2, 70, 9, 40), (70, 1, 3, 3), ((1, 1), (1, 1), (1, 1), 70)),
    ((2, 19, 11, 12), (19, 1, 5, 3), ((2, 3), (2, 1), (1, 1), 19)),
    ((1, 16, 12, 30), (16, 1, 3, 3), ((1, 2), (2, 4), (2, 3), 16)),
    ((1, 16, 7, 8), (16, 1, 2, 2), ((3, 3), (0, 1), (1, 1), 16)),
    ((2, 9, 8, 20), (18, 1, 3, 3), ((1, 1), (1, 1), (1, 1), 9)),
    ((2, 24, 8, 21), (24, 4, 3, 7), ((1, 1), (1, 3), (1, 1), 6)),
    ((1, 40, 6, 13), (40, 8, 3, 3), ((2, 1), (1, 1), (1, 1), 5)),
    ((1, 6, 4, 5, 6), (12, 1, 2, 3, 2), ((1, 2, 1), (1, 1, 0), (1, 1, 1), 6)),
    ((2, 33, 50), (33, 1, 31), ((1,), (15,), (1,), 33)),
    ((1, 8, 2, 3), (8, 1, 7, 7), ((1, 1), (3, 3), (1, 1), 8)),
]


@pytest.mark.parametrize(("x", "w", "attrs"), _NARROW)
def test_many_small_groups(x, w, attrs):
    for d in (np.float32, np.float64):
        for name, (operands, numbers) in _arrays(np.random.default_rng(3), x, w, attrs, d).items():
            check_all(name, operands, *numbers, layouts=[("channels_last", "channels_last"), ("gaps", "contiguous")], threads=(3,))


@pytest.mark.parametrize("level", ["avx2", "sse2"])
def test_many_small_groups_with_narrower_vectors(level):
    for x, w, attrs in _NARROW[:1] + _NARROW[4:6]:
        for name, (operands, numbers) in _arrays(np.random.default_rng(3), x, w, attrs, np.float32).items():
            n, values = node_of(REGISTRY[name], Sample(operands, numbers), False)
            assert check(n, values, "channels_last", "channels_last", 1, level)


@pytest.mark.parametrize(("x", "w", "attrs"), _NARROW[:7:3])
def test_many_small_groups_have_kernels_of_their_own(x, w, attrs):
    for name, (operands, numbers) in _arrays(np.random.default_rng(0), x, w, attrs, np.float32).items():
        views = [laid_out(i, a.shape, dtypes.float32, "channels_last")[0] for i, a in enumerate(operands)]
        shape = REGISTRY[name].ref(*operands, *numbers).shape
        low = Lowering(3)
        low.isa = isa.describe("avx512")  # what is narrow depends on the vectors
        assert LIBRARY[name](low, LibraryNode(name, numbers, tuple(views), laid_out(2, shape, dtypes.float32, "channels_last")[0]))
        assert any(c.source.key[0].startswith("conv_narrow") for c in low.calls)


@pytest.mark.parametrize(("groups", "stride", "dilation"), [(1, 1, 1), (2, 2, 1), (6, 1, 2), (6, 2, 1)])
def test_gradients_by_finite_differences(groups, stride, dilation):
    """Directional derivatives in double precision, of the image, the weight and the bias."""
    rng = np.random.default_rng(4)
    arrays = [rng.standard_normal(s) for s in ((2, 6, 9, 8), (12, 6 // groups, 3, 3), (12,))]
    along = [rng.standard_normal(a.shape) for a in arrays]

    def loss(tensors):
        y = ours.nn.functional.conv2d(*tensors, stride=stride, padding=1, dilation=dilation, groups=groups)
        return (ours.tanh(y) * ours.arange(y.numel(), dtype=ours.float64).reshape(y.shape).cos()).sum()

    leaves = [ours.tensor(a, requires_grad=True) for a in arrays]
    loss(leaves).backward()
    for k, direction in enumerate(along):
        step = 1e-5
        ends = [loss([ours.tensor(a + e * direction if i == k else a) for i, a in enumerate(arrays)]).item() for e in (step, -step)]
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx((leaves[k].grad.numpy() * direction).sum(), rel=1e-6, abs=1e-7)
