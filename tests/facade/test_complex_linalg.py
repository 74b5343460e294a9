"""Decompositions, moments and convolutions of complex tensors: values and gradients as PyTorch's.

Vectors are compared up to the phase that a decomposition leaves open: by absolute values and products that do not see it.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .test_complex import agree  # noqa: E402


def complex_normal(*shape, seed=0):
    r = np.random.default_rng(seed + sum(shape))
    return r.standard_normal(shape) + 1j * r.standard_normal(shape)


S, WIDE, TALL, BATCH = complex_normal(3, 3), complex_normal(3, 5), complex_normal(4, 2), complex_normal(2, 3, 3)


def positive(T, x):
    return x @ x.mH + 3 * T.eye(3, dtype=x.dtype)


def joined(T, parts):
    """Tensors as one real vector that keeps every part."""
    return T.cat([p.flatten() if not p.is_complex() else T.cat([p.real.flatten(), p.imag.flatten()]) for p in parts])


def factors(u, s, v):
    return [u.abs(), s, v.abs(), (u * s.unsqueeze(-2)) @ v, u @ v]


SQUARE = {
    "cholesky": lambda T, x: T.linalg.cholesky(positive(T, x)),
    "cholesky_inverse": lambda T, x: T.cholesky_inverse(T.linalg.cholesky(positive(T, x))),
    "cholesky_solve": lambda T, x: T.cholesky_solve(x, T.linalg.cholesky(positive(T, x))),
    "eig": lambda T, x: joined(T, [T.linalg.eig(x)[0].abs().sort(-1)[0], T.linalg.eig(x)[1].abs().sum((-2, -1))]),
    "eigh": lambda T, x: joined(T, [T.linalg.eigh(x + x.mH)[0], T.linalg.eigh(x + x.mH)[1].abs()]),
    "eigvalsh": lambda T, x: T.linalg.eigvalsh(x + x.mH),
    "hermitian pinv": lambda T, x: T.linalg.pinv(x + x.mH, hermitian=True),
    "pinv of what is taken for hermitian": lambda T, x: T.linalg.pinv(x @ x.mH + 2j * x[:, :1].abs(), rtol=0.3, hermitian=True),
    "logdet": lambda T, x: T.logdet(x),
    "matrix_exp": lambda T, x: T.linalg.matrix_exp(x),
    "norm 2": lambda T, x: T.linalg.matrix_norm(x, 2),
    "nuclear norm": lambda T, x: T.linalg.matrix_norm(x, "nuc"),
    "slogdet": lambda T, x: joined(T, T.linalg.slogdet(x)),
}


@pytest.mark.parametrize("name", SQUARE)
def test_square_matrices(name):
    agree(SQUARE[name], S)
    agree(SQUARE[name], BATCH)


@pytest.mark.parametrize("matrix", [S, WIDE, TALL, BATCH], ids=["square", "wide", "tall", "batch"])
def test_rectangular_matrices(matrix):
    agree(lambda T, x: joined(T, factors(*T.linalg.svd(x, full_matrices=False))), matrix)
    agree(lambda T, x: T.linalg.svdvals(x), matrix)
    agree(lambda T, x: joined(T, T.linalg.qr(x)), matrix)
    agree(lambda T, x: T.linalg.pinv(x), matrix)
    agree(lambda T, x: T.logsumexp(x, -1), matrix)


def test_eigenvectors_of_real_matrices():
    agree(lambda T, x: T.linalg.eig(x)[1].abs(), S.real)
    values, vectors = ours.linalg.eig(ours.tensor(S.real))
    assert ours.allclose(ours.tensor(S.real).to(ours.complex128) @ vectors, vectors * values)


def test_least_squares():
    agree(lambda T, a, b: T.linalg.lstsq(a, b).solution, TALL, complex_normal(4, 3))


@pytest.mark.parametrize("name", ["var", "std", "var_mean", "std_mean"])
def test_moments(name):
    def run(T, x):
        found = getattr(T, name)(x, 1, correction=1)
        return joined(T, found) if isinstance(found, tuple) else found

    agree(run, WIDE)
    agree(lambda T, x: getattr(T, name)(x)[0] if "_" in name else getattr(T, name)(x), WIDE)
    agree(lambda T, x: T.corrcoef(x), WIDE)


def test_convolutions():
    x, w, b = complex_normal(2, 3, 8), complex_normal(4, 3, 3), complex_normal(4)
    agree(lambda T, x, w, b: T.nn.functional.conv1d(x, w, b, padding=1), x, w, b)
    agree(lambda T, x, w: T.nn.functional.conv_transpose1d(x, w, stride=2), complex_normal(2, 4, 5), w)
    agree(lambda T, x: T.nn.functional.pad(x, (2, 1), mode="reflect"), x)


def test_limits_of_complex_types():
    assert ours.finfo(ours.complex64).eps == torch.finfo(torch.complex64).eps
    assert ours.finfo(ours.complex128).max == torch.finfo(torch.complex128).max
