"""The order of arguments that early versions of PyTorch had for scaled sums, which it still takes: ``p.add_(-lr, g)``.

A number before the tensors that it scales is `alpha` of a sum, `value` of a fused product; before matrix products the first number is
`beta` and the second `alpha`, wherever the tensor that is added to stands. A call in today's order pays nothing for this: `earlier` is
asked only when Python has refused a call for its number of arguments.
"""

from __future__ import annotations

import warnings
from typing import Any

from .core import Tensor

__all__ = ["earlier"]

#: function -> (how many tensors it takes, the keywords that numbers among them stand for)
_ORDERS: dict[str, tuple[int, tuple[str, ...]]] = {
    **dict.fromkeys(("add", "sub"), (2, ("alpha",))),
    **dict.fromkeys(("addcmul", "addcdiv"), (3, ("value",))),
    **dict.fromkeys(("addmm", "addmv", "addr", "baddbmm", "addbmm"), (3, ("beta", "alpha"))),
}
_told: set[str] = set()


def earlier(name: str, args: tuple[Any, ...], stacklevel: int = 3) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The tensors among the arguments and, as keywords, the numbers among them; None if it is no such call of function `name`.

    It is said once for each name; `stacklevel` is that of the user's line, counted from here.
    """
    order = _ORDERS.get(name.removesuffix("_"))
    if order is None or len(args) <= order[0]:
        return None
    count, keywords = order
    tensors = tuple([a for a in args if isinstance(a, Tensor)])
    numbers = [a for a in args if not isinstance(a, Tensor)]
    if len(tensors) != count or len(numbers) > len(keywords) or not all(isinstance(n, int | float | complex) for n in numbers):
        return None
    if name not in _told:
        _told.add(name)
        better = ", ".join(f"{k}=" for k in keywords)
        warnings.warn(f"This overload of {name} is deprecated: give its numbers after the tensors, as {better}", UserWarning, stacklevel)
    return tensors, dict(zip(keywords, numbers, strict=False))
