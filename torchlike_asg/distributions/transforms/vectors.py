"""Transforms of vectors and matrices, and of tensors part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torchlike_asg as torch

from .. import constraints
from ..utils import sum_rightmost
from .base import Transform
from .elementwise import _Plain

__all__ = [
    "CatTransform",
    "CumulativeDistributionTransform",
    "LowerCholeskyTransform",
    "PositiveDefiniteTransform",
    "SoftmaxTransform",
    "StackTransform",
    "StickBreakingTransform",
]


class SoftmaxTransform(_Plain):
    """Softmax of the last dimension: not bijective, since a constant may be added to the logits."""

    domain, codomain = constraints.real_vector, constraints.simplex

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        weights = (x - x.max(-1, True)[0]).exp()
        return weights / weights.sum(-1, True)

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        return y.log()

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return shape

    inverse_shape = forward_shape


class StickBreakingTransform(_Plain):
    """n real numbers to n + 1 that add up to one: each takes a share of what is left."""

    domain, codomain, bijective = constraints.real_vector, constraints.simplex, True

    @staticmethod
    def _offset(x: torch.Tensor) -> torch.Tensor:
        n = x.shape[-1]
        return n + 1 - x.new_ones(n).cumsum(-1)

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        pad = torch.nn.functional.pad
        share = _inside(torch.sigmoid(x - self._offset(x).log()))
        left = (1 - share).cumprod(-1)
        return pad(share, [0, 1], value=1) * pad(left, [1, 0], value=1)

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        y = y[..., :-1]
        left = torch.clamp(1 - y.cumsum(-1), min=torch.finfo(y.dtype).tiny)
        return y.log() - left.log() + self._offset(y).log()

    def log_abs_det_jacobian(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        x = x - self._offset(x).log()
        return (-x + torch.nn.functional.logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return torch.Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return torch.Size((*shape[:-1], shape[-1] - 1))


def _inside(y: torch.Tensor) -> torch.Tensor:
    limits = torch.finfo(y.dtype)
    return torch.clamp(y, min=limits.tiny, max=1.0 - limits.eps)


class LowerCholeskyTransform(_Plain):
    """Square matrices to lower triangular ones with a positive diagonal (its exponential)."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.lower_cholesky

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(_Plain):
    """Square matrices to positive definite ones, through their Cholesky factors."""

    domain, codomain = constraints.independent(constraints.real, 2), constraints.positive_definite

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        x = LowerCholeskyTransform()(x)
        return x @ x.mT

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        return LowerCholeskyTransform().inv(torch.linalg.cholesky(y))


class _Parts(Transform):
    """Different transforms for parts of a tensor along `dim`."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        if not all(isinstance(t, Transform) for t in tseq):
            raise AssertionError("All elements of tseq must be Transform instances")
        super().__init__(cache_size=cache_size)
        self.transforms, self.dim = [t.with_cache(cache_size) for t in tseq], dim

    def _pieces(self, x: torch.Tensor) -> list[torch.Tensor]:
        raise NotImplementedError

    def _joined(self, parts: list[torch.Tensor]) -> torch.Tensor:
        raise NotImplementedError

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        return self._joined([t(p) for t, p in zip(self.transforms, self._pieces(x), strict=True)])

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        return self._joined([t.inv(p) for t, p in zip(self.transforms, self._pieces(y), strict=True)])

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(t.bijective for t in self.transforms)


class CatTransform(_Parts):
    """Transforms of consecutive pieces, of `lengths` (default 1 each) along `dim`."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, lengths: Sequence[int] | None = None, cache_size: int = 0) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = list(lengths) if lengths is not None else [1] * len(self.transforms)
        if len(self.lengths) != len(self.transforms):
            raise AssertionError(f"len(lengths)={len(self.lengths)} must equal len(transforms)={len(self.transforms)}")

    @property
    def event_dim(self) -> int:
        return max(t.event_dim for t in self.transforms)

    @property
    def length(self) -> int:
        return sum(self.lengths)

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if self._cache_size == cache_size else CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _pieces(self, x: torch.Tensor) -> list[torch.Tensor]:
        return list(x.split(self.lengths, self.dim))

    def _joined(self, parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.cat(parts, dim=self.dim)

    def log_abs_det_jacobian(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        pieces, dims = zip(self.transforms, self._pieces(x), self._pieces(y), strict=True), self.event_dim
        terms = [sum_rightmost(t.log_abs_det_jacobian(a, b), dims - t.event_dim) for t, a, b in pieces]
        behind = (self.dim - x.dim() if self.dim >= 0 else self.dim) + dims
        return torch.cat(terms, dim=behind) if behind < 0 else torch.stack(terms).sum(0)  # pieces of one event: their terms add up

    @property
    def domain(self) -> Any:  # type: ignore[override]
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @property
    def codomain(self) -> Any:  # type: ignore[override]
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(_Parts):
    """One transform for each slice along `dim`."""

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if self._cache_size == cache_size else StackTransform(self.transforms, self.dim, cache_size)

    def _pieces(self, x: torch.Tensor) -> list[torch.Tensor]:
        return list(x.unbind(self.dim))

    def _joined(self, parts: list[torch.Tensor]) -> torch.Tensor:
        return torch.stack(parts, dim=self.dim)

    def log_abs_det_jacobian(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        rows = zip(self.transforms, self._pieces(x), self._pieces(y), strict=True)
        return torch.stack([t.log_abs_det_jacobian(a, b) for t, a, b in rows], dim=self.dim)

    @property
    def domain(self) -> Any:  # type: ignore[override]
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @property
    def codomain(self) -> Any:  # type: ignore[override]
        return constraints.stack([t.codomain for t in self.transforms], self.dim)


class CumulativeDistributionTransform(Transform):
    """A number to its probability under a distribution."""

    bijective, codomain, sign = True, constraints.unit_interval, 1

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size=cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:  # type: ignore[override]
        return self.distribution.support

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        return self.distribution.cdf(x)  # type: ignore[no-any-return]

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        return self.distribution.icdf(y)  # type: ignore[no-any-return]

    def log_abs_det_jacobian(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return self.distribution.log_prob(x)  # type: ignore[no-any-return]

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if self._cache_size == cache_size else CumulativeDistributionTransform(self.distribution, cache_size=cache_size)
