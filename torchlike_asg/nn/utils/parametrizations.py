"""Weight and spectral normalisation as parametrisations."""

from __future__ import annotations

from typing import Any

import torchlike_asg as torch

from ...facade.core import Tensor
from .. import functional as F
from ..modules.module import Module
from .parametrize import register_parametrization
from .spectral_norm import as_matrix, default_dim
from .weight_norm import norm_except_dim

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


class _WeightNorm(Module):
    """weight = g v / ||v||."""

    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Weight normalisation (Salimans & Kingma, 2016) of parameter `name`: `original0` is its length per slice along `dim`, `original1`
    its direction. State dicts of the older ``nn.utils.weight_norm`` load too."""
    register_parametrization(module, name, _WeightNorm(dim), unsafe=True)

    def rename_old_keys(state_dict: Any, prefix: str, *rest: Any) -> None:
        old = [f"{prefix}{name}_g", f"{prefix}{name}_v"]
        if all(key in state_dict for key in old):
            for i, key in enumerate(old):
                state_dict[f"{prefix}parametrizations.{name}.original{i}"] = state_dict.pop(key)

    module._register_load_state_dict_pre_hook(rename_old_keys)
    return module


class _SpectralNorm(Module):
    """weight / its largest singular value, which power iteration estimates while training."""

    def __init__(self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        ndim = weight.dim()
        if not -ndim <= dim < ndim:
            raise IndexError(f"Dimension out of range (expected to be in range of [-{ndim}, {ndim - 1}] but got {dim})")
        if n_power_iterations <= 0:
            raise ValueError(f"Expected n_power_iterations to be positive, but got n_power_iterations={n_power_iterations}")
        self.dim = dim if dim >= 0 else dim + ndim
        self.eps = eps
        self.n_power_iterations = n_power_iterations
        if ndim > 1:
            with torch.no_grad():
                matrix = as_matrix(weight, self.dim)
                for name, size in zip(("_u", "_v"), matrix.shape, strict=True):
                    self.register_buffer(name, F.normalize(matrix.new_empty(size).normal_(0, 1), dim=0, eps=eps))
            self._power_method(matrix, 15)

    def _power_method(self, matrix: Any, n_iterations: int) -> None:
        with torch.no_grad():
            for _ in range(n_iterations):
                self._u.copy_(F.normalize(matrix.mv(self._v), dim=0, eps=self.eps))
                self._v.copy_(F.normalize(matrix.t().mv(self._u), dim=0, eps=self.eps))

    def forward(self, weight: Any) -> Any:
        if weight.dim() == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            self._power_method(matrix, self.n_power_iterations)
        u, v = self._u.clone(), self._v.clone()  # a later call changes the buffers, not what this graph holds
        return weight / u.dot(matrix.mv(v))

    def right_inverse(self, value: Any) -> Any:
        return value  # assumes that the value has norm 1 already


def spectral_norm(module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None) -> Any:
    """Spectral normalisation (Miyato et al., 2018) of parameter `name`, as a matrix whose rows go along `dim`."""
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    dim = default_dim(module) if dim is None else dim
    register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, dim, eps))
    return module


class _Orthogonal(Module):
    """An orthogonal (or, of a rectangle, semi-orthogonal) matrix from an unconstrained one, times a fixed base.

    "matrix_exp": the exponential of a skew-symmetric matrix; "cayley": ``(I - A/2)^-1 (I + A/2)``; "householder": reflections, one for
    each column of the triangle below the diagonal; the whole part of the diagonal, 1 or -1, has the columns' signs, which training leaves.
    """

    def __init__(self, weight: Any, orthogonal_map: str, use_trivialization: bool = True) -> None:
        super().__init__()
        if orthogonal_map == "householder" and weight.is_complex():
            raise ValueError("The householder parametrization does not support complex tensors.")
        self.shape, self.orthogonal_map = weight.shape, orthogonal_map
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, X: Any) -> Any:
        n, k = X.size(-2), X.size(-1)
        transposed = n < k
        if transposed:
            X, n, k = X.mT, k, n
        Q = self._reflected(X) if self.orthogonal_map == "householder" else self._rotated(X, n, k)
        if hasattr(self, "base") and self.base is not None:
            Q = self.base @ Q
        return Q.mT if transposed else Q

    def _rotated(self, X: Any, n: int, k: int) -> Any:
        A = X.tril()
        if n != k:
            A = torch.cat([A, A.new_zeros(n, n - k).expand(*A.shape[:-2], -1, -1)], dim=-1)
        A = A - A.mH
        if self.orthogonal_map == "matrix_exp":
            Q = torch.matrix_exp(A)
        else:
            unit = torch.eye(n, dtype=A.dtype, device=A.device)
            Q = torch.linalg.solve(unit - A * 0.5, unit + A * 0.5)
        return Q[..., :k]

    @staticmethod
    def _reflected(X: Any) -> Any:
        A = X.tril(diagonal=-1)
        n, k = A.shape[-2:]
        unit = torch.eye(n, dtype=A.dtype, device=A.device)
        Q = unit[:, :k].expand(*A.shape[:-2], n, k)
        for j in reversed(range(k)):
            v = A[..., j : j + 1] + unit[:, j : j + 1]
            Q = Q - v @ (2 / v.pow(2).sum(-2, keepdim=True) * (v.mT @ Q))
        return Q * X.detach().diagonal(dim1=-2, dim2=-1).trunc().unsqueeze(-2)

    @torch.no_grad()
    def right_inverse(self, Q: Any) -> Any:
        if Q.shape != self.shape:
            raise ValueError(f"Expected a matrix or batch of matrices of shape {self.shape}. Got a tensor of shape {Q.shape}.")
        transposed = Q.size(-2) < Q.size(-1)
        if transposed:
            Q = Q.mT
        n, k = Q.size(-2), Q.size(-1)
        if not hasattr(self, "base"):
            start = self._reflections(Q)
        else:
            if n != k:  # the base is completed by any other columns
                Q = torch.cat([Q, torch.randn(*Q.shape[:-2], n, n - k, dtype=Q.dtype, device=Q.device)], dim=-1)
            self.base = Q.clone() if n == k and self._is_orthogonal(Q) else self._nearest(Q)
            start = -torch.eye(n, k, dtype=Q.dtype, device=Q.device).expand(*Q.shape[:-2], n, k)  # no rotation, and no reflection
        return start.mT.contiguous() if transposed else start.contiguous()

    def _reflections(self, Q: Any) -> Any:
        """The parameter whose reflections give `Q`."""
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when use_trivialization=False."
            )
        A, tau = torch.geqrf(Q)
        diagonal = A.diagonal(dim1=-2, dim2=-1)
        diagonal.copy_(torch.where(tau == 0, -diagonal.sign(), diagonal.sign()))  # a column without a reflection of its own
        return A

    @staticmethod
    def _nearest(X: Any) -> Any:
        """The orthogonal factor whose triangular one has a positive diagonal."""
        Q, R = torch.linalg.qr(X)
        return Q * R.diagonal(dim1=-2, dim2=-1).sgn().unsqueeze(-2)

    @staticmethod
    def _is_orthogonal(Q: Any) -> bool:
        unit = torch.eye(Q.size(-1), dtype=Q.dtype, device=Q.device)
        return bool(torch.allclose(Q.mH @ Q, unit.expand(*Q.shape[:-2], -1, -1), atol=10.0 * Q.size(-2) * torch.finfo(Q.dtype).eps))


def orthogonal(module: Any, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True) -> Any:
    """Keep parameter `name`, a matrix or a batch of them, orthogonal.

    `orthogonal_map`: "matrix_exp", "cayley" or "householder"; by default the first for square and the last for other matrices. With
    `use_trivialization` the present value is the starting point, and orthogonal matrices can be assigned.
    """
    weight = getattr(module, name, None)
    if not isinstance(weight, Tensor):
        raise ValueError(f"Module '{module}' has no parameter or buffer with name '{name}'")
    if weight.ndim < 2:
        raise ValueError(f"Expected a matrix or batch of matrices. Got a tensor of {weight.ndim} dimensions.")
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.size(-2) == weight.size(-1) or weight.is_complex() else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ValueError(f'orthogonal_map has to be one of "matrix_exp", "cayley", "householder". Got: {orthogonal_map}')
    register_parametrization(module, name, _Orthogonal(weight, orthogonal_map, use_trivialization), unsafe=True)
    return module
