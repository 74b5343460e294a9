"""``torch.library``: operations of one's own, as functions with a gradient.

A custom operation here is the Python function itself, recorded like any code; `register_autograd` gives it a gradient of its own. Kernels
for other devices and shape functions are accepted and not needed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from . import _ops
from .autograd.function import Function
from .errors import Unsupported

__all__ = ["CustomOpDef", "custom_op", "register_autograd", "register_fake", "register_kernel"]

_defined: dict[str, CustomOpDef] = {}


class CustomOpDef:
    """An operation with a name ``namespace::name``: calling it runs its function."""

    def __init__(self, name: str, fn: Callable[..., Any]) -> None:
        self._qualname, self._fn, self._function = name, fn, None  # type: ignore[var-annotated]
        self.__doc__ = fn.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._function is None:
            return self._fn(*args, **kwargs)
        given = inspect.signature(self._fn).bind(*args, **kwargs)
        given.apply_defaults()
        return self._function.apply(*given.args, given.kwargs)

    def register_autograd(self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None) -> None:
        """``backward(ctx, *gradients)`` gives the gradients of the inputs, all but those that are passed by keyword only.

        ``setup_context(ctx, inputs, output)`` saves what it needs. It is called with keywords, and with ``keyword_only_inputs``, a dict,
        if the function has such; defaults are filled in.
        """

        def forward(*inputs: Any) -> Any:
            *positional, by_keyword = inputs
            return self._fn(*positional, **by_keyword)

        def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            *positional, by_keyword = inputs
            if setup_context is not None:
                extra = {"keyword_only_inputs": by_keyword} if by_keyword else {}
                setup_context(ctx=ctx, inputs=tuple(positional), output=output, **extra)

        def gradients(ctx: Any, *grads: Any) -> tuple[Any, ...]:
            needed = ctx.needs_input_grad
            ctx.needs_input_grad = needed[:-1]
            try:
                found = backward(ctx, *grads)
            finally:
                ctx.needs_input_grad = needed
            return (*found, None) if isinstance(found, tuple) else (found, None)

        members = {"forward": staticmethod(forward), "setup_context": staticmethod(keep), "backward": staticmethod(gradients)}
        self._function = type(self._qualname.replace("::", "_"), (Function,), members)

    def register_fake(self, fn: Any = None, /) -> Any:
        """Accepted: shapes follow from what the function records."""
        return fn if fn is not None else lambda f: f

    def register_kernel(self, device_types: Any, fn: Any = None, /) -> Any:
        """A kernel for the CPU replaces the function; others are accepted and not used."""
        kinds = [device_types] if isinstance(device_types, str) or device_types is None else list(device_types)

        def register(f: Any) -> Any:
            if None in kinds or "cpu" in kinds:
                self._fn = f
            return f

        return register if fn is None else register(fn)

    register_vmap = register_torch_dispatch = register_fake

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"


def custom_op(
    name: str, fn: Any = None, /, *, mutates_args: Any = (), device_types: Any = None, schema: str | None = None, tags: Any = None
) -> Any:
    """Decorator: the function becomes operation `name`, written ``namespace::name`` and found as ``torch.ops.namespace.name``."""
    if "::" not in name:
        raise ValueError(f"custom_op(name={name!r}): the name must be of the form namespace::name")

    def define(f: Callable[..., Any]) -> CustomOpDef:
        op = _defined[name] = CustomOpDef(name, f)
        _ops.define(name, op)
        return op

    return define if fn is None else define(fn)


def _find(op: Any) -> CustomOpDef:
    if isinstance(op, CustomOpDef):
        return op
    if op not in _defined:
        raise Unsupported(f"torch.library: there is no operation {op!r}; define it with torch.library.custom_op")
    return _defined[op]


def register_autograd(op: Any, backward: Any, /, *, setup_context: Any = None, lib: Any = None) -> None:
    """See `CustomOpDef.register_autograd`."""
    _find(op).register_autograd(backward, setup_context=setup_context)


def register_fake(op: Any, func: Any = None, /, **_: Any) -> Any:
    """See `CustomOpDef.register_fake`."""
    return _find(op).register_fake(func)


def register_kernel(op: Any, device_types: Any, func: Any = None, /, **_: Any) -> Any:
    """See `CustomOpDef.register_kernel`."""
    return _find(op).register_kernel(device_types, func)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torchlike_asg.library.{name} is not implemented: custom_op and register_autograd are here, or autograd.Function")
