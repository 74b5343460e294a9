"""Negative log likelihood and cross-entropy of class indices, and cross-entropy of class probabilities.

The class dimension is 1 (0 for one-dimensional scores). `nll_loss` and its gradient are linear and transposes of each other;
`cross_entropy` is `nll_loss` of `log_softmax` in one operation, and so is its gradient.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node
from .formula import refuse, sum_over, title
from .movement import reshape
from .pointwise import pointwise
from .promotion import promoting, to
from .softmax import _ref_log_softmax, _ref_log_softmax_grad, log_softmax, log_softmax_grad

_X = np.array([[-0.3, 1.2, 0.8, 2.5], [0.6, -0.9, 0.4, -0.2], [3.1, 0.1, -2.0, 0.7]])
_T = np.array([2, 0, 3])
_W = np.array([0.5, 2.0, 1.5, 0.7])
PARAMS = ("ignore_index", "reduction", "label_smoothing")


def class_dim(rank: int) -> int:
    """The dimension of the classes in scores of that rank."""
    return 0 if rank == 1 else 1


# ---------------------------------------------------------------- inference
def check(x: Node, t: Node, w: Node | None) -> None:
    """PyTorch's demands on scores, class indices and class weights."""
    if x.ndim == 0:
        raise ValueError("Expected 1 or more dimensions (got 0)")
    if x.ndim == 1 and t.ndim == 1 and t.shape[0] != 1:
        raise ValueError(f"For 1D input, 1D target must have size 1, but got target size: {t.shape[0]}")
    if x.ndim > 1 and (t.ndim == 0 or t.shape[0] != x.shape[0]):
        raise ValueError(f"Expected input batch_size ({x.shape[0]}) to match target batch_size ({t.shape[0] if t.ndim else 0}).")
    if x.ndim <= 2 and t.ndim > 1:
        raise RuntimeError("0D or 1D target tensor expected, multi-target not supported")
    if t.dtype not in (dtypes.int64, dtypes.uint8):
        raise RuntimeError(f"expected target dtype to be Long or Byte, but got {title(t.dtype)}")
    expected = tuple(x.shape[:1]) + tuple(x.shape[2:])
    if x.ndim > 2 and tuple(t.shape) != expected:
        raise RuntimeError(f"Expected target size {list(expected)}, got {list(t.shape)}")
    classes = x.shape[class_dim(x.ndim)]
    if w is not None:
        if tuple(w.shape) != (classes,):
            raise RuntimeError(
                f"weight tensor should be defined either for all {classes} classes or no classes but got weight tensor of shape: "
                f"{list(w.shape)}"
            )
        if w.rg:
            raise RuntimeError(
                "The function 'nll_loss_forward' is not differentiable with respect to argument 'weight'. This input cannot have "
                "requires_grad True."
            )
        if w.dtype is not x.dtype:
            raise RuntimeError(f"expected scalar type {title(x.dtype)} but found {title(w.dtype)}")


def _parts(args: tuple[Any, ...]) -> tuple[Any, Any, Any, tuple[Any, ...]]:
    """(first, target, weight or None, attributes) of nodes or arrays followed by attributes; attributes start with an int or a tuple."""
    if isinstance(args[2], (int, tuple)):
        return args[0], args[1], None, args[2:]
    return args[0], args[1], args[2], args[3:]


def _rule(kernel: str) -> Any:
    def rule(*args: Any) -> Meta:
        x, t, w, (_, reduction, _) = _parts(args)
        if not x.dtype.is_floating_point:
            raise refuse(kernel, x.dtype)
        check(x, t, w)
        return (t.shape if x.ndim > 1 else ()) if reduction == "none" else (), x.dtype

    return rule


def _rule_nll_grad(*args: Any) -> Meta:
    g, _, _, attrs = _parts(args)
    return attrs[0], g.dtype


def _rule_ce_grad(g: Node, x: Node, *_: Any) -> Meta:
    return x.shape, x.dtype


# ---------------------------------------------------------------- values
def _plan(t: Array, w: Array | None, classes: int, ignore: int, d: Any) -> tuple[Array, Array, Array, Any]:
    """Per sample: the class (0 if ignored), whether it counts, its weight; and the total weight."""
    t = t.reshape(-1).astype(np.int64)
    counts = t != ignore
    bad = counts & ((t < 0) | (t >= classes))
    if bad.any():
        raise IndexError(f"Target {t[bad][0]} is out of bounds.")
    safe = np.where(counts, t, 0)
    weight = counts.astype(d) if w is None or classes == 0 else np.where(counts, w[safe], 0).astype(d)
    return safe, counts, weight, weight.sum(dtype=d)


def _rows(x: Array) -> Array:
    """Scores as (samples, classes)."""
    return np.moveaxis(x, class_dim(x.ndim), -1).reshape(-1, x.shape[class_dim(x.ndim)])


def _ref_nll(*args: Any) -> Array:
    x, t, w, (ignore, reduction, smoothing) = _parts(args)
    rows = _rows(x)
    classes = rows.shape[1]
    safe, counts, weight, total = _plan(t, w, classes, ignore, x.dtype)
    with np.errstate(all="ignore"):
        loss = np.where(counts, -rows[np.arange(len(rows)), safe] * weight, 0).astype(x.dtype) if len(rows) else np.zeros(0, x.dtype)
        if smoothing:
            smooth = np.where(counts, -(rows if w is None else rows * w).sum(1), 0)
            loss = (1 - smoothing) * loss + smoothing / classes * smooth
        if reduction == "none":
            return loss.reshape(t.shape if x.ndim > 1 else ()).astype(x.dtype)  # type: ignore[no-any-return]
        return np.asarray(loss.sum(dtype=x.dtype) / total if reduction == "mean" else loss.sum(dtype=x.dtype))


def _ref_nll_grad(*args: Any) -> Array:
    g, t, w, (shape, ignore, reduction, smoothing) = _parts(args)
    dim = class_dim(len(shape))
    classes = shape[dim]
    safe, counts, weight, total = _plan(t, w, classes, ignore, g.dtype)
    with np.errstate(all="ignore"):
        scale = g.reshape(-1) if reduction == "none" else np.broadcast_to(g / total if reduction == "mean" else g, safe.shape)
        out = np.zeros((len(safe), classes), g.dtype)
        if len(safe):
            out[np.arange(len(safe)), safe] = np.where(counts, -(1 - smoothing) * scale * weight, 0)
        if smoothing:
            spread = np.where(counts, -smoothing / classes * scale, 0)[:, None]
            out += spread if w is None else spread * w
    moved = tuple(shape[:dim]) + tuple(shape[dim + 1 :]) + (classes,)
    return np.ascontiguousarray(np.moveaxis(out.reshape(moved), -1, dim)).astype(g.dtype)


def _ref_ce(*args: Any) -> Array:
    return _ref_nll(_ref_log_softmax(args[0], class_dim(args[0].ndim)), *args[1:])


def _ref_ce_grad(g: Array, x: Array, *rest: Any) -> Array:
    dim = class_dim(x.ndim)
    operands, attrs = (rest[:1], rest[1:]) if isinstance(rest[1], int) else (rest[:2], rest[2:])
    return _ref_log_softmax_grad(_ref_nll_grad(g.astype(x.dtype), *operands, x.shape, *attrs), _ref_log_softmax(x, dim), dim)


# ---------------------------------------------------------------- gradients
def _vjp_nll(n: Node, g: Node) -> Grads:
    x, *rest = n.srcs
    return (nll_loss_grad(g, *rest, tuple(x.shape), *n.attrs),)


def _vjp_nll_grad(n: Node, g: Node) -> Grads:
    return (nll_loss(g, *n.srcs[1:], *n.attrs[1:]),)


def _vjp_ce(n: Node, g: Node) -> Grads:
    return (cross_entropy_grad(g, *n.srcs, *n.attrs),)


def _expand_ce_grad(n: Node) -> Node:
    g, x, *rest = n.srcs
    dim = class_dim(x.ndim)
    return log_softmax_grad(nll_loss_grad(g, *rest, tuple(x.shape), *n.attrs), log_softmax(x, dim), dim)


def _cases() -> list[tuple[Any, ...]]:
    image = np.linspace(-1, 1, 24).reshape(2, 3, 2, 2)
    labels = np.array([[[0, 1], [2, -100]], [[1, 1], [0, 2]]])
    return [
        (_X, (_T,), (-100, "mean", 0.0)),
        (_X, (_T, _W), (-100, "mean", 0.0)),
        (_X, (_T, _W), (3, "sum", 0.1)),
        (_X, (_T,), (-100, "none", 0.3)),
        (image, (labels,), (-100, "mean", 0.2)),
        (image, (labels,), (-100, "none", 0.0)),
        (_X[0], (np.asarray(1),), (-100, "mean", 0.0)),
        (np.zeros((0, 3)), (np.zeros(0, np.int64),), (-100, "sum", 0.0)),
    ]


def _samples() -> list[Sample]:
    return [Sample((x, *rest), attrs, (0,)) for x, rest, attrs in _cases()]


def _g(rest: Any, attrs: Any, x: Array) -> Array:
    shape = rest[0].shape if attrs[1] == "none" and x.ndim > 1 else ()
    return np.linspace(0.5, 1.5, max(math.prod(shape), 1))[: math.prod(shape)].reshape(shape)


nll_loss = Op(
    "nll_loss", "loss", _rule("nll_loss_out_frame"), _ref_nll, vjp=_vjp_nll, saves=lambda n: n.srcs, params=PARAMS, samples=_samples
)
nll_loss_grad = Op(
    "nll_loss_grad",
    "gradient",
    _rule_nll_grad,
    _ref_nll_grad,
    vjp=_vjp_nll_grad,
    saves=lambda n: n.srcs[1:],
    params=("size", *PARAMS),
    samples=lambda: [Sample((_g(rest, attrs, x), *rest), (x.shape, *attrs), (0,)) for x, rest, attrs in _cases()],
)
cross_entropy_grad = Op(
    "cross_entropy_grad",
    "gradient",
    _rule_ce_grad,
    _ref_ce_grad,
    expand=_expand_ce_grad,
    saves=lambda n: n.srcs,
    params=PARAMS,
    samples=lambda: [Sample((_g(rest, attrs, x), x, *rest), attrs, (0, 1)) for x, rest, attrs in _cases()],
)
#: PyTorch keeps the log-probabilities, not the scores: overwriting the scores afterwards is allowed
cross_entropy = Op(
    "cross_entropy",
    "loss",
    _rule("log_softmax_lastdim_kernel_impl"),
    _ref_ce,
    vjp=_vjp_ce,
    saves=lambda n: n.srcs[1:],
    params=PARAMS,
    samples=_samples,
)


def _varied_smoothing(srcs: tuple[Node, ...], attrs: tuple[Any, ...]) -> Node:
    """The loss is linear in the smoothing: between that of the classes alone and that of the uniform distribution alone."""
    *told, smoothing = attrs
    of_class, of_all = cross_entropy(*srcs, *told, 0.0), cross_entropy(*srcs, *told, 1.0)
    share = to(smoothing, of_class.dtype)
    return of_class * (1.0 - share) + of_all * share  # type: ignore[operator, no-any-return]


cross_entropy.varying, cross_entropy.varied = (PARAMS.index("label_smoothing"),), _varied_smoothing


# ---------------------------------------------------------------- class indices by themselves
def _class_index(e: Any, t: Any, classes: int, ignore: int) -> Any:
    inside = e.logical_and(e.ge(t, e.const(0)), e.lt(t, e.const(classes)))
    return e.require(e.logical_or(inside, e.eq(t, e.const(ignore))), t)


def _ref_class_index(t: Array, classes: int, ignore: int) -> Array:
    _plan(t, None, classes, ignore, np.float32)
    return t


#: class indices, checked: what `nll_loss` is made of where it is compiled
class_index = pointwise(
    "class_index",
    "loss",
    1,
    _class_index,
    ref=_ref_class_index,
    prepare=None,
    params=("classes", "ignore_index"),
    samples=lambda: [Sample((_T,), (4, -100), False), Sample((np.array([[1, -100], [0, 2]]),), (3, -100), False)],
    differentiable=False,
)


# ---------------------------------------------------------------- class probabilities
def _prepare_soft(*args: Any) -> tuple[Any, ...]:
    count = sum(a.__class__ is Node for a in args)
    return promoting(count)(*args)  # type: ignore[no-any-return]


def _rule_soft(*args: Any) -> Meta:
    x, reduction = args[0], args[-2]
    dim = class_dim(x.ndim)
    return (tuple(x.shape[:dim]) + tuple(x.shape[dim + 1 :]) if reduction == "none" else ()), x.dtype


def _expand_soft(n: Node) -> Node:
    x, t, *w = n.srcs
    reduction, smoothing = n.attrs
    dim = class_dim(x.ndim)
    classes = x.shape[dim]
    if smoothing:
        t = t * (1 - smoothing) + smoothing / classes  # type: ignore[operator]
    p = log_softmax(x, dim) * t  # type: ignore[operator]
    if w:
        p = p * reshape(w[0], (classes,) + (1,) * (x.ndim - dim - 1))
    if reduction == "none":
        return reshape(-sum_over(p, (dim,)), tuple(n.shape))  # type: ignore[operator]
    total = reshape(-sum_over(p, tuple(range(x.ndim))), ())  # type: ignore[operator]
    return total / (x.numel / classes) if reduction == "mean" else total  # type: ignore[operator]


def _ref_soft(x: Array, t: Array, *rest: Any) -> Array:
    w, (reduction, smoothing) = (rest[0] if len(rest) == 3 else None), rest[-2:]
    dim = class_dim(x.ndim)
    classes = x.shape[dim]
    with np.errstate(all="ignore"):
        p = _ref_log_softmax(x, dim) * (t * x.dtype.type(1 - smoothing) + x.dtype.type(smoothing / classes) if smoothing else t)
        if w is not None:
            p = p * w.reshape((classes,) + (1,) * (x.ndim - dim - 1))
        if reduction == "none":
            return -p.sum(dim)  # type: ignore[no-any-return]
        return np.asarray(-p.sum() / np.float64(x.size / classes) if reduction == "mean" else -p.sum())


def _soft_samples() -> list[Sample]:
    p = np.array([[0.1, 0.2, 0.3, 0.4], [0.7, 0.1, 0.1, 0.1], [0.25, 0.25, 0.25, 0.25]])
    return [
        Sample((_X, p), ("mean", 0.0)),
        Sample((_X, p, _W), ("sum", 0.1)),
        Sample((_X, p, _W), ("none", 0.0)),
        Sample((_X[0], p[0]), ("mean", 0.2)),
    ]


#: scores, probabilities of the same shape, optionally class weights
cross_entropy_soft = Op(
    "cross_entropy_soft",
    "loss",
    _rule_soft,
    _ref_soft,
    expand=_expand_soft,
    saves=lambda n: n.srcs[1:],
    prepare=_prepare_soft,
    params=("reduction", "label_smoothing"),
    samples=_soft_samples,
)


def _varied_soft(srcs: tuple[Node, ...], attrs: tuple[Any, ...]) -> Node:
    x, t, *w = _prepare_soft(*srcs)
    reduction, smoothing = attrs
    share = to(smoothing, t.dtype)
    t = t * (1.0 - share) + share / x.shape[class_dim(x.ndim)]
    return cross_entropy_soft(x, t, *w, reduction, 0.0)


cross_entropy_soft.varying, cross_entropy_soft.varied = (1,), _varied_soft
