"""What is defined for real numbers only: order, rounding, and functions that have no complex version in PyTorch either; and what is not
defined for booleans.

NumPy's references would take these and give something (the larger real part, the error function of the real part), so inference
refuses them, in PyTorch's words. It runs once for an expression: a call that was recorded before costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..asg.declare import REGISTRY, Meta, Op
from ..asg.node import Node
from ..dtypes import bool_
from . import logic, math, pointwise, reduce, sort, special  # noqa: F401  (they declare what is named here)
from .formula import refuse

#: operation -> PyTorch's name for the kernel that it has not
_KERNELS = {
    "amax": "max_values_cpu",
    "amin": "min_values_cpu",
    "atan2": "atan2_cpu",
    "copysign": "copysign_cpu",
    "cummax_index": "cummax_cpu",
    "cummin_index": "cummin_cpu",
    "floor_divide": "div_floor_cpu",
    "fmod": "fmod_cpu",
    "kth_index": "kthvalue_cpu",
    "kth_unstable": "kthvalue_cpu",
    "logit": "logit_cpu",
    "max": "max_all",
    "median": "median_cpu",
    "median_index": "median_out",
    "min": "min_all",
    "mode_index": "mode_cpu",
    "mode_unstable": "mode_cpu",
    "nanmedian": "median_cpu",
    "nextafter": "nextafter_cpu",
    "remainder": "remainder_cpu",
    "searchsorted": "searchsorted_out_cpu",
    "trunc_divide": "div_trunc_cpu",
    "xlog1py": "xlog1py_cpu",
    "xlogy": "xlogy_cpu",
}
_KERNELS |= {name: f"{name}_vml_cpu" for name in ("erf", "erfc", "erfinv", "i0", "lgamma")}
_KERNELS |= {name: name for name, op in REGISTRY.items() if op.category == "special" and name not in _KERNELS}
#: operation -> the error itself, where it is said in a sentence
_SENTENCES: dict[str, Exception] = {
    "argsort": RuntimeError("Sort does not support complex dtypes on CPU"),
    "unstable_order": RuntimeError("Sort does not support complex dtypes on CPU"),
    "signbit": NotImplementedError("signbit is not implemented for complex tensors."),
    "topk_index": RuntimeError("topk does not support complex dtypes on CPU"),
    "topk_unstable": RuntimeError("topk does not support complex dtypes on CPU"),
}
_SENTENCES |= {n: RuntimeError(f"{n}(): does not support complex input") for n in ("argmax", "argmin")}
_SENTENCES |= {n: RuntimeError(f"{n} is not supported for complex tensors.") for n in ("deg2rad", "rad2deg")}
_SENTENCES |= {n: RuntimeError(f"{n} not implemented for complex tensors.") for n in ("fmax", "fmin", "maximum", "minimum")}
_SENTENCES |= {n: NotImplementedError(f"{n} is not supported for complex inputs") for n in ("ceil", "floor", "trunc")}
_SENTENCES |= {n: NotImplementedError("clamp is not supported for complex types") for n in ("clamp_max", "clamp_min")}


#: operations that PyTorch has no kernels of booleans for -> their name in its words
_NUMBERS = {
    "bitwise_left_shift": "lshift_cpu",
    "bitwise_right_shift": "rshift_cpu",
    "pow": "pow",
}
_NUMBERS |= {n: _KERNELS[n] for n in ("floor_divide", "fmod", "kth_index", "kth_unstable", "remainder", "searchsorted", "trunc_divide")}


def _numeric(op: Op, rule: Callable[..., Meta]) -> Callable[..., Meta]:
    """The inference of an operation of numbers."""

    def checked(*args: Any) -> Meta:
        if args[0].dtype is bool_:
            raise refuse(_NUMBERS[op.name], bool_)
        return rule(*args)

    return checked


def _real(op: Op, rule: Callable[..., Meta]) -> Callable[..., Meta]:
    """The inference of an operation of real numbers."""

    def checked(*args: Any) -> Meta:
        for a in args:
            if a.__class__ is Node and a.dtype.is_complex:
                said = _SENTENCES.get(op.name)
                raise refuse(_KERNELS[op.name], a.dtype) if said is None else type(said)(*said.args)
        return rule(*args)

    return checked


for _check, _names in ((_real, (*_KERNELS, *_SENTENCES)), (_numeric, _NUMBERS)):
    for _name in _names:
        _op = REGISTRY[_name]
        assert _op.rule is not None
        _op.rule = _check(_op, _op.rule)
