"""What a kernel's values cost, and whether its formulas are made of words that the renderer knows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable
from typing import Any

from ....compiler.kernel import Apply, Const, Convert, Load, LoopKernel, Random, Reduce
from ....dtypes import FLOAT, dtype
from .. import handler
from ..vspecial import DOUBLE

#: instructions per vector, roughly; what is not named takes one
_WEIGHT = {
    "div": 5, "reciprocal": 5, "sqrt": 5, "rsqrt": 9, "exp": 13, "exp2": 13, "expm1": 15, "sigmoid": 18, "tanh": 22, "erf": 28, "log": 26,
    "log2": 26, "log10": 26, "log1p": 34, "sin": 40, "cos": 40, "tan": 45, "pow": 90, "fmod": 160, "remainder": 165, "floor_div": 170,
    "atan": 60, "asin": 75, "acos": 75, "sinh": 90, "cosh": 50, "asinh": 110, "acosh": 110, "atanh": 90, "erfc": 110, "erfinv": 220,
}  # fmt: skip
_LIBRARY = 320
_RANDOM = 170
#: a value is worth keeping for a later pass over its row from this weight on: a load and a store cost about as much as that
EXPENSIVE = 9
#: with integers these report an error
_FALLIBLE = frozenset(("div", "fmod", "remainder", "floor_div", "pow", "reciprocal"))


class _Tally:
    """A handler that counts the words of a formula."""

    def __init__(self, d: dtype) -> None:
        self.type, self.words = d, list[str]()

    @property
    def is_float(self) -> bool:
        return self.type.category == FLOAT

    def const(self, value: Any) -> Any:
        return self

    def __getattr__(self, word: str) -> Callable[..., Any]:
        if not (hasattr(handler.Handler, word) or word in handler.FUNCTIONS or word in DOUBLE):
            raise AttributeError(f"the formula vocabulary has no {word!r}")
        self.words.append(word)
        return lambda *args: self


_known: dict[tuple[str, tuple[Hashable, ...], int, dtype], tuple[str, ...] | None] = {}


def words(i: Apply) -> tuple[str, ...] | None:
    """The words of an operation's formula; None if there is one that the renderer lacks."""
    key = (i.op, i.attrs, len(i.args), i.compute)
    if key not in _known:
        tally = _Tally(i.compute)
        try:
            i.formula(tally, *[tally] * len(i.args), *i.attrs)
            _known[key] = tuple(tally.words)
        except (AttributeError, TypeError, KeyError):
            _known[key] = None
    return _known[key]


def supported(i: Apply) -> bool:
    """Whether the renderer can write an operation: real numbers, words of the vocabulary."""
    return not i.compute.is_complex and not i.dtype.is_complex and words(i) is not None


def fallible(k: LoopKernel) -> bool:
    """Whether the kernel may report an error (integer division by zero, a value that is refused)."""
    return any(isinstance(i, Apply) and _may_fail(i, words(i) or ()) for i in k.body)


def _may_fail(i: Apply, used: Iterable[str]) -> bool:
    return "require" in used or (i.compute.category != FLOAT and not _FALLIBLE.isdisjoint(used))


def weights(k: LoopKernel) -> list[int]:
    """Instructions per vector of each value."""
    return [_weight(k, n) for n in range(len(k.body))]


def _weight(k: LoopKernel, n: int) -> int:
    i = k.body[n]
    if isinstance(i, Apply):
        if i.op == "pow" and isinstance(k.body[i.args[1]], Const):
            return 3
        return sum(_word(w) * (2 if i.compute.itemsize == 8 else 1) for w in words(i) or ())
    if isinstance(i, Random):
        return _RANDOM
    return 1 if isinstance(i, (Load, Convert, Reduce)) else 0


@functools.cache
def _word(word: str) -> int:
    return _WEIGHT.get(word, _LIBRARY if word in DOUBLE else 1)
