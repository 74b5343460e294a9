"""One operation through its shaders: operands and results laid out in several ways, compared with its reference."""

import itertools

import numpy as np

from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.wgpu.calls import LIBRARY, LibraryNode, View

from ..samples import LAYOUTS, graph_of, operands_of, shown, strides_of
from .harness import lowering, memory, run

_NARROWED = {np.dtype("float64"): np.float32, np.dtype("complex128"): np.complex64}


def laid_out(slot, shape, d, layout, values=None):
    """A view of that shape and layout (see `strides_of`), and the memory it lies in, every other element of which is -1 (or True)."""
    strides, extent = strides_of(shape, layout)
    offset = {"contiguous": 0, "channels_last": 4}.get(layout, 3)
    held = memory(np.full(offset + extent + 2, -1).astype(d.compute), d)
    v = View(slot, tuple(shape), strides, offset, d)
    if values is not None:
        shown(v, held)[...] = values
    return v, held


def node_of(op, sample):
    """The node of a sample in single precision, and its operands' values."""
    n, leaves = graph_of(op, sample, _NARROWED)
    return n, operands_of(n, leaves)


def lowered(n, operands, layout="contiguous", result_layout="contiguous", caps=None):
    """(the lowering, the result's view, the memories), or None where the generator declines."""
    views, arrays = [], {}
    for i, (s, a) in enumerate(zip(n.srcs, operands, strict=True)):
        v, arrays[i] = laid_out(i, s.shape, s.dtype, layout, a)
        views.append(v)
    out = len(views)
    result, arrays[out] = laid_out(out, n.shape, n.dtype, result_layout)
    low = lowering(out + 1)
    if caps is not None:
        low.caps = caps
    if not LIBRARY[n.op.name](low, LibraryNode(n.op.name, n.attrs, tuple(views), result)):
        return None
    return low, result, arrays


def check(n, operands, layout="contiguous", result_layout="contiguous", rtol=3e-5, caps=None):
    """Whether the node was lowered; if so, its result is the reference's and nothing around it was written."""
    found = lowered(n, operands, layout, result_layout, caps)
    if found is None:
        return False
    low, result, arrays = found
    before = {i: a.copy() for i, a in arrays.items()}
    run(low, arrays)
    expected = np.asarray(reference.apply(n, operands))
    got = shown(result, arrays[result.slot])
    if expected.dtype.kind in "fc":
        scale = np.abs(expected[np.isfinite(expected)]).max(initial=1.0)
        np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol / 3 * scale)
    else:
        np.testing.assert_array_equal(got, expected)
    shown(result, before[result.slot])[...] = got
    for i, a in before.items():
        np.testing.assert_array_equal(arrays[i], a)
    return True


def check_all(name, operands, *attrs, layouts=LAYOUTS, results=("contiguous", "gaps"), **how):
    """An operation on given arrays, in every layout: each must be lowered."""
    n, values = node_of(REGISTRY[name], Sample(operands, attrs))
    for layout, result in itertools.product(layouts, results):
        assert check(n, values, layout, result, **how), (name, layout, result)
