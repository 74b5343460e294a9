"""``torch.distributed.optim``, for ``isinstance``: optimizers that are spread over processes cannot be made in one."""

from __future__ import annotations

from typing import Any

from ..errors import Unsupported
from ..optim import Optimizer
from .device_mesh import _SINGLE

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer):
    """The type of optimizers whose state is spread over processes; none can be made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise Unsupported(f"torch.distributed.optim.ZeroRedundancyOptimizer: {_SINGLE}")
