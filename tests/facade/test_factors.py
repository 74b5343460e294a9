"""What is done with factors of matrices: values and gradients as PyTorch's, by the whole factor where PyTorch's are."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402
from .parity import agree, agree_twice, normal  # noqa: E402

A = normal(4, 4)
FACTOR = np.tril(A) + 3 * np.eye(4, dtype=np.float32)
BATCH = np.stack([FACTOR, 2 * FACTOR])


@pytest.mark.parametrize("upper", [False, True])
def test_solving_with_a_cholesky_factor(upper):
    for factor in (FACTOR, BATCH):
        factor = factor.swapaxes(-1, -2).copy() if upper else factor
        agree_twice(lambda T: T.cholesky_solve, normal(4, 2), factor, upper=upper)
        agree_twice(lambda T: T.cholesky_inverse, factor, upper=upper)


def test_power_zero_has_a_gradient():
    got = agree(lambda T: T.linalg.matrix_power, A, 0)
    np.testing.assert_array_equal(got["gradients"][0], np.zeros((4, 4)))


def test_symmetric_pseudo_inverse():
    agree(lambda T: T.linalg.pinv, A + A.T, hermitian=True, rtol=1e-3, atol=1e-4)
    agree(lambda T: T.linalg.pinv, A + 3 * np.eye(4, dtype=np.float32), hermitian=True, rtol=1e-3, atol=1e-4)


def test_eigenvalues_of_general_matrices():
    found = []
    for lib in (torch, ours):
        x = lib.from_numpy(A.copy()).requires_grad_()
        values, vectors = lib.linalg.eig(x)
        order = np.lexsort((values.detach().numpy().imag, values.detach().numpy().real))
        lib.linalg.eigvals(x).abs().square().sum().backward()
        back = (vectors.detach() @ lib.diag(values.detach()) @ lib.linalg.inv(vectors.detach())).real
        np.testing.assert_allclose(back.numpy(), A, atol=1e-4)
        found.append((values.detach().numpy()[order], x.grad.numpy()))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_failures_reported():
    good, bad = FACTOR @ FACTOR.T, np.diag([1.0, 2.0, 0.0, 3.0]).astype(np.float32)
    both = np.stack([good, bad])
    same(lambda T: T.linalg.cholesky_ex(T.tensor(both)).info)
    same(lambda T: T.linalg.inv_ex(T.tensor(both)).info)
    same(lambda T: T.linalg.solve_ex(T.tensor(both), T.ones(4, 2)).info)
    same(lambda T: [T.linalg.cholesky_ex(T.tensor(good), upper=u).L for u in (False, True)], 1e-5)
    same(lambda T: [T.linalg.inv_ex(T.tensor(good)).inverse, T.linalg.solve_ex(T.tensor(good), T.ones(4)).result], 1e-4)
    assert ours.isnan(ours.linalg.inv_ex(ours.tensor(both)).inverse[1]).all()
    with pytest.raises(ours.linalg.LinAlgError):
        ours.linalg.inv_ex(ours.tensor(bad), check_errors=True).inverse.numpy()


OUTS = {
    "det": lambda T, L, a, out: L.det(a, out=out),
    "matmul": lambda T, L, a, out: L.matmul(a, a, out=out),
    "matrix_power": lambda T, L, a, out: L.matrix_power(a, 3, out=out),
}


@pytest.mark.parametrize("name", OUTS)
def test_out(name):
    def run(T):
        out = T.empty(0)
        found = OUTS[name](T, T.linalg, T.tensor([[2.0, 0.5], [0.5, 1.0]]), out)
        return [found is out, out]

    same(run)


WRONG = {
    "driver of svd": lambda T: T.linalg.svd(T.eye(2), driver="gesvd"),
    "driver of svdvals": lambda T: T.linalg.svdvals(T.eye(2), driver="gesvdj"),
    "norm of integers": lambda T: T.linalg.vector_norm(T.arange(3), dtype=T.float64),
    "pinv of a wide matrix": lambda T: T.linalg.pinv(T.ones(2, 3), hermitian=True),
    "ormqr": lambda T: T.ormqr(T.ones(2, 4, 2), T.ones(2), T.ones(4, 3)),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused_as_in_pytorch(name):
    same_error(WRONG[name])


def test_the_zero_on_the_diagonal_is_named():
    for rows in ([[1.0, 2.0], [2.0, 4.0]], [[[1.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 2.0]]]):
        texts = []
        for T in (torch, ours):
            with pytest.raises(T.linalg.LinAlgError) as caught:
                T.linalg.inv(T.tensor(rows))
            texts.append(str(caught.value).split("\n")[0])
        assert texts[0] == texts[1]


def test_cholesky_of_nan_is_told_by_its_info():
    def run(T):
        nan = float("nan")
        ms = [[[nan, nan], [nan, nan]], [[1.0, nan], [nan, 1.0]], [[1.0, 0.0], [0.0, nan]], [[2.0, 1.0], [1.0, 2.0]]]
        return T.linalg.cholesky_ex(T.tensor(ms)).info

    same(run)


@pytest.mark.parametrize("matrix", [[[float("inf")] * 3] * 3, [[float("inf"), 0.0], [0.0, 1.0]]])
def test_what_follows_an_infinite_pivot_is_no_factor(matrix):
    for T in (torch, ours):
        with pytest.raises(T.linalg.LinAlgError, match="leading minor of order 2 is not positive-definite"):
            T.linalg.cholesky(T.tensor(matrix))
        assert T.linalg.cholesky(T.tensor([[float("inf")]])).item() == float("inf")
