"""Planes of an image read and written by position: what is found at the places that another image names, and its gradient, which adds to
them (the gradients of maximum pooling, and unpooling).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from ..views import merge
from .calls import LAYOUTS, Call, Kernel, LibraryNode, Lowering, Source, View, library
from .conv.geometry import channels_last, image
from .copies import copy
from .elements import MACHINE, code
from .emit import Module
from .pooling import channels_last_result, floats
from .values import Value, vector


def _planes(v: View) -> View | None:
    """(N, C, *S) as (N, C, elements of a plane), if they lie at even distances."""
    dims = merge(v.shape[2:], v.strides[2:])
    if len(dims) > 1:
        return None
    step = dims[0][1] if dims else 1
    return replace(v, shape=(*v.shape[:2], math.prod(v.shape[2:])), strides=(*v.strides[:2], step))


def _even(lowering: Lowering, v: View, last: bool = False) -> View:
    """A view's planes, copied if they do not lie at even distances, or if channels must lie side by side (`last`) and do not."""
    found = _planes(v)
    if found is not None and (not last or found.strides[1] == 1):
        return found
    flat = image(v)
    made = channels_last(lowering.temporary(math.prod(flat.shape) * v.itemsize), flat.shape, v)
    copy(lowering, flat, made)
    return _flat(made)


def _flat(v: View) -> View:
    """A dense image (N, D, H, W, C) as (N, C, elements of a plane)."""
    n, *sizes, c = v.shape
    return replace(v, shape=(n, c, math.prod(sizes)), strides=(v.strides[0], 1, c))


PLANE_WORDS = "channels many plane block blocks x_n x_c x_p i_n i_c i_p y_n y_c y_p".split()


@library("plane_gather", "plane_scatter")
def _by_place(lowering: Lowering, node: LibraryNode) -> bool:
    source, index, result = *node.operands, node.result
    if 0 in result.shape:
        return True
    if not floats(source) or any(len(v.shape) > 5 or len(v.shape) < 3 for v in (source, index, result)) or 0 in index.shape:
        return False
    others = (index, result)
    last = source.shape[1] > 1 and all(image(v).strides[4] == 1 for v in others)  # then it pays to have all channels side by side
    x, i = _even(lowering, source, last), _even(lowering, index)
    whole = image(result)
    lies = _planes(result)
    to = whole if lies is not None else channels_last(lowering.temporary(math.prod(whole.shape) * result.itemsize), whole.shape, result)
    y = lies or _flat(to)
    gather = node.op == "plane_gather"
    n, c, many = i.shape
    plane = (x if gather else y).shape[2]
    adjacent = x.strides[1] == i.strides[1] == y.strides[1] == 1 and c > 1
    lanes = lowering.isa.lanes(x.itemsize) if adjacent else 1
    if gather:
        block = max(1, 4096 // c)
        blocks = -(-many // block)
    else:
        block = lanes * 4 if adjacent else 1
        blocks = -(-c // block)
    element, isa = code(x.dtype), lowering.isa
    count = n * c * many
    lowering.add(
        Call(
            Source(
                (node.op, element, lanes, isa.name), lambda module, name: _Places(module, name, gather, MACHINE[element], lanes).write()
            ),
            (x.place, i.place, y.place),
            (c, many, plane, block, blocks, *x.strides, *i.strides, *y.strides),
            (x.slot, i.slot),
            (y.slot,),
            units=n * blocks,
            cost=20 + count * 1.0 + (0 if gather else math.prod(y.shape) * 0.1),
            label=node.op,
            bytes=count * (8 + 2 * x.itemsize),
        )
    )
    if lies is None:
        copy(lowering, to, whole)
    return True


class _Places:
    """The code. Units are images and blocks of places (gathered) or channels (scattered)."""

    def __init__(self, module: Module, name: str, gather: bool, e: str, lanes: int) -> None:
        self.kernel = Kernel(module, name, 3)
        self.f = self.kernel.f
        self.gather, self.e, self.lanes = gather, e, lanes
        self.w = {word: self.kernel.word(i) for i, word in enumerate(PLANE_WORDS)}

    def write(self) -> None:
        f, w, e = self.f, self.w, self.e
        lo, hi, _ = self.kernel.rest
        x, index, y = (self.kernel.operand(i) for i in range(3))
        with f.loop(lo, hi) as unit:
            n = unit // w["blocks"]
            first = (unit - n * w["blocks"]) * w["block"]
            x_n, i_n, y_n = f.gep(x, n * w["x_n"], e), f.gep(index, n * w["i_n"], "i64"), f.gep(y, n * w["y_n"], e)
            if self.gather:
                end = f.minimum(first + w["block"], w["many"])
                zero = f.value(0, "i64")
                with f.loop(first, end) as p:
                    self._places(x_n, i_n, y_n, p, zero, w["channels"])
            else:
                end = f.minimum(first + w["block"], w["channels"])
                with f.loop(0, w["plane"]) as p:
                    for c, lanes in self._split(first, end):
                        with c as at:
                            f.store(f.value(0.0, vector(e, lanes)), f.gep(y_n, p * w["y_p"] + at * w["y_c"], e))
                with f.loop(0, w["many"]) as p:
                    self._places(x_n, i_n, y_n, p, first, end)

    def _split(self, first: Value, end: Value) -> list[tuple[Any, int]]:
        """Loops over channels: vectors, then one by one."""
        f = self.f
        if self.lanes == 1:
            return [(f.loop(first, end), 1)]
        whole = end - (end - first) % self.lanes
        return [(f.loop(first, whole, self.lanes), self.lanes), (f.loop(whole, end), 1)]

    def _places(self, x: Value, index: Value, y: Value, p: Value, first: Value, end: Value) -> None:
        f, w, e = self.f, self.w, self.e
        for loop, lanes in self._split(first, end):
            with loop as c:
                wide = vector("i64", lanes)
                at = f.load(wide, f.gep(index, p * w["i_p"] + c * w["i_c"], "i64"))
                good = f.compare("lt", at, f.splat(w["plane"], wide), unsigned=True)
                every = good if lanes == 1 else f.call("i1", f"llvm.vector.reduce.and.v{lanes}i1", good)
                with f.when(f.compare("eq", every, False)):
                    self.kernel.fail()
                with f.when(every):
                    self._one(x, y, p, c, at, lanes, e)

    def _one(self, x: Value, y: Value, p: Value, c: Value, at: Value, lanes: int, e: str) -> None:
        f, w = self.f, self.w
        type_, wide = vector(e, lanes), vector("i64", lanes)
        here, step, place = (x, "x", y) if self.gather else (y, "y", x)
        inner = f.lane_numbers(wide) if lanes > 1 else f.value(0, "i64")
        offsets = at * f.splat(w[f"{step}_p"], wide) + f.splat(c * w[f"{step}_c"], wide) + inner
        other = f.gep(place, p * w["y_p" if self.gather else "x_p"] + c * w["y_c" if self.gather else "x_c"], e)
        if lanes == 1:
            q = f.gep(here, offsets, e)
            if self.gather:
                f.store(f.load(e, q), other)
            else:
                f.store(f.load(e, q) + f.load(e, other), q)
            return
        addresses = f.op(vector("ptr", lanes), f"getelementptr {e}, ptr {here.ref}, {offsets!r}")
        every = f.first_lanes(lanes, lanes)
        found = f.gather(type_, addresses, every)
        if self.gather:
            f.store(found, other)
        else:
            f.scatter(found + f.load(type_, other), addresses, every)


LAYOUTS.update(dict.fromkeys(("plane_gather", "plane_scatter"), channels_last_result))
