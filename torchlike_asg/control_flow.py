"""``torch.cond`` and ``torch.while_loop``: control flow as functions. The condition is looked at, and one branch is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["cond", "while_loop"]


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], operands: Sequence[Any] = ()) -> Any:
    """``true_fn(*operands)`` if `pred` (a truth value or a tensor of one element) holds, else ``false_fn(*operands)``."""
    if not isinstance(operands, (tuple, list)):
        raise RuntimeError(f"Expect operands to be a tuple or list of possibly nested tensors, got {type(operands).__name__}")
    return (true_fn if bool(pred) else false_fn)(*operands)


def while_loop(cond_fn: Callable[..., Any], body_fn: Callable[..., Any], carried_inputs: Sequence[Any]) -> tuple[Any, ...]:
    """What `carried_inputs` become by ``carried = body_fn(*carried)`` as long as ``cond_fn(*carried)`` holds."""
    carried = tuple(carried_inputs)
    while bool(cond_fn(*carried)):
        carried = tuple(body_fn(*carried))
    return carried
