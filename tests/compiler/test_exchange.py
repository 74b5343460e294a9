"""Transposed convolutions of small images with large kernels: the sum goes over the image's positions, and comes to the same."""

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import REGISTRY as R
from torchlike_asg.asg.declare import VAR
from torchlike_asg.asg.node import Node
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.backends.build import lower
from torchlike_asg.backends.cpu.calls import CPU_LIBRARY

#: image (N, O, *P), weight (O, C / groups, *K), size of the result, stride, padding, dilation, groups
CASES = [
    ((2, 3, 2), (3, 2, 9), (12,), (2,), (0,), (1,), 1),
    ((2, 4, 2, 3), (4, 3, 6, 5), (8, 17), (1, 3), (0, 1), (2, 2), 2),
    ((1, 2, 1, 1), (2, 3, 3, 3), (1, 1), (1, 1), (1, 1), (1, 1), 1),
    ((3, 2, 1, 1), (2, 3, 4, 4), (4, 4), (1, 1), (0, 0), (1, 1), 1),
    ((2, 2, 1, 2, 1), (2, 1, 3, 3, 2), (3, 5, 3), (1, 2, 1), (0, 0, 0), (1, 1, 1), 2),
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bias", [False, True])
def test_the_sum_is_over_positions(case, bias):
    image, weight, *attrs = case
    shapes = [image, weight, *([(weight[1] * attrs[-1],)] if bias else [])]
    leaves = [Node(VAR, (), (), s, dtypes.float64) for s in shapes]
    rng = np.random.default_rng(0)
    data = {leaf: rng.standard_normal(leaf.shape) for leaf in leaves}
    whole = R["conv_transpose"](*leaves, *attrs)
    found = lower([whole], frozenset(leaves), CPU_LIBRARY)
    for n in topo(found, frozenset(leaves)):
        assert n.op.name != "conv_transpose" or n.srcs[1].shape[2:] == image[2:]
    got, want = (reference.evaluate(roots, lambda n: data[n])[0] for roots in (found, [whole]))
    np.testing.assert_allclose(got, want, 1e-12, 1e-12)


def test_kernels_smaller_than_images_stay():
    leaves = [Node(VAR, (), (), s, dtypes.float32) for s in ((2, 3, 2, 2), (3, 2, 3, 3))]
    whole = R["conv_transpose"](*leaves, (4, 4), (1, 1), (0, 0), (1, 1), 1)
    assert lower([whole], frozenset(leaves), CPU_LIBRARY) == [whole]
