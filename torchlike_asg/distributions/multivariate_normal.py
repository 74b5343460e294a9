"""Gaussian vectors with a full covariance."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torchlike_asg as torch

from . import constraints
from .distribution import Distribution
from .utils import lazy_property

__all__ = ["MultivariateNormal"]


def matrix_times_vectors(matrix: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """(..., n, n) times (..., n), batches broadcast."""
    return torch.matmul(matrix, vectors.unsqueeze(-1)).squeeze(-1)


def squared_distance(tril: torch.Tensor, difference: torch.Tensor) -> torch.Tensor:
    """Squared Mahalanobis distances ``x' (L L')^-1 x`` for the Cholesky factors `tril` (..., n, n) and vectors (..., n)."""
    batch = torch.broadcast_shapes(tril.shape[:-2], difference.shape[:-1])
    n = difference.shape[-1]
    right = difference.expand((*batch, n)).unsqueeze(-1).to(tril.dtype)  # as PyTorch's result has it
    solved = torch.linalg.solve_triangular(tril.expand((*batch, n, n)), right, upper=False)
    return solved.squeeze(-1).pow(2).sum(-1)


def half_log_det(tril: torch.Tensor) -> torch.Tensor:
    """Half the logarithm of the determinant of ``L L'``."""
    return tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


class MultivariateNormal(Distribution):
    """Vectors (n) with mean `loc` and one of: covariance, its inverse (precision), or its Cholesky factor (..., n, n)."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: torch.Tensor,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        given = {k: v for k, v in given.items() if v is not None}
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            extra = " matrix" if name == "scale_tril" else ""
            raise ValueError(f"{name}{extra} must be at least two-dimensional, with optional leading batch dimensions")
        batch = torch.broadcast_shapes(matrix.shape[:-2], loc.shape[:-1])
        self.__dict__[name] = matrix.expand((*batch, -1, -1))
        self.loc = loc.expand((*batch, -1))
        super().__init__(batch, self.loc.shape[-1:], validate_args=validate_args)
        if name == "scale_tril":
            self._tril = matrix
        elif name == "covariance_matrix":
            self._tril = torch.linalg.cholesky(matrix)
        else:
            self._tril = _tril_of_precision(matrix)

    def expand(self, batch_shape: Any, _instance: Any = None) -> MultivariateNormal:
        sizes = {"loc": 1, "covariance_matrix": 2, "precision_matrix": 2, "scale_tril": 2}
        new = self._expanded(_instance, sizes, batch_shape, sizes)
        new._tril = self._tril
        return new  # type: ignore[no-any-return]

    @lazy_property
    def scale_tril(self) -> torch.Tensor:
        """Lower Cholesky factor of the covariance."""
        return self._tril.expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> torch.Tensor:
        """Covariance."""
        return torch.matmul(self._tril, self._tril.mT).expand(self._batch_shape + self._event_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self) -> torch.Tensor:
        """Inverse of the covariance."""
        return torch.cholesky_inverse(self._tril).expand(self._batch_shape + self._event_shape + self._event_shape)

    @property
    def mean(self) -> torch.Tensor:
        return self.loc

    @property
    def mode(self) -> torch.Tensor:
        return self.loc

    @property
    def variance(self) -> torch.Tensor:
        return self._tril.pow(2).sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> torch.Tensor:
        noise = torch.empty(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device).normal_()
        return self.loc + matrix_times_vectors(self._tril, noise)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = squared_distance(self._tril, value - self.loc)
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + distance) - half_log_det(self._tril)

    def entropy(self) -> torch.Tensor:
        h = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + half_log_det(self._tril)
        return h if len(self._batch_shape) == 0 else h.expand(self._batch_shape)


def _tril_of_precision(precision: torch.Tensor) -> torch.Tensor:
    """The Cholesky factor of the inverse, from the Cholesky factor of the matrix turned upside down: no inverse is formed."""
    flipped = torch.linalg.cholesky(torch.flip(precision, (-2, -1)))
    inverse = torch.flip(flipped, (-2, -1)).mT
    return torch.linalg.solve_triangular(
        inverse, torch.eye(precision.shape[-1], dtype=precision.dtype, device=precision.device), upper=False
    )


_batch_mv, _batch_mahalanobis, _precision_to_scale_tril = (  # PyTorch's names, which distributions of others import
    matrix_times_vectors,
    squared_distance,
    _tril_of_precision,
)
