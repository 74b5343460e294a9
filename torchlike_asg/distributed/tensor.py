"""``torch.distributed.tensor``, for ``isinstance`` and annotations: no tensor is spread over processes."""

from __future__ import annotations

from typing import Any

from ..errors import Unsupported, refuses
from ..facade.core import Tensor
from .device_mesh import _SINGLE, DeviceMesh, init_device_mesh

__all__ = [
    "DTensor",
    "DeviceMesh",
    "Partial",
    "Placement",
    "Replicate",
    "Shard",
    "distribute_module",
    "distribute_tensor",
    "init_device_mesh",
]

#: a package for importing: places.py has its parts
__path__: list[str] = []


class DTensor(Tensor):
    """The type of tensors that are spread over processes; none can be made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported(f"torch.distributed.tensor.DTensor: {_SINGLE}")


class Placement:
    """How a tensor lies on a mesh."""


class Replicate(Placement):
    """Whole, in every process."""


class Shard(Placement):
    """Cut along dimension `dim`."""

    def __init__(self, dim: int) -> None:
        self.dim = dim


class Partial(Placement):
    """In parts that `reduce_op` would join."""

    def __init__(self, reduce_op: str = "sum") -> None:
        self.reduce_op = reduce_op


@refuses
def distribute_tensor(*args: Any, **kwargs: Any) -> Any:
    """Raises: see the error."""
    raise Unsupported(f"torch.distributed.tensor.distribute_tensor: {_SINGLE}")


@refuses
def distribute_module(*args: Any, **kwargs: Any) -> Any:
    """Raises: see the error."""
    raise Unsupported(f"torch.distributed.tensor.distribute_module: {_SINGLE}")
