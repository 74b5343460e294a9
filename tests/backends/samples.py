"""What the tests of generators on both compiled backends share: layouts of operands, and the nodes of samples."""

import itertools

import numpy as np

from torchlike_asg import dtypes
from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import INPUT
from torchlike_asg.asg.node import Node

_slots = itertools.count()
LAYOUTS = ("contiguous", "gaps", "reversed")


def strides_of(shape, layout):
    """The strides of a shape laid out in some way, and the elements that it spans.

    Layouts: contiguous, gaps (between elements and rows), reversed (the first dimension the fastest), channels_last (the second).
    """
    order = list(range(len(shape)))[:: 1 if layout == "reversed" else -1]
    if layout == "channels_last" and len(shape) > 1:
        order = [1, *[d for d in order if d != 1]]
    strides, step = [0] * len(shape), 2 if layout == "gaps" else 1
    for i in order:
        strides[i] = step
        step *= max(shape[i], 1) + (layout == "gaps")
    return tuple(strides), step


def shown(v, memory):
    """The elements of a view, as an array over its memory."""
    return np.lib.stride_tricks.as_strided(memory[v.offset :], v.shape, [s * v.itemsize for s in v.strides])


def graph_of(op, sample, narrowed):
    """The node of a sample, and the values of the leaves it is computed from. `narrowed`: element type -> the one used in its place."""
    arrays = [np.asarray(a) for a in sample.operands]
    arrays = [a.astype(narrowed.get(a.dtype, a.dtype)) for a in arrays]
    nodes = [Node(INPUT, (), (0, next(_slots), ""), a.shape, dtypes.from_numpy(a.dtype)) for a in arrays]
    return op(*nodes, *sample.attrs), dict(zip(nodes, arrays, strict=True))


def operands_of(n, leaves):
    """The values of a node's operands."""
    return [np.asarray(reference.evaluate([s], lambda leaf: leaves[leaf])[0]) for s in n.srcs]
