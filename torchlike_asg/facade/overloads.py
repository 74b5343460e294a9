"""The order of arguments that early versions of PyTorch had for scaled sums, which it still takes: ``p.add_(-lr, g)``.

A number before the tensors that it scales is `alpha` of a sum, `value` of a fused product; before matrix products the first number is
`beta` and the second `alpha`, wherever the tensor that is added to stands.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

from .core import Tensor
from .register import FUNCTIONS

__all__ = ["install"]

#: function -> (how many tensors it takes, the keywords that numbers among them stand for)
_OVERLOADS: dict[str, tuple[int, tuple[str, ...]]] = {
    **dict.fromkeys(("add", "sub"), (2, ("alpha",))),
    **dict.fromkeys(("addcmul", "addcdiv"), (3, ("value",))),
    **dict.fromkeys(("addmm", "addmv", "addr", "baddbmm", "addbmm"), (3, ("beta", "alpha"))),
}
_told: set[str] = set()


def _overloaded(fn: Callable[..., Any], name: str, count: int, keywords: tuple[str, ...]) -> Callable[..., Any]:
    @functools.wraps(fn)
    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) > count:
            args = _reordered(name, args, kwargs, count, keywords)
        return fn(*args, **kwargs)

    return call


def _reordered(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], count: int, keywords: tuple[str, ...]) -> tuple[Any, ...]:
    """The tensors among the arguments, with the numbers among them as keywords; the arguments as they are if they are no such call."""
    tensors = tuple([a for a in args if isinstance(a, Tensor)])
    numbers = [a for a in args if not isinstance(a, Tensor)]
    if len(tensors) != count or not 1 <= len(numbers) <= len(keywords) or not all(isinstance(n, int | float | complex) for n in numbers):
        return args
    if name not in _told:
        _told.add(name)
        better = ", ".join(f"{k}=" for k in keywords)
        warnings.warn(f"This overload of {name} is deprecated: give its numbers after the tensors, as {better}", UserWarning, stacklevel=4)
    kwargs.update(zip(keywords, numbers, strict=False))
    return tensors


def install() -> None:
    """Have the functions and methods take these calls; done once, when the package is imported."""
    for base, (count, keywords) in _OVERLOADS.items():
        for name in (base, f"{base}_"):
            made: dict[Any, Any] = {}
            for holder in (FUNCTIONS, Tensor):
                found = holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
                if found is None:
                    continue
                call = made.setdefault(found, _overloaded(found, name, count, keywords))
                if isinstance(holder, dict):
                    holder[name] = call
                else:
                    setattr(holder, name, call)
