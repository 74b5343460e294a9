"""Convolution over any number of spatial dimensions, as three operations that are each other's gradients.

Of the trilinear form T(x, w, g) = sum over positions and kernel taps of x * w * g, `conv` is the derivative by g, `conv_transpose` by x and
`conv_grad_weight` by w. Shapes: x (N, C, *S), w (O, C / groups, *K), g (N, O, *P). Attributes: stride, padding, dilation (one number per
spatial dimension), groups.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node
from .formula import sum_over
from .movement import reshape
from .padding import pad_constant

PARAMS = ("stride", "padding", "dilation", "groups")
_CHUNK = 1 << 22  # elements of unfolded input that one matrix product takes at a time, so that they stay in cache


def output_sizes(sizes: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> tuple[int, ...]:
    """The number of kernel positions along each dimension."""
    return tuple([(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)])


# ---------------------------------------------------------------- unfolding
def _taps(kernel: Any) -> Any:
    return np.ndindex(*kernel)


def _window(tap: Any, out: Any, stride: Any, dilation: Any) -> tuple[slice, ...]:
    """The elements of the padded input that one kernel tap meets."""
    return tuple([slice(t * d, t * d + (o - 1) * s + 1, s) for t, o, s, d in zip(tap, out, stride, dilation, strict=True)])


def _padded(x: Array, padding: Any) -> Array:
    return np.pad(x, [(0, 0), (0, 0), *[(p, p) for p in padding]]) if any(padding) else x


def _columns(xp: Array, kernel: Any, out: Any, stride: Any, dilation: Any, groups: int) -> Array:
    """The padded input (N, C, *S) as matrices (N, groups, C / groups * taps, positions)."""
    n, c = xp.shape[:2]
    if math.prod(kernel) == 1:
        x = xp[(slice(None), slice(None), *_window((0,) * len(kernel), out, stride, dilation))]
        return x.reshape(n, groups, c // groups, math.prod(out))
    st = xp.strides
    taps = tuple([s * d for s, d in zip(st[2:], dilation, strict=True)])
    steps = tuple([s * d for s, d in zip(st[2:], stride, strict=True)])
    view = as_strided(xp, (n, c, *kernel, *out), (*st[:2], *taps, *steps), writeable=False)
    return view.reshape(n, groups, c // groups * math.prod(kernel), math.prod(out))


def _batches(n: int, each: int) -> Any:
    step = max(1, _CHUNK // max(each, 1))
    return [slice(i, min(i + step, n)) for i in range(0, n, step)]


def _depthwise(w: Array) -> bool:
    return w.shape[1] == 1 and math.prod(w.shape[2:]) <= 128


# ---------------------------------------------------------------- values
def _ref_conv(x: Array, w: Array, *rest: Any) -> Array:
    bias, (stride, padding, dilation, groups) = (rest[0] if len(rest) == 5 else None), rest[-4:]
    n, (o, cg), kernel = len(x), w.shape[:2], w.shape[2:]
    out = output_sizes(x.shape[2:], kernel, stride, padding, dilation)
    xp = _padded(x, padding)
    y = np.zeros((n, groups, o // groups, *out), x.dtype)
    if _depthwise(w) and groups > 1:
        weight = w.reshape(groups, o // groups, *kernel)
        for tap in _taps(kernel):
            y += (
                xp[(slice(None), slice(None), None, *_window(tap, out, stride, dilation))]
                * weight[(..., *tap)][(..., *(None,) * len(kernel))]
            )
    elif y.size and cg:
        matrix = w.reshape(groups, o // groups, cg * math.prod(kernel))
        flat = y.reshape(n, groups, o // groups, math.prod(out))
        for b in _batches(n, groups * matrix.shape[2] * math.prod(out)):
            np.matmul(matrix, _columns(xp[b], kernel, out, stride, dilation, groups), out=flat[b])
    y = y.reshape(n, o, *out)
    return y if bias is None else y + bias.reshape(-1, *(1,) * len(kernel))  # type: ignore[no-any-return]


def _ref_transpose(g: Array, w: Array, *rest: Any) -> Array:
    bias, (sizes, stride, padding, dilation, groups) = (rest[0] if len(rest) == 6 else None), rest[-5:]
    n, (o, cg), kernel, out = len(g), w.shape[:2], w.shape[2:], g.shape[2:]
    full = tuple([s + 2 * p for s, p in zip(sizes, padding, strict=True)])
    # an output padding may reach beyond the last tap, a stride may leave elements that no tap meets: both stay zero
    extent = tuple([max(f, (p - 1) * s + d * (k - 1) + 1) for f, p, s, d, k in zip(full, out, stride, dilation, kernel, strict=True)])
    x = np.zeros((n, groups, cg, *extent), g.dtype)
    if g.size and o:
        gm = g.reshape(n, groups, o // groups, math.prod(out))
        if _depthwise(w) and groups > 1 and o == groups:
            gs, weight = g[:, :, None], w.reshape(groups, *kernel)
            for tap in _taps(kernel):
                x[(..., *_window(tap, out, stride, dilation))] += (
                    gs * weight[(slice(None), *tap)][(slice(None), *(None,) * (len(kernel) + 1))]
                )
        else:
            matrix = np.swapaxes(w.reshape(groups, o // groups, cg * math.prod(kernel)), 1, 2)
            for b in _batches(n, groups * cg * math.prod(kernel) * math.prod(out)):
                columns = np.matmul(matrix, gm[b]).reshape(-1, groups, cg, *kernel, *out)
                for tap in _taps(kernel):
                    x[(b, ..., *_window(tap, out, stride, dilation))] += columns[(slice(None), slice(None), slice(None), *tap)]
    inner = tuple([slice(p, p + s) for p, s in zip(padding, sizes, strict=True)])
    y = np.ascontiguousarray(x.reshape(n, groups * cg, *extent)[(slice(None), slice(None), *inner)])
    return y if bias is None else y + bias.reshape(-1, *(1,) * len(kernel))  # type: ignore[no-any-return]


def _ref_grad_weight(g: Array, x: Array, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Array:
    n, o, out, c = len(g), g.shape[1], g.shape[2:], x.shape[1]
    xp = _padded(x, padding)
    w = np.zeros((groups, o // groups, c // groups * math.prod(kernel)), g.dtype)
    if c == groups and math.prod(kernel) <= 128 and groups > 1:
        gs, taps = g.reshape(n, groups, o // groups, *out), w.reshape(groups, o // groups, *kernel)
        for tap in _taps(kernel):
            window = xp[(slice(None), slice(None), None, *_window(tap, out, stride, dilation))]
            taps[(..., *tap)] = (gs * window).sum((0, *range(3, g.ndim + 1)))
    elif g.size and x.size:
        gm = g.reshape(n, groups, o // groups, math.prod(out))
        for b in _batches(n, groups * w.shape[2] * math.prod(out)):
            columns = _columns(xp[b], kernel, out, stride, dilation, groups)
            w += np.matmul(gm[b], np.swapaxes(columns, 2, 3)).sum(0)
    return w.reshape(o, c // groups, *kernel)


# ---------------------------------------------------------------- inference and gradients
def _rule_conv(x: Node, w: Node, *rest: Any) -> Meta:
    stride, padding, dilation, _ = rest[-4:]
    return (x.shape[0], w.shape[0], *output_sizes(x.shape[2:], w.shape[2:], stride, padding, dilation)), x.dtype


def _rule_transpose(g: Node, w: Node, *rest: Any) -> Meta:
    return (g.shape[0], w.shape[1] * rest[-1], *rest[-5]), g.dtype


def _rule_grad_weight(g: Node, x: Node, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int) -> Meta:
    return (g.shape[1], x.shape[1] // groups, *kernel), g.dtype


def _bias_grad(g: Node) -> Node:
    return reshape(sum_over(g, (0, *range(2, len(g.shape)))), (g.shape[1],))


def _vjp_conv(n: Node, g: Node) -> Grads:
    x, w = n.srcs[:2]
    return (
        lambda: conv_transpose(g, w, tuple(x.shape[2:]), *n.attrs),
        lambda: conv_grad_weight(g, x, tuple(w.shape[2:]), *n.attrs),
        lambda: _bias_grad(g),
    )


def _conv_for(g: Node, x: Node, w: Node, attrs: Any) -> Node:
    """``conv(x, w)`` at the positions of `g`: an output padding as large as the stride leaves room for more."""
    y = conv(x, w, *attrs)
    extra = tuple([(0, m - n) for n, m in zip(y.shape, g.shape, strict=True)])
    return pad_constant(y, extra, 0.0) if any(b for _, b in extra) else y


def _vjp_transpose(n: Node, h: Node) -> Grads:
    g, w = n.srcs[:2]
    attrs = n.attrs[1:]
    return lambda: _conv_for(g, h, w, attrs), lambda: conv_grad_weight(g, h, tuple(w.shape[2:]), *attrs), lambda: _bias_grad(h)


def _vjp_grad_weight(n: Node, h: Node) -> Grads:
    g, x = n.srcs
    attrs = n.attrs[1:]
    return lambda: _conv_for(g, x, h, attrs), lambda: conv_transpose(g, h, tuple(x.shape[2:]), *attrs)


def _kept(n: Node) -> tuple[Node, ...]:
    """PyTorch keeps input and weight, whichever of them needs a gradient."""
    return n.srcs[:2]


def _r(*shape: int) -> Array:
    return np.random.default_rng(len(shape) * 100 + sum(shape)).standard_normal(shape)


#: (input, weight, stride, padding, dilation, groups)
_CASES: tuple[Any, ...] = (
    ((2, 3, 5), (4, 3, 3), (1,), (1,), (1,), 1),
    ((2, 4, 5, 6), (2, 2, 3, 2), (2, 1), (1, 0), (1, 2), 2),
    ((1, 2, 6, 5), (4, 1, 3, 3), (1, 1), (1, 1), (1, 1), 2),
    ((2, 3, 4, 4), (5, 3, 1, 1), (2, 2), (0, 0), (1, 1), 1),
    ((1, 2, 3, 4, 3), (2, 2, 2, 2, 2), (1, 2, 1), (0, 1, 0), (1, 1, 2), 1),
)


def _conv_samples() -> list[Sample]:
    plain = [Sample((_r(*x), _r(*w)), tuple(attrs)) for x, w, *attrs in _CASES]
    return [
        *plain,
        Sample((_r(2, 3, 5), _r(4, 3, 3), _r(4)), ((1,), (1,), (1,), 1)),
        Sample((np.zeros((0, 3, 5)), _r(4, 3, 3)), ((1,), (1,), (1,), 1)),
    ]


def _gradient(x: Any, w: Any, attrs: Any) -> Array:
    return _r(x[0], w[0], *output_sizes(x[2:], w[2:], *attrs[:3]))


def _transpose_samples() -> list[Sample]:
    plain = [Sample((_gradient(x, w, attrs), _r(*w)), (tuple(x[2:]), *attrs)) for x, w, *attrs in _CASES]
    return [
        *plain,
        Sample((_r(2, 3, 4), _r(3, 2, 3), _r(2)), ((9,), (2,), (1,), (1,), 1)),
        Sample((_r(2, 3, 4), _r(3, 2, 3)), ((12,), (2,), (1,), (3,), 1)),
    ]


def _grad_weight_samples() -> list[Sample]:
    return [Sample((_gradient(x, w, attrs), _r(*x)), (tuple(w[2:]), *attrs)) for x, w, *attrs in _CASES]


conv = Op("conv", "conv", _rule_conv, _ref_conv, vjp=_vjp_conv, saves=_kept, params=PARAMS, samples=_conv_samples)
conv_transpose = Op(
    "conv_transpose",
    "conv",
    _rule_transpose,
    _ref_transpose,
    vjp=_vjp_transpose,
    saves=_kept,
    params=("size", *PARAMS),
    samples=_transpose_samples,
)
conv_grad_weight = Op(
    "conv_grad_weight",
    "gradient",
    _rule_grad_weight,
    _ref_grad_weight,
    vjp=_vjp_grad_weight,
    saves=_kept,
    params=("kernel", *PARAMS),
    samples=_grad_weight_samples,
)
