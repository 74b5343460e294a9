"""Kullback-Leibler divergences between gamma, beta, Cauchy, Gumbel, Pareto and transformed variables."""

from __future__ import annotations

import math

import torchlike_asg as torch

from .beta import Beta, Dirichlet
from .exponential import Exponential
from .extremes import EULER, Gumbel
from .gamma import Gamma
from .kl import kl_divergence, register_kl
from .normal import Normal
from .tails import Cauchy, HalfNormal, Pareto
from .transformed import TransformedDistribution
from .utils import sum_rightmost


@register_kl(Gamma, Gamma)
def _gamma(p: Gamma, q: Gamma) -> torch.Tensor:
    a, b = p.concentration, q.concentration
    return b * (p.rate / q.rate).log() + torch.lgamma(b) - torch.lgamma(a) + (a - b) * torch.digamma(a) + (q.rate - p.rate) * (a / p.rate)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Exponential, q: Gamma) -> torch.Tensor:
    ratio = q.rate / p.rate
    return -q.concentration * torch.log(ratio) + ratio + q.concentration.lgamma() + q.concentration * EULER - (1 + EULER)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Gamma, q: Exponential) -> torch.Tensor:
    return -p.entropy() - q.rate.log() + q.rate * p.concentration / p.rate


@register_kl(Gamma, Normal)
def _gamma_normal(p: Gamma, q: Normal) -> torch.Tensor:
    square, a = q.scale.pow(2), p.concentration
    apart = 0.5 * (a * (a + 1)) / p.rate.pow(2) - q.loc * a / p.rate + 0.5 * q.loc.pow(2)
    return 0.5 * torch.log(p.rate.pow(2) * square * 2 * math.pi) + (a - 1) * a.digamma() + apart / square - a - a.lgamma()


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Dirichlet, q: Dirichlet) -> torch.Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    apart = ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)
    return total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1) + apart


@register_kl(Beta, Beta)
def _beta(p: Beta, q: Beta) -> torch.Tensor:
    return _dirichlet(p._dirichlet, q._dirichlet)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Cauchy, q: Cauchy) -> torch.Tensor:
    return ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log() - (4 * p.scale * q.scale).log()


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Gumbel, q: Gumbel) -> torch.Tensor:
    ratio, there, here = p.scale / q.scale, q.loc / q.scale, p.loc / q.scale
    return -ratio.log() - there + here + ratio * EULER + torch.exp(there + (1 + ratio).lgamma() - here) - (1 + EULER)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: HalfNormal, q: HalfNormal) -> torch.Tensor:
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Pareto, Pareto)
def _pareto(p: Pareto, q: Pareto) -> torch.Tensor:
    ratio = q.alpha / p.alpha
    found = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return torch.where(p.scale < q.scale, torch.inf, found)


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> torch.Tensor:
    """The same bijection of both changes nothing."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), len(p.event_shape) - len(p.base_dist.event_shape))
