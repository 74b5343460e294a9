"""Kullback-Leibler divergences between variables of different types: ``-H(p) - E_p[log q]``, infinite where q's support is too small."""

from __future__ import annotations

import math

import torchlike_asg as torch

from .bernoulli import Bernoulli
from .beta import Beta
from .continuous_bernoulli import ContinuousBernoulli
from .distribution import Distribution
from .exponential import Exponential
from .extremes import Gumbel
from .gamma import Gamma
from .kl import infinite, register_kl
from .laplace import Laplace
from .low_rank import LowRankMultivariateNormal, low_rank_distance, low_rank_log_det
from .multivariate_normal import MultivariateNormal, half_log_det, squared_distance
from .normal import Normal
from .poisson import Poisson
from .tails import Pareto
from .uniform import Uniform
from .wishart import Wishart, digamma_sum

# ---------------------------------------------------------------- supports that do not fit
_BOUNDED = (Beta, ContinuousBernoulli, Pareto, Uniform)
for _p, _qs in (
    (Beta, (Pareto,)),
    (ContinuousBernoulli, (Pareto,)),
    (Exponential, _BOUNDED),
    (Gamma, _BOUNDED),
    (Gumbel, (*_BOUNDED, Exponential, Gamma)),
    (Laplace, (*_BOUNDED, Exponential, Gamma)),
    (Normal, (*_BOUNDED, Exponential, Gamma)),
    (Pareto, (Beta, ContinuousBernoulli, Uniform)),
):
    for _q in _qs:
        register_kl(_p, _q)(infinite)


# ---------------------------------------------------------------- expectations of -log q that depend on few moments of p
def _of_exponential(q: Exponential, mean: torch.Tensor) -> torch.Tensor:
    return q.rate * mean - q.rate.log()


def _of_normal(q: Normal, mean: torch.Tensor, variance: torch.Tensor) -> torch.Tensor:
    return 0.5 * math.log(2 * math.pi) + q.scale.log() + (variance + (mean - q.loc).pow(2)) / (2 * q.scale.pow(2))


def _of_gamma(q: Gamma, mean: torch.Tensor, log: torch.Tensor) -> torch.Tensor:
    return q.concentration.lgamma() - q.concentration * q.rate.log() - (q.concentration - 1) * log + q.rate * mean


def _of_gumbel(q: Gumbel, mean: torch.Tensor, decay: torch.Tensor) -> torch.Tensor:
    """`decay` is the expectation of ``exp(-x / scale)``."""
    return q.scale.log() + (mean - q.loc) / q.scale + torch.exp(q.loc / q.scale) * decay


def _of_continuous_bernoulli(q: ContinuousBernoulli, mean: torch.Tensor) -> torch.Tensor:
    return -mean * q.logits - torch.log1p(-q.probs) - q._log_norm()


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
@register_kl(Beta, ContinuousBernoulli)
def _to_continuous_bernoulli(p: Distribution, q: ContinuousBernoulli) -> torch.Tensor:
    return _of_continuous_bernoulli(q, p.mean) - p.entropy()


@register_kl(Beta, Exponential)
@register_kl(ContinuousBernoulli, Exponential)
def _to_exponential(p: Distribution, q: Exponential) -> torch.Tensor:
    return _of_exponential(q, p.mean) - p.entropy()


@register_kl(Beta, Normal)
@register_kl(ContinuousBernoulli, Normal)
@register_kl(Gumbel, Normal)
def _to_normal(p: Distribution, q: Normal) -> torch.Tensor:
    return _of_normal(q, p.mean, p.variance) - p.entropy()


@register_kl(Beta, Gamma)
def _beta_gamma(p: Beta, q: Gamma) -> torch.Tensor:
    log = p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    return _of_gamma(q, p.mean, log) - p.entropy()


@register_kl(Beta, Uniform)
def _beta_uniform(p: Beta, q: Uniform) -> torch.Tensor:
    found = (q.high - q.low).log() - p.entropy()
    return torch.where((q.low > 0) | (q.high < 1), torch.inf, found)


@register_kl(ContinuousBernoulli, Uniform)
def _continuous_bernoulli_uniform(p: ContinuousBernoulli, q: Uniform) -> torch.Tensor:
    """Infinite, as in PyTorch, also where the ends of the supports meet."""
    found = (q.high - q.low).log() - p.entropy()
    return torch.where((q.low >= 0) | (q.high <= 1), torch.inf, found)


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Bernoulli, q: Poisson) -> torch.Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Exponential, Gumbel)
def _exponential_gumbel(p: Exponential, q: Gumbel) -> torch.Tensor:
    product = p.rate * q.scale
    return _of_gumbel(q, p.mean, product / (product + 1)) - p.entropy()


@register_kl(Gamma, Gumbel)
def _gamma_gumbel(p: Gamma, q: Gumbel) -> torch.Tensor:
    return _of_gumbel(q, p.mean, (1 + (p.rate * q.scale).reciprocal()).pow(-p.concentration)) - p.entropy()


@register_kl(Normal, Gumbel)
def _normal_gumbel(p: Normal, q: Gumbel) -> torch.Tensor:
    return _of_gumbel(q, p.loc, torch.exp(-p.loc / q.scale + (p.scale / q.scale).pow(2) / 2)) - p.entropy()


@register_kl(Normal, Laplace)
def _normal_laplace(p: Normal, q: Laplace) -> torch.Tensor:
    """The expected distance of a normal number from `loc` is that of a folded one."""
    apart = p.loc - q.loc
    distance = p.scale * math.sqrt(2 / math.pi) * torch.exp(-0.5 * (apart / p.scale).pow(2))
    distance = distance + apart * torch.erf(math.sqrt(0.5) * apart / p.scale)
    return (2 * q.scale).log() + distance / q.scale - p.entropy()


# ---------------------------------------------------------------- from Pareto and uniform variables
@register_kl(Pareto, Exponential)
def _pareto_exponential(p: Pareto, q: Exponential) -> torch.Tensor:
    return torch.where(p.alpha <= 1, torch.inf, _of_exponential(q, p.mean) - p.entropy())


@register_kl(Pareto, Gamma)
def _pareto_gamma(p: Pareto, q: Gamma) -> torch.Tensor:
    found = _of_gamma(q, p.mean, p.scale.log() + p.alpha.reciprocal()) - p.entropy()
    return torch.where(p.alpha <= 1, torch.inf, found)


@register_kl(Pareto, Normal)
def _pareto_normal(p: Pareto, q: Normal) -> torch.Tensor:
    return torch.where(p.alpha <= 2, torch.inf, _of_normal(q, p.mean, p.variance) - p.entropy())


def _mean_log(low: torch.Tensor, high: torch.Tensor) -> torch.Tensor:
    """The mean of log x over an interval."""
    return (torch.special.xlogy(high, high) - torch.special.xlogy(low, low)) / (high - low) - 1


@register_kl(Uniform, Beta)
def _uniform_beta(p: Uniform, q: Beta) -> torch.Tensor:
    a, b = q.concentration1, q.concentration0
    logs = (a - 1) * _mean_log(p.low, p.high) + (b - 1) * _mean_log(1 - p.high, 1 - p.low)
    found = a.lgamma() + b.lgamma() - (a + b).lgamma() - logs - p.entropy()
    return torch.where((p.high > 1) | (p.low < 0), torch.inf, found)


@register_kl(Uniform, ContinuousBernoulli)
def _uniform_continuous_bernoulli(p: Uniform, q: ContinuousBernoulli) -> torch.Tensor:
    """Infinite, as in PyTorch, also where the ends of the supports meet."""
    found = _of_continuous_bernoulli(q, p.mean) - p.entropy()
    return torch.where((p.high >= 1) | (p.low <= 0), torch.inf, found)


@register_kl(Uniform, Exponential)
def _uniform_exponential(p: Uniform, q: Exponential) -> torch.Tensor:
    return torch.where(p.low < 0, torch.inf, _of_exponential(q, p.mean) - p.entropy())


@register_kl(Uniform, Gamma)
def _uniform_gamma(p: Uniform, q: Gamma) -> torch.Tensor:
    return torch.where(p.low < 0, torch.inf, _of_gamma(q, p.mean, _mean_log(p.low, p.high)) - p.entropy())


@register_kl(Uniform, Gumbel)
def _uniform_gumbel(p: Uniform, q: Gumbel) -> torch.Tensor:
    decay = (torch.exp(-p.low / q.scale) - torch.exp(-p.high / q.scale)) * q.scale / (p.high - p.low)
    return _of_gumbel(q, p.mean, decay) - p.entropy()


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Uniform, q: Pareto) -> torch.Tensor:
    found = (q.alpha + 1) * _mean_log(p.low, p.high) - q.alpha.log() - q.alpha * q.scale.log() - p.entropy()
    return torch.where(p.low < q.scale, torch.inf, found)


# ---------------------------------------------------------------- Gaussian vectors with low-rank covariances
def _between(p: Distribution, trace: torch.Tensor, distance: torch.Tensor, log_dets: torch.Tensor) -> torch.Tensor:
    """1/2 (log det q - log det p + tr(q^-1 p) + squared distance of the means - n)."""
    return 0.5 * (log_dets + trace + distance - p.event_shape[0])


def _low_rank_trace(q: LowRankMultivariateNormal, root: torch.Tensor) -> torch.Tensor:
    """tr(Q^-1 R R') for the columns of `root`, by Woodbury's identity."""
    w, d = q._factor, q._diag
    whole = (root.pow(2) / d.unsqueeze(-1)).sum((-2, -1))
    inner = torch.matmul(w.mT / d.unsqueeze(-2), root)
    batch = torch.broadcast_shapes(q._capacitance_tril.shape[:-2], inner.shape[:-2])
    tril = q._capacitance_tril.expand((*batch, *q._capacitance_tril.shape[-2:]))
    solved = torch.linalg.solve_triangular(tril, inner.expand((*batch, *inner.shape[-2:])), upper=False)
    return whole - solved.pow(2).sum((-2, -1))


def _same_size(p: Distribution, q: Distribution) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"KL-divergence between two {'Low Rank ' if isinstance(p, LowRankMultivariateNormal) else ''}Multivariate Normals with "
            "different event shapes cannot be computed"
        )


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_ranks(p: LowRankMultivariateNormal, q: LowRankMultivariateNormal) -> torch.Tensor:
    _same_size(p, q)
    distance = low_rank_distance(q._factor, q._diag, q.loc - p.loc, q._capacitance_tril)
    trace = _low_rank_trace(q, p._factor) + _low_rank_trace(q, torch.diag_embed(p._diag.sqrt()))
    return _between(p, trace, distance, low_rank_log_det(q) - low_rank_log_det(p))


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _full_low_rank(p: MultivariateNormal, q: LowRankMultivariateNormal) -> torch.Tensor:
    _same_size(p, q)
    distance = low_rank_distance(q._factor, q._diag, q.loc - p.loc, q._capacitance_tril)
    return _between(p, _low_rank_trace(q, p._tril), distance, low_rank_log_det(q) - 2 * half_log_det(p._tril))


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank_full(p: LowRankMultivariateNormal, q: MultivariateNormal) -> torch.Tensor:
    _same_size(p, q)
    root = torch.cat([p.cov_factor, torch.diag_embed(p.cov_diag.sqrt())], -1)
    batch = torch.broadcast_shapes(q._tril.shape[:-2], root.shape[:-2])
    solved = torch.linalg.solve_triangular(
        q._tril.expand((*batch, *q._tril.shape[-2:])), root.expand((*batch, *root.shape[-2:])), upper=False
    )
    distance = squared_distance(q._tril, q.loc - p.loc)
    return _between(p, solved.pow(2).sum((-2, -1)), distance, 2 * half_log_det(q._tril) - low_rank_log_det(p))


# ---------------------------------------------------------------- random matrices
@register_kl(Wishart, Wishart)
def _wishart(p: Wishart, q: Wishart) -> torch.Tensor:
    n = p.event_shape[-1]
    trace = torch.cholesky_solve(p.covariance_matrix, q._tril).diagonal(dim1=-2, dim2=-1).sum(-1)
    gammas = torch.mvlgamma(q.df / 2, p=n) - torch.mvlgamma(p.df / 2, p=n)
    scales = q.df * (half_log_det(q._tril) - half_log_det(p._tril))
    return scales + p.df / 2 * (trace - n) + gammas + (p.df - q.df) / 2 * digamma_sum(p.df / 2, n)
