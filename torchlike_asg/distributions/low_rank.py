"""Gaussian vectors whose covariance is a diagonal plus a product of thin matrices."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torchlike_asg as torch

from . import constraints
from .distribution import Distribution
from .multivariate_normal import half_log_det, matrix_times_vectors, squared_distance
from .utils import lazy_property

__all__ = ["LowRankMultivariateNormal"]


class LowRankMultivariateNormal(Distribution):
    """Vectors (n) with covariance ``W W' + diag(D)``: mean `loc` (..., n), W = `cov_factor` (..., n, rank), D = `cov_diag` (..., n).

    By the matrix determinant lemma and Woodbury's identity only systems of size `rank` are solved, with the capacitance matrix
    ``I + W' D^-1 W``.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(self, loc: torch.Tensor, cov_factor: torch.Tensor, cov_diag: torch.Tensor, validate_args: bool | None = None) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError("cov_factor must be at least two-dimensional, with optional leading batch dimensions")
        if cov_factor.shape[-2:-1] != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if cov_diag.shape[-1:] != event:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        self._factor, self._diag = cov_factor, cov_diag
        try:
            batch = torch.broadcast_shapes(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1])
        except RuntimeError as e:
            raise ValueError(f"Incompatible batch shapes: loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}") from e
        self.loc = loc.expand(batch + event)
        self.cov_factor = cov_factor.expand(batch + cov_factor.shape[-2:])
        self.cov_diag = cov_diag.expand(batch + event)
        self._capacitance_tril = capacitance_tril(cov_factor, cov_diag)
        super().__init__(batch, event, validate_args=validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._expanded(_instance, ("loc", "cov_factor", "cov_diag"), batch_shape, {"loc": 1, "cov_factor": 2, "cov_diag": 1})
        new._factor, new._diag, new._capacitance_tril = self._factor, self._diag, self._capacitance_tril
        return new

    @property
    def mean(self) -> torch.Tensor:
        return self.loc

    @property
    def mode(self) -> torch.Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> torch.Tensor:
        """The diagonal of the covariance."""
        return (self._factor.pow(2).sum(-1) + self._diag).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def scale_tril(self) -> torch.Tensor:
        """Lower Cholesky factor of the covariance: D^(1/2) times that of ``D^(-1/2) W W' D^(-1/2) + I``."""
        n, root = self._event_shape[0], self._diag.sqrt().unsqueeze(-1)
        scaled = self._factor / root
        k = torch.matmul(scaled, scaled.mT) + torch.eye(n, dtype=scaled.dtype, device=scaled.device)
        return (root * torch.linalg.cholesky(k)).expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> torch.Tensor:
        """Covariance."""
        full = torch.matmul(self._factor, self._factor.mT) + torch.diag_embed(self._diag)
        return full.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self) -> torch.Tensor:
        """Inverse of the covariance, by Woodbury's identity."""
        weighted = self._factor.mT / self._diag.unsqueeze(-2)
        a = torch.linalg.solve_triangular(self._capacitance_tril, weighted, upper=False)
        found = torch.diag_embed(self._diag.reciprocal()) - a.mT @ a
        return found.expand(self._batch_shape + self._event_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> torch.Tensor:
        shape = self._extended_shape(sample_shape)
        kind = {"dtype": self.loc.dtype, "device": self.loc.device}
        thin = torch.empty((*shape[:-1], self.cov_factor.shape[-1]), **kind).normal_()
        own = torch.empty(shape, **kind).normal_()
        return self.loc + matrix_times_vectors(self._factor, thin) + self._diag.sqrt() * own

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = low_rank_distance(self._factor, self._diag, value - self.loc, self._capacitance_tril)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + low_rank_log_det(self) + distance)

    def entropy(self) -> torch.Tensor:
        h = 0.5 * (self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + low_rank_log_det(self))
        return h if len(self._batch_shape) == 0 else h.expand(self._batch_shape)


def capacitance_tril(w: torch.Tensor, d: torch.Tensor) -> torch.Tensor:
    """The Cholesky factor of ``I + W' D^-1 W``."""
    k = torch.matmul(w.mT / d.unsqueeze(-2), w)
    return torch.linalg.cholesky(k + torch.eye(k.shape[-1], dtype=k.dtype, device=k.device))


def low_rank_log_det(p: LowRankMultivariateNormal) -> torch.Tensor:
    """The logarithm of the determinant of the covariance."""
    return _batch_lowrank_logdet(p._factor, p._diag, p._capacitance_tril)


def low_rank_distance(w: torch.Tensor, d: torch.Tensor, x: torch.Tensor, tril: torch.Tensor) -> torch.Tensor:
    """Squared Mahalanobis distances ``x' (W W' + D)^-1 x``."""
    return (x.pow(2) / d).sum(-1) - squared_distance(tril, matrix_times_vectors(w.mT / d.unsqueeze(-2), x))


_batch_capacitance_tril, _batch_lowrank_mahalanobis = capacitance_tril, low_rank_distance  # PyTorch's names, for distributions of others


def _batch_lowrank_logdet(w: torch.Tensor, d: torch.Tensor, tril: torch.Tensor) -> torch.Tensor:
    """The logarithm of the determinant of ``W W' + D``, from the Cholesky factor of its capacitance matrix."""
    return 2 * half_log_det(tril) + d.log().sum(-1)
