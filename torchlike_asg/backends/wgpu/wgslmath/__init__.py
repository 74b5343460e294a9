"""Elementary functions in WGSL, in float32 arithmetic that every GPU has.

WGSL's own are not used where they promise too little (``sin``: 2^-11 absolute, ``atan``: 4096 units in the last place, ``pow`` and ``log``
by way of log2) or nothing about NaN and infinity: an implementation may assume that there are none. Here NaN passes through, infinities
come from a variable, since a constant expression may not be one, and tests look at the bits. (NVIDIA's driver takes ``select(a, 0, a <
0)`` for a maximum, which has no NaN, and a quotient of a number and itself for 1: NaN is asked for by its bits, last.) Drivers may also
rearrange sums (Mesa's takes (1 + x) - 1 for x): what relies on rounding goes by way of integers. Odd functions take their sign last, after
the choice between values: of ``select(k_copysign(y, x), x, k_isnan(x))`` Mesa's software adapter makes neither of both in kernels that
look for extrema as well.

Errors against float64, measured on Mesa's software adapter: exp, log, log1p, expm1, sin, cos, tanh, sigmoid, atan, asin, erf under 3e-7
relative; erfc 1e-6; lgamma, digamma 2e-6 of the larger of the value and 1; erfinv 1e-6.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from . import elementary, integers, special
from .text import literal

__all__ = ["FUNCTIONS", "definitions", "literal", "used"]


def _functions() -> dict[str, tuple[str, frozenset[str]]]:
    """name -> (its text, the names it uses)"""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for piece in re.split(r"\n(?=fn |var<private>)", (elementary.TEXT + special.TEXT + integers.TEXT).strip()):
        match = re.match(r"fn (\w+)|var<private> (\w+)", piece)
        assert match is not None
        name = match[1] or match[2]
        used = frozenset(re.findall(r"\b(k_\w+|inf_bits|nan_bits)\b", piece)) - {name}
        found[name] = piece.strip(), used
    return found


FUNCTIONS = _functions()


def definitions(names: Iterable[str]) -> str:
    """The text of these functions and of all that they use."""
    needed: list[str] = []

    def visit(name: str) -> None:
        if name not in needed:
            for other in sorted(FUNCTIONS[name][1]):
                visit(other)
            needed.append(name)

    for name in sorted(names):
        visit(name)
    return "\n".join(FUNCTIONS[n][0] for n in needed) + "\n" if needed else ""


def used(text: str) -> set[str]:
    """The names of functions that a piece of WGSL calls."""
    return {n for n in re.findall(r"\bk_\w+", text) if n in FUNCTIONS}
