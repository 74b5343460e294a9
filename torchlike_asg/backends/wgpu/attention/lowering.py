"""Lowering of `scaled_dot_product_attention` and `sdpa_grad`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ....dtypes import float32, float64
from ..calls import LibraryNode, Lowering, View, library
from ..copies import fill, temporary
from ..halves import halves, longest
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
    views = dict(zip("qkvm", node.operands, strict=False)) | {"o": node.result}
    p = _problem(views, node.attrs)
    if p.count * p.queries * p.width_v == 0:
        return True
    if not p.keys:
        fill(lowering, node.result, 0)
    elif flash.suits(lowering.caps, p):
        _flash(lowering, node.operands, node.attrs, node.result)
    else:
        for part in _parts(lowering, p, scores=True):
            composite.forward(lowering, part)
    return True


def _flash(lowering: Lowering, operands: tuple[View, ...], attrs: tuple[Any, ...], result: View) -> tuple[View, View]:
    """The result, and the statistics of its scores: for the gradients later in the plan, which need both."""
    lse = flash.statistics(lowering, result)
    views = dict(zip("qkvm", operands, strict=False)) | {"o": result, "lse": lse}
    for part in _parts(lowering, _problem(views, attrs)):
        flash.forward(lowering, part)
    found = lowering.kept["attention", operands, attrs[:2]] = result, lse
    return found


@library("sdpa_grad", selector=2)
def _gradients(lowering: Lowering, node: LibraryNode) -> bool:
    if not _supported(*node.operands[:4]):
        return False
    g, operands = node.operands[0], node.operands[1:]
    views = dict(zip("gqkvm", node.operands, strict=False)) | {_NAMES[which]: view for which, view in node.results.items()}
    p = _problem(views, node.attrs)
    if p.count * p.queries * p.keys == 0:
        for view in node.results.values():
            if 0 not in view.shape:
                fill(lowering, view, 0)
    elif flash.suits(lowering.caps, p):
        o, lse = lowering.kept.get(("attention", operands, node.attrs[:2])) or _flash(
            lowering, operands, node.attrs, temporary(lowering, g.shape, float32)
        )
        for part in _parts(lowering, _problem(views | {"o": o, "lse": lse}, node.attrs)):
            flash.backward(lowering, part)
    else:
        for part in _parts(lowering, p, scores=True):
            composite.backward(lowering, part)
    return True


def _parts(lowering: Lowering, p: Problem, *, scores: bool = False) -> list[Problem]:
    """The attention as several, of parts of the batch, if an operand is too large to be bound, or the `scores` would be."""
    cut = longest(lowering, p.views.values(), range(len(p.sizes)))
    if cut is None and scores and 4 * p.count * p.queries * p.keys > lowering.caps.max_binding:
        cut = max(range(len(p.sizes)), key=p.sizes.__getitem__, default=None)
    if cut is None or p.sizes[cut] == 1:
        return [p]
    found = []
    for views in halves(list(p.views.values()), cut):
        part = replace(p, views=dict(zip(p.views, views, strict=True)), sizes=views[0].shape[:-2])
        found += _parts(lowering, part, scores=scores)
    return found
