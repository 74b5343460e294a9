"""Dropout and its variants: the same masks as PyTorch for the same seed, gradients through the mask, in place, errors."""

import numpy as np
import pytest

import torchlike_asg as ours

from .compare import same
from .parity import normal, refuses

X, IMAGE = normal(6, 7), normal(3, 4, 5, 2)
NAMES = ["dropout", "alpha_dropout", "feature_alpha_dropout", "dropout1d", "dropout2d", "dropout3d"]


def shaped(name):
    return {"dropout1d": normal(3, 4, 5), "dropout2d": IMAGE, "dropout3d": normal(2, 3, 2, 4, 3), "feature_alpha_dropout": IMAGE}.get(
        name, X
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("p", [0.0, 0.3, 0.5, 1.0])
@pytest.mark.parametrize("inplace", [False, True])
def test_follows_pytorch(name, p, inplace):
    def run(lib):
        lib.manual_seed(11)
        x = lib.tensor(shaped(name), requires_grad=True)
        y = getattr(lib.nn.functional, name)(x * 1, p, training=True, inplace=inplace)
        z = getattr(lib.nn.functional, name)(x.detach() * 2, p, True)
        (y * y.detach().cos()).sum().backward()
        return y, z, x.grad

    same(run)


@pytest.mark.parametrize("name", NAMES)
def test_without_training(name):
    x = ours.tensor(shaped(name))
    assert getattr(ours.nn.functional, name)(x, 0.5, training=False) is x


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_types(dtype):
    def run(lib):
        lib.manual_seed(2)
        return lib.nn.functional.dropout(lib.tensor(X).to(getattr(lib, dtype)), 0.4)

    same(run, rtol=1e-2)


def test_transposed_input():
    def run(lib):
        lib.manual_seed(2)
        return lib.nn.functional.dropout(lib.tensor(X).t(), 0.4), lib.nn.functional.dropout(lib.tensor(X)[:, 1:5], 0.4)

    same(run)


def test_unbatched_channels():
    def run(lib):
        lib.manual_seed(2)
        f = lib.nn.functional
        return f.dropout1d(lib.tensor(normal(4, 5))), f.dropout3d(lib.tensor(normal(4, 2, 3, 2)))

    same(run)


def test_scale_and_rate():
    ours.manual_seed(0)
    y = ours.nn.functional.dropout(ours.ones(20000), 0.25)
    assert set(np.unique(y.numpy())) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(float((y == 0).float().mean()) - 0.25) < 0.02


def test_whole_channels_are_dropped():
    ours.manual_seed(0)
    y = ours.nn.functional.dropout2d(ours.ones(8, 8, 3, 3), 0.5).numpy()
    assert all(len(np.unique(y[i, j])) == 1 for i in range(8) for j in range(8)) and 0 in y and 2 in y


def test_two_draws_differ():
    x = ours.ones(100)
    assert not ours.equal(ours.nn.functional.dropout(x), ours.nn.functional.dropout(x))


@pytest.mark.filterwarnings("ignore:dropout2d. Received a 3-?D input")
def test_three_dimensions_for_dropout2d():
    def run(lib):
        lib.manual_seed(2)
        return lib.nn.functional.dropout2d(lib.tensor(normal(3, 4, 5)), 0.5)

    same(run)


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "feature_dropout", "feature_alpha_dropout"])
def test_top_level(name):
    def run(lib):
        lib.manual_seed(5)
        x = lib.tensor(IMAGE)
        y = getattr(lib, name)(x, 0.4, True)
        z = getattr(lib, name + "_")(x, 0.4, True)
        return y, z, z is x, getattr(lib, name)(x, 0.4, False)

    same(run)


def test_errors():
    for name in NAMES:
        refuses(name, shaped(name), 1.5)
    refuses("dropout", np.array([1, 2]), 0.5)
    refuses("dropout1d", np.ones(3, np.float32), 0.5)
    refuses(lambda lib: lib.dropout, X, -1.0, True)
    refuses(lambda lib: lib.feature_dropout, np.ones(3, np.float32), 0.5, True)


@pytest.mark.parametrize("name", ["dropout", "alpha_dropout", "gumbel_softmax"])
@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.unsqueeze(1).expand(6, 3, 7),
        lambda x: x[0].expand(4, 7),
        lambda x: x[:, :1].expand(6, 3).t(),
        lambda x: x.reshape(3, 1, 7, 2).permute(3, 0, 1, 2).expand(2, 3, 5, 7),
        lambda x: x.reshape(2, 3, 7).permute(2, 0, 1)[:, :, 1:],
    ],
    ids=["middle", "row", "column", "permuted", "part"],
)
def test_of_expanded_and_permuted_tensors(name, make):
    """`einops.repeat` gives expanded ones: the mask of each element is its own, in the order in which a copy would lie."""

    def run(lib):
        lib.manual_seed(11)
        x = lib.tensor(X, requires_grad=True)
        y = getattr(lib.nn.functional, name)(make(x), *((0.5, True) if "dropout" in name else ()))
        (y * y.detach().cos()).sum().backward()
        return y, y.stride(), x.grad, lib.rand(2)

    same(run)


@pytest.mark.parametrize("p", [(0.5, {}), ([0.5], {}), (0.5, {"requires_grad": True})], ids=["number", "vector", "leaf"])
def test_probabilities_in_tensors(p):
    same(lambda T: tuple(T.nn.functional.dropout(T.ones(3), T.tensor(p[0], **p[1])).shape))
