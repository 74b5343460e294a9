"""Operations whose positions are data: embeddings, indexing, gather and scatter."""

from __future__ import annotations

from collections.abc import Sequence

from ...ops.scatter import STARTS
from ..subscripts import Subscript, corner, lines, window
from ..views import broadcast, row_major
from .accumulate import addable
from .calls import LibraryNode, Lowering, View, library
from .copies import copy, fill
from .indexed import indexed

Steps = tuple[int, ...]


def _wide(v: View, shape: Sequence[int]) -> Steps:
    return broadcast(v, shape).strides


# ---------------------------------------------------------------- reading
def _read(lowering: Lowering, x: View, indices: Sequence[View], dims: Sequence[int], out: View, negative: bool) -> bool:
    s = Subscript(x, indices, dims, negative)
    return indexed(lowering, s.shape, out, out.strides, x, s.steps, s.indices, write=False)


@library("index")
def _index(lowering: Lowering, node: LibraryNode) -> bool:
    return _read(lowering, node.operands[0], node.operands[1:], node.attrs[0], node.result, True)


@library("index_select")
def _index_select(lowering: Lowering, node: LibraryNode) -> bool:
    return _read(lowering, node.operands[0], node.operands[1:], node.attrs, node.result, False)


@library("embedding")
def _embedding(lowering: Lowering, node: LibraryNode) -> bool:
    return _read(lowering, node.operands[0], node.operands[1:], (0,), node.result, False)


@library("embedding_grad_grad")
def _embedding_grad_grad(lowering: Lowering, node: LibraryNode) -> bool:
    return node.attrs == (-1, False) and _embedding(lowering, node)


# ---------------------------------------------------------------- writing
def _write(
    lowering: Lowering,
    out: View,
    v: View,
    indices: Sequence[View],
    dims: Sequence[int],
    action: str,
    negative: bool,
    skip: int | None = None,
) -> bool:
    s = Subscript(out, indices, dims, negative, skip)
    return indexed(lowering, s.shape, out, s.steps, v, _wide(v, s.shape), s.indices, write=True, action=action)


def _onto(lowering: Lowering, x: View, out: View) -> bool:
    """The values that are written over; nothing to do if they are in place already."""
    return (x.place, x.strides) == (out.place, out.strides) or copy(lowering, x, out)


def _empty(*views: View) -> bool:
    return any(0 in v.shape for v in views)


@library("index_put")
def _index_put(lowering: Lowering, node: LibraryNode) -> bool:
    x, v, *indices = node.operands
    dims, add = node.attrs
    if _empty(x, v, *indices) or (add and not addable(x)):
        return False
    return _onto(lowering, x, node.result) and _write(lowering, node.result, v, indices, dims, "sum" if add else "copy", True)


@library("index_add")
def _index_add(lowering: Lowering, node: LibraryNode) -> bool:
    x, i, v = node.operands
    if _empty(x, i, v) or not addable(x) or not x.shape:
        return False
    return _onto(lowering, x, node.result) and _write(lowering, node.result, v, [i], node.attrs, "sum", False)


@library("index_copy", "index_fill")
def _index_copy(lowering: Lowering, node: LibraryNode) -> bool:
    x, i, v = node.operands
    if _empty(x, i, v) or not x.shape:
        return False
    return _onto(lowering, x, node.result) and _write(lowering, node.result, v, [i], node.attrs, "copy", node.op == "index_fill")


@library("unindex")
def _unindex(lowering: Lowering, node: LibraryNode) -> bool:
    g, *indices = node.operands
    if _empty(g, node.result) or not addable(g):
        return False
    return fill(lowering, node.result, 0) and _write(lowering, node.result, g, indices, node.attrs[0], "sum", True)


@library("embedding_grad")
def _embedding_grad(lowering: Lowering, node: LibraryNode) -> bool:
    g, i = node.operands
    _, padding, by_frequency = node.attrs
    if by_frequency or _empty(g, node.result) or not addable(g):
        return False
    return fill(lowering, node.result, 0) and _write(lowering, node.result, g, [i], (0,), "sum", False, padding if padding >= 0 else None)


# ---------------------------------------------------------------- an index for every element
@library("gather", "pick")
def _gather(lowering: Lowering, node: LibraryNode) -> bool:
    x, i = node.operands
    if len(x.shape) != len(i.shape):
        return False
    steps, indices = lines(x, i, *node.attrs)
    return indexed(lowering, i.shape, node.result, node.result.strides, x, steps, indices, write=False)


def _scattered(lowering: Lowering, out: View, i: View, v: View, steps: Steps, d: int, action: str) -> bool:
    if len(out.shape) != len(i.shape):
        return False
    out_steps, indices = lines(out, i, d)
    return indexed(lowering, i.shape, out, out_steps, v, steps, indices, write=True, action=action)


@library("scatter", "scatter_add")
def _scatter(lowering: Lowering, node: LibraryNode) -> bool:
    x, i, v = node.operands
    add = node.op == "scatter_add"
    if _empty(x, i) or (add and not addable(x)):
        return False
    action = "sum" if add else "copy"
    return _onto(lowering, x, node.result) and _scattered(lowering, node.result, i, v, corner(v, i), *node.attrs, action)


@library("scatter_reduce")
def _scatter_reduce(lowering: Lowering, node: LibraryNode) -> bool:
    x, i, v = node.operands
    d, reduce, own = node.attrs
    if _empty(x, i) or not addable(x) or (reduce not in ("sum", "prod", "amax", "amin")):
        return False
    if not _onto(lowering, x, node.result):
        return False
    if not own:  # what is there does not count: the reduction starts from its neutral element
        first = row_major(lowering.temporary(x.itemsize), (), x)
        fill(lowering, first, STARTS[reduce](x.dtype.compute))
        if not _scattered(lowering, node.result, i, first, (0,) * len(i.shape), d, "copy"):
            return False
    return _scattered(lowering, node.result, i, v, corner(v, i), d, reduce)


# ---------------------------------------------------------------- slices at a place that is data
@library("window")
def _window(lowering: Lowering, node: LibraryNode) -> bool:
    (x, start), (d, length, step), out = node.operands, node.attrs, node.result
    steps, index = window(x, start, d, length, step)
    return indexed(lowering, out.shape, out, out.strides, x, steps, [index], write=False)


@library("unwindow")
def _unwindow(lowering: Lowering, node: LibraryNode) -> bool:
    (g, start), (d, step, _), out = node.operands, node.attrs, node.result
    if _empty(g):
        return False
    steps, index = window(out, start, d, g.shape[d], step)
    return fill(lowering, out, 0) and indexed(lowering, g.shape, out, steps, g, g.strides, [index], write=True)


@library("window_put")
def _window_put(lowering: Lowering, node: LibraryNode) -> bool:
    (x, v, start), (d, step), out = node.operands, node.attrs, node.result
    if _empty(v):
        return False
    steps, index = window(out, start, d, v.shape[d], step)
    return _onto(lowering, x, out) and indexed(lowering, v.shape, out, steps, v, v.strides, [index], write=True)
