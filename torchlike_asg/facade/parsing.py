"""What PyTorch's argument parser would have said of a call that failed.

PyTorch compares the types of all arguments with a signature before anything runs. Here a call runs first, and pays nothing; only one that
has failed is compared with the annotations of the function, so that a list given for a tensor is reported as that, not as an attribute
which lists do not have.
"""

from __future__ import annotations

import inspect
import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import Unsupported
from .core import Tensor

__all__ = ["OTHERS", "elsewhere", "refusal"]

#: what other kinds of tensors make of a call that failed: (name, args, kwargs) -> its result, or NotImplemented
OTHERS: list[Callable[[str, tuple[Any, ...], dict[str, Any]], Any]] = []


def elsewhere(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What an argument of another kind of tensor makes of a call that failed; NotImplemented if there is none that knows the function."""
    name = inspect.unwrap(fn).__name__
    return next((found for other in OTHERS if (found := other(name, args, kwargs)) is not NotImplemented), NotImplemented)


def _whole(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.shape and not value.dtype.is_floating_point
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _foreign(values: Any) -> tuple[str, int] | None:
    """The type and the place of the first element that is no number of dimensions: neither an integer nor several."""
    return next(((_name(v), i) for i, v in enumerate(values) if not (_whole(v) or v is None or isinstance(v, (tuple, list)))), None)


def _name(value: Any) -> str:
    kind = type(value)
    return f"numpy.{kind.__name__}" if kind.__module__ == "numpy" else kind.__name__


#: annotation -> what may be given for it
_KINDS: dict[str, Callable[[Any], bool]] = {
    "Tensor": lambda v: isinstance(v, Tensor) or getattr(v, "is_sparse", False) or hasattr(v, "__torch_function__"),
    "int": _whole,
    "float": lambda v: isinstance(v, (numbers.Real, np.number)) or (isinstance(v, Tensor) and not v.shape),
    "bool": lambda v: isinstance(v, (bool, np.bool_)),
    "str": lambda v: isinstance(v, str),
    "None": lambda v: v is None,
    "tuple of Tensors": lambda v: isinstance(v, (tuple, list, Tensor)),
    "tuple of ints": lambda v: _whole(v) or v is None or (isinstance(v, (tuple, list)) and _foreign(v) is None),
}
#: what parameters of these names take where their annotation does not say it
_SEVERAL = dict.fromkeys("dim dims dilation kernel_size normalized_shape output_size pad shifts size stride".split(), "tuple of ints")
_SEVERAL["tensors"] = "tuple of Tensors"
#: functions that PyTorch's argument parser knows under another name
_PARSED = {"cross_entropy": "cross_entropy_loss", "nll_loss": "nll_loss_nd"}


def refusal(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], error: BaseException) -> TypeError | None:
    """The TypeError for the first argument of ``fn(*args, **kwargs)`` that its annotation excludes; None if all fit.

    `error` is what the call raised.
    """
    if isinstance(error, Unsupported):
        return None
    fn = inspect.unwrap(fn)
    for position, (name, parameter) in enumerate(inspect.signature(fn).parameters.items()):
        kinds = [k.strip() for k in str(parameter.annotation).split("|")]
        if kinds == ["Any"]:
            kinds = [_SEVERAL.get(name, "Any")]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not all(k in _KINDS for k in kinds):
            continue
        if position < len(args) and parameter.kind is not parameter.KEYWORD_ONLY:
            value, where = args[position], f" (position {position + 1})"
        elif name in kwargs:
            value, where = kwargs[name], ""
        else:
            continue
        if not any(_KINDS[k](value) for k in kinds) and not (value is None and parameter.default is None):
            element = _foreign(value) if kinds == ["tuple of ints"] and isinstance(value, (tuple, list)) else None
            found = f"not {_name(value)}" if element is None else "but found element of type {} at pos {}".format(*element)
            return TypeError(f"{_PARSED.get(fn.__name__, fn.__name__)}(): argument '{name}'{where} must be {kinds[0]}, {found}")
    return None
