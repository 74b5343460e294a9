"""Vectors of real numbers to Cholesky factors of correlation matrices."""

from __future__ import annotations

import math
from typing import Any

import torchlike_asg as torch

from .. import constraints
from .elementwise import _Plain

__all__ = ["CorrCholeskyTransform"]


def _side(count: int) -> int:
    """The n with n (n - 1) / 2 = `count`."""
    n = round((0.25 + 2 * count) ** 0.5 + 0.5)
    if n * (n - 1) // 2 != count:
        raise ValueError("Input is not a flattened lower-diagonal number")
    return n


def _below(matrix: torch.Tensor, diagonal: int) -> torch.Tensor:
    """The elements below a diagonal, row by row."""
    rows, columns = torch.tril_indices(matrix.shape[-2], matrix.shape[-1], offset=diagonal)
    return matrix[..., rows, columns]


class CorrCholeskyTransform(_Plain):
    """n (n - 1) / 2 real numbers, the lower triangle row by row, to a factor whose rows have length one.

    The hyperbolic tangent of each number is the share, with its sign, that it takes of what its row still lacks to length one: the
    partial correlations of Lewandowski, Kurowicka & Joe (2009).
    """

    domain, codomain, bijective = constraints.real_vector, constraints.corr_cholesky, True

    def _call(self, x: torch.Tensor) -> torch.Tensor:
        eps = torch.finfo(x.dtype).eps
        share = torch.tanh(x).clamp(min=-1 + eps, max=1 - eps)
        n = _side(x.shape[-1])
        rows, columns = torch.tril_indices(n, n, offset=-1)
        r = torch.zeros((*x.shape[:-1], n, n), dtype=x.dtype, device=x.device)
        r[..., rows, columns] = share
        left = (1 - r**2).sqrt().cumprod(-1)
        r = r + torch.eye(n, dtype=x.dtype, device=x.device)
        return r * torch.nn.functional.pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: torch.Tensor) -> torch.Tensor:
        left = torch.nn.functional.pad((1 - torch.cumsum(y * y, dim=-1))[..., :-1], [1, 0], value=1)
        share = _below(y, -1) / _below(left, -1).sqrt()
        return (share.log1p() - share.neg().log1p()) / 2

    def log_abs_det_jacobian(self, x: torch.Tensor, y: torch.Tensor, intermediates: Any = None) -> torch.Tensor:
        """Between `x` and the elements of `y` below the diagonal."""
        left = _below(1 - (y * y).cumsum(dim=-1), -2)
        squashed = -2 * (x + torch.nn.functional.softplus(-2 * x) - math.log(2.0)).sum(dim=-1)
        return 0.5 * left.log().sum(-1) + squashed

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        n = _side(shape[-1])
        return torch.Size((*shape[:-1], n, n))

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 2:
            raise ValueError("Too few dimensions on input")
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return torch.Size((*shape[:-2], shape[-1] * (shape[-1] - 1) // 2))
