"""Hooks of modules: what they are called with, in which order, and the call path of a module that has some."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from ...asg.scope import note, stack
from ...facade.boundary import enter
from .backward_hook import BackwardHook, hook_last_step
from .hook_handle import RemovableHandle, register

__all__ = [
    "HookMixin",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
]

Hooks = OrderedDict[int, Any]

_global_forward_pre_hooks: Hooks = OrderedDict()
_global_forward_hooks: Hooks = OrderedDict()
_global_forward_hooks_with_kwargs: OrderedDict[int, bool] = OrderedDict()
_global_forward_hooks_always_called: OrderedDict[int, bool] = OrderedDict()
_global_backward_pre_hooks: Hooks = OrderedDict()
_global_backward_hooks: Hooks = OrderedDict()
_global_buffer_registration_hooks: Hooks = OrderedDict()
_global_module_registration_hooks: Hooks = OrderedDict()
_global_parameter_registration_hooks: Hooks = OrderedDict()


_global_is_full_backward_hook: bool | None = None

_MIXED_GLOBAL = "Cannot use both regular backward hooks and full backward hooks as a global Module hook. Please use only one of them."
_MIXED = "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only one of them."


class _Removed:
    """While a global hook exists, every module takes the call path that looks for hooks."""

    def pop(self, key: int, default: None) -> None:
        HookMixin._hooked = any((_global_forward_pre_hooks, _global_forward_hooks, _global_backward_pre_hooks, _global_backward_hooks))


_removed = _Removed()


def _register_global(hooks: Hooks, hook: Any, *marks: tuple[OrderedDict[int, bool], bool]) -> RemovableHandle:
    HookMixin._hooked = True
    return register(hooks, hook, *marks, watch=_removed)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, args)`` before the `forward` of every module; a result other than None replaces the arguments."""
    return _register_global(_global_forward_pre_hooks, hook)


def register_module_forward_hook(hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False) -> RemovableHandle:
    """Calls ``hook(module, args[, kwargs], output)`` after the `forward` of every module; a result other than None replaces the output."""
    marks = ((_global_forward_hooks_with_kwargs, with_kwargs), (_global_forward_hooks_always_called, always_call))
    return _register_global(_global_forward_hooks, hook, *marks)


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """PyTorch's deprecated form of :func:`register_module_full_backward_hook`; the two cannot be mixed."""
    return _register_global_backward(hook, full=False)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, grad_input, grad_output)`` when the gradients of a module's inputs are known; a result replaces `grad_input`."""
    return _register_global_backward(hook, full=True)


def _register_global_backward(hook: Callable[..., Any], full: bool) -> RemovableHandle:
    global _global_is_full_backward_hook
    if _global_is_full_backward_hook is (not full):
        raise RuntimeError(_MIXED_GLOBAL)
    _global_is_full_backward_hook = full
    return _register_global(_global_backward_hooks, hook)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, grad_output)`` when the gradients of any module's outputs are known; a result replaces `grad_output`."""
    return _register_global(_global_backward_pre_hooks, hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, name, buffer)`` at every `register_buffer`; a result other than None replaces the buffer."""
    return register(_global_buffer_registration_hooks, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, name, submodule)`` at every registration of a submodule; a result other than None replaces it."""
    return register(_global_module_registration_hooks, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Calls ``hook(module, name, parameter)`` at every `register_parameter`; a result other than None replaces the parameter."""
    return register(_global_parameter_registration_hooks, hook)


class HookMixin:
    """The part of Module that registers hooks and calls `forward` with them."""

    forward: Callable[..., Any]
    _hooked: bool = False  # set by the first hook of any kind, for good: a call looks at nothing else
    _forward_pre_hooks: Hooks
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks: Hooks
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _backward_pre_hooks: Hooks
    _backward_hooks: Hooks
    _is_full_backward_hook: bool | None

    def register_forward_pre_hook(self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False) -> RemovableHandle:
        """Calls ``hook(module, args)`` before `forward`; a result other than None replaces the arguments.

        With `with_kwargs` it is ``hook(module, args, kwargs)``, which returns None or ``(new_args, new_kwargs)``.
        """
        self._hooked = True
        return register(self._forward_pre_hooks, hook, (self._forward_pre_hooks_with_kwargs, with_kwargs), prepend=prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Calls ``hook(module, args, output)``, with `with_kwargs` ``hook(module, args, kwargs, output)``, after `forward`.

        A result other than None replaces the output. With `always_call` the hook also runs when the call raises.
        """
        self._hooked = True
        marks = ((self._forward_hooks_with_kwargs, with_kwargs), (self._forward_hooks_always_called, always_call))
        return register(self._forward_hooks, hook, *marks, prepend=prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls ``hook(module, grad_output)`` when the gradients of the outputs are known; a result other than None replaces them."""
        self._hooked = True
        return register(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Calls ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are known; a result replaces `grad_input`."""
        return self._register_backward_hook(hook, True, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """PyTorch's deprecated form of `register_full_backward_hook`: the hook sees the gradients of the last operation inside."""
        return self._register_backward_hook(hook, False, False)

    def _register_backward_hook(self, hook: Callable[..., Any], full: bool, prepend: bool) -> RemovableHandle:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(_MIXED)
        self._is_full_backward_hook = full
        self._hooked = True
        return register(self._backward_hooks, hook, prepend=prepend)

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        """Calls `forward` with all hooks around it."""
        modules = stack()
        if not modules:
            enter(self, args, modules)
        modules.append(self)
        called: set[int] = set()
        result = None
        try:
            args, kwargs = self._run_forward_pre_hooks(args, kwargs)
            backward = self._backward_hook()
            if backward is not None:
                args = backward.tap_inputs(args)
            result = self.forward(*args, **kwargs)
            for hook_id, hook, with_kwargs, _ in self._all_forward_hooks():
                called.add(hook_id)
                replacement = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                if replacement is not None:
                    result = replacement
            if backward is not None:
                result = backward.tap_outputs(result)
            hooks = self._last_step_hooks()
            if hooks:
                hook_last_step(self, hooks, args, result)
            return result
        except BaseException as error:
            note(error, modules)
            if isinstance(error, Exception):
                self._run_remaining_hooks(called, args, kwargs, result)
            raise
        finally:
            modules.pop()

    def _run_forward_pre_hooks(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        for hook_id, hook in (*_global_forward_pre_hooks.items(), *self._forward_pre_hooks.items()):
            if hook_id in self._forward_pre_hooks_with_kwargs:
                replacement = hook(self, args, kwargs)
                if replacement is None:
                    continue
                if not isinstance(replacement, tuple) or len(replacement) != 2:
                    raise RuntimeError(f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {replacement}.")
                args, kwargs = replacement
            else:
                replacement = hook(self, args)
                if replacement is not None:
                    args = replacement if isinstance(replacement, tuple) else (replacement,)
        return args, kwargs

    def _all_forward_hooks(self) -> list[tuple[int, Any, bool, bool]]:
        """(id, hook, whether it takes kwargs, whether it is called in any case), global hooks first."""
        found = []
        for hooks, with_kwargs, always in (
            (_global_forward_hooks, _global_forward_hooks_with_kwargs, _global_forward_hooks_always_called),
            (self._forward_hooks, self._forward_hooks_with_kwargs, self._forward_hooks_always_called),
        ):
            found += [(hook_id, hook, hook_id in with_kwargs, hook_id in always) for hook_id, hook in hooks.items()]
        return found

    def _run_remaining_hooks(self, called: set[int], args: Any, kwargs: Any, result: Any) -> None:
        """After an error: the `always_call` hooks that have not run. The first error is the one to report, so theirs only warn."""
        for hook_id, hook, with_kwargs, always in self._all_forward_hooks():
            if always and hook_id not in called:
                try:
                    replacement = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                    result = result if replacement is None else replacement
                except Exception as error:
                    text = "module forward hook with ``always_call=True`` raised an exception that was silenced"
                    warnings.warn(f"{text} as another error was raised in forward: {error}", stacklevel=3)

    def _backward_hook(self) -> BackwardHook | None:
        before = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
        after = [*_global_backward_hooks.values()] if _global_is_full_backward_hook is not False else []
        if self._is_full_backward_hook is not False:
            after += self._backward_hooks.values()
        return BackwardHook(self, after, before) if before or after else None

    def _last_step_hooks(self) -> list[Any]:
        found = [*_global_backward_hooks.values()] if _global_is_full_backward_hook is False else []
        return [*found, *self._backward_hooks.values()] if self._is_full_backward_hook is False else found
