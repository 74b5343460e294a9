"""torch.special's cylinder functions and orthogonal polynomials, whose gradients PyTorch does not have."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same  # noqa: E402

POLYNOMIALS = [name for name in dir(torch.special) if "_polynomial_" in name]
X = np.array([[-2.3, -0.7, 0.4], [1.1, 0.0, 31.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("name", ["airy_ai", "bessel_j0", "bessel_j1", "bessel_y0", "bessel_y1", "spherical_bessel_j0"])
def test_oscillating(name, dtype):
    def run(lib):
        return getattr(lib.special, name)(lib.tensor(X, dtype=getattr(lib, dtype)))

    same(run)


@pytest.mark.parametrize("scaled", ["", "scaled_"])
@pytest.mark.parametrize("order", [0, 1])
def test_decaying(scaled, order):
    def run(lib):
        return getattr(lib.special, f"{scaled}modified_bessel_k{order}")(lib.tensor(X, dtype=lib.float64))

    same(run)


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials(name):
    def run(lib):
        f = getattr(lib.special, name)
        x = lib.linspace(-1.0, 1.5, 6, dtype=lib.float64)
        degrees = lib.tensor([[-1.0], [0.0], [1.0], [2.7], [9.0]], dtype=lib.float64)
        return [f(x, degrees), f(x, 4), f(0.3, degrees), f(lib.tensor([1, 2]), 3)]

    same(run)


def test_gradients():
    """Legendre's equation ((1 - x^2) y')' + n (n + 1) y = 0, Bessel's x^2 y'' + x y' + x^2 y = 0 and Airy's y'' = x y."""
    x = ours.tensor([0.3, -0.6, 0.9], dtype=ours.float64, requires_grad=True)

    def derivatives(y):
        first = ours.autograd.grad(y.sum(), x, create_graph=True)[0]
        return first, ours.autograd.grad(first.sum(), x)[0]

    y = ours.special.legendre_polynomial_p(x, 5)
    first, second = derivatives(y)
    assert ours.allclose((1 - x * x) * second - 2 * x * first + 30 * y, ours.zeros_like(x), atol=1e-12)
    y = ours.special.bessel_j0(x)
    first, second = derivatives(y)
    assert ours.allclose(x * x * second + x * first + x * x * y, ours.zeros_like(x), atol=1e-12)
    y = ours.special.airy_ai(x)
    assert ours.allclose(derivatives(y)[1], x * y, atol=1e-13)
    assert math.isclose(ours.special.bessel_j1(ours.tensor(0.0, requires_grad=True)).item(), 0.0)


@pytest.mark.parametrize("d", ["float16", "bfloat16"])
def test_precisions_that_have_no_kernel(d):
    names = """airy_ai bessel_j0 bessel_j1 bessel_y0 bessel_y1 erfcx log_ndtr modified_bessel_i0 modified_bessel_i1 modified_bessel_k0
    modified_bessel_k1 ndtri scaled_modified_bessel_k0 scaled_modified_bessel_k1 spherical_bessel_j0 entr i0e i1 i1e""".split()
    pairs = "zeta xlog1py hermite_polynomial_h laguerre_polynomial_l legendre_polynomial_p shifted_chebyshev_polynomial_w".split()

    def said(T, name, count):
        x = T.full((2,), 0.5, dtype=getattr(T, d))
        try:
            getattr(T.special, name)(*[x] * count)
        except NotImplementedError as error:
            return str(error)
        return "computed"

    for group, count in ((names, 1), (pairs, 2)):
        assert [said(ours, n, count) for n in group] == [said(torch, n, count) for n in group]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_next_number_of_a_type(dtype):
    numbers = [0.0, -0.0, 1.0, 3.0, -2.0, math.inf, -math.inf, 1e-6, 6e4, math.nan]

    def run(T):
        x = T.tensor(numbers, dtype=getattr(T, dtype))
        return T.nextafter(x[:, None], x).double(), T.nextafter(x, x).signbit(), x.clone().nextafter_(x.new_ones(())).double()

    same(run, rtol=0, atol=0)


def test_the_logarithm_of_complex_numbers_near_one():
    z = [1e-19 + 1e-18j, 1e-20, 1e-6j, -1 + 1e-9j, 3 - 4j, 0.3 + 0.2j, complex(math.inf, 1), complex(math.nan, 1)]
    same(lambda T: T.log1p(T.tensor(z)), rtol=1e-6, atol=0)


@pytest.mark.parametrize("options", [{}, {"nan": 123.0}, {"nan": 1.0, "posinf": 2.0, "neginf": 3.0}], ids=str)
def test_complex_numbers_made_finite(options):
    z = [complex(math.nan, 12), complex(1, math.nan), complex(math.inf, -math.inf)]
    same(lambda T: T.nan_to_num(T.tensor(z), **options))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_bounds_are_numbers_of_the_type(dtype):
    x = [-1, -0.6, -0.5, -0.3, 0, 0.3, 0.6, 1]
    same(lambda T: [T.nn.functional.hardshrink(T.tensor(x, dtype=getattr(T, dtype)), bound) for bound in (0.3, 0.5, 0.6)])


@pytest.mark.parametrize("d", ["float16", "bfloat16"])
def test_logit_of_halves_rounds_each_step(d):
    z = np.random.default_rng(1).uniform(-0.02, 1.02, 400)

    def run(T):
        found = []
        for eps in (None, 1e-2, 0.1, 0.2):
            x = T.tensor(z).to(getattr(T, d)).requires_grad_()
            y = T.logit(x, eps)
            found += [y.double(), T.autograd.grad(y.sum(), x)[0].double()]
        return found

    for want, got in zip(run(torch), run(ours), strict=True):
        np.testing.assert_array_equal(got.detach().numpy(), want.detach().numpy())
