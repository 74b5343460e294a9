"""Lowering of `scaled_dot_product_attention` and `sdpa_grad`."""

from __future__ import annotations

from typing import Any

from ....dtypes import float64
from ..calls import LibraryNode, Lowering, View, library
from ..copies import fill
from . import composite, flash
from .problem import Problem, problem

_NAMES = {"query": "dq", "key": "dk", "value": "dv", "mask": "dm"}


def _supported(*views: View) -> bool:
    return all(v.dtype.is_floating_point and v.dtype is not float64 for v in views)


def _problem(views: dict[str, View], attrs: tuple[Any, ...]) -> Problem:
    return problem(views, bool(attrs[0]), float(attrs[1]))


@library("scaled_dot_product_attention")
def _attention(lowering: Lowering, node: LibraryNode) -> bool:
    if not _supported(*node.operands[:3]):
        return False
    p = _problem(dict(zip("qkvm", node.operands, strict=False)) | {"o": node.result}, node.attrs)
    if p.count * p.queries * p.width_v == 0:
        return True
    if not p.keys:
        fill(lowering, node.result, 0)
    elif not flash.forward(lowering, p):
        composite.forward(lowering, p)
    return True


@library("sdpa_grad", selector=2)
def _gradients(lowering: Lowering, node: LibraryNode) -> bool:
    if not _supported(*node.operands[:4]):
        return False
    results = {_NAMES[which]: view for which, view in node.results.items()}
    p = _problem(dict(zip("gqkvm", node.operands, strict=False)) | results, node.attrs)
    if p.count * p.queries * p.keys == 0:
        for view in results.values():
            if 0 not in view.shape:
                fill(lowering, view, 0)
    elif not flash.backward(lowering, p):
        composite.backward(lowering, p)
    return True
