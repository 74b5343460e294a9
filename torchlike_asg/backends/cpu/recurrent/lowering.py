"""Lowering of `rnn`, `lstm`, `gru` and their gradients: the weights packed once, then one call for the whole sequence."""

from __future__ import annotations

import math
from dataclasses import replace

from ..calls import Call, LibraryNode, Lowering, Source, View, library
from ..copies import copy
from ..gemm import kit, tiles
from .sequence import ROWS, Form, Steps, write_pack

_ELEMENTS = {"float32": "float", "float64": "double"}
Views = dict[str, View]


@library("rnn", "rnn_grad")
def lower_rnn(lowering: Lowering, node: LibraryNode) -> bool:
    nonlinearity, reverse = node.attrs
    if node.op == "rnn":
        x, h, w = node.operands
        return _lower(lowering, node, nonlinearity, reverse, {"x": x, "h": h}, w, {"hidden": node.result})
    g, w, hidden = node.operands
    return _lower(lowering, node, nonlinearity, reverse, {"g": g, "hidden": hidden}, w, {"state": node.result})


@library("lstm", selector=1)
def lower_lstm(lowering: Lowering, node: LibraryNode) -> bool:
    x, h, c, w = node.operands
    return _lower(lowering, node, "lstm", node.attrs[0], {"x": x, "h": h, "c": c}, w, node.results)


@library("lstm_grad", selector=2)
def lower_lstm_grad(lowering: Lowering, node: LibraryNode) -> bool:
    g, c, w, cell, gates = node.operands
    results = {{"input": "state", "cell": "first_c"}[part]: view for part, view in node.results.items()}
    return _lower(lowering, node, "lstm", node.attrs[0], {"g": g, "c": c, "cell": cell, "gates": gates}, w, results, node.attrs[1])


@library("gru", selector=1)
def lower_gru(lowering: Lowering, node: LibraryNode) -> bool:
    x, h, w, b = node.operands
    return _lower(lowering, node, "gru", node.attrs[0], {"x": x, "h": h, "b": b}, w, node.results)


@library("gru_grad", selector=1)
def lower_gru_grad(lowering: Lowering, node: LibraryNode) -> bool:
    g, h, w, hidden, gates = node.operands
    results = {{"hidden": "first_h"}.get(part, part): view for part, view in node.results.items()}
    return _lower(lowering, node, "gru", node.attrs[0], {"g": g, "h": h, "hidden": hidden, "gates": gates}, w, results)


def _lower(
    lowering: Lowering, node: LibraryNode, cell: str, reverse: bool, operands: Views, w: View, results: Views, wrt: str = ""
) -> bool:
    views = [*node.operands, *results.values()]
    element = _ELEMENTS.get(node.result.dtype.name)
    if element is None or any(v.dtype is not node.result.dtype or 0 in v.shape for v in views):
        return False
    backward = "g" in operands
    steps, batch = operands["g" if backward else "x"].shape[:2]
    t, width = tiles(lowering.isa, element), w.shape[1]
    inside = {name: _adjacent(lowering, v, True) for name, v in operands.items()}
    outside = {name: _adjacent(lowering, v, False) for name, v in results.items()}
    needed = {"state": w.shape[0]} if backward else {"hidden": width} | ({"cell": width} if cell == "lstm" else {})
    for name, columns in needed.items():
        if name not in outside:  # nobody wants it, but the next step does: one step's room
            slot = lowering.temporary(batch * columns * node.result.itemsize)
            outside[name] = View(slot, (steps, batch, columns), (0, columns, 1), 0, node.result.dtype)
    packed = _pack(lowering, w, element, backward)
    flipped = {name: _flip(v) if reverse and len(v.shape) == 3 else v for name, v in {**inside, **outside}.items()}
    places = flipped | {"p": packed}
    form = Form(cell, t, tuple(places), wrt)
    isa = lowering.isa
    strides = [s for v in places.values() for s in (0, 0, *v.strides)[-3:-1]]
    flops = 2 * steps * batch * width * w.shape[0]
    written = tuple(v.slot for v in outside.values())
    lowering.add(
        Call(
            Source(("recurrent_back" if backward else "recurrent", *form.key), lambda m, n: _write(Steps(m, n, form, isa), backward)),
            tuple(v.place for v in places.values()),
            (kit(t), steps, batch, width, *strides),
            (*[v.slot for v in inside.values()], packed.slot, *written),
            written,
            -(-batch // ROWS),
            flops / (50 if element == "float" else 25) + steps * batch * w.shape[0] * 0.5,
            form.scratch(width) * t.itemsize,
            node.op,
            flops,
            sum(math.prod(v.shape) * v.itemsize for v in places.values()),
        )
    )
    for name, v in results.items():
        if outside[name] is not v:
            copy(lowering, outside[name], v)
    return True


def _write(steps: Steps, backward: bool) -> None:
    if backward:
        steps.backward()
    else:
        steps.forward()


def _adjacent(lowering: Lowering, v: View, filled: bool) -> View:
    """The view, or if its elements along the last dimension are not adjacent, a temporary, with the same values if `filled`."""
    if v.strides[-1] == 1 or v.shape[-1] == 1:
        return v
    strides = tuple(math.prod(v.shape[d + 1 :]) for d in range(len(v.shape)))
    new = View(lowering.temporary(math.prod(v.shape) * v.itemsize), v.shape, strides, 0, v.dtype)
    if filled:
        copy(lowering, v, new)
    return new


def _flip(v: View) -> View:
    """Time in the other direction."""
    return replace(v, strides=(-v.strides[0], *v.strides[1:]), offset=v.offset + (v.shape[0] - 1) * v.strides[0])


def _pack(lowering: Lowering, w: View, element: str, backward: bool) -> View:
    """The weights as the panels of the product with them: W^T going forward, W going back."""
    t = tiles(lowering.isa, element)
    (rows, columns), (row, column) = (w.shape, w.strides) if backward else (w.shape[::-1], w.strides[::-1])
    panels = -(-columns // t.columns)
    shape = (panels, rows, t.columns)
    packed = View(lowering.temporary(math.prod(shape) * t.itemsize), shape, (rows * t.columns, t.columns, 1), 0, w.dtype)
    lowering.add(
        Call(
            Source(("recurrent_pack", *t.key), lambda module, name: write_pack(module, name, t)),
            (w.place, packed.place),
            (kit(t), rows, columns, row, column),
            (w.slot,),
            (packed.slot,),
            panels,
            math.prod(shape) * 0.5,
            0,
            "pack",
            0,
            2 * math.prod(shape) * t.itemsize,
        )
    )
    return packed
