"""What the values of operands make wrong with a call, said by the call where they are data.

PyTorch looks at them in every call. What is computed only later is looked at where it is used, by the kernel or the reference, with the
same error at the read: nothing is computed for the sake of a look. (What always is worth that: `outright`.)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..asg.declare import INPUT, VAR
from ..asg.trace import current
from ..dtypes import INTEGER
from .core import Tensor
from .hosted import known, outside, refuse
from .leaf_data import leaf_value

__all__ = ["check_divisor", "check_interval", "check_places", "held"]

Array = np.ndarray[Any, Any]


def held(t: Any) -> Array | None:
    """What a tensor holds, if it is data or a leaf that wants a gradient; None for results."""
    found = known(t)
    if found is None and (n := t._n) is not None and n.op in (VAR, INPUT):
        found = leaf_value(n, current())
    return found if found.__class__ is np.ndarray else None


def _refuse(error: Exception, found: Any) -> None:
    """Refuse the call that gave `found`, unless that has no values: on the meta device."""
    if isinstance(found, Tensor) and found.device.type != "meta":
        refuse(error, found, True)


def check_divisor(found: Any, divisor: Any) -> Any:
    """`found`, the quotient or remainder of a division; RuntimeError for integers by zero."""
    if found.dtype.category == INTEGER and 0 not in found.shape:
        if isinstance(divisor, Tensor):
            values = known(divisor)
            zero = values is not None and not values.all()
        else:
            zero = not divisor
        if zero:
            _refuse(RuntimeError("ZeroDivisionError"), found)
    return found


def check_interval(found: Any, **operands: Any) -> None:
    """RuntimeError for the first of the named operands that has elements outside [0, 1]; none is looked at if the first is a result."""
    for name, t in operands.items():
        values = held(t)
        if values is None:
            return
        if values.size and not (values.min() >= 0 and values.max() <= 1):
            _refuse(RuntimeError(f"all elements of {name} should be between 0 and 1"), found)


def check_places(found: Any, index: Any, size: int, error: Callable[[Any], Exception], first: int = 0) -> None:
    """The error made of the elements of `index` that do not lie in ``[first, size)``."""
    values = outside(index, size, first)
    if values is not None:
        _refuse(error(values[(values < first) | (values >= size)]), found)
