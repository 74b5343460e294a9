"""Complex numbers, compared with PyTorch: values, types, and gradients by complex and by real operands."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same_error  # noqa: E402

torch.set_num_threads(1)
Z = np.array([[1 + 2j, -0.5 + 0.3j, -1.5j], [2 + 0.1j, -1 - 1j, 0.7 - 0.2j]], np.complex64)
W = (Z[::-1] * 1.3 + 0.4j).astype(np.complex64)
X = np.abs(Z).astype(np.float32)


def weighted(lib, y):
    """A real number that every part of every element takes part in."""
    a = np.cos(np.arange(y.numel()) * 0.7 + 0.3).reshape(tuple(y.shape))
    if not y.is_complex():
        return (y * lib.from_numpy(a).to(y.dtype)).sum()
    b = np.sin(np.arange(y.numel()) * 0.4 + 0.1).reshape(tuple(y.shape))
    real = y.real.dtype
    return (y.real * lib.from_numpy(a).to(real)).sum() + (y.imag * lib.from_numpy(b).to(real)).sum()


def array(t):
    return t.detach().resolve_conj().numpy().copy()


def observed(lib, fn, arrays):
    leaves = [lib.from_numpy(a.copy()).requires_grad_() for a in arrays]
    y = fn(lib, *leaves)
    if y.requires_grad:
        weighted(lib, y).backward()
    return str(y.dtype), array(y), [None if t.grad is None else array(t.grad) for t in leaves]


def agree(fn, *arrays, rtol=1e-4):
    (d, y, grads), (our_d, our_y, our_grads) = observed(torch, fn, arrays), observed(ours, fn, arrays)
    assert our_d == d and our_y.shape == y.shape
    np.testing.assert_allclose(our_y, y, rtol=rtol, atol=1e-5)
    for g, our in zip(grads, our_grads, strict=True):
        assert (g is None) == (our is None)
        if g is not None:
            assert our.dtype == g.dtype
            np.testing.assert_allclose(our, g, rtol=rtol, atol=1e-5)


@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "pow"])
def test_arithmetic(name):
    agree(lambda T, x, y: getattr(T, name)(x, y), Z, W)
    agree(lambda T, x, y: getattr(T, name)(x, y[:1]), Z, W)
    agree(lambda T, x, y: getattr(T, name)(x, y), Z, X)
    agree(lambda T, x, y: getattr(T, name)(y, x), Z, X)
    agree(lambda T, x: getattr(T, name)(x, 2), Z)
    agree(lambda T, x: getattr(T, name)(x, 2 + 1j), X)


@pytest.mark.parametrize(
    "name",
    """neg reciprocal exp expm1 log log2 log10 log1p sqrt rsqrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sigmoid abs
    sgn angle conj conj_physical real imag square view_as_real isnan isinf isfinite""".split(),
)
def test_functions(name):
    agree(lambda T, x: getattr(T, name)(x), Z)


@pytest.mark.parametrize("name", ["sum", "mean", "cumsum", "prod", "cumprod", "norm"])
def test_reductions(name):
    agree(lambda T, x: getattr(T, name)(x, dim=1), Z)
    if not name.startswith("cum"):
        agree(lambda T, x: getattr(T, name)(x), Z)


PRODUCTS = {
    "matrices": lambda T, x, y: x @ y.T,
    "adjoint": lambda T, x, y: x @ y.mH,
    "matrix and vector": lambda T, x, y: x @ y[0],
    "vector and matrix": lambda T, x, y: x[:, 0] @ y,
    "dot": lambda T, x, y: T.dot(x[0], y[0]),
    "vdot": lambda T, x, y: T.vdot(x[0], y[0]),
    "bmm": lambda T, x, y: T.bmm(x[None], y.T[None]),
    "one matrix and a batch": lambda T, x, y: x @ T.stack([y.T, y.T * 2]),
    "einsum": lambda T, x, y: T.einsum("ij,kj->ik", x, y),
    "linear": lambda T, x, y: T.nn.functional.linear(x, y),
    "outer": lambda T, x, y: T.outer(x[0], y[0]),
    "kron": lambda T, x, y: T.kron(x, y),
    "addmm": lambda T, x, y: T.addmm(x[:, :2], x, y.T),
    "addcmul": lambda T, x, y: T.addcmul(x, x, y),
    "lerp": lambda T, x, y: T.lerp(x, y, 0.3),
    "solve": lambda T, x, y: T.linalg.solve(x[:, :2], y[:, :2]),
    "inverse": lambda T, x, y: T.linalg.inv(x[:, :2]) @ y,
    "det": lambda T, x, y: T.linalg.det(x[:, :2]) * y,
    "logabsdet": lambda T, x, y: T.linalg.slogdet(x[:, :2])[1] * y,
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name):
    agree(PRODUCTS[name], Z, W)


MOVED = {
    "cat": lambda T, x, y: T.cat([x, y]),
    "stack": lambda T, x, y: T.stack([x, y], 1),
    "where": lambda T, x, y: T.where(x.real > 0, x, y),
    "masked_fill": lambda T, x, y: x.masked_fill(y.real > 0, 1j),
    "index": lambda T, x, y: x[:, [0, 2, 0]],
    "slice": lambda T, x, y: x[:, 1:],
    "H": lambda T, x, y: x.H,
    "flip": lambda T, x, y: T.flip(x, [0]),
    "repeat": lambda T, x, y: x.repeat(2, 1),
    "expand": lambda T, x, y: x[:1].expand(4, 3),
    "gather": lambda T, x, y: x.gather(1, T.tensor([[0, 0], [1, 2]])),
    "pad": lambda T, x, y: T.nn.functional.pad(x, (1, 1)),
    "tril": lambda T, x, y: T.tril(x),
    "zeros_like": lambda T, x, y: T.zeros_like(x) + y,
    "eq": lambda T, x, y: x == y.flip([0]),
    "double": lambda T, x, y: x.cdouble(),
}


@pytest.mark.parametrize("name", MOVED)
def test_elements_moved(name):
    agree(MOVED[name], Z, W)


def test_made_of_real_numbers():
    agree(lambda T, x: T.polar(x, x * 2), X)
    agree(lambda T, x: T.complex(x, x[:1] * 2), X)
    agree(lambda T, x: T.view_as_complex(x.reshape(3, 2)), X)
    agree(lambda T, x: x.to(T.complex64) * 1j, X)
    agree(lambda T, x: 1j - x, X)


def test_gradients_at_the_origin():
    agree(lambda T, x: T.abs(x * 0) + T.angle(x * 0) + T.sgn(x * 0).real, Z)


def test_writes():
    def fill(T, x):
        y = x.clone()
        y[0] = 1j
        y *= 2j
        y += 1
        return y

    def parts(T, x):
        y = x.clone()
        y.real = T.zeros(2, 3)
        y.imag = 2.0
        return y

    agree(fill, Z)
    agree(parts, Z)


def test_rotary_embedding():
    """As Llama has it: features turned in pairs by angles that grow with the position."""

    def rotate(T, x):
        turns = T.polar(T.ones(4, 2), T.outer(T.arange(4.0), T.tensor([1.0, 0.1])))
        pairs = T.view_as_complex(x.float().reshape(1, 4, 2, 2))
        return T.view_as_real(pairs * turns.view(1, 4, 2)).flatten(2)

    agree(rotate, np.random.default_rng(0).standard_normal((4, 4)).astype(np.float32))


def test_second_gradients():
    def run(lib):
        z = lib.from_numpy(Z.copy()).requires_grad_()
        (g,) = lib.autograd.grad(weighted(lib, (z * z).exp()), z, create_graph=True)
        weighted(lib, g).backward()
        return array(z.grad)

    np.testing.assert_allclose(run(ours), run(torch), rtol=1e-3)


def test_errors():
    same_error(lambda T: T.view_as_complex(T.zeros(3)))
    same_error(lambda T: T.view_as_complex(T.zeros(3, 2, dtype=T.int64)))
    same_error(lambda T: T.view_as_real(T.zeros(3)))
    same_error(lambda T: T.imag(T.zeros(3)))
    same_error(lambda T: T.complex(T.zeros(3), T.zeros(3, dtype=T.float64)))
    same_error(lambda T: T.zeros(2, dtype=T.complex64) < T.ones(2))
    same_error(lambda T: T.sign(T.zeros(2, dtype=T.complex64)))


@pytest.mark.parametrize(
    "name",
    """amax amin aminmax argmax argmin argsort ceil clamp|0 clamp_max|0 clamp_min|0 copysign|x cummax|0 cummin|0 deg2rad digamma
    erf erfc erfinv floor
    floor_divide|2 fmax|x fmin|x fmod|2 i0 isin|x kthvalue|1 lgamma logit max max|x maximum|x median median|0 min minimum|x mode
    nanmedian nextafter|x
    rad2deg remainder|2 signbit sort topk|1 trunc xlogy|x bitwise_not""".split(),
)
def test_functions_of_real_numbers_refuse_complex_ones(name):
    """Some gave something: the error function of the real part, the larger real part."""
    name, _, more = name.partition("|")
    raised = []
    for lib in (torch, ours):
        z = lib.tensor([1 + 2j, 3j])
        with pytest.raises((RuntimeError, NotImplementedError)) as caught:
            getattr(lib, name)(z, *([z] if more == "x" else [int(more)] if more else []))
        raised.append(caught.type)
    assert raised[0] is raised[1]


def test_a_gradient_without_a_rule_for_complex_numbers_is_refused():
    z = ours.from_numpy(Z.copy()).requires_grad_()
    with pytest.raises(RuntimeError, match="scatter_reduce of complex tensors"):
        ours.scatter_reduce(z, 0, ours.zeros(z.shape, dtype=ours.int64), z, "sum").abs().sum().backward()


def test_a_complex_loss_has_no_gradient_to_begin_with():
    for run in (lambda y, z: y.backward(), lambda y, z: ours.autograd.grad(y, z)):
        z = ours.tensor([1 + 1j], requires_grad=True)
        with pytest.raises(RuntimeError, match=r"only for real scalar outputs but got torch\.complex64"):
            run((z * 2).sum(), z)


@pytest.mark.parametrize("exponent", [-3, -2, -0.5, 0, 0.5, 1, 2, 3, 4, 2.5, 1j])
@pytest.mark.parametrize("each", [True, False], ids=["tensor", "number"])
def test_powers_are_rounded_as_exponentials_of_logarithms(exponent, each):
    """The twelfth power of a twelfth root of -1 is not -1 in PyTorch, and scripts divide by what is missing (S4's nodes of a transform)."""
    root = np.exp(-2j * np.pi * np.arange(1, 25) / 24).astype(np.complex64)
    found = []
    for T in (torch, ours):
        x = T.from_numpy(root)
        found.append((x ** (T.full((24,), exponent, dtype=T.complex64) if each else exponent)).numpy())
    assert np.array_equal(*found) if each else np.allclose(*found, rtol=3e-7, atol=3e-7)
    for T in (torch, ours):
        assert (1 + T.tensor(root[0]) ** T.arange(13)[12:]).abs().item() > 1e-7


def test_logaddexp():
    agree(lambda T, a, b: T.logaddexp(a, b), Z, W)
    agree(lambda T, a: T.logaddexp(a, T.from_numpy(X)), Z)
    inf, nan = np.inf, np.nan
    pairs = [(10j, -100), (-100, 10j), (complex(-inf, 10), complex(-inf, 2)), (complex(inf, 10), complex(inf, 2)), (complex(inf, 1), 3)]
    pairs += [
        (complex(-inf, inf), 3),
        (complex(-inf, nan), 1),
        (complex(nan, 1), 2),
        (1, complex(5, nan)),
        (complex(2, inf), 3),
        (1, 1j * np.pi),
    ]
    a, b = (np.array(part, np.complex128) for part in zip(*pairs, strict=True))
    want, got = (array(T.logaddexp(T.from_numpy(a), T.from_numpy(b))) for T in (torch, ours))
    np.testing.assert_allclose(got.real, want.real)
    np.testing.assert_allclose(got.imag, want.imag)
    x = ours.from_numpy(Z).requires_grad_()
    assert type(ours.logaddexp(x, x).grad_fn).__name__ == "LogaddexpBackward0"


def test_rms_norm():
    """By the squares, not the sizes."""
    agree(lambda T, x: T.nn.functional.rms_norm(x, (3,)), Z)
    agree(lambda T, x: T.nn.functional.rms_norm(x, (2, 3), eps=0.1), Z)
    agree(lambda T, x, w: T.nn.functional.rms_norm(x, (3,), w[0], eps=0.01), Z, W)
    agree(lambda T, x, w: T.nn.functional.rms_norm(x, (3,), w[0], eps=0.01), Z, X)


def test_padding_with_a_complex_number():
    agree(lambda T, x: T.constant_pad_nd(x, (1, -1, 0, 2), 1 - 2j), Z)
    agree(lambda T, x: T.constant_pad_nd(x, (1, 1), 2 + 0j), X)
    same_error(lambda T: T.constant_pad_nd(T.ones(2), (1, 1), 1j))
    same_error(lambda T: T.constant_pad_nd(T.ones(2), (1, 1), None))
    same_error(lambda T: T.nn.functional.pad(T.ones(2, dtype=T.complex64), (1, 1), "constant", 1j))
