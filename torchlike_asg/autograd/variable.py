"""The Variable of PyTorch before 0.4: a tensor."""

from __future__ import annotations

import warnings
from typing import Any

from ..facade.core import Tensor


class _Engine:
    """What runs backward passes, for code that calls PyTorch's engine."""

    def run_backward(
        self, tensors: Any, grad_tensors: Any, keep_graph: bool, create_graph: bool, inputs: Any = (), allow_unreachable: bool = False,
        accumulate_grad: bool = False,
    ) -> Any:  # fmt: skip
        """`autograd.backward` with `accumulate_grad`, else `autograd.grad`: a tuple of the gradients of `inputs`."""
        from .gradients import backward, grad

        if accumulate_grad:
            return backward(tensors, grad_tensors, keep_graph, create_graph, inputs=inputs or None)
        return grad(tensors, inputs, grad_tensors, keep_graph, create_graph, allow_unused=allow_unreachable)

    def is_checkpoint_valid(self) -> bool:
        """True: a checkpointed function is part of the graph, so that every backward pass may use it."""
        return True


class _VariableMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableMeta):
    """``Variable(tensor, requires_grad=False, volatile=False)`` gives the tensor itself, over the same memory."""

    _execution_engine = _Engine()

    def __new__(cls, data: Any = None, requires_grad: bool = False, volatile: bool = False) -> Any:
        if data is None:
            data = Tensor()
        if not isinstance(data, Tensor):
            raise TypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        if volatile and requires_grad:
            raise ValueError("Variable can't be volatile and require_grad at the same time!")
        if volatile:
            warnings.warn("volatile was removed and now has no effect. Use `with torch.no_grad():` instead.", stacklevel=2)
        out = data.detach() if requires_grad or not data.requires_grad else data  # type: ignore[attr-defined]
        return out.requires_grad_() if requires_grad else out
