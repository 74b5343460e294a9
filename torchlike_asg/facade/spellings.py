"""Keywords that PyTorch's functions take besides the names that this package gives their parameters.

NumPy's names (``x``, ``axis``, ...) are understood everywhere, as PyTorch's argument parser does. The operand that textbooks call A is
``input`` to PyTorch, whose documentation says A: both are taken. Overloads that name an argument otherwise are listed by function.
"""

from __future__ import annotations

from collections.abc import Collection

_EVERYWHERE = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "self": "input", "x2": "other"}
#: first parameters that are called ``input``, too
_OPERANDS = frozenset({"A", "LD", "b", "tensor", "weight", "x", "y"})
_BY_FUNCTION = {
    "cholesky_solve": {"input2": "L"},
    "heaviside": {"values": "other"},
    "isin": {"element": "elements", "test_element": "test_elements"},
    "lstsq": {"b": "B"},
    "pow": {"exponent": "other"},
    "swapaxes": {"axis0": "dim0", "axis1": "dim1"},
    "tensor_split": {"tensor_indices_or_sections": "indices_or_sections"},
    "tensorsolve": {"other": "B"},
    "transpose": {"axis0": "dim0", "axis1": "dim1"},
}


def spellings(function: str, parameters: Collection[str], further: bool) -> dict[str, str]:
    """Further keyword -> parameter of a function with these parameters (`further`: and ``**kwargs``, which take what is not named)."""
    if "axis" in parameters:  # NumPy's own conventions
        return {}
    first = next(iter(parameters), "")
    found = {k: p for k, p in _EVERYWHERE.items() if k not in parameters and (p in parameters or (further and k != "self"))}
    if first in _OPERANDS and "input" not in parameters:
        found["input"] = first
    return found | _BY_FUNCTION.get(function, {})
