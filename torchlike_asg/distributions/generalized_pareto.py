"""Excesses over a threshold: the generalised Pareto distribution (Pickands, 1975)."""

from __future__ import annotations

from typing import Any, ClassVar

import torchlike_asg as torch

from . import constraints
from .distribution import Distribution
from .utils import batch_of, broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Numbers above `loc` with survival ``(1 + concentration z) ** (-1 / concentration)``, z = (x - loc) / scale; exponential at 0."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(batch_of(self.loc, loc, scale, concentration), validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        return self._expanded(_instance, ("loc", "scale", "concentration"), batch_shape)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        end = torch.where(self.concentration < 0, self.loc - self.scale / self.concentration, torch.inf)
        return constraints.interval(self.loc, end)

    def _shape(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Where the distribution is exponential, and the concentration with ones there."""
        flat = torch.isclose(self.concentration, torch.zeros_like(self.concentration))
        return flat, torch.where(flat, torch.ones_like(self.concentration), self.concentration)

    @property
    def mean(self) -> torch.Tensor:
        finite = self.concentration < 1
        return torch.where(finite, self.loc + self.scale / (1 - torch.where(finite, self.concentration, 0.5)), torch.nan)

    @property
    def mode(self) -> torch.Tensor:
        return self.loc

    @property
    def variance(self) -> torch.Tensor:
        finite = self.concentration < 0.5
        k = torch.where(finite, self.concentration, 0.25)
        return torch.where(finite, self.scale.pow(2) / ((1 - k).pow(2) * (1 - 2 * k)), torch.nan)

    def rsample(self, sample_shape: Any = ()) -> torch.Tensor:
        return self.icdf(torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device))

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z, (flat, k) = (value - self.loc) / self.scale, self._shape()
        power = 1 / k + torch.ones_like(z)
        return -self.scale.log() - torch.where(flat, z, torch.where(power == 0, power, power * torch.log1p(k * z)))

    def log_survival_function(self, value: torch.Tensor) -> torch.Tensor:
        """The logarithm of the probability of a value above `value`."""
        if self._validate_args:
            self._validate_sample(value)
        z, (flat, k) = (value - self.loc) / self.scale, self._shape()
        return torch.where(flat, -z, -torch.log1p(k * z) / k)

    def log_cdf(self, value: torch.Tensor) -> torch.Tensor:
        """The logarithm of `cdf`."""
        return torch.log1p(-torch.exp(self.log_survival_function(value)))

    def cdf(self, value: torch.Tensor) -> torch.Tensor:
        return torch.exp(self.log_cdf(value))

    def icdf(self, value: torch.Tensor) -> torch.Tensor:
        (flat, k), left = self._shape(), torch.log1p(-value)
        return torch.where(flat, self.loc - self.scale * left, self.loc + self.scale / k * torch.expm1(-k * left))

    def entropy(self) -> torch.Tensor:
        return torch.broadcast_to(torch.log(self.scale) + self.concentration + 1, self._batch_shape)
