"""Looking at the history: `Node` objects behind ``tensor.grad_fn``, and hooks on several gradients at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ..facade.core import Tensor
from ..facade.grad_fn import AccumulateGrad, GradFn
from ..facade.hooks import RemovableHandle

Node = GradFn

__all__ = [
    "AccumulateGrad",
    "GradFn",
    "GradientEdge",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class GradientEdge(NamedTuple):
    """An output of a step of the history."""

    node: GradFn
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """The step that made `tensor`, or the end of a history that accumulates its gradient."""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    step = tensor.grad_fn  # type: ignore[attr-defined]
    if step is None:
        step = tensor.view_as(tensor).grad_fn.next_functions[0][0]  # type: ignore[attr-defined]
    return GradientEdge(step, 0)


class _Handles:
    """Several hooks removed as one."""

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _Handles:
        return self

    def __exit__(self, *_: Any) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[..., Any], *, mode: str = "all") -> _Handles:
    """``fn(gradients)`` once the gradients of all `tensors` that a backward pass reaches are there; with `mode` "any", ``fn(gradient)`` of
    the first.

    A tensor that a pass does not reach keeps the hook waiting for the next one.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    found: list[Any] = [None] * len(tensors)
    fired = [False]

    def hook(i: int) -> Callable[[Tensor], None]:
        def keep(gradient: Tensor) -> None:
            if mode == "any":
                if not fired[0]:
                    fired[0] = True
                    fn(gradient)
                return
            found[i] = gradient
            if all(g is not None for g in found):
                gradients, found[:] = list(found), [None] * len(tensors)
                fn(gradients)

        return keep

    return _Handles([t.register_hook(hook(i)) for i, t in enumerate(tensors)])  # type: ignore[attr-defined]


@contextlib.contextmanager
def save_on_cpu(pin_memory: bool = False, device_type: str = "cuda") -> Iterator[None]:
    """Everything is on the CPU, or the compiler decides what is kept: a block as any other."""
    yield


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """There are no such hooks to disable."""
    yield


class saved_tensors_hooks:
    """Not supported: nothing is saved eagerly here, the compiler decides what to keep."""

    def __init__(self, pack_hook: Any, unpack_hook: Any) -> None:
        from ..errors import Unsupported

        raise Unsupported(
            "autograd.graph.saved_tensors_hooks is not supported: the compiler decides what is kept; use utils.checkpoint to trade memory for time"  # noqa: E501
        )
