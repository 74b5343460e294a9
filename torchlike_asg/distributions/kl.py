"""Kullback-Leibler divergences between pairs of distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torchlike_asg as torch

from .bernoulli import Bernoulli
from .binomial import Binomial
from .categorical import Categorical
from .distribution import Distribution
from .exponential import Exponential
from .geometric import Geometric
from .independent import Independent
from .laplace import Laplace
from .multivariate_normal import MultivariateNormal, half_log_det, squared_distance
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .poisson import Poisson
from .uniform import Uniform
from .utils import sum_rightmost

__all__ = ["infinite", "kl_divergence", "register_kl"]

_PAIRS: dict[tuple[type, type], Callable[[Any, Any], torch.Tensor]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """Decorator: this function of (p, q) is the divergence of that pair of types and of their subclasses."""
    for t in (type_p, type_q):
        if not isinstance(t, type):  # any class, as in PyTorch: packages have hierarchies of their own
            raise TypeError(f"Expected {'type_p' if t is type_p else 'type_q'} to be a Distribution subclass but got {t}")

    def register(fn: Any) -> Any:
        _PAIRS[type_p, type_q] = fn
        return fn

    return register


def _find(p: type, q: type) -> Callable[[Any, Any], torch.Tensor]:
    """The function of the nearest base classes, those of `p` first."""
    for a in p.__mro__:
        for b in q.__mro__:
            if (a, b) in _PAIRS:
                return _PAIRS[a, b]
    raise NotImplementedError(f"No KL(p || q) is implemented for p type {p.__name__} and q type {q.__name__}")


def kl_divergence(p: Distribution, q: Distribution) -> torch.Tensor:
    """``E_p[log p(x) - log q(x)]``, of the batch shape; NotImplementedError for a pair without a formula."""
    return _find(type(p), type(q))(p, q)


@register_kl(Normal, Normal)
def _normal(p: Normal, q: Normal) -> torch.Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(Laplace, Laplace)
def _laplace(p: Laplace, q: Laplace) -> torch.Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * torch.exp(-distance / p.scale) - 1


@register_kl(Exponential, Exponential)
def _exponential(p: Exponential, q: Exponential) -> torch.Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(Uniform, Uniform)
def _uniform(p: Uniform, q: Uniform) -> torch.Tensor:
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return torch.where((q.low > p.low) | (q.high < p.high), torch.inf, found)


@register_kl(Uniform, Normal)
def _uniform_normal(p: Uniform, q: Normal) -> torch.Tensor:
    width = p.high - p.low
    return (math.sqrt(2 * math.pi) * q.scale / width).log() + (width.pow(2) / 12 + ((p.high + p.low - 2 * q.loc) / 2).pow(2)) / (
        2 * q.scale.pow(2)
    )


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Bernoulli, q: Bernoulli) -> torch.Tensor:
    softplus = torch.nn.functional.softplus
    one = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    zero = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    one = torch.where(q.probs == 0, torch.inf, one).masked_fill(p.probs == 0, 0)
    zero = torch.where(q.probs == 1, torch.inf, zero).masked_fill(p.probs == 1, 0)
    return one + zero


@register_kl(Binomial, Binomial)
def _binomial(p: Binomial, q: Binomial) -> torch.Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    found = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return torch.where(p.total_count > q.total_count, torch.inf, found)


@register_kl(Poisson, Poisson)
def _poisson(p: Poisson, q: Poisson) -> torch.Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Geometric, Geometric)
def _geometric(p: Geometric, q: Geometric) -> torch.Tensor:
    return -p.entropy() - torch.log1p(-q.probs) / p.probs - q.logits


@register_kl(Categorical, Categorical)
def _categorical(p: Categorical, q: Categorical) -> torch.Tensor:
    t = p.probs * (p.logits - q.logits)
    t = torch.where((q.probs == 0).expand_as(t), torch.inf, t)
    return torch.where((p.probs == 0).expand_as(t), 0.0, t).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: OneHotCategorical, q: OneHotCategorical) -> torch.Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: MultivariateNormal, q: MultivariateNormal) -> torch.Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError("KL-divergence between two Multivariate Normals with different event shapes cannot be computed")
    n = p.event_shape[0]
    batch = torch.broadcast_shapes(q._tril.shape[:-2], p._tril.shape[:-2])
    mixed = torch.linalg.solve_triangular(q._tril.expand((*batch, n, n)), p._tril.expand((*batch, n, n)), upper=False)
    trace = mixed.pow(2).sum((-2, -1))
    return half_log_det(q._tril) - half_log_det(p._tril) + 0.5 * (trace + squared_distance(q._tril, q.loc - p.loc) - n)


@register_kl(Laplace, Normal)
def _laplace_normal(p: Laplace, q: Normal) -> torch.Tensor:
    square, ratio = q.scale.pow(2), p.scale.pow(2) / q.scale.pow(2)
    return -0.5 * torch.log(2 * ratio / math.pi) + ratio + 0.5 * (p.loc - q.loc).pow(2) / square - 1


@register_kl(Exponential, Normal)
def _exponential_normal(p: Exponential, q: Normal) -> torch.Tensor:
    square, rate = q.scale.pow(2), p.rate.pow(2)
    return 0.5 * torch.log(rate * square * 2 * math.pi) - 1 + (1 / rate - q.loc / p.rate + 0.5 * q.loc.pow(2)) / square


@register_kl(Poisson, Bernoulli)
@register_kl(Poisson, Binomial)
def infinite(p: Distribution, q: Distribution) -> torch.Tensor:
    """`p` has values that are impossible under `q`."""
    return torch.full_like(p.mean, torch.inf)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> torch.Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


_KL_REGISTRY, _dispatch_kl = _PAIRS, _find  # PyTorch's names, which packages with distributions of their own use
