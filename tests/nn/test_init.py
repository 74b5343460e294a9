"""Initialisers beside torch's: the same values from the same seed, the same errors and warnings."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")

SHAPES = [(3, 5), (16, 8), (4, 3, 3), (6, 4, 3, 3), (2, 3, 2, 2, 2), (17,)]
DRAWING = [
    ("uniform_", {}),
    ("uniform_", {"a": -0.3, "b": 2.0}),
    ("normal_", {}),
    ("normal_", {"mean": 1.0, "std": 0.02}),
    ("xavier_uniform_", {}),
    ("xavier_uniform_", {"gain": 1.7}),
    ("xavier_normal_", {"gain": 0.5}),
    ("kaiming_uniform_", {}),
    ("kaiming_uniform_", {"a": math.sqrt(5), "mode": "fan_out"}),
    ("kaiming_normal_", {"nonlinearity": "relu", "mode": "fan_out"}),
    ("kaiming_normal_", {"nonlinearity": "selu"}),
    ("trunc_normal_", {}),
    ("trunc_normal_", {"std": 0.02, "a": -0.04, "b": 0.04}),
    ("trunc_normal_", {"mean": 0.5, "a": 1.5, "b": 1.8}),
    ("trunc_normal_", {"a": 2.0, "b": 3.0}),
]
FILLING = [("constant_", {"val": 0.3}), ("ones_", {}), ("zeros_", {})]


def both(name, shape, dtype="float32", seed=4, **options):
    """The tensor filled by torch and by ours; both generators must have drawn equally much."""
    found, draws = [], []
    for package in (torch, ours):
        package.manual_seed(seed)
        tensor = package.full(shape, 7.0, dtype=getattr(package, dtype))
        result = getattr(package.nn.init, name)(tensor, **options)
        assert result is tensor
        found.append(tensor)
        draws.append(package.rand(1).item())
    assert draws[0] == draws[1]
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("name", "options"), DRAWING + FILLING, ids=str)
def test_values(name, options, shape):
    if len(shape) < 2 and name[:4] in ("xavi", "kaim"):
        with pytest.raises(ValueError, match="fewer than 2 dimensions"):
            getattr(ours.nn.init, name)(ours.ones(shape), **options)
        return
    for dtype in ("float32", "float64"):
        a, b = both(name, shape, dtype, **options)
        np.testing.assert_array_equal(b.numpy(), a.numpy())


@pytest.mark.parametrize("name", ["uniform_", "normal_", "kaiming_uniform_", "xavier_normal_", "trunc_normal_", "orthogonal_"])
def test_generator_argument(name):
    found = []
    for package in (torch, ours):
        package.manual_seed(0)
        tensor = package.empty(6, 4)
        getattr(package.nn.init, name)(tensor, generator=package.Generator().manual_seed(9))
        found.append((tensor.numpy(), package.rand(1).item()))
    np.testing.assert_allclose(found[0][0], found[1][0], 1e-5, 1e-6)
    assert found[0][1] == found[1][1]


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4), (4, 2, 3), (2, 3, 3, 3)], ids=str)
@pytest.mark.parametrize("gain", [1, 1.5])
def test_orthogonal(shape, gain):
    a, b = both("orthogonal_", shape, gain=gain)
    np.testing.assert_allclose(b.numpy(), a.numpy(), 1e-4, 1e-5)
    rows = b.numpy().reshape(shape[0], -1)
    product = rows @ rows.T if rows.shape[0] <= rows.shape[1] else rows.T @ rows
    np.testing.assert_allclose(product, gain**2 * np.eye(len(product)), atol=1e-5)


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 1.0])
def test_sparse(sparsity):
    a, b = both("sparse_", (7, 4), sparsity=sparsity)
    np.testing.assert_array_equal(b.numpy(), a.numpy())
    assert ((b.numpy() == 0).sum(0) == math.ceil(7 * sparsity)).all()


def test_eye_and_dirac():
    for shape in ((3, 5), (4, 4)):
        a, b = both("eye_", shape)
        np.testing.assert_array_equal(b.numpy(), a.numpy())
    for shape, groups in (((4, 2, 3), 2), ((3, 5, 3, 2), 1), ((6, 2, 3, 3), 3), ((2, 2, 1, 2, 3), 1)):
        a, b = both("dirac_", shape, groups=groups)
        np.testing.assert_array_equal(b.numpy(), a.numpy())


def test_gains_and_fans():
    assert ours.nn.init.calculate_gain("conv2d") == 1
    for name in ("linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"):
        assert ours.nn.init.calculate_gain(name) == torch.nn.init.calculate_gain(name)
    assert ours.nn.init.calculate_gain("leaky_relu", 0.3) == torch.nn.init.calculate_gain("leaky_relu", 0.3)
    for shape in SHAPES[:-1]:
        fans = [package.nn.init._calculate_fan_in_and_fan_out(package.ones(shape)) for package in (torch, ours)]
        assert fans[0] == fans[1]


@pytest.mark.parametrize(
    "action",
    [
        lambda p: p.nn.init.calculate_gain("nonsense"),
        lambda p: p.nn.init.calculate_gain("leaky_relu", True),
        lambda p: p.nn.init.kaiming_uniform_(p.ones(2, 2), nonlinearity="x"),
        lambda p: p.nn.init.xavier_normal_(p.ones(2)),
        lambda p: p.nn.init.eye_(p.ones(2)),
        lambda p: p.nn.init.dirac_(p.ones(2)),
        lambda p: p.nn.init.dirac_(p.ones(3, 2, 2), 2),
        lambda p: p.nn.init.orthogonal_(p.ones(2)),
        lambda p: p.nn.init.sparse_(p.ones(2), 0.5),
    ],
)
def test_errors(action):
    caught = []
    for package in (torch, ours):
        with pytest.raises(ValueError) as info:
            action(package)
        caught.append(str(info.value))
    assert caught[0] == caught[1]


def test_wrong_mode():
    with pytest.raises(ValueError, match="Mode fan_x not supported"):
        ours.nn.init.kaiming_normal_(ours.ones(2, 2), mode="fan_x")


def test_warnings():
    with pytest.warns(UserWarning, match="zero-element"):
        ours.nn.init.kaiming_uniform_(ours.ones(0, 3))
    with pytest.warns(UserWarning, match="more than 2 std"):
        ours.nn.init.trunc_normal_(ours.ones(3), mean=5.0)


@pytest.mark.parametrize("name", ["uniform", "normal", "xavier_uniform", "kaiming_uniform", "kaiming_normal", "orthogonal"])
def test_deprecated_names(name):
    ours.manual_seed(0)
    expected = getattr(ours.nn.init, name + "_")(ours.empty(3, 3))
    ours.manual_seed(0)
    with pytest.warns(FutureWarning, match=f"nn.init.{name}_"):
        found = getattr(ours.nn.init, name)(ours.empty(3, 3))
    np.testing.assert_array_equal(found.numpy(), expected.numpy())


def test_parameters_are_filled_without_history():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("uniform_", "normal_", "zeros_", "ones_", "eye_", "kaiming_normal_", "orthogonal_", "trunc_normal_"):
            parameter = ours.nn.Parameter(ours.empty(3, 3))
            getattr(ours.nn.init, name)(parameter)
            assert parameter.is_leaf
            assert parameter.requires_grad
