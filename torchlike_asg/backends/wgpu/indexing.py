"""Operations whose positions are data: embeddings, indexing, gather and scatter."""

from __future__ import annotations

from collections.abc import Sequence

from ...ops.scatter import STARTS
from ..subscripts import Subscript, corner, lines, window
from ..views import broadcast
from .calls import LibraryNode, Lowering, View, library
from .copies import copy, fill, temporary
from .indexed import indexed

Steps = tuple[int, ...]


#: operations whose indices a program gives; also those of gradients, since the way forward is not computed where nobody wants its value
_CHECKED = frozenset((
    "index", "index_select", "embedding", "gather", "index_put", "index_add", "index_copy", "index_fill", "scatter", "scatter_add",
    "scatter_reduce", "unindex", "embedding_grad", "embedding_grad_grad",
))  # fmt: skip


def _checks(node: LibraryNode) -> str:
    return node.op if node.op in _CHECKED else ""


# ---------------------------------------------------------------- reading
@library("index")
def _index(lowering: Lowering, node: LibraryNode) -> bool:
    return _read(lowering, node, node.attrs[0], True)


@library("index_select")
def _index_select(lowering: Lowering, node: LibraryNode) -> bool:
    return _read(lowering, node, node.attrs, False)


@library("embedding")
def _embedding(lowering: Lowering, node: LibraryNode) -> bool:
    return _read(lowering, node, (0,), False)


@library("embedding_grad_grad")
def _embedding_grad_grad(lowering: Lowering, node: LibraryNode) -> bool:
    return node.attrs == (-1, False) and _embedding(lowering, node)


def _read(lowering: Lowering, node: LibraryNode, dims: Sequence[int], negative: bool) -> bool:
    x, *indices = node.operands
    if len(x.shape) < len(dims):
        return False
    s, out = Subscript(x, indices, dims, negative), node.result
    return indexed(lowering, node.op, s.shape, out, out.strides, x, s.steps, s.indices, write=False, checks=_checks(node))


# ---------------------------------------------------------------- writing
def _write(
    lowering: Lowering,
    node: LibraryNode,
    v: View,
    indices: Sequence[View],
    dims: Sequence[int],
    action: str,
    negative: bool,
    skip: int | None = None,
) -> bool:
    out = node.result
    s = Subscript(out, indices, dims, negative, skip)
    return indexed(
        lowering,
        node.op,
        s.shape,
        out,
        s.steps,
        v,
        broadcast(v, s.shape).strides,
        s.indices,
        write=True,
        action=action,
        checks=_checks(node),
    )


def _onto(lowering: Lowering, x: View, out: View) -> None:
    """The values that are written over; nothing to do if they are in place already."""
    if (x.slot, x.offset, x.strides) != (out.slot, out.offset, out.strides):
        copy(lowering, x, out)


def _empty(*views: View) -> bool:
    return any(0 in v.shape for v in views)


def _addable(v: View) -> bool:
    return not v.dtype.is_complex and v.dtype.name != "bool"


@library("index_put")
def _index_put(lowering: Lowering, node: LibraryNode) -> bool:
    x, v, *indices = node.operands
    dims, add = node.attrs
    if add and not _addable(x):
        return False
    _onto(lowering, x, node.result)
    return _empty(x, v, *indices) or _write(lowering, node, v, indices, dims, "sum" if add else "copy", True)


@library("index_add")
def _index_add(lowering: Lowering, node: LibraryNode) -> bool:
    x, i, v = node.operands
    if not _addable(x) or not x.shape:
        return False
    _onto(lowering, x, node.result)
    return _empty(x, i, v) or _write(lowering, node, v, [i], node.attrs, "sum", False)


@library("index_copy", "index_fill")
def _index_copy(lowering: Lowering, node: LibraryNode) -> bool:
    x, i, v = node.operands
    if not x.shape:
        return False
    _onto(lowering, x, node.result)
    return _empty(x, i, v) or _write(lowering, node, v, [i], node.attrs, "copy", node.op == "index_fill")


@library("unindex")
def _unindex(lowering: Lowering, node: LibraryNode) -> bool:
    g, *indices = node.operands
    if not _addable(g):
        return False
    fill(lowering, node.result, 0)
    return _empty(g, node.result) or _write(lowering, node, g, indices, node.attrs[0], "sum", True)


@library("embedding_grad")
def _embedding_grad(lowering: Lowering, node: LibraryNode) -> bool:
    g, i = node.operands
    _, padding, by_frequency = node.attrs
    if by_frequency or not _addable(g):
        return False
    fill(lowering, node.result, 0)
    return _empty(g, node.result) or _write(lowering, node, g, [i], (0,), "sum", False, padding if padding >= 0 else None)


# ---------------------------------------------------------------- an index for every element
@library("gather", "pick")
def _gather(lowering: Lowering, node: LibraryNode) -> bool:
    x, i = node.operands
    if len(x.shape) != len(i.shape):
        return False
    steps, indices = lines(x, i, *node.attrs)
    return indexed(lowering, node.op, i.shape, node.result, node.result.strides, x, steps, indices, write=False, checks=_checks(node))


def _scattered(lowering: Lowering, node: LibraryNode, v: View, steps: Steps, action: str) -> bool:
    out, i = node.result, node.operands[1]
    out_steps, indices = lines(out, i, node.attrs[0])
    return indexed(lowering, node.op, i.shape, out, out_steps, v, steps, indices, write=True, action=action, checks=_checks(node))


@library("scatter", "scatter_add")
def _scatter(lowering: Lowering, node: LibraryNode) -> bool:
    x, i, v = node.operands
    add = node.op == "scatter_add"
    if len(x.shape) != len(i.shape) or (add and not _addable(x)):
        return False
    _onto(lowering, x, node.result)
    return _empty(x, i) or _scattered(lowering, node, v, corner(v, i), "sum" if add else "copy")


@library("scatter_reduce")
def _scatter_reduce(lowering: Lowering, node: LibraryNode) -> bool:
    x, i, v = node.operands
    _, reduce, own = node.attrs
    if len(x.shape) != len(i.shape) or not _addable(x) or reduce not in ("sum", "prod", "amax", "amin"):
        return False
    _onto(lowering, x, node.result)
    if _empty(x, i):
        return True
    if not own:  # what is there does not count: the reduction starts from its neutral element
        first = temporary(lowering, (), x.dtype)
        fill(lowering, first, STARTS[reduce](x.dtype.compute))
        _scattered(lowering, node, first, (0,) * len(i.shape), "copy")
    return _scattered(lowering, node, v, corner(v, i), reduce)


# ---------------------------------------------------------------- slices at a place that is data
@library("window")
def _window(lowering: Lowering, node: LibraryNode) -> bool:
    (x, start), (d, length, step), out = node.operands, node.attrs, node.result
    steps, index = window(x, start, d, length, step)
    return indexed(lowering, node.op, out.shape, out, out.strides, x, steps, [index], write=False)


@library("unwindow")
def _unwindow(lowering: Lowering, node: LibraryNode) -> bool:
    (g, start), (d, step, _), out = node.operands, node.attrs, node.result
    fill(lowering, out, 0)
    if _empty(g):
        return True
    steps, index = window(out, start, d, g.shape[d], step)
    return indexed(lowering, node.op, g.shape, out, steps, g, g.strides, [index], write=True)


@library("window_put")
def _window_put(lowering: Lowering, node: LibraryNode) -> bool:
    (x, v, start), (d, step), out = node.operands, node.attrs, node.result
    _onto(lowering, x, out)
    if _empty(v):
        return True
    steps, index = window(out, start, d, v.shape[d], step)
    return indexed(lowering, node.op, v.shape, out, steps, v, v.strides, [index], write=True)
