"""Elementary and special functions: values, gradients, second gradients, types, in-place forms and odd arguments as PyTorch's."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import gradients, same, same_error, second_gradients  # noqa: E402

X = np.array([[-2.3, -0.7, 0.4], [1.1, 0.9, 2.6]])
Y = np.array([[1.7, -1.2, 0.6], [-0.8, 2.2, 0.3]])
ODD = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 0.5, -1.5, 1.0, -1.0, 3.0, 1e-30, 30.0])

UNARY = {
    "sin": X,
    "cos": X,
    "tan": X,
    "asin": X / 3,
    "acos": X / 3,
    "atan": X,
    "sinh": X,
    "cosh": X,
    "tanh": X,
    "asinh": X,
    "acosh": np.abs(X) + 1.2,
    "atanh": X / 3,
    "sigmoid": X,
    "frac": X,
    "sinc": np.append(X, 0.0),
    "deg2rad": X,
    "rad2deg": X,
    "sgn": X,
    "erf": X,
    "erfc": X,
    "erfinv": X / 3,
    "lgamma": X,
    "digamma": X,
    "i0": X,
    "logit": np.abs(X) / 3,
    "nan_to_num": X,
    "positive": X,
    "special.entr": np.abs(X),
    "special.erfcx": X,
    "special.i0e": X,
    "special.i1": np.append(X, 0.0),
    "special.i1e": X,
    "special.log_ndtr": X * 4,
    "special.ndtr": X,
    "special.ndtri": np.abs(X) / 3,
    "special.expit": X,
    "special.gammaln": np.abs(X),
    "special.psi": X,
}
ALIASES = {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "arctan2": "atan2",
}
NO_INTEGERS = {"frac", "special.entr"}


def resolve(T, name):
    for part in name.split("."):
        T = getattr(T, part)
    return T


@pytest.mark.parametrize("name", UNARY)
def test_values_and_gradients(name):
    def run(T):
        x = T.tensor(UNARY[name], requires_grad=True)
        y = resolve(T, name)(x * 1)
        return y, [g + 0 for g in gradients(T, y, x)]

    same(run, 1e-6, 1e-8)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in ("sgn", "positive", "special.entr", "digamma", "special.psi")])
def test_second_order(name):
    def run(T):
        x = T.tensor(X if name == "sinc" else UNARY[name], requires_grad=True)
        return second_gradients(T, resolve(T, name)(x), x)

    same(run, 1e-5, 1e-7)


@pytest.mark.parametrize(
    "name", [n for n in UNARY if "i0" not in n and "i1" not in n and n not in ("lgamma", "digamma", "special.psi", "sinc")]
)
def test_odd_arguments(name):
    same(lambda T: resolve(T, name)(T.tensor(ODD)), 1e-5, 1e-7)


@pytest.mark.parametrize("name", ["lgamma", "digamma", "i0"])
def test_odd_arguments_of_gamma_functions(name):
    same(lambda T: getattr(T, name)(T.tensor([0.0, -0.0, -1.0, -2.0, -0.5, np.nan, 0.5, 20.0, 100.0])), 1e-5)


@pytest.mark.parametrize("name", [n for n in UNARY if n not in NO_INTEGERS])
@pytest.mark.parametrize("dtype", ["int64", "bool", "float16", "float32"])
def test_types(name, dtype):
    if name.startswith("special.") and dtype == "float16":
        pytest.skip("PyTorch has no half-precision kernel")
    same(lambda T: resolve(T, name)(T.tensor([1, 0]).to(getattr(T, dtype))), 2e-3 if dtype == "float16" else 1e-5, 1e-7)


@pytest.mark.parametrize("name", [n for n in UNARY if "." not in n and n != "positive"])
def test_in_place(name):
    def run(T):
        x = T.tensor(UNARY[name], requires_grad=True)
        y = x * 1
        if T is torch and name in ("asinh", "acosh", "atanh"):  # PyTorch has no gradient for writing these in place
            y = getattr(y, name)()
        else:
            assert getattr(y, name + "_")() is y
        return y, [g + 0 for g in gradients(T, y, x)]

    same(run, 1e-6, 1e-8)


@pytest.mark.parametrize("alias", ALIASES)
def test_aliases(alias):
    assert getattr(ours, alias) is getattr(ours, ALIASES[alias])
    assert getattr(ours.Tensor, alias + "_") is not None


def test_saved_results_may_not_be_overwritten():
    for name in ("tanh", "sigmoid", "tan"):

        def run(T, name=name):
            x = T.tensor(X, requires_grad=True)
            y = getattr(x, name)()
            y.mul_(2)
            y.sum().backward()

        same(run)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            run(ours)


BINARY = ["atan2", "hypot", "logaddexp", "logaddexp2", "copysign", "xlogy", "special.xlog1py", "nextafter", "ldexp", "float_power"]


@pytest.mark.parametrize("name", BINARY)
def test_two_operands(name):
    second = np.abs(Y) if "log" in name or name == "float_power" else Y
    first = np.abs(X) if name == "float_power" else X

    def run(T):
        x, y = T.tensor(first, requires_grad=True), T.tensor(second[:1], requires_grad=True)
        z = resolve(T, name)(x, y)
        return z, gradients(T, z, x, y)

    same(run, 1e-6, 1e-8)


@pytest.mark.parametrize("name", ["atan2", "hypot", "logaddexp", "logaddexp2", "copysign", "xlogy"])
def test_two_operands_second_order(name):
    def run(T):
        x, y = T.tensor(X, requires_grad=True), T.tensor(np.abs(Y), requires_grad=True)
        return second_gradients(T, getattr(T, name)(x, y), x, y)

    same(run, 1e-6, 1e-8)


@pytest.mark.parametrize("name", ["atan2", "hypot", "logaddexp", "logaddexp2", "copysign", "xlogy", "special.xlog1py", "heaviside"])
def test_odd_pairs(name):
    a, b = np.meshgrid(ODD[:8], ODD[:8])
    same(lambda T: resolve(T, name)(T.tensor(a), T.tensor(b)))


def test_gradients_at_kinks():
    def run(T, name):
        x, y = T.tensor([0.0, 0.0, 1.0, np.inf], requires_grad=True), T.tensor([0.0, 2.0, 0.0, np.inf], requires_grad=True)
        z = getattr(T, name)(x, y)
        return gradients(T, z, x, y)

    for name in ("copysign", "xlogy", "logaddexp"):
        same(lambda T, name=name: run(T, name))
    same(lambda T: gradients(T, *(lambda x: (T.hypot(x, T.tensor(0.0)), x))(T.tensor(2.0, requires_grad=True))))


def test_numbers_as_operands():
    same(lambda T: T.xlogy(2, T.tensor([1.0, 2.0])))
    same(lambda T: T.xlogy(T.tensor([1.0, 2.0]), 2))
    same(lambda T: T.copysign(T.tensor([1.0, 2.0]), -2))
    same(lambda T: T.float_power(2, T.tensor([1.0, 2.0])))
    same(lambda T: T.special.zeta(T.tensor([2.0, 3.5]), 1.5), 1e-5)
    for name in ("atan2", "hypot", "gcd"):
        same_error(lambda T, name=name: getattr(T, name)(T.tensor([1.0]), 2))


def test_integers():
    same(lambda T: T.gcd(T.tensor([12, -18, 0]), T.tensor([8, 12, 5])))
    same(lambda T: T.lcm(T.tensor([12, -18, 0]), T.tensor([8, 12, 5], dtype=T.int32)))
    same(lambda T: T.tensor([12, 18]).gcd_(T.tensor([8, 12])))
    for call in (
        lambda T: T.gcd(T.tensor([1]), T.tensor([1.0])),
        lambda T: T.gcd(T.tensor([True]), T.tensor([True])),
        lambda T: T.frac(T.tensor([1])),
        lambda T: T.hypot(T.tensor([1]), T.tensor([1])),
        lambda T: T.logaddexp(T.tensor([1]), T.tensor([1])),
        lambda T: T.nextafter(T.tensor([1]), T.tensor([1])),
        lambda T: T.frexp(T.tensor([1])),
        lambda T: T.positive(T.tensor([True])),
        lambda T: T.tensor([1]).sin_(),
        lambda T: T.sin(3.0),
        lambda T: T.heaviside(T.tensor([1.0]), T.tensor([1])),
        lambda T: T.tensor([1.0]).float_power_(2),
        lambda T: T.polygamma(-1, T.tensor([1.0])),
        lambda T: T.mvlgamma(T.tensor([1.0]), 0),
        lambda T: T.isclose(T.tensor([1.0]), T.tensor([1.0], dtype=T.float64)),
        lambda T: T.isclose(T.tensor([1.0]), T.tensor([1.0]), rtol=-1),
        lambda T: T.lerp(T.tensor([1.0]), T.tensor([1.0], dtype=T.float64), 0.5),
        lambda T: T.lerp(T.tensor([1]), T.tensor([1]), 0.5),
        lambda T: T.addcmul(T.tensor([True]), T.tensor([True]), T.tensor([True])),
        lambda T: T.addcmul(T.ones(2), T.ones(2), T.ones(3)),
    ):
        same_error(call)
    same(lambda T: T.addcdiv(T.tensor([1]), T.tensor([1]), T.tensor([1])))


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_polygamma(n):
    def run(T):
        x = T.tensor([[0.3, 1.5], [4.0, -0.7]], dtype=T.float64, requires_grad=True)
        if n > 1:
            x = T.tensor([0.3, 1.5, 4.0], dtype=T.float64, requires_grad=True)
        y = T.polygamma(n, x)
        return y, x.detach().polygamma(n), gradients(T, y, x)

    same(run, 1e-6)


@pytest.mark.parametrize("p", [1, 3])
def test_multivariate_gamma(p):
    def run(T):
        x = T.tensor([2.5, 4.0], dtype=T.float64, requires_grad=True)
        y = x.mvlgamma(p)
        return y, gradients(T, y, x)

    same(run, 1e-8)


def test_incomplete_gamma():
    a, x = np.array([0.3, 1.0, 2.5, 10.0, 0.0, 2.0]), np.array([0.5, 3.0, 2.0, 30.0, 1.0, 0.0])
    for name in ("igamma", "igammac"):

        def run(T, name=name):
            p = T.tensor(x[:4], requires_grad=True)
            y = getattr(T, name)(T.tensor(a[:4]), p)
            return y, getattr(T, name)(T.tensor(a), T.tensor(x)), gradients(T, y, p)

        same(run, 1e-6)


def test_zeta():
    def run(T):
        q = T.tensor([0.5, 2.0, 9.0], dtype=T.float64, requires_grad=True)
        y = T.special.zeta(T.tensor([1.5, 2.0, 6.0], dtype=T.float64), q)
        return y, gradients(T, y, q)

    same(run, 1e-6)
    same(lambda T: T.special.zeta(T.tensor([1.0, 0.5, 2.0, 2.0]), T.tensor([1.0, 1.0, -1.0, 0.0])))


def test_missing_derivatives_raise():
    x = ours.ones(2, requires_grad=True)
    for y in (ours.igamma(x, ours.ones(2)), ours.special.zeta(x + 1, ours.ones(2)), ours.heaviside(x, ours.ones(2))):
        with pytest.raises(RuntimeError, match="not implemented"):
            y.sum().backward()


@pytest.mark.parametrize("weight", [0.0, 0.3, 0.8, 1.5, "tensor", "scalar tensor"])
def test_lerp(weight):
    def run(T):
        x, y = T.tensor(X, requires_grad=True), T.tensor(Y, requires_grad=True)
        w = T.tensor(np.abs(Y) / 2, requires_grad=True) if weight == "tensor" else T.tensor(0.3) if weight == "scalar tensor" else weight
        z = T.lerp(x, y, w)
        return z, T.tensor(X).lerp_(T.tensor(Y), w), gradients(T, z, *([x, y, w] if weight == "tensor" else [x, y]))

    same(run, 1e-8)


@pytest.mark.parametrize("name", ["addcmul", "addcdiv"])
@pytest.mark.parametrize("value", [1, -0.5])
def test_fused_products(name, value):
    def run(T):
        leaves = [T.tensor(a, requires_grad=True) for a in (X, Y, X + 3)]
        z = getattr(T, name)(*leaves, value=value)
        w = T.tensor(X)
        getattr(w, name + "_")(T.tensor(Y), T.tensor(X[:1]), value=value)
        return z, w, gradients(T, z, *leaves), second_gradients_of(T, name, value)

    def second_gradients_of(T, name, value):
        leaves = [T.tensor(a, requires_grad=True) for a in (X, Y, X + 3)]
        return second_gradients(T, getattr(T, name)(*leaves, value=value), *leaves)

    same(run, 1e-8)
    same(lambda T: getattr(T, name)(T.ones(2), T.tensor([1.0, 2.0], dtype=T.float64), T.tensor([2, 3])))


def test_integer_addcmul_truncates_its_factor():
    same(lambda T: T.addcmul(T.tensor([1, 2]), T.tensor([1, 2]), T.tensor([1, 2]), value=2.5))


def test_changing_factors_keep_the_graph():
    """A factor that changes from step to step becomes data: no new nodes after the first few."""
    from torchlike_asg.asg.node import COUNTS

    p, g = ours.ones(3), ours.ones(3)
    made = []
    for step in range(8):
        before = COUNTS["nodes"]
        p.addcmul_(g, g, value=0.1 / (step + 1))
        p.tolist()
        made.append(COUNTS["nodes"] - before)
    assert made[-1] == made[-2] == 0 or made[-1] < made[0]


def test_parts_of_numbers():
    values = np.array([0.0, -0.0, 8.0, -0.1, 3.7, 1e-40, np.inf])

    def run(T):
        x = T.tensor(values[2:5], requires_grad=True)
        m, e = T.frexp(x)
        return m, e, T.frexp(T.tensor(values[:6])), gradients(T, m, x)

    same(run)
    same(lambda T: T.signbit(T.tensor(values)))
    same(lambda T: T.signbit(T.tensor([1, -2])))
    same(lambda T: T.ldexp(T.tensor([1.5, 2.0]), T.tensor([3, -1])))


def test_not_a_number_to_a_number():
    same(lambda T: T.nan_to_num(T.tensor(ODD), 1.0, 5.0, -5.0))
    same(lambda T: T.nan_to_num(T.tensor(ODD, dtype=T.float32)))
    same(lambda T: T.nan_to_num(T.tensor([1, 2])))
    same(lambda T: gradients(T, *(lambda x: (T.nan_to_num(x), x))(T.tensor(ODD, requires_grad=True))))


@pytest.mark.parametrize("name", ["isfinite", "isposinf", "isneginf", "isreal"])
def test_tests(name):
    same(lambda T: getattr(T, name)(T.tensor(ODD)))
    same(lambda T: getattr(T.tensor([1, 2]), name)())
    same(lambda T: getattr(T.tensor([True]), name)())


def test_closeness():
    a, b = np.array([1.0, 2.0, np.inf, np.nan, -np.inf, 1e-9]), np.array([1.0 + 1e-6, 2.1, np.inf, np.nan, np.inf, 0.0])
    for kind in (np.float64, np.float32):
        for arguments in (dict(), dict(equal_nan=True), dict(rtol=0.1), dict(rtol=0, atol=0), dict(atol=1.0)):
            same(lambda T, k=kind, g=arguments: T.isclose(T.tensor(a.astype(k)), T.tensor(b.astype(k)), **g))
    same(lambda T: T.isclose(T.tensor([1, 2, 100]), T.tensor([1, 3, 101]), rtol=0.02))
    same(lambda T: T.isclose(T.tensor([True, False]), T.tensor([True, True])))
    same(lambda T: T.allclose(T.tensor(a[:2]), T.tensor(b[:2]), rtol=0.1))
    same(lambda T: T.tensor(a).equal(T.tensor(a)))
    same(lambda T: T.equal(T.ones(2), T.ones(3)))
    same(lambda T: T.equal(T.tensor([1, 2]), T.tensor([1.0, 2.0])))


def test_what_special_lacks_says_so():
    with pytest.raises(NotImplementedError, match="hyp2f1 is not implemented"):
        ours.special.hyp2f1(ours.ones(1))
    assert not hasattr(ours.special, "hyp2f1")


def test_atan2_has_a_gradient_of_zero_at_the_origin():
    def run(T):
        y, x = T.tensor([0.0, 1.0, -0.0], requires_grad=True), T.tensor([0.0, 2.0, 1.0], requires_grad=True)
        return T.autograd.grad(T.atan2(y, x).sum(), [y, x])

    for a, b in zip(run(ours), run(torch), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), 1e-6)


@pytest.mark.parametrize("d", ["float32", "float64"])
def test_scaled_sums_are_rounded_once(d):
    """Bit for bit: the product with alpha is not rounded before it is added, with one number or with others in later calls."""
    r = np.random.default_rng(3)
    x, y = r.standard_normal((4, 37)), r.standard_normal((4, 37))

    def run(T):
        found = []
        for alpha in (0.1, -1 / 3, 7, 0.01, 2.5):
            a, b = (T.tensor(v, dtype=getattr(T, d)) for v in (x, y))
            p = a.clone().requires_grad_()
            with T.no_grad():
                p.add_(b, alpha=alpha)
            found += [T.add(a, b, alpha=alpha), a.sub(b, alpha=alpha), T.rsub(a, b, alpha=alpha), a.clone().sub_(b[0], alpha=alpha), p]
            found += [T.add(a.t(), b.t(), alpha=alpha), T._foreach_add([a, b], [b, a], alpha=alpha)[1]]
        return [t.detach().numpy().copy() for t in found]

    for want, got in zip(run(torch), run(ours), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["add", "sub"])
def test_gradients_of_scaled_sums(name):
    def run(T):
        x, y = (T.arange(6.0).reshape(2, 3).sin().requires_grad_(), T.arange(3.0).cos().requires_grad_())
        z = getattr(T, name)(x, y, alpha=0.3)
        first = T.autograd.grad((z * z).sum(), (x, y), create_graph=True)
        second = T.autograd.grad(sum((g * g).sum() for g in first), (x, y))
        return z, z.grad_fn.name(), [f.name() for f, _ in z.grad_fn.next_functions], first, second

    same(run)
