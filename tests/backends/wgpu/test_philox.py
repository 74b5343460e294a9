"""The counter-based streams on the device are those of the host."""

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.backends.wgpu import generators, loops
from torchlike_asg.backends.wgpu.calls import LIBRARY, LibraryNode, View
from torchlike_asg.compiler.kernel import LoopKernel, Operand, Random
from torchlike_asg.rng import philox

from .harness import lowering, run

assert generators


@pytest.mark.parametrize("key, block, count", [(7, 0, 1000), (2**63 + 12345, 2**32 - 6, 700), (3, 5, 3), (1 << 40, 2**33 + 2, 257)])
@pytest.mark.parametrize("op", ["philox_uniform", "philox_normal"])
def test_streams(op, key, block, count):
    low = lowering(3)
    low.wide = {0, 1}
    number = [View(i, (), (), 0, dtypes.int64) for i in (0, 1)]
    result = View(2, (count,), (1,), 0, dtypes.float32)
    if op == "philox_normal":
        assert LIBRARY[op](low, LibraryNode(op, ((count,),), tuple(number), result))
    else:
        operands = (Operand(dtypes.int64, (0,)), Operand(dtypes.int64, (0,)), Operand(dtypes.float32, (1,)))
        loops.lower(low, LoopKernel((count,), 1, operands, (Random(0, 1, (1,)),), ((2, 0),)), [*number, result])
    out = np.zeros(count, np.float32)
    words = [np.array([v & 0xFFFFFFFF, v >> 32], np.uint32) for v in (key, block)]
    run(low, {0: words[0], 1: words[1], 2: out})
    if op == "philox_uniform":
        np.testing.assert_array_equal(out, philox.uniform(key, 4 * block, count))
    else:
        np.testing.assert_allclose(out, philox.normal(key, 4 * block, count), rtol=1e-5, atol=1e-6)
