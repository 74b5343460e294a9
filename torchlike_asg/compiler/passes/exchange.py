"""A transposed convolution with a kernel larger than its image is one of the kernel with the image.

``x[p * stride + t * dilation - padding] += g[p] * w[t]`` says the same of positions p and taps t. Backends sum, for each element of the
result, over all taps, however few positions they meet: with k taps on each side over an image of n pixels that is k^4 in two dimensions
where k^2 n^2 products are asked for. With the two exchanged they sum over the positions. Of a single pixel it is a product of matrices,
as in the first layer of many a generator.
"""

from __future__ import annotations

import math

from ...asg.declare import get
from ...asg.node import Node
from .decompose import Expansion

#: how many times more taps than positions there must be: the kernel is copied, so that its channels lie as an image's
_TIMES = 4


def _conv_transpose(n: Node, g: Node, w: Node, *bias: Node) -> Node | None:
    """`n` as (C / groups, groups * N, *S), channels and batch exchanged, turned back."""
    sizes, stride, padding, dilation, groups = n.attrs
    positions, taps = math.prod(g.shape[2:]), math.prod(w.shape[2:])
    if not n.numel or not positions or taps < _TIMES * positions:
        return None
    batch, each, rank = g.shape[0], w.shape[1], len(sizes)
    permute, reshape, inner = get("permute"), get("reshape"), tuple(range(2, rank + 2))
    first = (1, 0, *inner)
    if positions == groups == 1 and tuple(sizes) == tuple(w.shape[2:]) and not any(padding):
        x = get("matmul")(reshape(g, (batch, g.shape[1])), reshape(w, (w.shape[0], each * taps)))
        return _biased(reshape(x, tuple(n.shape)), bias)
    x = get("conv_transpose")(permute(w, *first), permute(g, *first), sizes, dilation, padding, stride, groups)
    x = permute(reshape(x, (each, groups, batch, *sizes)), 2, 1, 0, *[d + 1 for d in inner])
    x = reshape(x, (batch, groups * each, *sizes))
    return _biased(x, bias)


def _biased(x: Node, bias: tuple[Node, ...]) -> Node:
    return get("add")(x, get("reshape")(bias[0], (x.shape[1], *[1] * (x.ndim - 2)))) if bias else x


EXCHANGED: dict[str, Expansion] = {"conv_transpose": _conv_transpose}
