"""How backward hooks of a module see the gradients of all its inputs, and of all its outputs, together."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torchlike_asg as torch

from ...autograd import Function
from ...facade.core import Tensor

__all__ = ["BackwardHook"]


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


class _Pass(Function):
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
        if self.grad_outputs is None:
            raise RuntimeError(
                "Module backward hook for grad_input is called before the grad_output one. This happens because the gradient in your "
                "nn.Module flows to the Module's input without passing through the Module's output. Make sure that the output depends on "
                "the input and that the loss is computed based on the output."
            )
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
    tapped = {i: _Pass.apply(received, i, values[i], gate) for i in positions}
    return tuple(tapped.get(i, value) for i, value in enumerate(values))


def _gradient_or_zeros(gradient: Any, kind: Any) -> Any:
    """Unused tensor inputs have a gradient of zeros, other arguments None."""
    if gradient is not None or kind is None:
        return gradient
    shape, dtype, device = kind
    return torch.zeros(shape, dtype=dtype, device=device)


def _as_gradients(replaced: Any, length: int, what: str, who: str) -> tuple[Any, ...]:
    replaced = replaced if isinstance(replaced, tuple) else (replaced,)
    if len(replaced) != length:
        raise RuntimeError(f"{who} returned an invalid number of {what}, got {len(replaced)}, but expected {length}")
    return replaced
