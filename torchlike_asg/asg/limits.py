"""Sizes that are mistakes."""

from __future__ import annotations

import math
from typing import Any

from ..devices import device
from ..dtypes import dtype
from ..errors import HostMemoryError
from ..processors import memory

__all__ = ["check_size"]

#: bytes of the largest result that is recorded. It need not lie in memory: what is summed at once is never stored. But a size beyond all
#: memory is a mistake, and a kernel that counts through it cannot be interrupted
_MOST = max(16 * memory(), 1 << 40)


def check_size(shape: Any, d: dtype, where: device) -> None:
    """RuntimeError for a result that no memory could hold, as PyTorch's where it allocates it; the meta device holds anything."""
    size = math.prod(shape) * d.itemsize
    if size > _MOST and where.type != "meta":
        raise HostMemoryError(
            f"DefaultCPUAllocator: can't allocate memory: you tried to allocate {size} bytes. Error code 12 (Cannot allocate memory)"
        )
