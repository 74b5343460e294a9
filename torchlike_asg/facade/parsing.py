"""What PyTorch's argument parser would have said of a call.

PyTorch compares the types of all arguments with a signature before anything runs. Here most functions look at the annotations when they
meet a combination of types for the first time; the busiest ones, and layers, run at once, and only a call that has failed is compared
with them, so that a list given for a tensor is reported as that, not as an attribute which lists do not have.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes, formats
from ..devices import device
from ..errors import HostMemoryError, Unsupported
from .core import Tensor
from .generator import Generator
from .misfits import told, what
from .unbound import BUILT_IN_LAYERS, unbind

__all__ = ["OTHERS", "elsewhere", "parse", "read_again"]

#: what other kinds of tensors make of a call that failed: (name, args, kwargs) -> its result, or NotImplemented
OTHERS: list[Callable[[str, tuple[Any, ...], dict[str, Any]], Any]] = []

#: functions of `nn.functional` that PyTorch lets write into an ``out=``. So few calls do that they are told by failing
_INTO = frozenset("avg_pool2d avg_pool3d gelu linear logsigmoid softplus softshrink".split())


def elsewhere(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], public: Callable[..., Any] | None = None) -> Any:
    """What an argument of another kind makes of a call that failed: a tensor that is not ours, or an object with a ``__torch_function__``,
    which is given `public`. NotImplemented if there is none that knows the function."""
    name = inspect.unwrap(fn).__name__
    found = next((found for other in OTHERS if (found := other(name, args, kwargs)) is not NotImplemented), NotImplemented)
    if found is NotImplemented and public is not None:
        given = [a for arg in (*args, *kwargs.values()) for a in (arg if isinstance(arg, (list, tuple)) else (arg,))]
        if any(not isinstance(a, Tensor) and hasattr(type(a), "__torch_function__") for a in given):
            overrides = importlib.import_module(f"{__name__.partition('.')[0]}.overrides")  # of a layer above
            return overrides.handle_torch_function(public, given, *args, **kwargs)
    return found


def _whole(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.shape and not value.dtype.is_floating_point
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _foreign(values: Any) -> tuple[str, int] | None:
    """The type and the place of the first element that is no number of dimensions: neither an integer nor several."""
    return next(((what(v), i) for i, v in enumerate(values) if not (_whole(v) or v is None or isinstance(v, (tuple, list)))), None)


#: numbers from here on are no sizes, indices or dimensions
_LIMIT = 1 << 63


def constant(v: Any) -> bool:
    """Whether a tensor stands for a number: one of no dimension, whose gradient nobody would miss."""
    return isinstance(v, Tensor) and not v.shape and not v.requires_grad


#: annotation -> what may be given for it
_KINDS: dict[str, Callable[[Any], bool]] = {
    "Tensor": lambda v: isinstance(v, Tensor) or hasattr(v, "__torch_function__"),
    "int": _whole,
    "float": lambda v: isinstance(v, (numbers.Real, np.number)) or constant(v),
    "number": lambda v: isinstance(v, (numbers.Number, np.number)) or constant(v),
    "bool": lambda v: isinstance(v, (bool, np.bool_)),
    "str": lambda v: isinstance(v, str),
    "None": lambda v: v is None,
    "torch.dtype": lambda v: isinstance(v, dtypes.dtype) or (isinstance(v, type) and v in dtypes.OF_PYTHON),
    "torch.device": lambda v: isinstance(v, (str, device, np.integer)) or v.__class__ is int,
    "torch.layout": lambda v: isinstance(v, formats.layout),
    "torch.Generator": lambda v: isinstance(v, Generator),
    "tuple of Tensors": lambda v: isinstance(v, (tuple, list, Tensor)),
    "tuple of ints": lambda v: _whole(v) or v is None or (isinstance(v, (tuple, list)) and _foreign(v) is None),
}
#: what parameters of these names take where their annotation does not say it
_BY_NAME = dict.fromkeys(
    "dim dims dilation kernel_size normalized_shape output_padding output_size pad padding shifts size stride".split(), "tuple of ints"
)
_BY_NAME |= {"tensors": "tuple of Tensors", "alpha": "number", "beta": "number", "fill_value": "number"}
_BY_NAME |= {"device": "torch.device", "dtype": "torch.dtype", "layout": "torch.layout", "generator": "torch.Generator"}
#: what an annotation is called in PyTorch's messages, where it is not by its own name
_NAMES = {
    "tuple[int, ...]": "tuple of ints",
    "dtype": "torch.dtype",
    "dtypes.dtype": "torch.dtype",
    "device": "torch.device",
    "layout": "torch.layout",
}
#: flags of factory functions, which may be None
_FLAGS = frozenset(("pin_memory", "requires_grad"))
#: but not of these
_STRICT = frozenset(("new_tensor", "range", "tensor"))
#: flags that PyTorch only asks whether they are true
_TRUTHS = frozenset(("inplace", "return_indices"))
#: functions that PyTorch's argument parser knows under another name
_PARSED = {"cross_entropy": "cross_entropy_loss", "nll_loss": "nll_loss_nd", "unfold": "im2col", "fold": "col2im"}
#: functions that PyTorch writes in Python, and the attribute of their tensors that they look at before anything is parsed
_LOOKED_AT = {"embedding_bag": "dim", "interpolate": "dim", "lp_pool1d": "pow", "lp_pool2d": "pow", "lp_pool3d": "pow"} | dict.fromkeys(
    """adaptive_avg_pool2d adaptive_avg_pool3d binary_cross_entropy binary_cross_entropy_with_logits huber_loss l1_loss mse_loss
    smooth_l1_loss""".split(),
    "size",
)


#: what a number given as something else becomes, where the annotation asks for one
_MADE: dict[str, Callable[[Any], Any]] = {
    "int": int,
    "float": lambda v: v.item(),
    "number": lambda v: v.item(),
    "torch.dtype": lambda v: v if isinstance(v, dtypes.dtype) else dtypes.OF_PYTHON[v],
}
#: a parameter whose annotation says what may be given for it: position (None if it has none), name, kinds, whether None is its default
_Parameter = tuple[int | None, str, list[str], bool]


@functools.cache
def _declared(fn: Callable[..., Any]) -> list[_Parameter]:
    found: list[_Parameter] = []
    for position, (name, parameter) in enumerate(inspect.signature(fn).parameters.items()):
        kinds = [_NAMES.get(k.strip(), k.strip()) for k in str(parameter.annotation).split("|")]
        if name in _FLAGS and fn.__name__ not in _STRICT:
            kinds = [*kinds, "None"]
        if kinds == ["Any"]:
            kinds = [_BY_NAME.get(name, "Any")]
        if name in _TRUTHS or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not all(k in _KINDS for k in kinds):
            continue
        found.append((None if parameter.kind is parameter.KEYWORD_ONLY else position, name, kinds, parameter.default is None))
    return found


def numbers_of(fn: Callable[..., Any]) -> dict[str, int | None]:
    """The parameters of a function that are numbers and never tensors -> their positions."""
    return {
        name: position
        for position, name, kinds, _ in _declared(inspect.unwrap(fn))
        if not {"float", "number"}.isdisjoint(kinds) and "Tensor" not in kinds
    }


def parse(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], bound: bool = False, called: str = ""
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of ``fn(*args, **kwargs)``, numbers in tensors and NumPy's as Python's where a number is declared; the very same
    objects if there are none. Raises TypeError for the first argument that its annotation excludes; ValueError for a reduction.

    `bound`: it is called as a method, whose positions do not count the tensor. `called`: what by, if that is not its own name.
    """
    fn = inspect.unwrap(fn)
    for position, name, kinds, optional in _declared(fn):
        if position is not None and position < len(args):
            value, where = args[position], f" (position {position + (not bound)})"
        elif name in kwargs:
            value, where = kwargs[name], ""
        else:
            continue
        if value is None and optional:
            continue
        kind = next((k for k in kinds if _KINDS[k](value)), None)
        if kind is None:
            if name == "reduction" and kinds == ["str"]:
                raise ValueError(f"{value} is not a valid value for reduction")
            if kinds[0] == "Tensor" and (attribute := _LOOKED_AT.get(fn.__name__)) is not None:
                inspect.signature(fn).bind(*args, **kwargs)  # what is missing is missed first
                raise AttributeError(f"{type(value).__name__!r} object has no attribute {attribute!r}")
            element = _foreign(value) if kinds == ["tuple of ints"] and isinstance(value, (tuple, list)) else None
            found = f"not {what(value)}" if element is None else "but found element of type {} at pos {}".format(*element)
            raise TypeError(f"{called or _PARSED.get(fn.__name__, fn.__name__)}(): argument '{name}'{where} must be {kinds[0]}, {found}")
        if kind in ("int", "tuple of ints") and value.__class__ is int and not -_LIMIT <= value < _LIMIT:
            raise ValueError("Overflow when unpacking long long")
        if kind == "tuple of ints" and isinstance(value, (tuple, list)):
            far = next((i for i, v in enumerate(value, 1) if v.__class__ is int and not -_LIMIT <= v < _LIMIT), None)
            if far is not None:
                raise TypeError(
                    f"{called or fn.__name__}(): argument '{name}' failed to unpack the object at pos {far} with error "
                    '"Overflow when unpacking long long"'
                )
        if kind in _MADE and not isinstance(value, (int, float, complex)) and (made := _MADE[kind](value)) is not value:
            value = made
            if where:
                args = (*args[:position], value, *args[position + 1 :])  # type: ignore[operator]
            else:
                kwargs = {**kwargs, name: value}
    return args, kwargs


def read_again(
    fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: Exception, public: Callable[..., Any] | None = None
) -> Any:
    """For a call that has raised `error`: the result that another kind of tensor gives it; else raise what PyTorch's parser would have said
    of it, or the error itself.
    """
    if fn.__name__ in BUILT_IN_LAYERS and unbind(inspect.unwrap(fn), args, kwargs):
        return (public or fn)(*args[1:], **kwargs)
    if (result := elsewhere(fn, args, kwargs, public)) is not NotImplemented:
        return result
    if "out" in kwargs and fn.__name__ in _INTO:
        from .results import deliver

        rest = {k: v for k, v in kwargs.items() if k != "out"}
        found = (public or fn)(*args, **rest)
        return found if kwargs["out"] is None else deliver(found, kwargs["out"], fn.__name__, (*args, *rest.values()))
    try:
        if isinstance(error, MemoryError) and not isinstance(error, HostMemoryError):  # NumPy's
            raise HostMemoryError(f"DefaultCPUAllocator: can't allocate memory: {error}") from error
        if not (isinstance(error, Unsupported) or told(error)):
            try:
                read, meant = parse(fn, args, kwargs)
            except TypeError as better:
                if str(better) != str(error):
                    raise better from error
            else:
                if read is not args or meant is not kwargs:  # numbers in tensors, of a busy function
                    return fn(*read, **meant)
        raise error
    finally:
        del error  # it knows this frame
