"""``torch.nn._reduction``: names of how losses are joined, for losses of others that were written after PyTorch's."""

from __future__ import annotations

import warnings

__all__: list[str] = []
_CODES = {"none": 0, "mean": 1, "elementwise_mean": 1, "sum": 2}


def get_enum(reduction: str) -> int:
    """0, 1 or 2 for 'none', 'mean' or 'sum'. Raises ValueError for anything else."""
    if reduction not in _CODES:
        raise ValueError(f"{reduction} is not a valid value for reduction")
    if reduction == "elementwise_mean":
        warnings.warn("reduction='elementwise_mean' is deprecated. Please use reduction='mean' instead.", stacklevel=2)
    return _CODES[reduction]


def legacy_get_string(size_average: bool | None, reduce: bool | None, emit_warning: bool = True) -> str:
    """The name of what the two legacy arguments mean; both are true where they are left out."""
    averaged, reduced = size_average is None or bool(size_average), reduce is None or bool(reduce)
    name = "mean" if averaged and reduced else "sum" if reduced else "none"
    if emit_warning:
        warnings.warn(f"size_average and reduce args will be deprecated, please use reduction='{name}' instead.", stacklevel=2)
    return name


def legacy_get_enum(size_average: bool | None, reduce: bool | None, emit_warning: bool = True) -> int:
    """`get_enum` of `legacy_get_string`."""
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
