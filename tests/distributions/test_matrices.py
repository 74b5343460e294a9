"""Correlation matrices, excesses over thresholds, covariances of low rank, and divergences between variables of different types."""

import itertools
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402
from .test_continuous import LOC, SCALE, SHAPE, UNIT, gradients  # noqa: E402

FACTOR, COVARIANCE = [[0.5, 0.2], [1.0, -0.3], [0.1, 0.8]], [[2.0, 0.3, 0.1], [0.3, 1.5, -0.2], [0.1, -0.2, 1.0]]


def tensor(T, value, dtype="float64"):
    return T.tensor(value, dtype=getattr(T, dtype))


def test_correlations():
    def run(T):
        d = T.distributions.LKJCholesky(4, tensor(T, [0.7, 2.0]).requires_grad_())
        T.manual_seed(3)
        draws = d.sample((5,))
        p = d.log_prob(draws)
        return [draws, p, T.autograd.grad(p.sum(), d.concentration), d.expand((2, 2)).log_prob(draws[:2]), d.batch_shape, d.event_shape]

    same(run, rtol=1e-7, atol=1e-9)
    draws = ours.distributions.LKJCholesky(3).sample((4,))
    assert ours.distributions.constraints.corr_cholesky.check(draws).all()
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        ours.distributions.LKJCholesky(1)


def test_correlations_from_real_numbers():
    def run(T):
        t = T.distributions.CorrCholeskyTransform()
        x = tensor(T, [[0.3, -1.2, 0.5], [2.0, 0.1, -0.4]]).requires_grad_()
        y = t(x)
        jacobian = t.log_abs_det_jacobian(x, y)
        shapes = [tuple(t.forward_shape((5, 6))), tuple(t.inverse_shape((5, 4, 4)))]
        return [y, t.inv(y), jacobian, T.autograd.grad(jacobian.sum() + y.sum(), x), shapes]

    same(run, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["corr_cholesky", "positive_semidefinite"])
def test_regions_of_matrices(name):
    def run(T):
        x = T.arange(9.0).reshape(3, 3) / 9 if name.startswith("positive") else tensor(T, [0.3, -0.2, 0.9], "float32")
        return T.distributions.transform_to(getattr(T.distributions.constraints, name))(x)

    same(run, rtol=1e-5, atol=1e-6)


def test_regions_in_parts():
    def run(T):
        c, d = T.distributions.constraints, T.distributions
        x = tensor(T, [[0.3, -0.2, 0.9], [1.0, 2.0, -3.0]])
        cat = c.cat([c.positive, c.unit_interval], dim=-1, lengths=[1, 2])
        stack = c.stack([c.positive, c.real], dim=0)
        return [r(p)(x) for r in (d.biject_to, d.transform_to) for p in (cat, stack)]

    same(run, rtol=1e-9, atol=1e-12)


def test_excesses():
    """In float32: PyTorch's own log_prob of float64 parameters raises."""

    def run(T):
        given = {
            "loc": tensor(T, LOC, "float32").requires_grad_(),
            "scale": tensor(T, SCALE, "float32").requires_grad_(),
            "concentration": tensor(T, [0.3, -0.4, 0.0], "float32").requires_grad_(),
        }
        d = T.distributions.GeneralizedPareto(**given)
        T.manual_seed(1)
        draws = d.rsample((4,))
        value = draws.detach()
        p = d.log_prob(value)
        moments = [d.mean, d.variance, d.mode, d.entropy(), d.cdf(value), d.log_survival_function(value)]
        return [draws, gradients(T, draws, given), p, gradients(T, p, given), *moments, repr(d.support)]

    same(run, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("form", ["scale_tril", "covariance_matrix", "precision_matrix", "variance"])
def test_covariances_of_low_rank(form):
    def run(T):
        w = tensor(T, FACTOR).requires_grad_()
        d = T.distributions.LowRankMultivariateNormal(tensor(T, LOC), w, tensor(T, SCALE))
        found = getattr(d, form)
        return [found, T.autograd.grad((found * T.arange(found.numel(), dtype=T.float64).view(found.shape)).sum(), w)]

    same(run, rtol=1e-8, atol=1e-10)


def test_vectors_of_low_rank():
    def run(T):
        given = {"loc": tensor(T, LOC), "cov_factor": tensor(T, FACTOR), "cov_diag": tensor(T, SCALE)}
        given = {k: v.requires_grad_() for k, v in given.items()}
        d, other = (T.distributions.LowRankMultivariateNormal(**given) for _ in range(2))
        T.manual_seed(2)
        draws = d.rsample((4,))
        p, wide = d.log_prob(draws.detach()), d.expand((4,))
        out = [draws, gradients(T, draws, given), p, gradients(T, p, given), gradients(T, other.entropy(), given), repr(d.support)]
        return [*out, wide.log_prob(draws.detach()), wide.entropy(), wide.sample((2,)), wide.variance]

    same(run, rtol=1e-7, atol=1e-9)


@pytest.mark.filterwarnings("ignore:Singular sample detected")
@pytest.mark.parametrize("form", ["scale_tril", "covariance_matrix", "precision_matrix"])
def test_covariances(form):
    def run(T):
        matrix = [[1.2, 0.0], [0.4, 0.9]] if form == "scale_tril" else [[2.0, 0.5], [0.5, 1.0]]
        given = {"df": tensor(T, [3.5, 4.5]).requires_grad_(), form: tensor(T, matrix).requires_grad_()}
        d, other = (T.distributions.Wishart(**given) for _ in range(2))
        T.manual_seed(4)
        draws, more = d.sample((3,)), d.sample()
        p, wide = d.log_prob(draws), d.expand((3, 2))
        out = [draws, more, p, gradients(T, p, given), other.entropy(), gradients(T, other.entropy(), given)]
        out += [d.mean, d.variance, d.mode]
        return [*out, wide.log_prob(draws), wide.batch_shape, wide.event_shape, repr(d.support), T.rand(2)]

    same(run, rtol=1e-7, atol=1e-9)


def test_singular_draws_are_drawn_again():
    """Rounding makes some of few degrees of freedom singular: none is in the sample, and what is scored is within the support."""

    def run(T):
        T.manual_seed(0)
        root = T.randn(5, 3, 3).tril()
        df = T.tensor([3.0, 4, 3, 5, 3.1])
        d = T.distributions.Wishart(df, covariance_matrix=root @ root.mT + T.eye(3) * 1e-2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch's, of singular samples, comes always
            x = d.sample((3000,))
        assert d.support.check(x).all().item()
        return [*x.shape, T.isfinite(d.log_prob(x)).all().item()]

    same(run)


def test_gradients_of_random_covariances():
    """Which PyTorch's in-place repair of singular draws loses: the mean of the draws moves as df times the covariance."""
    df = tensor(ours, 5.0).requires_grad_()
    ours.manual_seed(0)
    draws = ours.distributions.Wishart(df, tensor(ours, [[2.0, 0.5], [0.5, 1.0]])).rsample((20000,))
    (slope,) = ours.autograd.grad(draws.mean(0).sum(), df)
    np.testing.assert_allclose(slope.item(), 4.0, rtol=0.05)


VARIABLES = {
    "Beta": (SHAPE, [1.2, 0.8, 3.0]),
    "ContinuousBernoulli": (UNIT,),
    "Exponential": (SCALE,),
    "Gamma": (SHAPE, SCALE),
    "Gumbel": (LOC, SCALE),
    "Laplace": (LOC, SCALE),
    "LowRankMultivariateNormal": (LOC, FACTOR, SCALE),
    "MultivariateNormal": (LOC, COVARIANCE),
    "Normal": (LOC, SCALE),
    "Pareto": (SCALE, [1.5, 3.0, 2.5]),
    "Uniform": ([0.1, 0.6, -1.0], [0.7, 0.9, 3.0]),
    "Wishart": ([4.5, 6.0], COVARIANCE),
}


def divergence(T, p, q):
    def made(name):
        return getattr(T.distributions, name)(*[tensor(T, v) for v in VARIABLES[name]])

    try:
        return T.distributions.kl_divergence(made(p), made(q))
    except NotImplementedError:
        return "no formula"


@pytest.mark.parametrize("p", VARIABLES)
def test_divergences_between_types(p):
    same(lambda T: [divergence(T, p, q) for q in VARIABLES], rtol=1e-8, atol=1e-10)


def test_divergences_are_expectations():
    """Of log p - log q, for the pairs whose supports fit, by a sum over quantiles of p."""
    u = (ours.arange(20000, dtype=ours.float64) + 0.5) / 20000
    count = 0
    for p, q in itertools.permutations(("Normal", "Laplace", "Gumbel", "ContinuousBernoulli", "Exponential"), 2):
        found = divergence(ours, p, q)
        if isinstance(found, str) or not ours.isfinite(found).all():
            continue
        a, b = (getattr(ours.distributions, name)(*[tensor(ours, v[:1]) for v in VARIABLES[name]], validate_args=False) for name in (p, q))
        x = a.icdf(u.unsqueeze(1))
        np.testing.assert_allclose((a.log_prob(x) - b.log_prob(x)).mean().item(), found[0].item(), rtol=2e-2, atol=2e-3)
        count += 1
    assert count >= 5
