"""Random covariance matrices: the Wishart distribution."""

from __future__ import annotations

import math
from numbers import Number
from typing import Any

import torchlike_asg as torch

from . import constraints
from .distribution import ExponentialFamily
from .gamma import Chi2
from .multivariate_normal import _tril_of_precision, half_log_det
from .utils import lazy_property

__all__ = ["Wishart"]


def digamma_sum(x: torch.Tensor, n: int) -> torch.Tensor:
    """The derivative of ``mvlgamma(x, n)``."""
    return torch.digamma(x.unsqueeze(-1) - torch.arange(n, dtype=x.dtype, device=x.device) / 2).sum(-1)


class Wishart(ExponentialFamily):
    """Sums of `df` outer products of Gaussian vectors with one of: covariance, its inverse (precision), or its Cholesky factor.

    `df` (batch) may be fractional, above n - 1. Draws by Bartlett's decomposition (1933).
    """

    support = constraints.positive_definite
    has_rsample = True

    def __init__(
        self,
        df: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        given = {"covariance_matrix": covariance_matrix, "precision_matrix": precision_matrix, "scale_tril": scale_tril}
        given = {k: v for k, v in given.items() if v is not None}
        if len(given) != 1:
            raise AssertionError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError("scale_tril must be at least two-dimensional, with optional leading batch dimensions")
        if isinstance(df, Number):
            df = torch.tensor(df, dtype=matrix.dtype, device=matrix.device)
        batch, event = torch.broadcast_shapes(matrix.shape[:-2], df.shape), matrix.shape[-2:]
        self.df = df.expand(batch)
        if (self.df <= event[-1] - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {event[-1] - 1}.")
        self.__dict__[name] = matrix.expand((*batch, -1, -1))
        super().__init__(batch, event, validate_args=validate_args)
        if name == "scale_tril":
            self._tril = matrix
        else:
            self._tril = torch.linalg.cholesky(matrix) if name == "covariance_matrix" else _tril_of_precision(matrix)
        self._chi2 = Chi2(self.df.unsqueeze(-1) - torch.arange(event[-1], dtype=matrix.dtype, device=matrix.device))

    @property
    def arg_constraints(self) -> dict[str, Any]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        sizes = {"df": 0, "covariance_matrix": 2, "precision_matrix": 2, "scale_tril": 2}
        new = self._expanded(_instance, sizes, batch_shape, sizes)
        new._tril = self._tril
        new._chi2 = self._chi2.expand((*batch_shape, self._event_shape[-1]))
        return new

    @lazy_property
    def scale_tril(self) -> torch.Tensor:
        """Lower Cholesky factor of the covariance."""
        return self._tril.expand(self._batch_shape + self._event_shape)

    @lazy_property
    def covariance_matrix(self) -> torch.Tensor:
        """Covariance of the vectors."""
        return torch.matmul(self._tril, self._tril.mT).expand(self._batch_shape + self._event_shape)

    @lazy_property
    def precision_matrix(self) -> torch.Tensor:
        """Inverse of the covariance."""
        return torch.cholesky_inverse(self._tril).expand(self._batch_shape + self._event_shape)

    @property
    def mean(self) -> torch.Tensor:
        return self.df.view((*self._batch_shape, 1, 1)) * self.covariance_matrix

    @property
    def mode(self) -> torch.Tensor:
        factor = self.df - self._event_shape[-1] - 1
        factor = torch.where(factor <= 0, torch.nan, factor)
        return factor.view((*self._batch_shape, 1, 1)) * self.covariance_matrix

    @property
    def variance(self) -> torch.Tensor:
        v = self.covariance_matrix
        d = v.diagonal(dim1=-2, dim2=-1)
        return self.df.view((*self._batch_shape, 1, 1)) * (v.pow(2) + d.unsqueeze(-1) * d.unsqueeze(-2))

    def _bartlett(self, sample_shape: Any) -> torch.Tensor:
        """Roots of chi-squared numbers on the diagonal and normal numbers below it, between the Cholesky factors."""
        n = self._event_shape[-1]
        roots = self._chi2.rsample(sample_shape).sqrt()
        noise = roots.clamp(min=torch.finfo(roots.dtype).eps).diag_embed()
        below = torch.randn((*sample_shape, *self._batch_shape, n * (n - 1) // 2), dtype=roots.dtype, device=roots.device)
        rows, columns = torch.tril_indices(n, n, offset=-1)
        noise[..., rows, columns] = below
        factor = self._tril @ noise
        return factor @ factor.mT

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> torch.Tensor:
        """Numbers are rounded, so that a draw may be singular; it is drawn again, up to `max_try_correction` (10) times.

        PyTorch 2.13 takes the regular ones of the first draws for singular; they are drawn twice here, too.
        """
        sample = self._bartlett(sample_shape)
        again = self._anywhere(self.support.check(sample.detach()))
        for _ in range(10 if max_try_correction is None else max_try_correction):
            count = int(again.sum())
            if not count:
                break
            new = self._bartlett((count,))
            singular = self._anywhere(~self.support.check(new.detach()))
            if count == again.numel():
                sample, again = new.reshape(self._extended_shape(sample_shape)), singular.reshape(again.shape)
            else:
                sample[again] = new
                again[again.clone()] = singular
        return sample

    def _anywhere(self, found: torch.Tensor) -> torch.Tensor:
        """For each sample, whether one of its batch is `found`."""
        batch = len(self._batch_shape)
        return found.reshape((*found.shape[: found.dim() - batch], -1)).any(-1) if batch else found

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        if self._validate_args:
            self._validate_sample(value)
        nu, n = self.df, self._event_shape[-1]
        trace = torch.cholesky_solve(value, self._tril).diagonal(dim1=-2, dim2=-1).sum(-1)
        constant = nu * (n * math.log(2) / 2 + half_log_det(self._tril)) + torch.mvlgamma(nu / 2, p=n)
        return (nu - n - 1) / 2 * torch.linalg.slogdet(value).logabsdet - trace / 2 - constant

    def entropy(self) -> torch.Tensor:
        nu, n = self.df, self._event_shape[-1]
        scale = (n + 1) * (n * math.log(2) / 2 + half_log_det(self._tril))
        return scale + torch.mvlgamma(nu / 2, p=n) - (nu - n - 1) / 2 * digamma_sum(nu / 2, n) + nu * n / 2
