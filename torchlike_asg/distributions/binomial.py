"""Successes in a number of trials."""

from __future__ import annotations

from typing import Any, ClassVar

import torchlike_asg as torch

from . import constraints
from .bernoulli import Bernoulli
from .distribution import Distribution, given_one
from .odds import Odds
from .utils import broadcast_all

__all__ = ["Binomial"]


class Binomial(Distribution):
    """The number of successes of probability `probs` in `total_count` trials."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        name, value = ("probs", probs) if given_one(probs, logits) else ("logits", logits)
        self.total_count, self.__dict__[name] = broadcast_all(total_count, value)
        self.total_count = self.total_count.type_as(self.__dict__[name])
        super().__init__(self.__dict__[name].size(), validate_args=validate_args)

    logits, probs, _param, param_shape = Odds.logits, Odds.probs, Odds._param, Bernoulli.param_shape

    def expand(self, batch_shape: Any, _instance: Any = None) -> Binomial:
        return self._expanded(_instance, ("total_count", "probs", "logits"), batch_shape)  # type: ignore[no-any-return]

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> torch.Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> torch.Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> torch.Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> torch.Tensor:
        shape = self._extended_shape(sample_shape)
        with torch.no_grad():
            return torch.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        if self._validate_args:
            self._validate_sample(value)
        arrangements = torch.lgamma(self.total_count + 1) - torch.lgamma(value + 1) - torch.lgamma(self.total_count - value + 1)
        size = torch.abs(self.logits)
        normaliser = self.total_count * ((self.logits + size) / 2 + torch.log1p(torch.exp(-size)))  # log(1 + exp(logits)) without overflow
        return value * self.logits + arrangements - normaliser

    def enumerate_support(self, expand: bool = True) -> torch.Tensor:
        total = int(self.total_count.max())
        if not self.total_count.min() == total:
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = torch.arange(1 + total, dtype=self._param.dtype, device=self._param.device).view((-1,) + (1,) * len(self._batch_shape))
        return values.expand((-1, *self._batch_shape)) if expand else values

    def entropy(self) -> torch.Tensor:
        logs = self.log_prob(self.enumerate_support(False))
        return -(torch.exp(logs) * logs).sum(0)
