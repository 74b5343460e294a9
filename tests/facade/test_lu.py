"""LU, LDL and Householder factors: values, gradients and errors as PyTorch's, which differ in no pivot."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same_error  # noqa: E402
from .parity import agree, normal  # noqa: E402
from .test_complex import agree as agree_complex  # noqa: E402
from .test_complex_linalg import BATCH, S, complex_normal, joined  # noqa: E402

SHAPES = [(4, 4), (5, 3), (3, 5), (2, 3, 3), (2, 4, 2)]


@pytest.mark.parametrize("shape", SHAPES)
def test_lu(shape):
    a = normal(*shape, dtype=np.float64)
    agree(lambda T: T.linalg.lu_factor, a)
    agree(lambda T: lambda x: tuple(T.linalg.lu(x))[1:], a)
    agree(lambda T: lambda x: T.linalg.lu(x)[2], a, order=2)
    agree(lambda T: lambda x: T.lu_unpack(*T.linalg.lu_factor_ex(x)[:2])[1], a)
    agree(lambda T: lambda x: T.linalg.lu(x)[0], a, order=0)


@pytest.mark.filterwarnings("ignore:torch.lu_solve is deprecated")
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("adjoint", [True, False])
def test_lu_solve(left, adjoint):
    a, b = normal(2, 3, 3, dtype=np.float64), normal(2, 3, 3, seed=1, dtype=np.float64)
    agree(lambda T: lambda a, b: T.linalg.lu_solve(*T.linalg.lu_factor(a), b, left=left, adjoint=adjoint), a, b)
    agree(lambda T: lambda a, b: b.lu_solve(*T.linalg.lu_factor(a)), a[0], b[0])
    agree_complex(lambda T, a, b: T.linalg.lu_solve(*T.linalg.lu_factor(a), b, left=left, adjoint=adjoint), S, S[::-1].copy())


def test_lu_of_complex_matrices():
    for a in (S, BATCH, complex_normal(3, 5), complex_normal(4, 2)):
        agree_complex(lambda T, x: joined(T, T.linalg.lu(x)[1:]), a)


def test_singular():
    a = np.array([[[1.0, 2.0], [2.0, 4.0]], [[3.0, 1.0], [1.0, 2.0]]])
    same_error(lambda T: T.linalg.lu_factor(T.tensor(a[0])))
    same_error(lambda T: T.linalg.lu_factor(T.tensor(a)))
    same_error(lambda T: T.linalg.lu(T.tensor(a), pivot=False))
    same_error(lambda T: T.linalg.lu_factor(T.ones(3)))
    for lib in (torch, ours):
        assert lib.linalg.lu_factor_ex(lib.tensor(a)).info.tolist() == [2, 0]


@pytest.mark.parametrize("hermitian", [False, True])
def test_ldl(hermitian):
    """With and without blocks of two rows: zeros on the diagonal force them."""
    for seed in range(6):
        m = normal(5, 5, seed=seed, dtype=np.float64)
        m = m + m.T
        m[np.arange(seed % 4), np.arange(seed % 4)] = 0
        agree(lambda T: lambda a: T.linalg.ldl_factor(a, hermitian=hermitian), m, order=0)
        ld, pivots = ours.linalg.ldl_factor(ours.tensor(m), hermitian=hermitian)
        b = ours.ones(5, 2, dtype=ours.float64, requires_grad=True)
        x = ours.linalg.ldl_solve(ld, pivots, b, hermitian=hermitian)
        np.testing.assert_allclose(m @ x.detach().numpy(), np.ones((5, 2)), atol=1e-9)
        x.sum().backward()
        np.testing.assert_allclose(b.grad.numpy(), np.linalg.solve(m, np.ones((5, 2))), atol=1e-9)
    z = complex_normal(4, 4)
    z = z + (z.conj().T if hermitian else z.T)
    ld, pivots = ours.linalg.ldl_factor(ours.tensor(z), hermitian=hermitian)
    want = torch.linalg.ldl_factor(torch.tensor(z), hermitian=hermitian)
    np.testing.assert_allclose(ld.numpy(), want.LD.numpy(), atol=1e-12)
    np.testing.assert_array_equal(pivots.numpy(), want.pivots.numpy())


def test_reflectors():
    a = normal(4, 3, dtype=np.float64)
    agree(lambda T: T.geqrf, a, order=0)
    agree(lambda T: T.linalg.householder_product, a, normal(2, dtype=np.float64))
    agree(lambda T: lambda x: T.linalg.householder_product(*T.geqrf(x)), a, order=0)
    for left, transpose in ((True, False), (True, True), (False, False), (False, True)):
        other = normal(4, 4, seed=3, dtype=np.float64)
        agree(lambda T, left=left, t=transpose: lambda *v: T.ormqr(*v, left, t), a, normal(3, dtype=np.float64), other)
    same_error(lambda T: T.linalg.householder_product(T.ones(2, 3), T.ones(2)))
    z = complex_normal(4, 2)
    agree_complex(lambda T, x, tau: T.linalg.householder_product(x, tau), z, complex_normal(2))


def test_orthogonal_initialisation_by_reflections():
    """The Q of a compact decomposition is that of `qr`."""
    a = ours.tensor(normal(5, 3, dtype=np.float64))
    assert ours.allclose(ours.linalg.householder_product(*ours.geqrf(a)), ours.linalg.qr(a).Q)
