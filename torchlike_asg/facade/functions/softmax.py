"""Softmax, log-softmax and their relatives."""

from __future__ import annotations

import warnings
from typing import Any

from ... import formats
from ...asg.trace import current
from ...dtypes import dtype
from ...ops import movement
from ...ops import softmax as ops
from ...ops.formula import refuse
from ...ops.promotion import title
from ..core import Tensor, nary, node_of, unary
from ..examples import moved
from ..register import checked, function, named
from ..steps import step
from .views import wrap_dim


def implicit_dim(name: str, rank: int, stacklevel: int) -> int:
    """The dimension PyTorch picks if none is given: 0 for rank 0, 1 and 3, else 1; with a warning."""
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an argument.",
        stacklevel=stacklevel + 2,
    )
    return 0 if rank in (0, 1, 3) else 1


def _over(op: Any, input: Tensor, dim: int, dtype: Any) -> Tensor:
    if dtype is not None and input.dtype is not dtype:
        input = unary(movement.cast, input, dtype)
    return unary(op, input, wrap_dim(dim, len(input.shape)))


@checked
def softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along `dim`; computed in `dtype` if given."""
    return _over(ops.softmax, input, implicit_dim("softmax", len(input.shape), _stacklevel) if dim is None else dim, dtype)


@function(name="softmax")
def _softmax(input: Tensor, dim: int, dtype: Any = None, *, out: Tensor | None = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along `dim`; computed in `dtype` if given."""
    return _over(ops.softmax, input, dim, dtype)


@checked
def log_softmax(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``log(softmax(x))`` along `dim`, without overflow."""
    return _over(ops.log_softmax, input, implicit_dim("log_softmax", len(input.shape), _stacklevel) if dim is None else dim, dtype)


@function(name="log_softmax")
def _log_softmax(input: Tensor, dim: int, dtype: Any = None, *, out: Tensor | None = None) -> Tensor:
    """``log(softmax(x))`` along `dim`, without overflow."""
    return _over(ops.log_softmax, input, dim, dtype)


@checked
def softmin(input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: Any = None) -> Tensor:
    """``softmax(-x)`` along `dim`."""
    return _over(ops.softmax, -input, implicit_dim("softmin", len(input.shape), _stacklevel) if dim is None else dim, dtype)  # type: ignore[operator]


def _backward_data(name: str, op: Any, recorded: str) -> Any:
    def backward(grad_output: Tensor, output: Tensor, dim: int, input_dtype: dtype) -> Tensor:
        at = wrap_dim(dim, len(grad_output.shape))
        if grad_output.shape != output.shape:
            raise RuntimeError(
                "Expected tensor for argument #1 'grad' to have same size as tensor for argument #2 'output'; but "
                f"{list(grad_output.shape)} does not equal {list(output.shape)} (while checking arguments for {name}_backward)"
            )
        if not grad_output.dtype.is_floating_point:
            raise refuse(f"{name}_backward_lastdim_kernel_impl", grad_output.dtype)
        if output.dtype is not grad_output.dtype:
            raise RuntimeError(f"expected scalar type {title(grad_output.dtype)} but found {title(output.dtype)}")
        return nary(op, (grad_output, output), at)

    named(backward, f"_{name}_backward_data", f"The gradient of `{name}`'s input, of that of its output and the output itself.")
    return function(method=False)(step(recorded)(backward))


_softmax_backward_data = _backward_data("softmax", ops.softmax_grad, "SoftmaxBackwardDataBackward0")
_log_softmax_backward_data = _backward_data("log_softmax", ops.log_softmax_grad, "LogSoftmaxBackwardDataBackward0")


def gumbel_softmax(logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1) -> Tensor:
    """A sample of the relaxed categorical distribution at temperature `tau`; `hard` makes it one-hot with the gradient of the soft one.

    Jang et al. (2017), "Categorical reparameterization with Gumbel-softmax". `eps` has no effect.
    """
    from .creation import zeros_like

    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    if any(m.randomness == "different" for m in current().mapped) and moved(node_of(logits)):
        raise NotImplementedError(
            "gumbel_softmax() inside vmap with randomness='different' draws in PyTorch's order only if the mapped dimension is the first: "
            "move it there with movedim() and call vmap with in_dims=0"
        )
    noise = -zeros_like(logits.detach(), memory_format=formats.contiguous_format).exponential_().log()  # type: ignore[attr-defined]
    soft = softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = soft.argmax(dim, keepdim=True)  # type: ignore[attr-defined]
    chosen = zeros_like(soft.detach()).scatter_(dim, index, 1.0)  # type: ignore[attr-defined]
    return chosen - soft.detach() + soft  # type: ignore[attr-defined, no-any-return]
