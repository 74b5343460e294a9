"""``torch.func.rearrange``: reshaping and transposing by a pattern, in the notation of einops (Rogozhnikov, ICLR 2022)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from ..facade.core import Tensor
from ..facade.register import FUNCTIONS

__all__ = ["rearrange"]

#: a side of a pattern: names of dimensions, "..." among them, and tuples of those that are joined
Side = list[str | tuple[str, ...]]
_DOTS = "..."


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Any:
    """`tensor` with its dimensions split, ordered and joined as `pattern` says: ``"b (h w) c -> b c h w"``, with ``h=`` or ``w=``.

    Names are dimensions, parentheses are several of them as one, ``...`` is whatever is left, and ``1`` or ``()`` a dimension of size 1. A
    list of tensors is stacked along a new first dimension. The result is a view where that is possible.

    Raises:
        ValueError: the pattern is malformed, or does not fit the tensor.
    """
    if not isinstance(tensor, Tensor):
        tensor = FUNCTIONS["stack"](tensor)
    left, right = _sides(pattern)
    _check(pattern, left, right, axes_lengths)
    if not tensor.dim():
        return tensor
    rest = tensor.dim() - sum([part != _DOTS for part in left])
    if rest < 0 or (rest and _DOTS not in left):
        raise ValueError(
            f"Number of dimensions in pattern ({len(left)}) must be equal to the number of dimensions in the tensor ({tensor.dim()})"
        )
    dots = [f"{_DOTS}{i}" for i in range(rest)]
    split, joined = _spread(left, dots), _spread(right, dots)
    sizes: dict[str, int] = dict(axes_lengths)
    for size, group in zip(tensor.shape, split, strict=True):
        _measure(size, group, sizes)
    names = [n for group in split for n in group]
    parts = tensor.reshape([sizes[n] for n in names])
    ordered = parts.permute([names.index(n) for group in joined for n in group])
    return ordered.reshape([math.prod([sizes[n] for n in group]) for group in joined])


def _spread(side: Side, dots: Sequence[str]) -> list[list[str]]:
    """For each dimension the names that it is made of: the ellipsis is as many dimensions as it stands for, unless it is joined."""
    found: list[list[str]] = []
    for part in side:
        if part == _DOTS:
            found += [[d] for d in dots]
        else:
            found.append([m for n in _names([part]) for m in (dots if n == _DOTS else [n])])
    return found


def _names(side: Side) -> list[str]:
    return [n for part in side for n in ([part] if isinstance(part, str) else part)]


def _sides(pattern: str) -> tuple[Side, Side]:
    halves = pattern.split("->")
    if len(halves) != 2:
        raise ValueError("Pattern must contain a single '->' separator")
    return _side(halves[0]), _side(halves[1])


def _side(text: str) -> Side:
    """A dimension of size 1 is an empty tuple."""
    found: Side = []
    inside: list[str] | None = None
    for word in re.findall(r"\.\.\.|[()]|[^\s()]+?(?=\.\.\.|[\s()]|$)", text):
        if word == "(":
            if inside is not None:
                raise ValueError("Axis composition is one-level (brackets inside brackets not allowed)")
            inside = []
        elif word == ")":
            if inside is None:
                raise ValueError(f"Imbalanced parentheses in expression: '{text}'")
            found.append(tuple(inside))
            inside = None
        elif word == "1":
            if inside is None:
                found.append(())
        else:
            _check_name(word)
            if inside is None:
                found.append(word)
            else:
                inside.append(word)
    if inside is not None:
        raise ValueError(f"Imbalanced parentheses in expression: '{text}'")
    names = _names(found)
    for n in names:
        if names.count(n) > 1:
            if n == _DOTS:
                raise ValueError("Expression may contain dots only inside ellipsis (...); only one ellipsis for tensor ")
            raise ValueError(f"Indexing expression contains duplicate dimension '{n}'")
    return found


def _check_name(word: str) -> None:
    if word == _DOTS:
        return
    if "." in word:
        raise ValueError("Expression may contain dots only inside ellipsis (...); only one ellipsis for tensor ")
    if word.isdecimal():
        raise ValueError("rearrange only supports unnamed axes of size 1")
    if not word.isidentifier():
        raise ValueError(f"Invalid axis identifier: {word}\nnot a valid python identifier")
    if word.startswith("_") or word.endswith("_"):
        raise ValueError(f"Invalid axis identifier: {word}\naxis name should should not start or end with underscore")


def _check(pattern: str, left: Side, right: Side, lengths: Any) -> None:
    before, after = set(_names(left)), set(_names(right))
    if _DOTS in after and _DOTS not in before:
        raise ValueError(f"Ellipsis found in right side, but not left side of a pattern {pattern}")
    if _DOTS in before and _DOTS not in left:
        raise ValueError(f"Ellipsis is parenthesis in the left side is not allowed: {pattern}")
    if before != after:
        raise ValueError(f"Identifiers only on one side of rearrange expression (should be on both): {before ^ after}")
    if unknown := set(lengths) - before:
        raise ValueError(f"Identifiers not found in rearrange expression: {unknown}")


def _measure(size: int, group: Sequence[str], sizes: dict[str, int]) -> None:
    """Note the sizes of the dimensions that one is split into: all but one of them are known."""
    unknown = [n for n in group if n not in sizes]
    known = math.prod([sizes[n] for n in group if n in sizes])
    if len(unknown) > 1:
        raise ValueError(f"cannot infer the sizes of two dimensions at once {' and '.join(unknown)}")
    if unknown:
        if not known or size % known:
            raise ValueError(f"inferred dimension does not evenly fit into larger dimension: {size} vs {known}")
        sizes[unknown[0]] = size // known
    elif size != known:
        raise ValueError(f"Dimension sizes to do not match ({size} != {known}) when matching dimension pack ({', '.join(group)})")
