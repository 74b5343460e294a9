"""One operation through its native lowering: operands and results laid out in several ways, compared with its reference."""

import itertools

import numpy as np

from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.cpu import isa
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering, View

from .. import samples
from ..samples import LAYOUTS, operands_of, shown, strides_of
from .harness import run

_SINGLE = {np.dtype("float64"): np.float32}


def laid_out(slot, shape, d, layout, values=None):
    """A view of that shape and layout (see `strides_of`), and the memory it lies in, of which every other element is -1 (or True)."""
    strides, extent = strides_of(shape, layout)
    offset = 0 if layout == "contiguous" else 3
    memory = np.full(offset + extent + 2, -1).astype(d.compute)
    v = View(slot, tuple(shape), strides, offset, d)
    if values is not None:
        shown(v, memory)[...] = values
    return v, memory


def graph_of(op, sample, single):
    """The node of a sample, and the values of the leaves it is computed from, floats in single precision or as they are."""
    return samples.graph_of(op, sample, _SINGLE if single else {})


def node_of(op, sample, single):
    """The node of a sample and its operands' values."""
    n, leaves = graph_of(op, sample, single)
    return n, operands_of(n, leaves)


def compare(got, expected):
    """Equal; floats but for some units in the last place of the largest."""
    expected = np.asarray(expected)
    assert got.shape == expected.shape and got.dtype == expected.dtype
    if expected.dtype.kind in "fc":
        eps = np.finfo(expected.dtype).eps
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        np.testing.assert_allclose(got, expected, rtol=300 * eps, atol=100 * eps * scale)
    else:
        np.testing.assert_array_equal(got, expected)


def check(n, operands, layout, result_layout, threads, level=None):
    """Whether the node was lowered; if so, its result is the reference's and nothing around it was written."""
    views, arrays = [], {}
    for i, (s, a) in enumerate(zip(n.srcs, operands, strict=True)):
        v, arrays[i] = laid_out(i, s.shape, s.dtype, layout, a)
        views.append(v)
    out = len(views)
    result, arrays[out] = laid_out(out, n.shape, n.dtype, result_layout)
    before = {i: a.copy() for i, a in arrays.items()}
    low = Lowering(out + 1, threads)
    if level is not None:
        low.isa = isa.describe(level)
    if not LIBRARY[n.op.name](low, LibraryNode(n.op.name, n.attrs, tuple(views), result)):
        return False
    assert not run(low, arrays, threads)
    expected = np.asarray(reference.apply(n, operands))
    got = shown(result, arrays[out])
    compare(got, expected)
    shown(result, before[out])[...] = got
    for i, a in before.items():
        np.testing.assert_array_equal(arrays[i], a)
    return True


def check_all(name, operands, *attrs, layouts=None, threads=(1, 3)):
    """An operation on given arrays, in every layout: each must be lowered."""
    n, values = node_of(REGISTRY[name], Sample(operands, attrs), False)
    for layout, result in layouts or itertools.product(LAYOUTS, ("contiguous", "gaps")):
        for t in threads:
            assert check(n, values, layout, result, t), (name, layout, result)
