"""What is done with factors of matrices: values and gradients as PyTorch's, by the whole factor where PyTorch's are."""

import numpy as np
import pytest

pytest.importorskip("torch")

from .parity import agree, agree_twice, normal

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
