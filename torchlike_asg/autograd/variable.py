"""The Variable of PyTorch before 0.4: a tensor."""

from __future__ import annotations

import warnings
from typing import Any

from ..facade.core import Tensor


class _VariableMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableMeta):
    """``Variable(tensor, requires_grad=False, volatile=False)`` gives the tensor itself, over the same memory."""

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if volatile and requires_grad:
            raise ValueError("Variable can't be volatile and require_grad at the same time!")
        if volatile:
            warnings.warn("volatile was removed and now has no effect. Use `with torch.no_grad():` instead.", stacklevel=2)
        out = data.detach() if requires_grad or not data.requires_grad else data  # type: ignore[attr-defined]
        return out.requires_grad_() if requires_grad else out
