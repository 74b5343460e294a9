"""What distributions share: parameters brought to one shape, probabilities and log-odds, properties computed once."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Number
from typing import Any

import torchlike_asg as torch

__all__ = ["batch_of", "broadcast_all", "clamp_probs", "lazy_property", "logits_to_probs", "probs_to_logits", "sum_rightmost",
           "tril_matrix_to_vec", "vec_to_tril_matrix"]  # fmt: skip


def broadcast_all(*values: Any) -> tuple[torch.Tensor, ...]:
    """Tensors and numbers as tensors of one shape; numbers take the type of the first tensor, or the default one."""
    if not all(isinstance(v, (torch.Tensor, bool, int, float)) for v in values):
        raise ValueError("Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__.")
    first = next((v for v in values if isinstance(v, torch.Tensor)), None)
    d, device = (torch.get_default_dtype(), None) if first is None else (first.dtype, first.device)
    return torch.broadcast_tensors(*[v if isinstance(v, torch.Tensor) else torch.tensor(v, dtype=d, device=device) for v in values])


def _standard_normal(shape: Any, dtype: torch.dtype, device: Any) -> torch.Tensor:
    """Standard normal numbers, as distributions outside this package draw them."""
    return torch.randn(shape, dtype=dtype, device=device)


def sum_rightmost(value: torch.Tensor, dim: int) -> torch.Tensor:
    """The sum over the last `dim` dimensions."""
    return value if dim == 0 else value.reshape((*value.shape[: value.dim() - dim], -1)).sum(-1)


_sum_rightmost = sum_rightmost  # PyTorch's name, which distributions outside this package import


def batch_of(t: torch.Tensor, *given: Any) -> torch.Size:
    """The batch shape of parameters: none if all were plain numbers."""
    return torch.Size() if all(isinstance(g, Number) for g in given) else t.size()


def clamp_probs(probs: torch.Tensor) -> torch.Tensor:
    """Probabilities kept an epsilon away from 0 and 1, so that their logarithms are finite."""
    eps = torch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def logits_to_probs(logits: torch.Tensor, is_binary: bool = False) -> torch.Tensor:
    """Probabilities of log-odds (`is_binary`), or of unnormalised log-probabilities along the last dimension."""
    return torch.sigmoid(logits) if is_binary else torch.softmax(logits, -1)


def probs_to_logits(probs: torch.Tensor, is_binary: bool = False) -> torch.Tensor:
    """Log-odds (`is_binary`) or log-probabilities."""
    p = clamp_probs(probs)
    return p.log() - torch.log1p(-p) if is_binary else p.log()


class lazy_property:
    """A property computed at its first use, with gradients recorded, and kept."""

    def __init__(self, compute: Callable[[Any], Any]) -> None:
        self.compute, self.__doc__ = compute, compute.__doc__

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            return self
        with torch.enable_grad():
            value = self.compute(instance)
        instance.__dict__[self.compute.__name__] = value
        return value


def tril_matrix_to_vec(mat: torch.Tensor, diag: int = 0) -> torch.Tensor:
    """The lower triangles of matrices (..., D, D) up to diagonal `diag`, row by row: (..., n)."""
    n = mat.shape[-1]
    if not -n <= diag < n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, columns = torch.tril_indices(n, n, diag, device=mat.device)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: torch.Tensor, diag: int = 0) -> torch.Tensor:
    """Matrices (..., D, D) whose lower triangles up to diagonal `diag` are `vec` (..., n), row by row, and zero elsewhere.

    Raises:
        ValueError: no D fits n.
    """
    n = (-(1 + 2 * diag) + math.sqrt((1 + 2 * diag) ** 2 + 8 * vec.shape[-1] + 4 * abs(diag) * (diag + 1))) / 2
    size = round(n)
    if abs(n - size) > torch.finfo(vec.dtype).eps:
        raise ValueError(
            f"The size of last dimension is {vec.shape[-1]} which cannot be expressed as "
            "the lower triangular part of a square D x D matrix."
        )
    matrix = vec.new_zeros((*vec.shape[:-1], size, size))
    rows, columns = torch.tril_indices(size, size, diag, device=vec.device)
    matrix[..., rows, columns] = vec
    return matrix


euler_constant = 0.57721566490153286060  # Euler and Mascheroni's
