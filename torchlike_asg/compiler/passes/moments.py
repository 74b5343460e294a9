"""Mean and variance of channels in one pass over the data.

The centred sum of squares needs the mean first, hence a second pass: for a kernel that sums over many workgroups, a launch in parts and
one for their total each. Of d = x - s, for one element s of each channel, both sums are had at once: the mean is s + sum(d) / n, the sum of
squares sum(d^2) - sum(d)^2 / n (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", equation 1.6 with shifted
data). Nothing cancels that matters, since s is as far from the mean as data are: n elements with one at k standard deviations, should that
be the one, lose a factor of k^2 of the precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Sequence
from typing import Any

from ...asg.declare import LEAVES, get
from ...asg.node import Node, const
from ...asg.rewrite import topo
from ...asg.scope import inherited


def one_pass(roots: Sequence[Node], stop: Container[Node], stored: Callable[[Node], bool]) -> list[Node]:
    """The roots of a graph of elementary operations, with the means that data are centred by, and the sums of squares of these data, made
    of sums of shifted data. Only over the first and other dimensions, as channels' are, and of data that lie in memory anyway:
    ``stored(node)``.
    """
    order = topo(roots, stop)
    #: centred sum of squares -> (its data, the mean)
    squares = {n: found for n in order if (found := _centred(n)) is not None and (found[0] in stop or stored(found[0]))}
    if not squares:
        return list(roots)
    means = {mean: x for x, mean in squares.values()}
    mapping: dict[Node, Node] = {}

    def here(n: Node) -> Node:
        return mapping.get(n, n)

    with inherited() as made:
        for n in order:
            made.site, made.origin = n.site, n.origin
            if n.op in LEAVES:
                continue
            if n in means:
                mapping[n] = _mean(here(means[n]), n.srcs[0].attrs[0])
            elif n in squares:
                mapping[n] = _squares(here(squares[n][0]), n.attrs[0])
            elif any(s in mapping for s in n.srcs):
                srcs = tuple([here(s) for s in n.srcs])
                mapping[n] = n if srcs == n.srcs else n.op.again(n, srcs)
    return [here(r) for r in roots]


def _centred(n: Node) -> tuple[Node, Node] | None:
    """(x, its mean) if a node is the sum of (x - mean)^2 over the same dimensions, which are a channel's."""
    if n.op.name != "sum" or not _of_channels(n.srcs[0], n.attrs):
        return None
    product = n.srcs[0]
    if product.op.name != "mul" or product.srcs[0] is not product.srcs[1] or product.srcs[0].op.name != "sub":
        return None
    x, mean = product.srcs[0].srcs
    if mean.op.name != "div" or mean.srcs[0].op.name != "sum" or mean.srcs[0].srcs[0] is not x or mean.srcs[0].attrs != n.attrs:
        return None
    count = mean.srcs[1]
    same = count.op.name == "const" and count.attrs[0] == _count(x, n.attrs[0])
    return (x, mean) if same and x.dtype.is_floating_point and tuple(x.shape) == tuple(product.shape) else None


def _of_channels(x: Node, attrs: tuple[Any, ...]) -> bool:
    dims, keepdim = attrs[:2]
    return bool(keepdim) and len(dims) > 1 and 0 in dims and len(dims) < x.ndim and x.numel > 0


def _count(x: Node, dims: tuple[int, ...]) -> int:
    return math.prod([x.shape[d] for d in dims])


def _shifted(x: Node, dims: tuple[int, ...]) -> tuple[Node, Node]:
    """(one element of each channel, from the middle, where no padding reaches; x without it)"""
    s = x
    for d in dims:
        at = x.shape[d] // 2
        s = get("slice")(s, d, at, at + 1, 1)
    return s, get("sub")(x, s)


def _offset(x: Node, dims: tuple[int, ...]) -> tuple[Node, Node]:
    """(one element of each channel, how far the mean is from it)"""
    s, d = _shifted(x, dims)
    return s, get("div")(get("sum")(d, dims, True), const(_count(x, dims), x.dtype))


def _mean(x: Node, dims: tuple[int, ...]) -> Node:
    return get("add")(*_offset(x, dims))


def _squares(x: Node, dims: tuple[int, ...]) -> Node:
    _, d = _shifted(x, dims)
    total = get("sum")(get("mul")(d, d), dims, True)
    offset = _offset(x, dims)[1]
    lost = get("mul")(get("mul")(offset, offset), const(_count(x, dims), x.dtype))
    return get("maximum")(get("sub")(total, lost), const(0, x.dtype))
