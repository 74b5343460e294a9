"""What memory holds that nothing was written to yet: zeros, so that results never depend on it, or what PyTorch's deterministic mode puts
there so that it is noticed.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import config, dtypes
from ..dtypes import dtype


def undefined(d: dtype) -> Any:
    """The number that new memory of an element type is filled with."""
    if not (config.deterministic and config.fill_uninitialized):
        return 0
    if d.is_floating_point or d.is_complex:
        return float("nan")
    return True if d is dtypes.bool_ else dtypes.iinfo(d).max


def memory(count: int, d: dtype) -> np.ndarray[Any, Any]:
    """New memory of that many elements."""
    number = undefined(d)
    if number == 0:
        return np.zeros(count, d.storage)
    return np.full(count, dtypes.store(np.asarray(number, d.compute), d)[()], d.storage)
