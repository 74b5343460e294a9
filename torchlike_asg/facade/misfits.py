"""What PyTorch says of a call that has too many arguments, too few, or keywords that nothing is called: asked once a call has failed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

__all__ = ["combination", "final", "misfit", "several", "told", "what"]

#: functions that PyTorch has several signatures for: it lists them, and the types that it was given
_SEVERAL = frozenset(
    """add addbmm addcdiv addcmul addmm addmv all any argsort baddbmm bernoulli bitwise_and bitwise_left_shift bitwise_or
    bitwise_right_shift bitwise_xor clamp clamp_max clamp_min clip copysign count_nonzero div divide eq
    fake_quantize_per_tensor_affine float_power floor_divide fmod ge greater greater_equal gt histogram index_fill le lerp less
    less_equal lt masked_fill max mean median min moveaxis movedim multiply nanmedian nanquantile narrow ne not_equal pow prod
    quantile remainder repeat_interleave round rsub scatter searchsorted sort squeeze std sub subtract sum tensor_split
    true_divide var where xlogy""".split()
)
_Error = TypeVar("_Error", bound=Exception)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def final(error: _Error) -> _Error:
    """The error, marked as one that needs no second look."""
    error.__dict__["told"] = True
    return error


def _told(message: str) -> TypeError:
    return final(TypeError(message))


def told(error: Exception) -> bool:
    """Whether an error is what PyTorch says already."""
    return "told" in error.__dict__


def what(value: Any) -> str:
    """A type as PyTorch's messages name it."""
    kind = type(value)
    return f"numpy.{kind.__name__}" if isinstance(value, (np.ndarray, np.generic)) else kind.__name__


def several(name: str) -> bool:
    """Whether PyTorch has several signatures for a function or method."""
    return name.removesuffix("_") in _SEVERAL


def combination(name: str, args: Any, kwargs: dict[str, Any], why: str) -> TypeError:
    """What PyTorch says where none of several signatures fits: of the arguments, without the tensor that a method is called on."""
    types = ", ".join([*map(what, args), *[f"{k}={what(v)}" for k, v in kwargs.items()]])
    return _told(f"{name}() received an invalid combination of arguments - got ({types}){why}")


@functools.cache
def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(inspect.unwrap(fn))


def misfit(
    fn: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any], bound: bool, types: bool = True
) -> TypeError | None:
    """What PyTorch says of ``fn(*args, **kwargs)``, known as `name`; None if the signature has a place for each argument. `bound`: it is
    called as a method, on the first argument. `types`: those of the arguments given will do; else what is missing is not missed yet.
    """
    signature = _signature(fn)
    try:
        signature.bind(*args, **kwargs)
        return None
    except TypeError as error:
        said = str(error)
    parameters = list(signature.parameters.values())[bound:]
    given = args[bound:]
    if bound and all([p.name == "out" for p in parameters]):
        return _told(f"TensorBase.{name}() takes no " + (f"arguments ({len(given)} given)" if given else "keyword arguments"))
    if several(name):
        takes = ", ".join([p.name for p in parameters if not (bound and p.name == "out")])
        return combination(name, given, kwargs, f", but expected ({takes})")
    places = [p for p in parameters if p.kind in _POSITIONAL]
    if len(given) > len(places) and not any([p.kind is p.VAR_POSITIONAL for p in parameters]):
        least = len([p for p in places if p.default is p.empty])
        count = f"{len(places)}" if least == len(places) else f"from {least} to {len(places)}"
        noun = "argument" if count == "1" else "arguments"
        verb = "was" if len(given) == 1 else "were"
        return _told(f"{name}() takes {count} positional {noun} but {len(given)} {verb} given")
    missing = [f'"{p.name}"' for p in places[len(given) :] if p.default is p.empty and p.name not in kwargs]
    if missing:
        if not types:
            return None
        return _told(f"{name}() missing {len(missing)} required positional arguments: {', '.join(missing)}")
    return _told(f"{name}() {said}")
