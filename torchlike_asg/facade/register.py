"""How a Python function becomes ``torch.f``, ``Tensor.f`` and ``Tensor.f_``: one registration."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..asg.node import Node
from ..asg.trace import current
from ..ops.promotion import title
from .autocast import governed
from .core import Tensor, node_of
from .overloads import earlier
from .parsing import elsewhere, refusal
from .spellings import spellings
from .write import write

#: every name of the torch namespace that this package's functions provide
FUNCTIONS: dict[str, Any] = {}

Function = Callable[..., Any]


def function(
    *, method: bool | str = True, inplace: bool = False, namespace: bool = True, aliases: tuple[str, ...] = (), name: str | None = None
) -> Callable[[Function], Function]:
    """Register ``f(input, ...)``.

    `method`: also ``Tensor.f`` (or under another name). `inplace`: also ``Tensor.f_``, which writes the result into the tensor.
    `aliases`: further names of the same function (and of its method and in-place form). A parameter ``out`` that the function
    itself ignores is handled here: the result is copied into it. So are the further keywords of `spellings`, NumPy's ``axis=`` among them.
    """

    def register(fn: Function) -> Function:
        public = name or fn.__name__.rstrip("_")
        offered = governed(_offered(fn, public), public)
        refusing = checked(fn) if offered is fn else offered  # what a method is called on is a tensor: it needs no check
        for n in (public, *aliases):
            if namespace:
                FUNCTIONS[n] = refusing
            if method:
                setattr(Tensor, method if isinstance(method, str) else n, offered)
            if inplace:
                written = _inplace(fn, n)
                setattr(Tensor, n + "_", written)
                if namespace:
                    FUNCTIONS[n + "_"] = written
        return offered if method and namespace else refusing

    return register


def method(*names: str) -> Callable[[Function], Function]:
    """Register a Tensor method that is not a function of the torch namespace."""

    def register(fn: Function) -> Function:
        for n in names or (fn.__name__,):
            setattr(Tensor, n, _offered(fn, n.rstrip("_")) if n.endswith("_") else fn)
        return fn

    return register


def _parameters(fn: Function) -> tuple[tuple[str, ...], bool]:
    """The names of the parameters of what `fn` wraps, and whether it takes any keyword."""
    code = inspect.unwrap(fn).__code__
    return code.co_varnames[: code.co_argcount + code.co_kwonlyargcount], bool(code.co_flags & inspect.CO_VARKEYWORDS)


def _offered(fn: Function, name: str) -> Function:
    """`fn` as users call it."""
    named, further = _parameters(fn)
    out = "out" in named and not getattr(fn, "handles_out", False)
    known = spellings(name, named, further)
    if not out and not (known.keys() - {"x", "a", "x1", "x2", "self"}):
        return fn

    @functools.wraps(fn)
    def offered(*args: Any, **kwargs: Any) -> Any:
        try:
            if not kwargs:
                return fn(*args)
            if not known.keys().isdisjoint(kwargs):
                kwargs = {known.get(k, k): v for k, v in kwargs.items()}
            return _delivered(fn, args, kwargs) if out and "out" in kwargs else fn(*args, **kwargs)
        except Exception as error:
            if (result := elsewhere(fn, args, kwargs)) is not NotImplemented:
                return result
            found = earlier(name, args) if isinstance(error, TypeError) else None
            if found is None:
                better = refusal(fn, args, kwargs, error)
                if better is None:
                    raise
                raise better from error
        return offered(*found[0], **found[1], **kwargs)

    return offered


def checked(fn: Function) -> Function:
    """`fn`, whose failed calls are read again as PyTorch's argument parser would have read them."""

    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return fn(*args, **kwargs)
        except Exception as error:
            if (result := elsewhere(fn, args, kwargs)) is not NotImplemented:
                return result
            better = refusal(fn, args, kwargs, error)
            if better is None:
                raise
            raise better from error

    return call  # type: ignore[return-value]


def _delivered(fn: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    out = kwargs.pop("out")
    result = fn(*args, **kwargs)
    return result if out is None else deliver(result, out)


def deliver(result: Any, out: Any) -> Any:
    """Write a result (or several) into ``out=`` tensors, which take its shape."""
    if isinstance(result, tuple):
        for r, o in zip(result, out, strict=True):
            deliver(r, o)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if out.requires_grad or (result.requires_grad and current().grad):
        raise RuntimeError(
            "functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad."
        )
    if out.dtype.category < result.dtype.category:
        raise RuntimeError(f"result type {title(result.dtype)} can't be cast to the desired output type {title(out.dtype)}")
    if tuple(out.shape) != tuple(result.shape):
        from .resize import resize

        resize(out, tuple(result.shape))
    return out.copy_(result)


def _inplace(fn: Function, name: str) -> Function:
    known = spellings(fn.__name__, *_parameters(fn))

    @functools.wraps(fn)
    def written(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if not known.keys().isdisjoint(kwargs):
            kwargs = {known.get(k, k): v for k, v in kwargs.items()}
        try:
            return apply_inplace(self, lambda cur: fn(cur, *args, **kwargs), [*args, *kwargs.values()])
        except TypeError:
            found = earlier(name + "_", (self, *args))
            if found is None:
                raise
        return written(*found[0], **found[1], **kwargs)

    written.__name__ = written.__qualname__ = name + "_"
    written.__doc__ = f"In-place version of `{name}`."
    return written


def apply_inplace(t: Tensor, fn: Callable[[Tensor], Tensor], others: Any = ()) -> Tensor:
    """Write ``fn(current value)`` into `t`, with the checks of every in-place operation."""

    def value(cur: Node) -> Node:
        held = bare(cur)
        result = fn(held)
        n = node_of(result)
        claims = current().claims
        claim = claims.get(n)
        if claim is not None and claim() is result:  # a helper of this write, not a result anybody holds
            del claims[n]
        return n

    return write(t, value, [o for o in others if isinstance(o, Tensor)])


def bare(n: Node) -> Tensor:
    """A tensor for a node inside a computation: it claims nothing and is not computed for its own sake."""
    t = object.__new__(Tensor)
    t._n, t._f = n, None
    return t
