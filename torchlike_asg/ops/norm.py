"""Normalisations: ``(x - mean) / sqrt(var + eps) * weight + bias`` with statistics over some dimensions.

Layer, batch and group normalisation differ in these dimensions and in how weight and bias broadcast. Weight and bias arrive
broadcastable to `x`; the gradient of the bias is the sum of the gradient, done by the caller.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Meta, Op, Sample, get
from ..asg.node import Node
from ..asg.saving import keep, keep_all
from .formula import mean_over, refuse, sum_over
from .movement import reshape
from .promotion import to

_X = np.array([[[0.3, -1.2, 2.0], [0.8, 1.5, -0.4]], [[-0.6, 0.9, 0.1], [0.4, -0.2, 1.1]]])
_G = np.array([[[0.7, -0.2, 1.8], [0.5, -1.6, 0.3]], [[0.9, 2.2, 0.1], [1.1, -0.4, -0.8]]])
_W, _B = np.array([0.5, 2.0, 1.5]), np.array([0.1, -0.2, 0.3])
_CHANNEL = np.array([[0.5], [2.0]])
SAVED = keep((0, (0, 1, 2)), (1, (0, 1, 2)))


def _rule(kernel: str) -> Any:
    def rule(x: Node, *rest: Any) -> Meta:
        if not x.dtype.is_floating_point:
            raise refuse(kernel, x.dtype)
        return x.shape, x.dtype

    return rule


def _rule_like_second(g: Node, x: Node, *_: Any) -> Meta:
    return x.shape, x.dtype


def _arrays(args: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple([a for a in args if isinstance(a, np.ndarray)])


# ---------------------------------------------------------------- statistics
def _centred(x: Array, dims: tuple[int, ...], eps: float) -> tuple[Array, Array]:
    """(x - mean) and 1 / sqrt(var + eps)."""
    with np.errstate(all="ignore"):
        c = x - x.mean(dims, keepdims=True)
        return c, 1 / np.sqrt(np.mean(c * c, dims, keepdims=True) + x.dtype.type(eps))


def moments(x: Node, dims: tuple[int, ...]) -> tuple[Node, Node]:
    """(mean, biased variance) over `dims`, which stay with size one."""
    mean = mean_over(x, dims)
    c = x - mean  # type: ignore[operator]
    return mean, mean_over(c * c, dims)


def normalized(x: Node, dims: tuple[int, ...], eps: float) -> tuple[Node, Node]:
    """(x - mean) / sqrt(var + eps) and 1 / sqrt(var + eps), from elementary operations."""
    mean, var = moments(x, dims)
    rstd = get("rsqrt")(var + eps)  # type: ignore[operator]
    return (x - mean) * rstd, rstd  # type: ignore[operator]


def root_mean_square(x: Node, dims: tuple[int, ...], eps: float) -> Node:
    """1 / sqrt(mean(x^2) + eps), from elementary operations."""
    return get("rsqrt")(mean_over(x * x, dims) + eps)  # type: ignore[operator, no-any-return]


# ---------------------------------------------------------------- centred and scaled: layer, batch, group
def _ref(*args: Any) -> Array:
    arrays = _arrays(args)
    x, dims, eps = arrays[0], args[-2], args[-1]
    c, rstd = _centred(x, dims, eps)
    y = c * rstd
    if len(arrays) > 1:
        y = y * arrays[1]
    return y + arrays[2] if len(arrays) > 2 else y  # type: ignore[no-any-return]


def _vjp(n: Node, g: Node) -> Grads:
    x, *affine = n.srcs
    grads: Grads = (lambda: norm_grad_input(g, x, *affine[:1], *n.attrs),)
    if not affine:
        return grads
    shape = tuple(affine[0].shape)
    if n.op is not layer_norm:  # parameters of a wider type: their gradients are added up in it
        d = affine[0].dtype
        return (*grads, lambda: norm_grad_weight(to(g, d), to(x, d), shape, *n.attrs), lambda: to(g, d))
    # PyTorch's layer norm adds up the bias's gradient beside the weight's, row after row, in the type of the input
    by_bias = (lambda: get("sum_to")(g, tuple(affine[1].shape), "rows")) if len(affine) > 1 else g
    return (*grads, lambda: norm_grad_weight(g, x, shape, *n.attrs), by_bias)


def _ref_grad_input(*args: Any) -> Array:
    arrays, dims, eps = _arrays(args), args[-2], args[-1]
    g, x = arrays[:2]
    c, rstd = _centred(x, dims, eps)
    y = c * rstd
    if len(arrays) > 2:
        g = g * arrays[2]
    with np.errstate(all="ignore"):
        return rstd * (g - g.mean(dims, keepdims=True) - y * (g * y).mean(dims, keepdims=True))  # type: ignore[no-any-return]


def _expand_grad_input(n: Node) -> Node:
    g, x, *w = n.srcs
    dims, eps = n.attrs
    y, rstd = normalized(x, dims, eps)
    if w:
        g = g * w[0]  # type: ignore[operator]
    return rstd * (g - mean_over(g, dims) - y * mean_over(g * y, dims))  # type: ignore[operator, no-any-return]


def _ref_grad_weight(g: Array, x: Array, shape: tuple[int, ...], dims: tuple[int, ...], eps: float) -> Array:
    c, rstd = _centred(x, dims, eps)
    return get("sum_to").ref(g * (c * rstd), shape)  # type: ignore[misc, no-any-return]


def _expand_grad_weight(n: Node) -> Node:
    g, x = n.srcs
    shape, dims, eps = n.attrs
    return get("sum_to")(g * normalized(x, dims, eps)[0], shape)  # type: ignore[operator, no-any-return]


norm_grad_input = Op(
    "norm_grad_input",
    "gradient",
    _rule_like_second,
    _ref_grad_input,
    expand=_expand_grad_input,
    saves=lambda n: n.srcs,
    params=("dims", "eps"),
    samples=lambda: [Sample((_G, _X, _W), ((2,), 1e-5)), Sample((_G, _X), ((1, 2), 1e-5)), Sample((_G, _X, _CHANNEL), ((0, 2), 1e-3))],
)
norm_grad_weight = Op(
    "norm_grad_weight",
    "gradient",
    lambda g, x, shape, dims, eps: (shape, g.dtype),
    _ref_grad_weight,
    expand=_expand_grad_weight,
    saves=lambda n: n.srcs,
    params=("size", "dims", "eps"),
    samples=lambda: [Sample((_G, _X), ((3,), (2,), 1e-5)), Sample((_G, _X), ((2, 1), (0, 2), 1e-3))],
)


def normalization(name: str, kernel: str, samples: Any) -> Op:
    """Declare ``name(x[, weight[, bias]], dims, eps)``."""
    return Op(
        name,
        "norm",
        _rule(kernel),
        _ref,
        vjp=_vjp,
        saves=keep_all if name == "layer_norm" else SAVED,
        params=("dims", "eps"),
        samples=samples,
    )


layer_norm = normalization(
    "layer_norm",
    "LayerNormKernelImpl",
    lambda: [
        Sample((_X, _W, _B), ((2,), 1e-5)),
        Sample((_X, _W), ((2,), 1e-5)),
        Sample((_X,), ((1, 2), 1e-5)),
        Sample((np.zeros((0, 3)), _W, _B), ((1,), 1e-5)),
        Sample((_X.astype(np.float32),), ((2,), 1e-5), False),
    ],
)
batch_norm = normalization(
    "batch_norm",
    "batch_norm",
    lambda: [Sample((_X, _CHANNEL, _CHANNEL), ((0, 2), 1e-5)), Sample((_X,), ((0, 2), 1e-5)), Sample((_X[0], _W, _B), ((0,), 1e-3))],
)
instance_norm = normalization(
    "instance_norm", "batch_norm", lambda: [Sample((_X, _CHANNEL, _CHANNEL), ((2,), 1e-5)), Sample((_X,), ((2,), 1e-5))]
)


# ---------------------------------------------------------------- groups of channels
def _grouped_shape(shape: Any, groups: int) -> tuple[int, ...]:
    """(batch, groups, channels of a group, positions)"""
    return shape[0], groups, shape[1] // groups, math.prod(shape[2:])


def _ref_group(*args: Any) -> Array:
    (x, *affine), (groups, eps) = _arrays(args), args[-2:]
    c, rstd = _centred(x.reshape(_grouped_shape(x.shape, groups)), (2, 3), eps)
    y = (c * rstd).reshape(x.shape)
    w, b = ([a.reshape(-1, *(1,) * (x.ndim - 2)) for a in affine] + [None, None])[:2]
    y = y if w is None else y * w
    return y if b is None else y + b  # type: ignore[no-any-return]


def _vjp_group(n: Node, g: Node) -> Grads:
    x, *affine = n.srcs
    groups, eps = n.attrs
    shape = _grouped_shape(tuple(x.shape), groups)
    each = (groups, shape[2], 1)
    gg, xg = reshape(g, shape), reshape(x, shape)

    def by_input() -> Node:
        w = [reshape(a, each) for a in affine[:1]]
        return reshape(norm_grad_input(gg, xg, *w, (2, 3), eps), tuple(x.shape))

    def by_weight() -> Node:
        d = affine[0].dtype
        return reshape(norm_grad_weight(to(gg, d), to(xg, d), each, (2, 3), eps), (x.shape[1],))

    return by_input, by_weight, lambda: reshape(sum_over(to(g, affine[1].dtype), (0, *range(2, x.ndim))), (x.shape[1],))


_IMAGE = np.sin(1.7 * np.arange(48.0)).reshape(2, 4, 2, 3)
_EACH = np.array([0.5, 2.0, -1.0, 0.3])
#: weight and bias have one element for each channel
group_norm = Op(
    "group_norm",
    "norm",
    _rule("GroupNormKernelImpl"),
    _ref_group,
    vjp=_vjp_group,
    saves=SAVED,
    params=("num_groups", "eps"),
    samples=lambda: [
        Sample((_IMAGE, _EACH, _EACH), (2, 1e-5)),
        Sample((_IMAGE, _EACH), (4, 1e-5)),
        Sample((_IMAGE,), (1, 1e-3)),
        Sample((_IMAGE[:0],), (2, 1e-5)),
    ],
)


# ---------------------------------------------------------------- batch normalisation with given statistics
def _ref_eval(*args: Any) -> Array:
    arrays, eps = _arrays(args), args[-1]
    x, mean, var = arrays[:3]
    with np.errstate(all="ignore"):
        scale = 1 / np.sqrt(var + x.dtype.type(eps))
        y = (x - mean) * (scale * arrays[3] if len(arrays) > 3 else scale)
    return (y + arrays[4] if len(arrays) > 4 else y).astype(x.dtype)  # type: ignore[no-any-return]


def _expand_eval(n: Node) -> Node:
    x, mean, var, *affine = n.srcs
    scale = get("rsqrt")(var + n.attrs[0])  # type: ignore[operator]
    y = (x - mean) * (scale * affine[0] if affine else scale)  # type: ignore[operator]
    y = y + affine[1] if len(affine) > 1 else y
    return y if y.dtype is n.dtype else get("cast")(y, n.dtype)  # type: ignore[no-any-return]


#: mean, variance, weight and bias arrive broadcastable to `x`
batch_norm_eval = Op(
    "batch_norm_eval",
    "norm",
    _rule("batch_norm"),
    _ref_eval,
    expand=_expand_eval,
    saves=lambda n: n.srcs[:1] + n.srcs[3:4],  # PyTorch does not notice that running statistics change either
    params=("eps",),
    samples=lambda: [Sample((_X, _CHANNEL, _CHANNEL, _CHANNEL, _CHANNEL), (1e-5,)), Sample((_X, _CHANNEL, _CHANNEL), (1e-5,))],
)


# ---------------------------------------------------------------- scaled only
def _ref_rms(*args: Any) -> Array:
    arrays, dims, eps = _arrays(args), args[-2], args[-1]
    x = arrays[0]
    with np.errstate(all="ignore"):
        y = x * (1 / np.sqrt(np.mean(x * x, dims, keepdims=True) + x.dtype.type(eps)))
    return y * arrays[1] if len(arrays) > 1 else y  # type: ignore[no-any-return]


def _vjp_rms(n: Node, g: Node) -> Grads:
    x, *w = n.srcs
    dims, eps = n.attrs
    return lambda: rms_norm_grad(g, x, *w, dims, eps), lambda: g * (x * root_mean_square(x, dims, eps))  # type: ignore[operator]


def _ref_rms_grad(*args: Any) -> Array:
    arrays, dims, eps = _arrays(args), args[-2], args[-1]
    g, x = arrays[:2]
    if len(arrays) > 2:
        g = g * arrays[2]
    with np.errstate(all="ignore"):
        r = 1 / np.sqrt(np.mean(x * x, dims, keepdims=True) + x.dtype.type(eps))
        return r * (g - x * (r * r) * np.mean(g * x, dims, keepdims=True))  # type: ignore[no-any-return]


def _expand_rms_grad(n: Node) -> Node:
    g, x, *w = n.srcs
    dims, eps = n.attrs
    r = root_mean_square(x, dims, eps)
    if w:
        g = g * w[0]  # type: ignore[operator]
    return r * (g - x * (r * r) * mean_over(g * x, dims))  # type: ignore[operator, no-any-return]


rms_norm_grad = Op(
    "rms_norm_grad",
    "gradient",
    _rule_like_second,
    _ref_rms_grad,
    expand=_expand_rms_grad,
    saves=lambda n: n.srcs,
    params=("dims", "eps"),
    samples=lambda: [Sample((_G, _X, _W), ((2,), 1e-5)), Sample((_G, _X), ((1, 2), 1e-5))],
)
#: x / sqrt(mean(x^2) + eps) * weight; Zhang & Sennrich (2019), "Root mean square layer normalization"
rms_norm = Op(
    "rms_norm",
    "norm",
    _rule("rms_norm"),
    _ref_rms,
    vjp=_vjp_rms,
    saves=SAVED,
    params=("dims", "eps"),
    samples=lambda: [Sample((_X, _W), ((2,), 1e-5)), Sample((_X,), ((1, 2), 1e-5)), Sample((np.zeros((0, 3)), _W), ((1,), 1e-5))],
)
