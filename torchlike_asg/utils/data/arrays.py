"""Tensors as host arrays: batches are put together, and sent between processes, without recording an operation.

Values are read without `Tensor.numpy()`, which would share the memory: a shared storage has to be watched for writes ever after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import torchlike_asg as torch

from ... import dtypes
from ...facade.core import concrete
from ...facade.held import value_of

__all__ = ["from_host", "is_plain", "stack_arrays", "stack_rows", "take_rows", "to_host"]

Array = np.ndarray[Any, Any]


def is_plain(tensor: Any) -> bool:
    """Whether `tensor` may be copied on the host: no gradient flows through it, and no subclass has a say."""
    return type(tensor) is torch.Tensor and not tensor.requires_grad and tensor.device.type == "cpu"


def to_host(tensor: torch.Tensor) -> Array:
    """The stored elements (bfloat16 as uint16), contiguous; read-only by convention, for they may be the tensor's own."""
    return np.asarray(dtypes.store(value_of(tensor), tensor.dtype), order="C")


def from_host(array: Array, dtype: dtypes.dtype, requires_grad: bool = False) -> torch.Tensor:
    """A tensor over stored elements, which it takes over: `array` must be contiguous and have no other owner."""
    tensor = concrete(array.reshape(-1), array.shape, dtype, torch.device("cpu"))
    return tensor.requires_grad_() if requires_grad else tensor


def take_rows(tensor: torch.Tensor, indices: Sequence[int]) -> torch.Tensor:
    """``torch.stack([tensor[i] for i in indices])`` of a plain tensor."""
    rows = value_of(tensor)[np.asarray(indices, np.intp)]
    return from_host(dtypes.store(rows, tensor.dtype), tensor.dtype)


def stack_arrays(batch: Sequence[Array]) -> torch.Tensor | None:
    """``torch.stack([torch.as_tensor(array) for array in batch])`` of arrays alike; None if they are not."""
    shape, dtype = batch[0].shape, batch[0].dtype
    if any(type(array) is not np.ndarray or array.shape != shape or array.dtype != dtype for array in batch):
        return None
    return from_host(np.stack(batch), dtypes.from_numpy(dtype))


def stack_rows(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """``torch.stack(tensors)``; on the host if all are plain tensors alike."""
    first = tensors[0]
    if all(is_plain(tensor) and tensor.dtype is first.dtype and tensor.shape == first.shape for tensor in tensors):
        return from_host(dtypes.store(np.stack([value_of(tensor) for tensor in tensors]), first.dtype), first.dtype)
    return torch.stack(list(tensors), 0)
