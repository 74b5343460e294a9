"""What is done with factors of matrices: values and gradients as PyTorch's, by the whole factor where PyTorch's are."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same  # noqa: E402
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
