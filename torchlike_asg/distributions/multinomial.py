"""How often each category came up."""

from __future__ import annotations

from typing import Any, ClassVar

import torchlike_asg as torch

from . import constraints
from .categorical import Categorical, Counted
from .utils import broadcast_all, clamp_probs

__all__ = ["Multinomial"]


class Multinomial(Counted):
    """How often each of K categories came up in `total_count` draws."""

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.simplex, "logits": constraints.real_vector}

    def __init__(self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Multinomial:
        new = self._expanded(_instance, (), batch_shape)
        new.total_count, new._categorical = self.total_count, self._categorical.expand(batch_shape)
        return new  # type: ignore[no-any-return]

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> torch.Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> torch.Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> torch.Tensor:
        sample_shape = torch.Size(sample_shape)
        drawn = self._categorical.sample(torch.Size((self.total_count,)) + sample_shape).movedim(0, -1)
        counts = torch.zeros(self._extended_shape(sample_shape), dtype=torch.long, device=drawn.device)
        counts.scatter_add_(-1, drawn, torch.ones_like(drawn))
        return counts.type_as(self.probs)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        impossible = (value == 0) & (logits == -torch.inf)  # 0 * -inf is meant to be 0
        logits = logits.masked_fill(impossible, 0)
        return torch.lgamma(value.sum(-1) + 1) - torch.lgamma(value + 1).sum(-1) + (logits * value).sum(-1)

    def entropy(self) -> torch.Tensor:
        n = torch.tensor(self.total_count, dtype=self.probs.dtype, device=self.probs.device)
        per_draw = self._categorical.entropy()
        # the expected logarithm of value! of each category, whose marginal is binomial
        support = torch.arange(1, self.total_count + 1, dtype=self.probs.dtype, device=self.probs.device)
        support = support.view((-1,) + (1,) * self.probs.dim())
        p = clamp_probs(self.probs)
        logs = (
            torch.lgamma(n + 1)
            - torch.lgamma(support + 1)
            - torch.lgamma(n - support + 1)
            + support * p.log()
            + (n - support) * torch.log1p(-p)
        )
        return n * per_draw - torch.lgamma(n + 1) + (logs.exp() * torch.lgamma(support + 1)).sum((0, -1))
