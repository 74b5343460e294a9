"""Activation checkpointing under PyTorch's names.

PyTorch recomputes the activations of a checkpointed part in the backward pass to save memory. Here both passes are one graph and
what is kept is the compiler's decision, so a checkpointed function is simply called: values, gradients and random numbers are
those of PyTorch, and no memory is saved.
"""

from __future__ import annotations

import enum
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torchlike_asg as torch

from ..absent import asked

__all__ = ["CheckpointPolicy", "checkpoint", "CheckpointError", "DefaultDeviceType", "check_backward_validity", "checkpoint_sequential",
           "create_selective_checkpoint_contexts", "detach_variable", "get_device_states", "noop_context_fn", "set_device_states",
           "set_checkpoint_debug_enabled", "set_checkpoint_early_stop"]  # fmt: skip


class CheckpointPolicy(enum.Enum):
    """What a policy may want for an operation's result."""

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Callable[..., Any] | list[Any], allow_cache_entry_mutation: bool = False
) -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """For `context_fn`: contexts that do nothing, since what is kept is planned for the whole graph. The policy is not asked."""
    return nullcontext(), nullcontext()


def set_checkpoint_early_stop(enable: bool) -> AbstractContextManager[None]:
    """A context that does nothing: there is no recomputation to stop."""
    return nullcontext()


def set_checkpoint_debug_enabled(enabled: bool | None) -> AbstractContextManager[None]:
    """A context that does nothing: there is no recomputation to follow."""
    return nullcontext()


def noop_context_fn() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
    """Contexts for the forward pass and the recomputation that do nothing."""
    return nullcontext(), nullcontext()


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[AbstractContextManager[Any], AbstractContextManager[Any]]] = noop_context_fn,
    determinism_check: str = "default",
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``.

    With ``use_reentrant=True`` (or left out, with a warning, as in PyTorch) the result has no gradient unless a tensor among
    `args` requires one; ``use_reentrant=False`` has no such limit. `preserve_rng_state` is accepted: nothing is computed twice.

    Raises:
        ValueError: keyword arguments for `function`, or `context_fn`, in the reentrant mode.
    """
    kwargs.pop("preserve_rng_state", None)
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly; use_reentrant=False is recommended",
            stacklevel=2,
        )
        use_reentrant = True
    if not use_reentrant:
        with context_fn()[0]:
            return function(*args, **kwargs)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if context_fn is not noop_context_fn or debug:
        raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
    if any(isinstance(argument, torch.Tensor) and argument.requires_grad for argument in args):
        return function(*args)
    if torch.is_grad_enabled():
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)
    with torch.no_grad():
        return function(*args)


def checkpoint_sequential(
    functions: Iterable[Callable[[Any], Any]], segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """The `functions` (a Sequential or a list) applied in turn, all but the last of `segments` parts under :func:`checkpoint`.

    Raises:
        ValueError: keyword arguments other than `preserve_rng_state`, or a number of segments that does not fit.
    """
    kwargs.pop("preserve_rng_state", None)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    steps = list(functions.children()) if isinstance(functions, torch.nn.Sequential) else list(functions)
    if not 1 <= segments <= len(steps):
        raise ValueError(f"segments must lie between 1 and the number of functions ({len(steps)}), got {segments}")

    def run(part: list[Callable[[Any], Any]]) -> Callable[[Any], Any]:
        def forward(value: Any) -> Any:
            for step in part:
                value = step(value)
            return value

        return forward

    size = len(steps) // segments
    for start in range(0, size * (segments - 1), size):
        input = checkpoint(run(steps[start : start + size]), input, use_reentrant=use_reentrant)
    return run(steps[size * (segments - 1) :])(input)


class CheckpointError(RuntimeError):
    """A recomputation that saved other tensors than the first computation. Nothing is recomputed here, so none is raised."""


class DefaultDeviceType:
    """The kind of device whose random state PyTorch keeps for a recomputation: remembered, and not used."""

    _type = "cpu"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Remember a kind of device."""
        DefaultDeviceType._type = device

    @staticmethod
    def get_device_type() -> str:
        """What was remembered, at first "cpu"."""
        return DefaultDeviceType._type


def get_device_states(*args: Any) -> tuple[list[int], list[Any]]:
    """([], []): the numbers and random states of the devices of `args` other than the CPU, for `set_device_states`."""
    return [], []


def set_device_states(devices: Sequence[int], states: Sequence[Any], *, device_type: str | None = None) -> None:
    """Nothing to put back: see `get_device_states`."""


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """The inputs, tensors without their history and with their `requires_grad`.

    Raises:
        RuntimeError: `inputs` is no tuple.
    """
    if not isinstance(inputs, tuple):
        raise RuntimeError("Only tuple of tensors is supported. Got Unsupported input type: ", type(inputs).__name__)
    return tuple(x.detach().requires_grad_(x.requires_grad) if isinstance(x, torch.Tensor) else x for x in inputs)


def check_backward_validity(inputs: Iterable[Any]) -> None:
    """Warn if no tensor among the inputs requires a gradient."""
    if not any(isinstance(x, torch.Tensor) and x.requires_grad for x in inputs):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


__getattr__ = asked(__name__)
