"""How backward hooks of a module see the gradients of all its inputs, and of all its outputs, together."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torchlike_asg as torch

from ...autograd import Function
from ...facade.core import Tensor

__all__ = ["BackwardHook", "hook_last_step"]


class _Gate(Function):
    """A scalar that depends on several tensors. All that passes the gate depends on it in turn, so its backward runs when the gradients of
    all of them are known (None for those that have none), and `on_gradients` says what flows on."""

    @staticmethod
    def forward(ctx: Any, received: dict[int, Any], on_gradients: Any, *tensors: Any) -> Any:  # type: ignore[override]
        ctx.received, ctx.on_gradients = received, on_gradients
        return torch.zeros(())

    @staticmethod
    def backward(ctx: Any, _: Any) -> tuple[Any, ...]:  # type: ignore[override]
        gradients = dict(ctx.received)
        ctx.received.clear()  # the graph may be swept again
        return None, None, *ctx.on_gradients(gradients)


class BackwardHookFunction(Function):
    """The identity on one tensor; its gradient is left at the gate."""

    @staticmethod
    def forward(ctx: Any, received: dict[int, Any], position: int, tensor: Any, gate: Any) -> Any:  # type: ignore[override]
        ctx.received, ctx.position = received, position
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> tuple[Any, ...]:  # type: ignore[override]
        ctx.received[ctx.position] = gradient
        return None, None, None, torch.zeros(())


class BackwardHook:
    """One call of a module with backward hooks: taps its tensor inputs and outputs and calls the users' hooks with what passes.

    Tensors are found where PyTorch finds them: among the positional arguments, and as the output or in the output tuple.
    """

    def __init__(self, module: Any, hooks: Sequence[Any], pre_hooks: Sequence[Any]) -> None:
        self.module, self.hooks, self.pre_hooks = module, hooks, pre_hooks
        self.grad_outputs: tuple[Any, ...] | None = None
        self.inputs_tapped = False
        self.n_inputs = 0

    def tap_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        kinds = [(value.shape, value.dtype, value.device) if isinstance(value, Tensor) else None for value in args]
        tapped = _tap(args, lambda gradients: self._on_input_gradients(gradients, kinds))
        self.inputs_tapped = tapped is not args
        return tapped

    def tap_outputs(self, result: Any) -> Any:
        if not isinstance(result, (Tensor, tuple)):
            warnings.warn(
                f"For backward hooks to be called, module output should be a Tensor or a tuple of Tensors but received {type(result)}",
                stacklevel=4,
            )
            return result
        outputs = result if isinstance(result, tuple) else (result,)
        tapped = _tap(outputs, lambda gradients: self._on_output_gradients(gradients, len(outputs)))
        if not isinstance(result, tuple):
            return tapped[0]
        return type(result)(*tapped) if hasattr(result, "_fields") else tapped

    def _on_output_gradients(self, gradients: dict[int, Any], n_outputs: int) -> tuple[Any, ...]:
        grad_outputs = tuple(gradients.get(i) for i in range(n_outputs))
        for hook in self.pre_hooks:
            replaced = hook(self.module, grad_outputs)
            if replaced is not None:
                grad_outputs = _as_gradients(replaced, n_outputs, "grad_output", "Backward pre hook")
        self.grad_outputs = grad_outputs
        if not self.inputs_tapped:
            if self.hooks:
                warnings.warn(
                    "Full backward hook is firing when gradients are computed with respect to module outputs "
                    "since no inputs require gradients.",
                    stacklevel=2,
                )
            for hook in self.hooks:
                replaced = hook(self.module, (None,) * self.n_inputs, grad_outputs)
                if replaced is not None and not (isinstance(replaced, tuple) and all(entry is None for entry in replaced)):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always return None or None for all gradients."
                    )
            self.grad_outputs = None
        return grad_outputs

    def _on_input_gradients(self, gradients: dict[int, Any], kinds: list[Any]) -> tuple[Any, ...]:
        if self.grad_outputs is None:  # the gradient came to the inputs past the outputs
            return tuple(gradients.get(i) for i in range(self.n_inputs))
        grad_inputs = tuple(_gradient_or_zeros(gradients.get(i), kind) for i, kind in enumerate(kinds))
        for hook in self.hooks:
            replaced = hook(self.module, grad_inputs, self.grad_outputs)
            if replaced is not None:
                grad_inputs = _as_gradients(replaced, self.n_inputs, "grad_input", "Backward hook")
        self.grad_outputs = None
        return grad_inputs


def _tap(values: tuple[Any, ...], on_gradients: Callable[[dict[int, Any]], tuple[Any, ...]]) -> tuple[Any, ...]:
    """`values` with its differentiable tensors led through a gate; `values` itself where there is none.

    `on_gradients` takes the gradients by position and returns what flows on, one entry per value.
    """
    positions = [i for i, value in enumerate(values) if isinstance(value, Tensor) and value.requires_grad]
    if not positions or not torch.is_grad_enabled():
        return values

    def onward(gradients: dict[int, Any]) -> tuple[Any, ...]:
        replaced = on_gradients(gradients)
        return tuple(replaced[i] for i in positions)

    received: dict[int, Any] = {}
    gate = _Gate.apply(received, onward, *(values[i] for i in positions))
    tapped = {i: BackwardHookFunction.apply(received, i, values[i], gate) for i in positions}
    return tuple(tapped.get(i, value) for i, value in enumerate(values))


def _gradient_or_zeros(gradient: Any, kind: Any) -> Any:
    """Unused tensor inputs have a gradient of zeros, other arguments None."""
    if gradient is not None or kind is None:
        return gradient
    shape, dtype, device = kind
    return torch.zeros(shape, dtype=dtype, device=device)


def _as_gradients(replaced: Any, length: int, what: str, who: str) -> tuple[Any, ...]:
    if len(replaced) != length:
        raise RuntimeError(f"{who} returned an invalid number of {what}, got {len(replaced)}, but expected {length}")
    return tuple(replaced)


def hook_last_step(module: Any, hooks: Sequence[Any], inputs: tuple[Any, ...], result: Any) -> None:
    """Have hooks see the gradients of the operation that made `result`, as PyTorch's deprecated backward hooks do."""
    first = result
    while not isinstance(first, Tensor):
        first = next(v for v in first.values() if isinstance(v, Tensor)) if isinstance(first, dict) else first[0]
    step = first.grad_fn  # type: ignore[attr-defined]
    if step is None:
        return
    for hook in hooks:
        step.register_hook(functools.partial(hook, module))
    reason = _imprecise(inputs, result if isinstance(result, tuple) else (result,), step)
    if reason:
        text = f"Using a non-full backward hook {reason} is deprecated: it does not see all gradients of the module's inputs and outputs."
        warnings.warn(f"{text} Please use register_full_backward_hook, which does.", FutureWarning, stacklevel=4)


def _imprecise(inputs: tuple[Any, ...], outputs: tuple[Any, ...], step: Any) -> str:
    """Why the gradients of the last operation are not those of the module, if they are not."""
    if not all([isinstance(t, Tensor) for t in outputs]):
        return "on a Module that does not return a single Tensor or a tuple of Tensors"
    if not all([isinstance(t, Tensor) for t in inputs]):
        return "on a Module that does not take as input a single Tensor or a tuple of Tensors"
    if len({t.grad_fn for t in outputs if t.grad_fn is not None}) > 1:
        return "when outputs are generated by different autograd Nodes"
    if {t.grad_fn for t in inputs if t.grad_fn is not None} != {after for after, _ in step.next_functions}:
        return "when the forward contains multiple autograd Nodes"
    return ""
