"""Steps that are one operation here and several in PyTorch: what a walk along `next_functions` finds between a result and its operands.

``F.linear(x, w, b)`` is one node; PyTorch's history of it is ``AddmmBackward0`` on the bias, the input and ``TBackward0`` on the weight.
Programs that print or draw a history (tutorials, torchviz) show those names, so they are given here, for reading only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ..asg.declare import IDENTITIES
from ..asg.geometry import is_contiguous
from ..asg.node import Node
from .history_names import number, title


class Part(NamedTuple):
    """A step without a node of its own: its name, and what it leads to."""

    name: str
    edges: tuple[Any, ...]


#: what a step leads to: the step of a node, a part, or nothing
Edge = Node | Part | None


def _part(name: str, *edges: Edge) -> Part | None:
    """A step called `name`; None if no gradient flows to anything behind it."""
    return Part(f"{name}Backward0" if name[-1] not in "0123456789" else name, edges) if any(map(_flows, edges)) else None


def _flows(edge: Edge) -> bool:
    return edge.rg if edge.__class__ is Node else edge is not None  # type: ignore[union-attr]


def plain(n: Node) -> Node:
    """A node without the identities around it that carry no step."""
    while n.op in IDENTITIES and n.op.name != "leaf_of":
        n = n.srcs[0]
    return n


def _flat(x: Node) -> Edge:
    """A tensor of several dimensions as the matrix of its rows."""
    return _part("View", x) if is_contiguous(tuple(x.shape), x.strides) else _part("UnsafeView", _part("Clone", x))


def _linear(n: Node) -> tuple[Edge, ...]:
    x, w, *bias = n.srcs
    t = _part("T", w)
    if x.ndim == 2:
        return (*bias, x, t)
    if not bias:
        return (_part("Mm", _part("Unsqueeze", x) if x.ndim == 1 else _flat(x), t),)
    if not is_contiguous(tuple(x.shape), x.strides):
        return (_part("UnsafeView", _part("Mm", _flat(x), t)), *bias)
    return (_part("Addmm", *bias, _flat(x), t),)


def _matmul(n: Node) -> tuple[Edge, ...]:
    a, b = n.srcs
    if a.ndim <= 2 and b.ndim <= 2:
        return (_part("Mm", _part("Unsqueeze", a), b),) if a.ndim == 1 and b.ndim == 2 else (a, b)
    if b.ndim <= 2:
        return (_part("Mm" if b.ndim == 2 else "Mv", _flat(a), b),)
    if a.ndim == b.ndim and a.shape[:-2] == b.shape[:-2]:
        return (_part("Bmm", *[_batches(s) for s in (a, b)]),)
    return (a, b)


def _batches(x: Node) -> Edge:
    whole = is_contiguous(tuple(x.shape), x.strides)
    return _part("View" if whole else "ReshapeAlias", _part("Expand", x))


def _cross_entropy(n: Node) -> tuple[Edge, ...]:
    x = _part("LogSoftmax", n.srcs[0])
    reduction, smoothing = n.attrs[-2:]
    if not smoothing:
        return (x,)
    loss = _part("NllLoss" if n.srcs[0].ndim <= 2 else "NllLoss2D", x)
    smooth: Edge = _part("MaskedFill", _part("Neg", _part("SumBackward1", x)))
    if reduction != "none":
        smooth = _part("Sum", smooth)
    if reduction == "mean":
        smooth = Part("DivBackward0", (smooth, None))
    return _part("MulBackward1", loss), _part("MulBackward1", smooth)


def _soft(n: Node) -> tuple[Edge, ...]:
    reduction = n.attrs[0]
    product = Part("MulBackward0", (_part("LogSoftmax", n.srcs[0]), None))
    total = _part("SumBackward1" if reduction == "none" else "Sum", product)
    return (_part("Neg", total),) if reduction == "mean" else (total,)


def _normalised(n: Node) -> tuple[Edge, ...]:
    """The input, the weight and the bias, which lie there in another shape; running statistics are no operands."""
    affine = n.srcs[1:] if n.op.name != "batch_norm_eval" else n.srcs[3:]
    found = [_unshaped(s) for s in affine]
    return (n.srcs[0], *found, *[None] * (2 - len(found)))


def _unshaped(n: Node) -> Node:
    n = plain(n)
    return n.srcs[0] if n.op.name in ("reshape", "view") else n


def _instance_norm(n: Node) -> tuple[Edge, ...]:
    affine = [_part("Repeat", _unshaped(s)) for s in n.srcs[1:]]
    return (Part("NativeBatchNormBackward0", (_part("View", n.srcs[0]), *affine, *[None] * (2 - len(affine)))),)


def _rms_norm(n: Node) -> tuple[Edge, ...]:
    x, *weight = n.srcs
    scale = _part("Rsqrt", _part("AddBackward1", _part("MeanBackward1", _part("Pow", x))))
    return (Part("MulBackward0", (x, scale)), *weight) if weight else (x, scale)


def _lstm(n: Node) -> tuple[Edge, ...]:
    """PyTorch's kernel for a whole layer; here the inputs' products are a node before the recurrence."""
    products, h, c, recurrent = n.srcs[:4]
    if products.op.name != "linear":
        return n.srcs
    x, w, *bias = products.srcs
    biases = plain(bias[0]).srcs if bias else (None, None)
    return (x, w, recurrent, *biases, h, c)


def _reshape(n: Node) -> tuple[Edge, ...]:
    s = plain(n.srcs[0])
    if s.op.name == "pick":  # what an extreme value was picked by
        return s.srcs[:1]
    return n.srcs if is_contiguous(tuple(s.shape), s.strides) or not s.rg else (_part("Clone", s),)


def _write(n: Node) -> tuple[Edge, ...]:
    """A write into a part: the storage before, and what was written but for what stood there."""
    whole, value = n.srcs[:2]
    rest = value.srcs[1:] if value.srcs and plain(value.srcs[0]).op.view else (value,)
    return whole, *[s if s.rg else None for s in rest]


def _of_lines(n: Node) -> tuple[Edge, ...]:
    """Pooling of lines is pooling of images of one row."""
    return (_part(n.op.name.replace("_", " ").title().replace(" ", "") + ("2DWithIndices" if n.op.name == "max_pool" else "2D"),
                  _part("Unsqueeze", n.srcs[0])),) if n.srcs[0].ndim == 3 and len(n.attrs[0]) == 1 else n.srcs  # fmt: skip


def _placed(n: Node) -> tuple[Edge, ...]:
    """At a place that is data a selection is two operations, a diagonal three."""
    n = plain(n.srcs[0])
    while n.op.name == "window":
        n = plain(n.srcs[0])
    return (n,)


#: operations whose last operand says where they read or write, of which PyTorch's step knows as a number
_PLACED = frozenset(("window", "restride_at", "restride_put"))
_BY_NODE: dict[str, Callable[[Node], tuple[Edge, ...]]] = {
    "absolute_error": lambda n: (_part("Sub", *n.srcs),),
    "adaptive_avg_pool": _of_lines,
    "avg_pool": _of_lines,
    "batch_norm": _normalised,
    "batch_norm_eval": _normalised,
    "clamp_max": lambda n: plain(n.srcs[0]).srcs[:1] if plain(n.srcs[0]).op.name == "clamp_min" else n.srcs[:1],
    "conv": lambda n: (*n.srcs, *[None] * (3 - len(n.srcs))),
    "conv_transpose": lambda n: (*n.srcs, *[None] * (3 - len(n.srcs))),
    "cross_entropy": _cross_entropy,
    "cross_entropy_soft": _soft,
    "div": lambda n: (_part("Reciprocal", n.srcs[1]), None) if number(n.srcs[0]) else n.srcs,
    "group_norm": _normalised,
    "instance_norm": _instance_norm,
    "kl_divergence": lambda n: (None, Part("MulBackward0", (None, n.srcs[0]))),
    "kl_divergence_log": lambda n: (None, Part("SubBackward0", (None, n.srcs[0]))),
    "layer_norm": _normalised,
    "linear": _linear,
    "lstm": _lstm,
    "matmul": _matmul,
    "max_pool": _of_lines,
    "repeat_interleave": lambda n: (_part("Clone", _part("Expand", _part("Unsqueeze", n.srcs[0]))),),
    "relayout": lambda n: plain(n.srcs[0]).srcs if plain(n.srcs[0]).op.name == "fft" else n.srcs,
    "reshape": _reshape,
    "restride_scatter": _write,
    "restride_put": _write,
    "rms_norm": _rms_norm,
    **dict.fromkeys(("mirror_at", "pad_at", "roll_at", "tril_at", "triu_at"), lambda n: n.srcs[:1]),
    "select": _placed,
    "diagonal": _placed,
}


def _products(n: Node) -> tuple[Edge, ...]:
    """Of a sum with a product: what is added, and the factors."""
    added, product = (plain(s) for s in n.srcs)
    while product.op.name in ("mul", "matmul") and number(product.srcs[1]):
        product = plain(product.srcs[0])
    while added.op.name == "mul" and number(added.srcs[1]):
        added = plain(added.srcs[0])
    return (added, *product.srcs) if product.op.name in ("matmul", "bmm") else n.srcs


def _outer(n: Node) -> tuple[Edge, ...]:
    """Of a sum with an outer product: what is added, and the vectors."""
    added, product = (plain(s) for s in n.srcs)
    return (added, *map(_unviewed, product.srcs)) if product.op.name == "mul" else n.srcs


def _unviewed(n: Node) -> Node:
    n = plain(n)
    return n.srcs[0] if n.op.name in ("view", "reshape", "unsqueeze") else n


def _inner(n: Node) -> tuple[Edge, ...]:
    """Of an operation that was recorded as two: the operands of the inner one."""
    return plain(n.srcs[0]).srcs


def _chosen(n: Node) -> tuple[Edge, ...]:
    """Of an assignment to what a mask selects: the values before, and what was assigned."""
    return (n.srcs[2], n.srcs[1]) if n.op.name == "where" else (n.srcs[0], n.srcs[-1] if n.srcs[-1].rg else None)


#: by the name that a function has noted on its result
_BY_STEP: dict[str, Callable[[Node], tuple[Edge, ...]]] = {
    "AddmmBackward0": _products,
    "AddmvBackward0": _products,
    "AddrBackward0": _outer,
    "BaddbmmBackward0": _products,
    "BmmBackward0": lambda n: n.srcs,
    "DiagonalBackward0_copy": _inner,
    "EmbeddingBagBackward0": lambda n: (plain(n.srcs[0]).srcs[0], None),
    "IndexPutBackward0": _chosen,
    "LinalgCrossBackward0": lambda n: tuple(plain(s).srcs[0] for s in plain(n.srcs[0]).srcs),
    "LinalgSolveExBackward0": lambda n: n.srcs if n.op.name == "solve" else tuple(map(_unshaped, _inner(n))),
    "TraceBackward0": _inner,
}


def edges(n: Node, name: str) -> tuple[Edge, ...] | None:
    """What the step `name` of node `n` leads to, where that is not what its operands say."""
    if "Pool" in name and n.op.name == "squeeze":  # of one image: a batch of one
        return plain(plain(n.srcs[0]).srcs[0]).srcs
    found = _BY_STEP.get(name) if n.op.name not in ("linear", "index_put") else None
    if found is None:
        found = _BY_NODE.get(n.op.name)
    if found is None:
        return None
    return tuple([plain(e) if e.__class__ is Node else e for e in found(n)])


def operand_places(n: Node) -> list[tuple[int | None, bool]]:
    """For each gradient that a hook on the step of `n` sees in PyTorch: the operand it belongs to (None: it is none), and whether it is
    that of the transposed operand. Where a step is several of PyTorch's, all operands in their own order.
    """
    found = edges(n, title(n))
    srcs = [plain(s) for s in (n.srcs[:-1] if n.op.name in _PLACED else n.srcs)]
    if found is None:
        return [(i, False) for i in range(len(srcs))]
    places: list[tuple[int | None, bool]] = []
    for edge in found:
        flip = edge.__class__ is Part and edge.name == "TBackward0"  # type: ignore[union-attr]
        end = plain(edge.edges[0]) if flip else edge  # type: ignore[union-attr]
        if end is not None and end not in srcs:
            return [(i, False) for i in range(len(srcs))]
        places.append((None if end is None else srcs.index(end), flip))
    return places
