"""Leading singular values and components from PyTorch's random projections, and positions in a tensor of fixed size."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from ..parity.scripts import same  # noqa: E402
from .compare import same_error  # noqa: E402


def product(T, m, n, *lead):
    return T.randn(*lead, m, 3, dtype=T.float64) @ T.randn(*lead, 3, n, dtype=T.float64)


@pytest.mark.parametrize("shape", [(9, 5), (5, 9), (7, 7, 2)])
def test_singular_values(shape):
    def run(T):
        a = product(T, *shape)
        u, s, v = T.svd_lowrank(a, q=3)
        moved = T.svd_lowrank(a, 3, niter=1, M=T.ones_like(a[..., :1, :]))
        return [u.abs(), s, v.abs(), (u * s.unsqueeze(-2)) @ v.mT, a, moved[1], T.rand(2)]

    same(run, rtol=1e-6, atol=1e-8)


def test_components():
    def run(T):
        a = T.randn(12, 4, dtype=T.float64) * T.tensor([5.0, 2.0, 1.0, 0.1], dtype=T.float64)
        u, s, v = T.pca_lowrank(a)
        return [u.abs(), s, v.abs(), T.pca_lowrank(a, 2, center=False)[1]]

    same(run, rtol=1e-6, atol=1e-8)
    same_error(lambda T: T.pca_lowrank(T.ones(3, 2), q=3))
    same_error(lambda T: T.pca_lowrank(T.ones(3, 2), niter=-1))


def test_positions_in_a_tensor_of_fixed_size():
    same(lambda T: [T.nonzero_static(T.tensor([[0, 1], [2, 0]]), size=n) for n in (0, 1, 2, 4)])
    same(lambda T: T.tensor([0.0, 3.0]).nonzero_static(size=2, fill_value=7))


def test_batch_normalisation_of_mapped_models():
    def run(T):
        m = T.nn.Sequential(T.nn.Linear(4, 3), T.nn.BatchNorm1d(3))
        T.func.replace_all_batch_norm_modules_(m)
        x = T.randn(2, 5, 4)
        weights = {k: v.detach() for k, v in m.named_parameters()}
        return [T.func.vmap(lambda x: T.func.functional_call(m, weights, (x,)))(x), repr(m)]

    got = same(run)
    assert np.isfinite(got[0][1]).all()
