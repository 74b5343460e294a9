"""Scans: what a function of two makes of a sequence. They are ``torch._higher_order_ops``, with `cond` and `while_loop`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torchlike_asg as torch

from .control_flow import cond, while_loop
from .func import vmap
from .pytree import tree_flatten, tree_unflatten

__all__ = ["associative_scan", "cond", "scan", "while_loop"]


def associative_scan(
    combine_fn: Callable[[Any, Any], Any], xs: Any, dim: int, reverse: bool = False, combine_mode: str = "pointwise"
) -> Any:
    """All prefixes of tensors combined along `dim`: y[0] = x[0], y[i] = combine_fn(y[i - 1], x[i]), in a logarithmic number of steps.

    Args:
        combine_fn: associative; of two structures like `xs` it makes a third.
        xs: a tensor or any structure of tensors of one length along `dim`; the result has its shapes.
        reverse: combine from the end: y[i] = combine_fn(y[i + 1], x[i]).
        combine_mode: "pointwise": the function works element by element, and is given many positions at once; "generic": it is given
            what `xs` is at one position, without `dim`.

    Steps as in W. D. Hillis, G. L. Steele, "Data parallel algorithms", 1986: after step k every position has taken in 2^k of them.

    Raises:
        ValueError: no tensor, tensors of different lengths, or an unknown mode.
    """
    leaves, spec = tree_flatten(xs)
    if combine_mode not in ("pointwise", "generic"):
        raise ValueError(f"associative_scan: combine_mode is 'pointwise' or 'generic', got {combine_mode!r}")
    dims = [dim % leaf.ndim for leaf in leaves]
    leaves = [leaf.movedim(d, 0) for leaf, d in zip(leaves, dims, strict=True)]
    length = _length("associative_scan", leaves)
    combine = vmap(combine_fn) if combine_mode == "generic" else combine_fn
    leaves = _turned(leaves, reverse)
    step = 1
    while step < length:
        before, here = ([leaf[part] for leaf in leaves] for part in (slice(None, -step), slice(step, None)))
        joined, _ = tree_flatten(combine(tree_unflatten(before, spec), tree_unflatten(here, spec)))
        leaves = [torch.cat([leaf[:step], new]) for leaf, new in zip(leaves, joined, strict=True)]
        step *= 2
    leaves = _turned(leaves, reverse)
    return tree_unflatten([leaf.movedim(0, d) for leaf, d in zip(leaves, dims, strict=True)], spec)


def scan(combine_fn: Callable[[Any, Any], tuple[Any, Any]], init: Any, xs: Any, *, dim: int = 0, reverse: bool = False) -> tuple[Any, Any]:
    """A loop over the positions of `xs` along `dim`: ``carry, y = combine_fn(carry, x)``, from ``carry = init``.

    Args:
        combine_fn: gives the next carry, like `init`, and an output: tensors in any structure.
        xs: a tensor or any structure of tensors of one length along `dim`; the function gets them at one position, without `dim`.
        reverse: start at the end. Outputs stand where their `xs` do.

    Returns:
        the last carry, and the outputs stacked along a new first dimension.

    Raises:
        ValueError: no tensor in `xs`, or tensors of different lengths.
    """
    leaves, spec = tree_flatten(xs)
    leaves = [leaf.movedim(dim, 0) for leaf in leaves]
    length = _length("scan", leaves)
    carry, outputs, kind = init, [], None
    for i in range(length - 1, -1, -1) if reverse else range(length):
        carry, output = combine_fn(carry, tree_unflatten([leaf[i] for leaf in leaves], spec))
        found, kind = tree_flatten(output)
        outputs.append(found)
    if kind is None:
        raise ValueError("scan: xs has length 0, so the outputs are not known")
    if reverse:
        outputs.reverse()
    return carry, tree_unflatten([torch.stack(each) for each in zip(*outputs, strict=True)], kind)


def _length(name: str, leaves: list[torch.Tensor]) -> int:
    """The common length of the first dimension."""
    lengths = {leaf.shape[0] for leaf in leaves}
    if len(lengths) != 1:
        raise ValueError(f"{name}: expected tensors of one length in xs along the scanned dimension, got lengths {sorted(lengths)}")
    return lengths.pop()


def _turned(leaves: list[torch.Tensor], reverse: bool) -> list[torch.Tensor]:
    return [leaf.flip(0) for leaf in leaves] if reverse else leaves
