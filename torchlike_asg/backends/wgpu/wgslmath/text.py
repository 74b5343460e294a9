"""Pieces of WGSL text: literals and polynomials."""

from __future__ import annotations

from collections.abc import Sequence


def literal(value: float) -> str:
    """A finite float32 literal."""
    return f"{value:.9g}f"


def poly(x: str, coefficients: Sequence[float]) -> str:
    """c[0] + c[1] x + c[2] x^2 + ..."""
    out = literal(coefficients[-1])
    for c in coefficients[-2::-1]:
        out = f"fma({out}, {x}, {literal(c)})"
    return out
