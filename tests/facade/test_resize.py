"""Interpolation, grid sampling and affine grids against PyTorch."""

import numpy as np
import pytest

import torchlike_asg as ours

from .compare import same
from .parity import agree, agree_twice, normal, refuses

X = normal(2, 3, 7, 8)
SIZES = [
    {"size": (10, 13)},
    {"size": 3},
    {"size": (14, 16)},
    {"scale_factor": 1.7},
    {"scale_factor": (0.6, 2.3)},
    {"scale_factor": 1.7, "recompute_scale_factor": True},
]


@pytest.mark.parametrize("target", SIZES, ids=str)
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "area"])
def test_modes_without_corners(mode, target):
    agree("interpolate", X, mode=mode, **target)


@pytest.mark.parametrize("target", SIZES, ids=str)
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("corners", [True, False, None])
@pytest.mark.parametrize("antialias", [True, False])
def test_modes_with_corners(mode, target, corners, antialias):
    agree("interpolate", X, mode=mode, align_corners=corners, antialias=antialias, rtol=1e-4, atol=1e-5, **target)


def test_other_ranks():
    agree("interpolate", normal(2, 3, 7), scale_factor=2.5, mode="linear")
    agree("interpolate", normal(2, 3, 7), scale_factor=2.5)
    agree("interpolate", normal(2, 3, 7), size=3, mode="area")
    agree("interpolate", normal(2, 3, 4, 5, 6), size=(5, 3, 9), mode="trilinear", align_corners=True)
    agree("interpolate", normal(2, 3, 4, 5, 6), scale_factor=(1.5, 2, 0.7), mode="trilinear")
    agree("interpolate", normal(2, 3, 4, 5, 6), scale_factor=2)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
def test_second_gradients(mode):
    agree_twice(lambda lib: lambda x: lib.nn.functional.interpolate(x * x, scale_factor=1.6, mode=mode), X)


@pytest.mark.parametrize("target", SIZES, ids=str)
def test_lanczos(target):
    agree("interpolate", X, mode="lanczos", antialias=True, rtol=1e-4, atol=1e-5, **target)


def test_nearest_keeps_infinities_apart():
    x = X.copy()
    x[0, 0, 3, 3] = np.inf
    agree("interpolate", x, scale_factor=2, order=0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    same(
        lambda lib: lib.nn.functional.interpolate(lib.tensor(X).to(getattr(lib, dtype)), scale_factor=1.5, mode="bilinear"),
        rtol=2e-2,
        atol=2e-2,
    )


def test_bytes():
    same(lambda lib: lib.nn.functional.interpolate(lib.arange(24, dtype=lib.uint8).reshape(1, 2, 3, 4), scale_factor=2))


def test_deprecated_names():
    for name, arguments in (("upsample", {"mode": "bilinear"}), ("upsample_nearest", {}), ("upsample_bilinear", {})):
        with pytest.warns(UserWarning, match="deprecated"):
            agree(name, X, scale_factor=2, **arguments)


@pytest.mark.parametrize("given", [{"size": v} for v in ("a", 1.5, True, (2.0, 2), 2**70)] + [{"scale_factor": "a"}], ids=str)
def test_what_is_no_size(given):
    torch = pytest.importorskip("torch")
    import torchlike_asg as ours

    for T in (torch, ours):
        with pytest.raises(TypeError):
            T.nn.functional.interpolate(T.ones(1, 1, 4, 4), **given)


def test_interpolate_errors():
    refuses("interpolate", X)
    refuses("interpolate", X, size=3, scale_factor=2)
    refuses("interpolate", X, size="a", scale_factor=2)
    refuses("interpolate", X, size=(3, 3, 3))
    refuses("interpolate", X, scale_factor=(3, 3, 3))
    refuses("interpolate", X, size=3, align_corners=True)
    refuses("interpolate", X, size=3, mode="linear")
    refuses("interpolate", X, size=3, mode="lanczos")
    refuses("interpolate", X, size=3, mode="lanczos", align_corners=True, antialias=True)
    refuses("interpolate", X[0], size=3, mode="sinc")
    refuses("interpolate", X, size=3, recompute_scale_factor=True)
    refuses("interpolate", normal(2, 3, 7), size=3, mode="bilinear")
    refuses("interpolate", normal(2, 3, 7), size=3, mode="nearest", antialias=True)


GRID = np.random.default_rng(2).uniform(-1.6, 1.6, (2, 4, 5, 2)).astype(np.float32)
GRID3 = np.random.default_rng(3).uniform(-1.6, 1.6, (2, 4, 5, 3, 3)).astype(np.float32)


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
class TestGridSample:
    @pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
    def test_2d(self, mode, padding, corners):
        agree("grid_sample", X, GRID, mode=mode, padding_mode=padding, align_corners=corners, rtol=1e-4, atol=3e-5)

    @pytest.mark.parametrize("mode", ["bilinear", "nearest"])
    def test_3d(self, mode, padding, corners):
        agree("grid_sample", normal(2, 3, 4, 5, 6), GRID3, mode=mode, padding_mode=padding, align_corners=corners, rtol=1e-4, atol=3e-5)

    def test_one_element_wide(self, padding, corners):
        agree("grid_sample", normal(2, 3, 1, 4), GRID, padding_mode=padding, align_corners=corners, rtol=1e-4, atol=3e-5)


def test_second_gradient_of_grid_sample():
    """By differences of the first gradient, in double precision."""
    x = ours.tensor(X.astype(np.float64))
    places = GRID.astype(np.float64)

    def slope(values):
        grid = ours.tensor(values, requires_grad=True)
        y = ours.nn.functional.grid_sample(x, grid, align_corners=False)
        (g,) = ours.autograd.grad((y * y).sum(), grid, create_graph=True)
        return grid, g.sin().sum()

    grid, total = slope(places)
    total.backward()
    for at in ((0, 0, 0, 0), (1, 2, 3, 1), (0, 3, 4, 1)):
        moved = [places.copy(), places.copy()]
        moved[0][at] += 1e-6
        moved[1][at] -= 1e-6
        want = (float(slope(moved[0])[1].detach()) - float(slope(moved[1])[1].detach())) / 2e-6
        assert abs(float(grid.grad[at]) - want) < 1e-4 * max(1, abs(want))


def test_grid_sample_errors():
    refuses("grid_sample", X, GRID, mode="cubic")
    refuses("grid_sample", X, GRID, padding_mode="mirror")
    refuses("grid_sample", X, GRID[:1], align_corners=False)
    refuses("grid_sample", X, GRID[..., :1], align_corners=False)
    refuses("grid_sample", X, GRID[0], align_corners=False)
    refuses("grid_sample", normal(2, 3, 4, 5, 6), GRID3, mode="bicubic", align_corners=False)
    with pytest.warns(UserWarning, match="Default grid_sample"):
        agree("grid_sample", X, GRID, rtol=1e-4, atol=3e-5)


@pytest.mark.parametrize("corners", [True, False])
def test_affine_grid(corners):
    agree("affine_grid", normal(2, 2, 3), (2, 3, 5, 2), align_corners=corners)
    agree("affine_grid", normal(2, 3, 4), (2, 3, 5, 4, 6), align_corners=corners)
    refuses("affine_grid", normal(2, 2, 3), (2, 3, 5), align_corners=corners)
    refuses("affine_grid", normal(2, 3, 3), (2, 3, 5, 1), align_corners=corners)


def test_affine_grid_of_one_element_warns():
    with pytest.warns(UserWarning, match="unit-size grids"):
        agree("affine_grid", normal(2, 2, 3), (2, 3, 5, 1), align_corners=True)


def test_a_tensor_keeps_its_version_counter_when_it_is_given_another_storage():
    def run(T):
        a, b = T.ones(2), T.ones(2)
        a.add_(1)
        b.add_(1)
        a.set_(b)
        found = [a._version, b._version]
        b.add_(1)
        found += [a._version, b._version, a.tolist()]
        a.data = T.ones(3)
        return [*found, a._version]

    same(run)


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("parameter", [False, True])
@pytest.mark.parametrize("shape", [(3,), (5,)])
@pytest.mark.parametrize("give", ["set_", "data"])
def test_what_was_made_of_a_leaf_before_it_was_given_another_storage_has_its_gradient(give, shape, parameter, read):
    def run(T):
        w, seen = T.nn.Parameter(T.ones(3)) if parameter else T.ones(3, requires_grad=True), []
        w.register_hook(lambda g: seen.append(g.tolist()))
        loss = (w * 3).sum() + w[:2].sum()
        if read:
            loss.item()
        if give == "data":
            w.data = T.zeros(shape)
        else:
            with T.no_grad():
                w.set_(T.zeros(shape))
        loss.backward()
        return seen, w.grad.tolist(), w.requires_grad, w.is_leaf, list(w.shape), w._version

    same(run)


@pytest.mark.parametrize("leaf", [True, False])
def test_views_go_on_showing_what_is_written_through_data(leaf):
    def run(T):
        w = T.nn.Parameter(T.arange(4.0).reshape(2, 2)) if leaf else T.arange(4.0).reshape(2, 2)
        seen = w.view(4)
        w.data *= 2
        w.data[0, 0] = 7
        with T.no_grad():
            w += 1
        if leaf:
            (seen * 3).sum().backward()
        return seen.tolist(), w.tolist(), w.grad

    same(run)


def test_a_view_of_a_parameter_that_is_given_another_storage_outlives_the_iteration():
    def run(T):
        w, x = T.nn.Parameter(T.arange(4.0).reshape(2, 2)), T.ones(2)
        seen = w.view(4)
        found = T.mv(w.view(2, -1), x), seen[:2] @ x
        w.data = T.ones(2, 2)
        layer = T.nn.Linear(2, 1)
        layer(w).sum().backward()
        return [seen.tolist(), w.tolist(), *(f.tolist() for f in found)]

    same(run)


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize("shape", [(3,), (5,)])
def test_what_set_has_overwritten_is_refused_by_a_backward_pass(shape, read):
    for T in (pytest.importorskip("torch"), ours):
        for leaf in (True, False):
            w, x = T.ones(3, requires_grad=True), T.tensor([1.0, 2.0, 3.0])
            loss = (w * w * x).sum()
            if read:
                loss.item()
            with T.no_grad():
                (w if leaf else x).set_(T.zeros(shape))
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                loss.backward()


def test_gradients_of_two_shapes():
    """What is there already takes what fits it."""
    w = ours.ones(3, requires_grad=True)
    before = (w * 2).sum()
    w.data = ours.ones(1)
    w.sum().backward()
    with pytest.raises(RuntimeError, match="doesn't match the broadcast shape"):
        before.backward()

    def run(T):
        x = T.ones(3, 1, requires_grad=True)
        x.sum().backward()
        x.data = T.tensor(2.0)
        x.sum().backward()
        return x.grad

    same(run)


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize(
    "make",
    [
        lambda T: T.zeros(3, 2).t(),
        lambda T: T.arange(6.0)[2:],
        lambda T: T.arange(6.0).reshape(1, 2, 3, 1).contiguous(memory_format=T.channels_last),
    ],
    ids=["transposed", "part", "channels last"],
)
def test_a_result_larger_than_the_storage_it_is_given(make):
    def run(T):
        out, larger = make(T), make(T)
        T.cat([T.ones(2, 3), T.zeros(2, 3)], out=out)
        elements = larger.numel()
        larger.resize_(4, 4)
        return out, out.stride(), out.add_(1).sum(), larger.stride(), larger.flatten()[:elements]

    same(run)
