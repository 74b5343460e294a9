"""Activation functions: values, first and second gradients, in-place forms, types and errors against PyTorch."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402
from .parity import agree, agree_twice, normal, refuses  # noqa: E402

NAMES = """relu gelu silu mish elu selu celu leaky_relu softplus softsign softshrink hardshrink tanhshrink hardtanh hardsigmoid hardswish
relu6 glu logsigmoid sigmoid tanh""".split()
WITH = [
    ("gelu", {"approximate": "tanh"}),
    ("elu", {"alpha": 0.7}),
    ("celu", {"alpha": 1.3}),
    ("leaky_relu", {"negative_slope": 0.3}),
    ("softplus", {"beta": 2.0, "threshold": 3.0}),
    ("softshrink", {"lambd": 0.2}),
    ("hardshrink", {"lambd": 0.9}),
    ("hardtanh", {"min_val": -0.3, "max_val": 1.7}),
    ("threshold", {"threshold": 0.1, "value": 20.0}),
    ("rrelu", {"lower": 0.1, "upper": 0.5}),
    ("glu", {"dim": 0}),
]
X = normal(4, 6) * 3


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients(name):
    agree(name, X)
    if name != "hardsigmoid":  # PyTorch has no second derivative of it
        agree_twice(name, X)
    agree(name, np.zeros((0, 4), np.float32))


@pytest.mark.parametrize("name,arguments", WITH, ids=[n for n, _ in WITH])
def test_arguments(name, arguments):
    agree(name, X, **arguments)
    agree_twice(name, X, **arguments)


@pytest.mark.parametrize(
    "name", ["relu", "hardtanh", "relu6", "leaky_relu", "hardsigmoid", "hardswish", "softshrink", "hardshrink", "elu", "softplus"]
)
def test_kinks(name):
    """At the places where the derivative jumps, PyTorch's choice."""
    agree(name, np.array([-3.0, -1.0, -0.5, -0.0, 0.0, 0.5, 1.0, 3.0, 6.0, np.nan, np.inf, -np.inf], np.float32))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_half_precision(name, dtype):
    same(
        lambda lib: getattr(lib.nn.functional, name)(lib.tensor(X).to(getattr(lib, dtype))),
        rtol=2e-2 if dtype == "bfloat16" else 2e-3,
        atol=1e-3,
    )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", ["int64", "bool"])
def test_other_types(name, dtype):
    def run(lib):
        return getattr(lib.nn.functional, name)(lib.tensor([[-1, 0], [1, 2]]).to(getattr(lib, dtype)))

    try:
        run(torch)
    except (RuntimeError, NotImplementedError):
        same_error(run)
    else:
        same(run)


def test_gelu_gradient_is_exact():
    """Phi(x) + x phi(x), not the derivative of an approximation."""
    from math import erf, exp, pi, sqrt

    x = ours.tensor([-3.0, -0.5, 0.0, 0.8, 4.0], dtype=ours.float64, requires_grad=True)
    ours.nn.functional.gelu(x).sum().backward()
    want = [0.5 * (1 + erf(v / sqrt(2))) + v * exp(-v * v / 2) / sqrt(2 * pi) for v in x.tolist()]
    np.testing.assert_allclose(x.grad.numpy(), want, rtol=1e-13)


@pytest.mark.parametrize("weight", [np.float32([0.25]), np.arange(6, dtype=np.float32) - 2], ids=["one", "each"])
def test_prelu(weight):
    agree("prelu", X, weight)
    agree_twice("prelu", X, weight)
    agree("prelu", normal(2, 6, 3, 3), weight)
    agree(lambda lib: lib.Tensor.prelu, X, weight)


def test_prelu_errors():
    refuses("prelu", X, np.ones((2, 3), np.float32))
    refuses("prelu", X, np.ones(3, np.float32))
    refuses("prelu", X, np.ones(6))


@pytest.mark.parametrize("inplace", [False, True])
def test_random_slopes_follow_pytorch(inplace):
    def run(lib):
        lib.manual_seed(3)
        x = lib.tensor(normal(7, 5), requires_grad=True)
        y = lib.nn.functional.rrelu(x * 1, training=True, inplace=inplace)
        z = lib.nn.functional.rrelu((x * 2).t(), 0.2, 0.9, training=True)
        (y.sum() + (z * z).sum()).backward()
        return y, z, x.grad

    same(run)


@pytest.mark.parametrize("name", ["float32", "float64"])
@pytest.mark.parametrize("bounds", [(1 / 8, 1 / 3), (0.1, 0.5), (0.2, 0.9)])
def test_random_slopes_are_pytorchs_bit_for_bit(name, bounds):
    drawn = []
    for lib in (torch, ours):
        lib.manual_seed(0)
        drawn.append(lib.nn.functional.rrelu(-lib.ones(1000, dtype=getattr(lib, name)), *bounds, training=True).numpy())
    np.testing.assert_array_equal(*drawn)


INPLACE = [
    lambda F, z: F.relu(z, inplace=True),
    lambda F, z: F.relu_(z),
    lambda F, z: F.relu6(z, inplace=True),
    lambda F, z: F.leaky_relu_(z, 0.1),
    lambda F, z: F.elu_(z),
    lambda F, z: F.elu(z, 0.5, True),
    lambda F, z: F.selu_(z),
    lambda F, z: F.celu_(z, 0.7),
    lambda F, z: F.hardtanh_(z, -0.5, 0.5),
    lambda F, z: F.threshold_(z, 0.1, 0.2),
    lambda F, z: F.silu(z, inplace=True),
    lambda F, z: F.mish(z, inplace=True),
    lambda F, z: F.hardswish(z, inplace=True),
    lambda F, z: F.hardsigmoid(z, inplace=True),
    lambda F, z: F.rrelu_(z),
]


@pytest.mark.parametrize("write", INPLACE)
def test_in_place(write):
    def run(lib):
        x = lib.tensor(X, requires_grad=True)
        z = x * 1
        before = z._version
        assert write(lib.nn.functional, z) is z and z._version == before + 1
        (z * z).sum().backward()
        return z, x.grad

    same(run)


def test_methods_and_top_level():
    for name in ("relu", "sigmoid", "tanh"):
        agree(lambda lib, name=name: getattr(lib, name), X)
        agree(lambda lib, name=name: getattr(lib.Tensor, name), X)
    agree(lambda lib: lib.Tensor.hardshrink, X)
    for name, arguments in (
        ("selu", ()),
        ("celu", (0.5,)),
        ("threshold", (0.1, 2.0)),
        ("hardshrink", (0.3,)),
        ("rrelu", ()),
        ("prelu", (np.float32([0.1]),)),
    ):
        agree(lambda lib, name=name: getattr(lib, name), X, *arguments)
    same(lambda lib: lib.relu_(lib.tensor(X)))
    same(lambda lib: lib.tensor(X).relu_())


def test_out():
    same(lambda lib: lib.hardshrink(lib.tensor(X), out=lib.empty(0)))


def test_overwriting_a_relu_result_is_refused():
    def run(lib):
        x = lib.tensor(X, requires_grad=True)
        y = x.relu()
        y.mul_(2)
        y.sum().backward()

    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        run(torch)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        run(ours)


def test_errors():
    refuses("gelu", X, approximate="sigmoid")
    refuses("softshrink", X, lambd=-1.0)
    refuses("glu", np.array(1.0, np.float32))
    refuses("glu", normal(3, 3))
    refuses("rrelu", X, lower=1.0, upper=0.5)
    refuses("celu", X, alpha=0.0)
    refuses("hardtanh", X, 2.0, 1.0)


SLOPED = {
    "leaky_relu_": lambda F, x, slope: F.leaky_relu_(x, slope),
    "leaky_relu": lambda F, x, slope: F.leaky_relu(x, slope, inplace=True),
    "elu_": lambda F, x, slope: F.elu_(x, slope),
    "celu_": lambda F, x, slope: F.celu_(x, slope),
    "rrelu_": lambda F, x, slope: F.rrelu_(x, slope, slope + 0.1),
    "selu_": lambda F, x, slope: F.selu_(x),
}


@pytest.mark.parametrize("slope", [-1.0, -0.3, 0.2])
@pytest.mark.parametrize("call", SLOPED.values(), ids=SLOPED)
def test_gradients_through_slopes_in_place(call, slope):
    """PyTorch's gradients read the result, whose sign says nothing after a negative slope: they are refused. The values are not."""

    def run(T):
        x = T.tensor([-2.0, -0.5, 0.0, 0.5, 2.0], requires_grad=True)
        y = call(T.nn.functional, x * 1, slope)
        return y.detach().clone(), type(y.grad_fn).__name__, T.signbit(y.detach()), _gradient(T, y, x)

    same(run)


def _gradient(T, y, x):
    try:
        return T.autograd.grad((y * T.arange(5.0)).sum(), x)[0]
    except RuntimeError as error:
        return str(error)
