"""Pooling and its gradients as shaders: sizes with a rest, padding, dilation, NaN, memory with channels last, one to three dimensions."""

import numpy as np
import pytest

from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.wgpu import pooling

from .nodes import check_all, node_of

assert pooling  # importing it registers the generators
HOW = {"layouts": ("channels_last", "reversed"), "results": ("contiguous", "channels_last")}


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def pooled(name, operands, *attrs):
    n, values = node_of(REGISTRY[name], Sample(operands, attrs))
    return np.asarray(reference.apply(n, values))


@pytest.mark.parametrize("sizes,kernel,stride,padding,dilation", [
    ((17,), (3,), (2,), (1,), (2,)), ((9, 12), (3, 2), (2, 3), (1, 1), (1, 2)), ((5, 6, 7), (2, 3, 2), (2, 2, 2), (1, 0, 1), (1, 1, 1)),
])  # fmt: skip
def test_windows(sizes, kernel, stride, padding, dilation):
    x = normal(0, 2, 5, *sizes)
    x[0, 1].flat[3:9:2] = np.nan
    for ceil in (False, True):
        check_all("max_pool", (x,), kernel, stride, padding, dilation, ceil, **HOW)
        check_all("max_pool_index", (x,), kernel, stride, padding, dilation, ceil, **HOW)
    index = pooled("max_pool_index", (x,), kernel, stride, padding, dilation, True)
    check_all("plane_scatter", (normal(1, *index.shape), index), sizes, **HOW)
    x = normal(0, 2, 5, *sizes)
    for include_pad, divisor in ((True, None), (False, None), (True, 7)):
        attrs = (kernel, stride, padding, True, include_pad, divisor)
        check_all("avg_pool", (x,), *attrs, **HOW)
        check_all("avg_pool_grad", (pooled("avg_pool", (x,), *attrs),), sizes, *attrs, **HOW)


@pytest.mark.parametrize("sizes,out", [((13,), (5,)), ((7, 10), (3, 4)), ((4, 3, 5), (6, 2, 5))])
def test_adaptive_windows(sizes, out):
    x = normal(0, 2, 3, *sizes)
    check_all("adaptive_avg_pool", (x,), out, **HOW)
    check_all("adaptive_avg_pool_grad", (normal(1, 2, 3, *out),), sizes, **HOW)
    check_all("adaptive_max_pool", (x,), out, **HOW)
    check_all("adaptive_max_pool_index", (x,), out, **HOW)
