"""torch.linalg: inverses, determinants, systems, decompositions, norms of matrices; gauge-free gradients against PyTorch's."""

import math
import pickle
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import gradients, same, same_error, second_gradients  # noqa: E402

R = np.random.default_rng(0)
M = R.standard_normal((3, 3)) + 2 * np.eye(3)
BATCH = R.standard_normal((2, 3, 3)) + 2 * np.eye(3)
POSITIVE = BATCH @ BATCH.swapaxes(-1, -2) + np.eye(3)
TALL, WIDE = R.standard_normal((4, 3)), R.standard_normal((2, 3, 5))
RIGHT = R.standard_normal((3, 2))


def symmetric(T, x):
    return (x + x.mT) / 2


SQUARE = {
    "inverse": lambda T, x: T.inverse(x),
    "linalg.inv": lambda T, x: T.linalg.inv(x),
    "det": lambda T, x: x.det(),
    "logdet": lambda T, x: T.logdet(x @ x.mT),
    "slogdet": lambda T, x: list(x.slogdet()),
    "linalg.slogdet": lambda T, x: T.linalg.slogdet(x).logabsdet,
    "matrix_power": lambda T, x: x.matrix_power(3),
    "matrix_power of the inverse": lambda T, x: T.linalg.matrix_power(x, -2),
    "matrix_exp": lambda T, x: T.matrix_exp(x),
    "solve": lambda T, x: T.linalg.solve(x, T.tensor(RIGHT)),
    "solve for a vector": lambda T, x: T.linalg.solve(x, T.tensor(RIGHT[:, 0]) if x.ndim == 2 else T.tensor(BATCH[:, 0])),
    "solve from the right": lambda T, x: T.linalg.solve(x, T.tensor(RIGHT.T.copy()), left=False),
    "solve_triangular": lambda T, x: T.linalg.solve_triangular(x, T.tensor(RIGHT), upper=True),
    "solve_triangular from the right": lambda T, x: T.linalg.solve_triangular(x, T.tensor(RIGHT.T.copy()), upper=False, left=False),
    "solve_triangular with ones": lambda T, x: T.linalg.solve_triangular(x, T.tensor(RIGHT), upper=False, unitriangular=True),
    "cholesky": lambda T, x: T.linalg.cholesky(x @ x.mT),
    "upper cholesky": lambda T, x: T.linalg.cholesky(x @ x.mT, upper=True),
    "eigvalsh": lambda T, x: T.linalg.eigvalsh(symmetric(T, x)),
    "eigenvectors": lambda T, x: (lambda e: e.eigenvectors.square() @ e.eigenvalues.unsqueeze(-1))(T.linalg.eigh(symmetric(T, x))),
    "singular vectors": lambda T, x: (lambda s: (s.U.square() * s.S.unsqueeze(-2)) @ s.Vh.square())(T.linalg.svd(x, full_matrices=False)),
    "pinv": lambda T, x: T.linalg.pinv(x),
    "norm nuc": lambda T, x: T.linalg.matrix_norm(x, "nuc"),
    "norm 2": lambda T, x: T.linalg.matrix_norm(x, 2),
    "norm -2": lambda T, x: T.linalg.norm(x, -2, dim=(-2, -1)),
    "norm inf": lambda T, x: T.linalg.matrix_norm(x, math.inf),
    "norm -1": lambda T, x: T.linalg.matrix_norm(x, -1, keepdim=True),
    "norm fro": lambda T, x: T.linalg.norm(x, "fro", dim=(0, 1)),
    "norm of all": lambda T, x: T.linalg.norm(x),
    "cond": lambda T, x: T.linalg.cond(x),
}


@pytest.mark.parametrize("f", SQUARE.values(), ids=SQUARE)
@pytest.mark.parametrize("data", [M, BATCH], ids=["one", "batch"])
def test_square_matrices(f, data):
    def run(T):
        x = T.tensor(data, requires_grad=True)
        y = f(T, x)
        return y, gradients(T, y, x)

    same(run, 1e-7, 1e-9)


@pytest.mark.parametrize("name", ["inverse", "det", "slogdet", "matrix_exp", "solve", "solve_triangular", "cholesky", "eigvalsh", "pinv"])
def test_square_matrices_second_order(name):
    def run(T):
        x = T.tensor(M, requires_grad=True)
        y = SQUARE[name](T, x)
        return second_gradients(T, y[1] if isinstance(y, list) else y, x)

    same(run, 1e-6, 1e-8)


@pytest.mark.parametrize("data", [TALL, WIDE, M], ids=["tall", "wide", "square"])
@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
def test_qr(data, mode):
    def run(T):
        q, r = T.linalg.qr(T.tensor(data), mode=mode)
        return q, r

    same(run, 1e-6, 1e-8)


@pytest.mark.parametrize("data", [TALL, WIDE, M], ids=["tall", "wide", "square"])
def test_qr_gradient(data):
    def run(T):
        x = T.tensor(data, requires_grad=True)
        q, r = T.linalg.qr(x)
        return gradients(T, [q, r], x)

    same(run, 1e-6, 1e-8)


def test_qr_that_has_no_gradient():
    def run(T):
        q, r = T.linalg.qr(T.tensor(TALL, requires_grad=True), mode="complete")
        (q.sum() + r.sum()).backward()

    same_error(run)
    same_error(lambda T: T.linalg.qr(T.tensor(M), mode="full"))


@pytest.mark.parametrize("data", [TALL, WIDE, M, R.standard_normal((2, 2, 4, 3))], ids=["tall", "wide", "square", "batch"])
@pytest.mark.parametrize("full", [True, False])
def test_svd(data, full):
    u, s, v = ours.linalg.svd(ours.tensor(data), full_matrices=full)
    k = s.shape[-1]
    np.testing.assert_allclose((u[..., :k] * s.unsqueeze(-2) @ v[..., :k, :]).numpy(), data, atol=1e-10)
    same(lambda T: [t.shape for t in T.linalg.svd(T.tensor(data), full_matrices=full)])
    same(lambda T: T.linalg.svdvals(T.tensor(data)))
    same(lambda T: T.svd(T.tensor(data), compute_uv=False).S)
    old = ours.svd(ours.tensor(data))
    np.testing.assert_allclose((old.U * old.S.unsqueeze(-2) @ old.V.mT).numpy(), data, atol=1e-10)


@pytest.mark.parametrize("data", [TALL, WIDE], ids=["tall", "wide"])
def test_svd_gradient_that_no_sign_matters_for(data):
    def run(T):
        x = T.tensor(data, requires_grad=True)
        u, s, v = T.linalg.svd(x, full_matrices=False)
        y = (u.square() * s.unsqueeze(-2)) @ v.square()
        return y, gradients(T, y, x), T.linalg.pinv(x), gradients(T, T.linalg.pinv(x), x)

    same(run, 1e-6, 1e-8)


def test_eigh_reads_one_triangle():
    for part in "LU":
        same(lambda T, p=part: T.linalg.eigvalsh(T.tensor(M), p))
    values, vectors = ours.linalg.eigh(ours.tensor(POSITIVE))
    np.testing.assert_allclose((vectors * values.unsqueeze(-2) @ vectors.mT).numpy(), POSITIVE, atol=1e-10)
    same_error(lambda T: T.linalg.eigh(T.tensor(TALL)))


def test_systems_with_a_factor():
    lower = np.linalg.cholesky(POSITIVE)
    same(lambda T: T.cholesky_solve(T.tensor(RIGHT), T.tensor(lower)), 1e-8)
    same(lambda T: T.cholesky_inverse(T.tensor(lower)), 1e-8)
    same(lambda T: T.cholesky_inverse(T.tensor(lower.swapaxes(-1, -2).copy()), upper=True), 1e-8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch warns the first time
        want = torch.triangular_solve(torch.tensor(RIGHT), torch.tensor(M), transpose=True)
    got = ours.triangular_solve(ours.tensor(RIGHT), ours.tensor(M), transpose=True)
    np.testing.assert_allclose(got.solution.numpy(), want.solution.numpy())
    assert got._fields == want._fields if hasattr(want, "_fields") else got._fields == ("solution", "cloned_coefficient")


@pytest.mark.parametrize("driver", [None, "gels", "gelsd"])
@pytest.mark.parametrize("data", [TALL, WIDE[0]], ids=["tall", "wide"])
def test_least_squares(data, driver):
    right = R.standard_normal((data.shape[0], 2))

    def run(T):
        a, b = T.tensor(data, requires_grad=True), T.tensor(right, requires_grad=True)
        found = T.linalg.lstsq(a, b, driver=driver)
        return list(found), gradients(T, found.solution, a, b)

    same(run, 1e-6, 1e-8)


def test_rank_and_tolerances():
    low = TALL[:, :1] @ TALL[:1]
    same(lambda T: T.linalg.cond(T.tensor(M), 1), 1e-8)
    for arguments in (dict(), dict(atol=10.0), dict(rtol=0.9)):
        same(lambda T, g=arguments: T.linalg.matrix_rank(T.tensor(np.stack([low, TALL])), **g))
    same(lambda T: T.linalg.matrix_rank(T.tensor(low), atol=T.tensor(0.0, dtype=T.float64)))
    skew = np.array([[2, 1 - 3j], [1 + 3j, 5]], np.complex64)  # of rank 1
    same(lambda T: T.linalg.matrix_rank(T.tensor(skew), hermitian=True))
    sizes = np.linalg.svd(TALL, compute_uv=False)
    limits = np.array([[0.1], [sizes[1]]])  # one matrix, several limits
    assert ours.linalg.matrix_rank(ours.tensor(TALL), atol=ours.tensor(limits)).tolist() == [[3], [1]]
    same(lambda T: T.linalg.pinv(T.tensor(low)), 1e-8)
    same(lambda T: T.linalg.pinv(T.tensor(TALL), rtol=0.7), 1e-8)
    same(lambda T: T.pinverse(T.tensor(TALL)), 1e-8)
    same(lambda T: T.linalg.pinv(T.tensor(M), hermitian=True), 1e-8)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 0, 0)], ids=str)
def test_empty_matrices(shape):
    for ord in (2, 1, math.inf, "nuc", "fro"):
        same(lambda T, ord=ord: T.linalg.matrix_norm(T.empty(shape), ord))
    same(lambda T: T.linalg.cond(T.empty(shape)))
    same(lambda T: T.linalg.lstsq(T.empty(shape), T.ones(*shape[:-1], 2)).solution)


def test_complex_vectors_and_factors():
    def run(T):
        x, y = (T.tensor(TALL + k * TALL[::-1] * 1j) for k in (1, 2))
        return [T.linalg.vecdot(x, y), T.linalg.vecdot(x, y, dim=0), *T.linalg.lu(x)]

    same(run, 1e-8)


def test_the_gradient_of_a_symmetric_matrix_is_symmetric():
    def run(T):
        x = T.tensor(POSITIVE[0], requires_grad=True)
        T.linalg.eigh(x).eigenvectors.abs().cumsum(0).sum().backward()
        return x.grad

    same(run, 1e-8)


def test_tensor_systems():
    a = np.eye(6).reshape(2, 3, 2, 3) + R.standard_normal((2, 3, 2, 3)) / 10
    same(lambda T: T.linalg.tensorinv(T.tensor(a)), 1e-8)
    same(lambda T: T.linalg.tensorsolve(T.tensor(a), T.tensor(TALL[:2])), 1e-8)
    same(lambda T: T.linalg.diagonal(T.tensor(BATCH), offset=1))


def test_determinant_of_a_singular_matrix_has_a_gradient():
    """The cofactors; PyTorch loses them to rounding."""
    x = ours.tensor([[1.0, 2.0], [2.0, 4.0]], dtype=ours.float64, requires_grad=True)
    ours.det(x).backward()
    np.testing.assert_allclose(x.grad.numpy(), [[4.0, -2.0], [-2.0, 1.0]], atol=1e-12)
    same(lambda T: list(T.slogdet(T.zeros(2, 2))))
    same(lambda T: T.logdet(-T.eye(1)))


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.det(T.ones(2, 3)),
        lambda T: T.det(T.ones(2, 2).long()),
        lambda T: T.linalg.inv(T.ones(2, 3)),
        lambda T: T.linalg.solve(T.eye(2), T.ones(3)),
        lambda T: T.matrix_power(T.ones(2, 3), 2),
        lambda T: T.linalg.matrix_norm(T.ones(2, 2), 3),
        lambda T: T.linalg.norm(T.ones(2, 2, 2), 2),
        lambda T: T.linalg.vander(T.ones(1)),
        lambda T: T.linalg.matrix_rank(T.ones(3), hermitian=True),
        lambda T: T.linalg.householder_product(T.eye(3), T.eye(3)),
        lambda T: T.linalg.vector_norm(T.ones(2), dtype=T.complex64),
        lambda T: T.linalg.vector_norm(T.ones(2), dtype=T.float16),
    ],
)
def test_refuses(call):
    same_error(call)


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.linalg.cholesky_ex(-T.eye(2), check_errors=True),
        lambda T: T.linalg.inv_ex(T.zeros(2, 2), check_errors=True),
        lambda T: T.linalg.solve_ex(T.zeros(2, 2), T.ones(2), check_errors=True),
    ],
)
def test_errors_that_are_asked_for_are_raised_by_the_call(call):
    for T in (torch, ours):
        with pytest.raises(T.linalg.LinAlgError):
            call(T)


@pytest.mark.parametrize(
    "call",
    [
        lambda T: T.linalg.inv(T.ones(2, 2)).tolist(),
        lambda T: T.linalg.solve(T.zeros(2, 2), T.ones(2)).tolist(),
        lambda T: T.linalg.cholesky(-T.eye(2)).tolist(),
        lambda T: T.linalg.cholesky(T.stack([T.eye(3), T.diag(T.tensor([1.0, -1.0, 1.0]))])).tolist(),
    ],
)
def test_matrices_without_the_factorization(call):
    """Errors that depend on values appear when the values are computed."""
    with pytest.raises(torch.linalg.LinAlgError) as want:
        call(torch)
    with pytest.raises(ours.linalg.LinAlgError) as got:
        call(ours)
    assert isinstance(got.value, RuntimeError)
    assert str(got.value).split(":")[0] == str(want.value).split(":")[0]
    assert ("Batch element 1" in str(want.value)) == ("Batch element 1" in str(got.value))


def test_what_linalg_lacks_says_so():
    with pytest.raises(NotImplementedError, match=r"torch\.linalg\.schur is not implemented"):
        ours.linalg.schur(ours.ones(2, 2))


#: results that LAPACK leaves column by column
BY_COLUMNS = {
    "inv": lambda T, x: T.linalg.inv(x),
    "solve": lambda T, x: T.linalg.solve(x, T.ones(3, 2)),
    "solve from the right": lambda T, x: T.linalg.solve(x, T.ones(4, 3), left=False),
    "solve_triangular": lambda T, x: T.linalg.solve_triangular(x, T.ones(3, 2), upper=True),
    "cholesky": lambda T, x: T.linalg.cholesky(x @ x.mT),
    "cholesky_solve": lambda T, x: T.cholesky_solve(T.ones(2, 3, 2), x),
    "eigh": lambda T, x: T.linalg.eigh(x + x.mT)[1],
    "eig": lambda T, x: T.linalg.eig(x)[1],
    "qr": lambda T, x: T.linalg.qr(x)[0],
    "r": lambda T, x: T.linalg.qr(x[..., :2])[1],
    "svd": lambda T, x: T.linalg.svd(x)[0],
    "vh": lambda T, x: T.linalg.svd(x[..., :2])[2],
    "v": lambda T, x: T.svd(x)[2],
    "lu_factor": lambda T, x: T.linalg.lu_factor(x)[0],
    "geqrf": lambda T, x: T.geqrf(x)[0],
    "householder_product": lambda T, x: T.linalg.householder_product(x, T.ones(2, 3)),
    "matrix_power": lambda T, x: T.linalg.matrix_power(x, -2),
    "det": lambda T, x: T.linalg.det(x),
}


@pytest.mark.parametrize("name", BY_COLUMNS)
def test_strides(name):
    data = np.random.default_rng(0).standard_normal((2, 3, 3)).astype(np.float32)
    got, want = (BY_COLUMNS[name](T, T.tensor(data)) for T in (ours, torch))
    assert got.stride() == want.stride() and got.is_contiguous() == want.is_contiguous()
    got.sum().item()
    assert got.stride() == want.stride(), "after it was computed"
    assert np.array_equal(np.ascontiguousarray(got.numpy()).ravel(), got.reshape(-1).numpy())


def test_the_error_of_factorizations_has_pytorch_s_name():
    for T in (torch, ours):
        with pytest.raises(T.linalg.LinAlgError) as caught:
            T.linalg.inv(T.zeros(2, 2))
        assert caught.type is T._C._LinAlgError and caught.type.__name__ == caught.type.__qualname__ == "_LinAlgError"
        assert repr(caught.value).startswith("_LinAlgError('linalg.inv: The diagonal element 1 is zero")
        assert str(pickle.loads(pickle.dumps(T.linalg.LinAlgError("said")))) == "said"
