"""``torch._foreach_*``: a function of every tensor of a list, as optimizers of others call them. Each is recorded for itself."""

from __future__ import annotations

from functools import cache
from typing import Any

from .core import Tensor
from .register import FUNCTIONS

__all__ = ["foreach"]

_FUSED = frozenset(("addcmul", "addcmul_", "addcdiv", "addcdiv_"))


def _norm(t: Tensor, ord: Any = 2, dtype: Any = None) -> Any:
    return FUNCTIONS["norm"](t, ord, dtype=dtype)


def _powsum(t: Tensor, ord: Any = 2, dtype: Any = None) -> Any:
    return FUNCTIONS["sum"](FUNCTIONS["pow"](FUNCTIONS["abs"](t), ord), dtype=dtype)


def _bounded(name: str, bound: str, in_place: bool) -> Any:
    """`name`, maximum or minimum, also with numbers, with which ``torch.maximum`` itself has no form: those are a `bound`."""

    def bounded(t: Tensor, other: Any) -> Tensor:
        result = FUNCTIONS[name if isinstance(other, Tensor) else bound](t, other)
        return t.copy_(result) if in_place else result

    return bounded


#: functions that are no methods of this name, or differ from it
_NAMES: dict[str, Any] = {
    "norm": _norm,
    "powsum": _powsum,
    "maximum": _bounded("maximum", "clamp_min", False),
    "maximum_": _bounded("maximum", "clamp_min", True),
    "minimum": _bounded("minimum", "clamp_max", False),
    "minimum_": _bounded("minimum", "clamp_max", True),
}


@cache
def foreach(base: str) -> Any:
    """The function ``torch._foreach_<base>``, or None if there is no ``Tensor.<base>``: lists among its arguments go item by item."""
    found = _NAMES.get(base) or getattr(Tensor, base, None)
    if found is None:
        return None

    def call(*args: Any, **kwargs: Any) -> Any:
        count = next(len(a) for a in (*args, *kwargs.values()) if isinstance(a, list | tuple))
        given = [a if isinstance(a, list | tuple) else [a] * count for a in args]
        named = {k: a if isinstance(a, list | tuple) else [a] * count for k, a in kwargs.items()}
        if base in _FUSED and len(given) == 4:
            value = given.pop()
            named["value"] = list(args[3].unbind()) if isinstance(args[3], Tensor) else value  # a tensor has a number for each item
        results = []
        for i in range(count):
            first, *rest = [a[i] for a in given]
            first = first if isinstance(first, Tensor) else FUNCTIONS["tensor"](first)
            results.append(found(first, *rest, **{k: a[i] for k, a in named.items()}))
        return results

    call.__name__ = call.__qualname__ = f"_foreach_{base}"
    call.__doc__ = f"``t.{base}(...)`` of every tensor t of a list."
    return call
