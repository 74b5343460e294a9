"""Looking at the history: `Node` objects behind ``tensor.grad_fn``."""

from __future__ import annotations

from typing import Any

from ..facade.grad_fn import AccumulateGrad, GradFn

Node = GradFn

__all__ = ["AccumulateGrad", "GradFn", "Node", "saved_tensors_hooks"]


class saved_tensors_hooks:
    """Not supported: nothing is saved eagerly here, the compiler decides what to keep."""

    def __init__(self, pack_hook: Any, unpack_hook: Any) -> None:
        from ..errors import Unsupported

        raise Unsupported(
            "autograd.graph.saved_tensors_hooks is not supported: the compiler decides what is kept; use utils.checkpoint to trade memory for time"  # noqa: E501
        )
