"""What all transforms share: tensors and arrays in, the same kind out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import torchlike_asg as torch

from ..dtypes import get_default_dtype, store
from ..facade.core import Tensor, concrete
from ..facade.held import value_of

__all__ = ["Array", "Compose", "Lambda", "Transform", "floating", "tensor_of"]

Array = np.ndarray[Any, Any]


class Transform:
    """A function of one sample (or of a batch) that is computed on the host, at once, and recorded nowhere.

    Subclasses write ``apply(array) -> array``. A tensor gives a tensor; what `apply` leaves in another dtype stays in that dtype.
    Gradients do not flow through a transform: a tensor that requires grad raises RuntimeError.
    """

    def __call__(self, sample: Any) -> Any:
        if not isinstance(sample, Tensor):
            return self.apply(np.asarray(sample))
        if sample.requires_grad:
            raise RuntimeError(f"{type(self).__name__} works on data and is not differentiable: pass tensor.detach()")
        values = value_of(sample)
        result = self.apply(values)
        dtype = sample.dtype if result.dtype == values.dtype else None
        return tensor_of(result, dtype)

    def apply(self, values: Array) -> Array:
        """The transform of an array, which must not be written to. The result may share its memory."""
        raise NotImplementedError

    def __repr__(self) -> str:
        options = ", ".join(f"{name}={value}" for name, value in vars(self).items() if not name.startswith("_") and not name.endswith("_"))
        return f"{type(self).__name__}({options})"


def tensor_of(values: Array, dtype: Any = None) -> Tensor:
    """A tensor of `dtype` (default: the array's) with a memory of its own."""
    if dtype is None:
        return torch.tensor(values)
    stored = np.array(store(values, dtype), order="C")
    return concrete(stored.reshape(-1), stored.shape, dtype, torch.device("cpu"))


def floating(values: Array) -> Array:
    """Floating-point data as it is, integers and bools in the default dtype."""
    return values if values.dtype.kind == "f" else values.astype(get_default_dtype().compute)


class Compose(Transform):
    """Transforms one after another; each may be any callable."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, sample: Any) -> Any:
        for transform in self.transforms:
            sample = transform(sample)
        return sample

    def __repr__(self) -> str:
        return "Compose(\n" + "".join(f"    {transform}\n" for transform in self.transforms) + ")"


class Lambda(Transform):
    """A function as a transform."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        if not callable(function):
            raise TypeError(f"Argument lambd should be callable, got {type(function).__name__!r}")
        self.function = function

    def __call__(self, sample: Any) -> Any:
        return self.function(sample)

    def __repr__(self) -> str:
        return "Lambda()"
