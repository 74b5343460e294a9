"""One probability, given as such or as log-odds."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from .distribution import Distribution, given_one
from .utils import batch_of, broadcast_all, lazy_property, logits_to_probs, probs_to_logits

__all__ = ["Odds"]


class Odds(Distribution):
    """What distributions with one probability share: `probs` and `logits`, one given, the other computed when asked for."""

    def _set(self, probs: Any, logits: Any, validate_args: bool | None) -> None:
        name, value = ("probs", probs) if given_one(probs, logits) else ("logits", logits)
        (self.__dict__[name],) = broadcast_all(value)
        Distribution.__init__(self, batch_of(self.__dict__[name], value), validate_args=validate_args)

    @lazy_property
    def logits(self) -> torch.Tensor:
        """Log-odds of one."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> torch.Tensor:
        """Probability of one."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def _param(self) -> torch.Tensor:
        return self.__dict__["probs"] if "probs" in self.__dict__ else self.logits
