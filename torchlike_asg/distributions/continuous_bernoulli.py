"""Numbers between 0 and 1 with the density of a Bernoulli variable, normalised: Loaiza-Ganem & Cunningham (2019)."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torchlike_asg as torch

from . import constraints
from .distribution import ExponentialFamily, given_one
from .utils import batch_of, broadcast_all, clamp_probs, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(ExponentialFamily):
    """Density proportional to ``probs ** x * (1 - probs) ** (1 - x)``. Between `lims`, around 1/2, formulas are series."""

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self, probs: Any = None, logits: Any = None, lims: tuple[float, float] = (0.499, 0.501), validate_args: bool | None = None
    ) -> None:
        if given_one(probs, logits):
            (self.probs,) = broadcast_all(probs)
            if validate_args is not None and not self.arg_constraints["probs"].check(self.probs).all():
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(self.probs)
            self._param = self.probs
        else:
            (self.logits,) = broadcast_all(logits)
            self._param = self.logits
        self._lims = lims
        super().__init__(batch_of(self._param, logits if probs is None else probs), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._expanded(_instance, ("probs", "logits"), batch_shape)
        new._lims, new._param = self._lims, new.__dict__.get("probs", new.__dict__.get("logits"))
        return new

    @lazy_property
    def logits(self) -> torch.Tensor:
        """Log-odds of `probs`."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> torch.Tensor:
        """The parameter between 0 and 1."""
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    @property
    def param_shape(self) -> torch.Size:
        """The shape of the parameter."""
        return self._param.size()

    def _parts(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Where the closed formulas hold, the parameter with a harmless value elsewhere, and its distance from 1/2."""
        outside = (self.probs <= self._lims[0]) | (self.probs > self._lims[1])
        return outside, torch.where(outside, self.probs, self._lims[0] * torch.ones_like(self.probs)), self.probs - 0.5

    def _log_norm(self) -> torch.Tensor:
        """The logarithm of the constant ``2 artanh(1 - 2 probs) / (1 - 2 probs)``."""
        outside, p, x = self._parts()
        low = p <= 0.5
        below = torch.where(low, p, torch.zeros_like(p))
        above = torch.where(low, torch.ones_like(p), p)
        size = torch.where(low, torch.log1p(-2.0 * below), torch.log(2.0 * above - 1.0))
        x = x.pow(2)
        found = torch.log(torch.abs(torch.log1p(-p) - torch.log(p))) - size
        return torch.where(outside, found, math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x)

    @property
    def mean(self) -> torch.Tensor:
        outside, p, x = self._parts()
        found = p / (2.0 * p - 1.0) + 1.0 / (torch.log1p(-p) - torch.log(p))
        return torch.where(outside, found, 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * x.pow(2)) * x)

    @property
    def stddev(self) -> torch.Tensor:
        return torch.sqrt(self.variance)

    @property
    def variance(self) -> torch.Tensor:
        outside, p, x = self._parts()
        x = x.pow(2)
        found = p * (p - 1.0) / (1.0 - 2.0 * p).pow(2) + 1.0 / (torch.log1p(-p) - torch.log(p)).pow(2)
        return torch.where(outside, found, 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x)

    def rsample(self, sample_shape: Any = ()) -> torch.Tensor:
        return self.icdf(torch.rand(self._extended_shape(sample_shape), dtype=self.probs.dtype, device=self.probs.device))

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        likelihood = -torch.nn.functional.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return likelihood + self._log_norm()

    def cdf(self, value: torch.Tensor) -> torch.Tensor:
        if self._validate_args:
            self._validate_sample(value)
        outside, p, _ = self._parts()
        found = (p.pow(value) * (1.0 - p).pow(1.0 - value) + p - 1.0) / (2.0 * p - 1.0)
        found = torch.where(outside, found, value)
        return torch.where(value <= 0.0, torch.zeros_like(value), torch.where(value >= 1.0, torch.ones_like(value), found))

    def icdf(self, value: torch.Tensor) -> torch.Tensor:
        outside, p, _ = self._parts()
        found = (torch.log1p(-p + value * (2.0 * p - 1.0)) - torch.log1p(-p)) / (torch.log(p) - torch.log1p(-p))
        return torch.where(outside, found, value)

    def entropy(self) -> torch.Tensor:
        zero, one = torch.log1p(-self.probs), torch.log(self.probs)
        return self.mean * (zero - one) - self._log_norm() - zero
