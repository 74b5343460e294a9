"""What the tests of matrix products share: nodes over NumPy arrays, and running them."""

import numpy as np

from torchlike_asg import dtypes
from torchlike_asg.backends.cpu import gemm  # noqa: F401  (registers the generators)
from torchlike_asg.backends.cpu.calls import LIBRARY, LibraryNode, Lowering, View

from .harness import run


def view(slot, array, d=None):
    """A view of a strided array; the slot's memory begins at the array's first element."""
    d = d or dtypes.from_numpy(array.dtype)
    return View(slot, array.shape, tuple(s // array.itemsize for s in array.strides), 0, d)


def node(op, operands, result, d=None, **kw):
    return LibraryNode(op, (), tuple(view(i, a, d) for i, a in enumerate(operands)), view(len(operands), result, d), **kw)


def lowered(n, threads=1, isa=None):
    low = Lowering(16, threads)
    if isa is not None:
        low.isa = isa
    assert LIBRARY[n.op](low, n)
    return low


def compute(op, *operands, result=None, shape=None, d=None, pieces=1, threads=1, isa=None):
    """The result of an operation on arrays, by its generator; `pieces`: into how many runs of units each call is divided."""
    if result is None:
        result = np.full(shape, 77, operands[0].dtype)
    low = lowered(node(op, operands, result, d), threads, isa)
    assert not run(low, dict(enumerate((*operands, result))), pieces)
    return result
