"""``torch.library``: operations of one's own, as functions with a gradient.

A custom operation here is the Python function itself, recorded like any code; `register_autograd` gives it a gradient of its own. Kernels
for other devices and shape functions are accepted and not needed.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

from . import _ops
from .autograd.function import Function
from .autograd.graph import increment_version
from .errors import Unsupported
from .facade.core import Tensor
from .pytree import tree_flatten, tree_leaves, tree_unflatten

__all__ = ["CustomOpDef", "Library", "custom_op", "define", "impl", "register_autograd", "register_fake", "register_kernel",
           "register_vmap"]  # fmt: skip

_defined: dict[str, CustomOpDef] = {}


class CustomOpDef:
    """An operation with a name ``namespace::name``: calling it runs its function."""

    def __init__(self, name: str, fn: Callable[..., Any] | None, mutates: Any = ()) -> None:
        self._qualname, self._fn, self._function = name, fn, None  # type: ignore[var-annotated]
        self._mutates, self._vmap = mutates, None
        self.__doc__ = fn.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._fn is None:
            raise NotImplementedError(f"{self._qualname}: the operation was defined, but nothing was given with torch.library.impl")
        if self._function is None and not self._mutates and self._vmap is None:
            return self._fn(*args, **kwargs)
        given = inspect.signature(self._fn).bind(*args, **kwargs)
        given.apply_defaults()
        written = tuple(given.arguments) if self._mutates == "unknown" else self._mutates
        changed = [t for name in written for t in tree_leaves(given.arguments[name]) if isinstance(t, Tensor)]
        before = [t._version for t in changed]
        if self._function is None and self._vmap is None:
            out = self._fn(*given.args, **given.kwargs)
        else:
            leaves, spec = tree_flatten((given.args, given.kwargs))
            out = self._of_leaves().apply(spec, *leaves)
        for t, version in zip(changed, before, strict=True):
            if t._version == version:  # it was written where autograd does not see it, as through NumPy
                increment_version(t)
        return out

    def _of_leaves(self) -> Any:
        if self._function is None:
            self._function = self._made(None, None)
        return self._function

    def register_autograd(self, backward: Callable[..., Any], /, *, setup_context: Callable[..., Any] | None = None) -> None:
        """``backward(ctx, *gradients)`` gives the gradients of the inputs, all but those that are passed by keyword only; of a list a list.

        ``setup_context(ctx, inputs, output)`` saves what it needs. It is called with keywords, and with ``keyword_only_inputs``, a dict,
        if the function has such; defaults are filled in.
        """
        self._function = self._made(backward, setup_context)

    def _made(self, backward: Any, setup_context: Any) -> Any:
        """The operation on what its arguments hold, behind how they are nested."""

        def forward(spec: Any, *leaves: Any) -> Any:
            args, kwargs = tree_unflatten(leaves, spec)
            return self._fn(*args, **kwargs)  # type: ignore[misc]

        def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            ctx._spec = inputs[0]
            args, kwargs = tree_unflatten(inputs[1:], inputs[0])
            if setup_context is not None:
                setup_context(ctx=ctx, inputs=args, output=output, **({"keyword_only_inputs": kwargs} if kwargs else {}))

        def gradients(ctx: Any, *grads: Any) -> tuple[Any, ...]:
            if backward is None:
                raise RuntimeError(
                    f"Trying to backward through {self._qualname.replace('::', '.')}.default but no autograd formula was registered. "
                    "Please use register_autograd to add one."
                )
            needed = ctx.needs_input_grad
            args, kwargs = tree_unflatten(needed[1:], ctx._spec)
            ctx.needs_input_grad = tuple([tuple(n) if isinstance(n, list) else n for n in args])
            try:
                found = backward(ctx, *grads)
            finally:
                ctx.needs_input_grad = needed
            found = found if isinstance(found, tuple) else (found,)
            flat: list[Any] = [None]
            for g, n in zip(found, args, strict=False):
                size = len(tree_leaves(n))
                flat += g if isinstance(g, (list, tuple)) and isinstance(n, (list, tuple)) else [None] * size if g is None else [g]
            return (*flat, *[None] * len(tree_leaves(kwargs)), *found[len(args) :])

        def vmap(info: Any, in_dims: tuple[int | None, ...], spec: Any, *leaves: Any) -> Any:
            args, kwargs = tree_unflatten(leaves, spec)
            return self._vmap(info, tree_unflatten(in_dims[1:], spec)[0], *args, **kwargs)  # type: ignore[misc]

        members = {"forward": forward, "setup_context": keep, "backward": gradients}
        if self._vmap is not None:
            members["vmap"] = vmap
        name = f"GeneratedBackwardFor_{self._qualname.replace('::', '_')}_default"
        made = type(name, (Function,), {key: staticmethod(fn) for key, fn in members.items()})
        self._registered = backward, setup_context
        return made

    def register_vmap(self, fn: Any = None, /) -> Any:
        """``fn(info, in_dims, *args)`` gives (outputs, their batch dimensions), as `torch.autograd.Function.vmap` does."""

        def register(f: Any) -> Any:
            self._vmap = f
            if self._function is not None:
                self._function = self._made(*self._registered)
            return f

        return register if fn is None else register(fn)

    def register_fake(self, fn: Any = None, /) -> Any:
        """Accepted: shapes follow from what the function records."""
        return fn if fn is not None else lambda f: f

    def register_kernel(self, device_types: Any, fn: Any = None, /) -> Any:
        """A kernel for the CPU replaces the function; others are accepted and not used."""
        kinds = [device_types] if isinstance(device_types, str) or device_types is None else list(device_types)

        def register(f: Any) -> Any:
            if None in kinds or any(str(kind).lower() in _KERNELS for kind in kinds):
                self._fn = f
            return f

        return register if fn is None else register(fn)

    register_torch_dispatch = register_fake

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"


#: devices and dispatch keys whose kernels are the function: what is recorded runs on every device
_KERNELS = ("cpu", "default", "compositeimplicitautograd", "compositeexplicitautograd")


def define(qualname: str, schema: str, /, *, lib: Any = None, tags: Any = ()) -> None:
    """An operation ``namespace::name`` with a schema like ``"(Tensor x) -> Tensor"``, whose function `impl` gives. The schema names what
    is written, ``Tensor(a!) x``; the rest of it is the function's own signature."""
    if "::" not in qualname or "->" not in schema:
        raise ValueError(f"define(qualname={qualname!r}, schema={schema!r}): expected a name like 'namespace::name' and a schema with '->'")
    written = re.findall(r"\(\w+!\)\??\s*(\w+)", schema)
    op = _defined[qualname] = CustomOpDef(qualname, None, tuple(written))
    _ops.define(qualname, op)


def impl(qualname: str, types: Any, func: Any = None, *, lib: Any = None) -> Any:
    """Give an operation that `define` made its function; a decorator without `func`."""
    registered = _find(qualname).register_kernel(types, func)
    return registered if func is None else None


class Library:
    """Operations of a namespace: `kind` is "DEF" or "FRAGMENT" for a namespace of one's own, "IMPL" to give functions to its operations."""

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("DEF", "FRAGMENT", "IMPL"):
            raise ValueError(f"Unsupported kind: {kind}")
        if ns in ("aten", "prim", "prims"):
            raise Unsupported(
                f"torch.library.Library({ns!r}, {kind!r}): PyTorch's own operations are not dispatched here and can't be replaced"
            )
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """An operation from ``"name(Tensor x) -> Tensor"``; returns its name."""
        name, bracket, rest = schema.partition("(")
        define(f"{self.ns}::{name.strip()}", bracket + rest)
        return name.strip()

    def impl(self, op_name: Any, fn: Any, dispatch_key: str = "", *, with_keyset: bool = False, allow_override: bool = False) -> None:
        """Give an operation its function; those for keys other than the CPU's and the composites' are not used."""
        name = op_name if isinstance(op_name, str) else op_name.__name__
        key = dispatch_key or self.dispatch_key or None
        _find(name if "::" in name else f"{self.ns}::{name.partition('.')[0]}").register_kernel(key, fn)


def custom_op(
    name: str, fn: Any = None, /, *, mutates_args: Any = (), device_types: Any = None, schema: str | None = None, tags: Any = None
) -> Any:
    """Decorator: the function becomes operation `name`, written ``namespace::name`` and found as ``torch.ops.namespace.name``."""
    if "::" not in name:
        raise ValueError(f"custom_op(name={name!r}): the name must be of the form namespace::name")

    def define(f: Callable[..., Any]) -> CustomOpDef:
        op = _defined[name] = CustomOpDef(
            name, f, (mutates_args,) if isinstance(mutates_args, str) and mutates_args != "unknown" else mutates_args
        )
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


impl_abstract = register_fake  # as it was called first


def register_vmap(op: Any, func: Any = None, /, *, lib: Any = None) -> Any:
    """See `CustomOpDef.register_vmap`."""
    return _find(op).register_vmap(func)


def register_kernel(op: Any, device_types: Any, func: Any = None, /, **_: Any) -> Any:
    """See `CustomOpDef.register_kernel`."""
    return _find(op).register_kernel(device_types, func)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    raise Unsupported(f"torchlike_asg.library.{name} is not implemented: custom_op and register_autograd are here, or autograd.Function")
