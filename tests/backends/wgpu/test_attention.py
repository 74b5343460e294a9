"""Attention as shaders, with its scores in memory and block by block: causal, masks, broadcast heads, any width, gradients together."""

from dataclasses import replace

import numpy as np
import pytest

from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.wgpu import attention
from torchlike_asg.backends.wgpu.attention import block, flash
from torchlike_asg.backends.wgpu.calls import LIBRARY, LibraryNode

from .harness import device, lowering, run
from .nodes import check, laid_out, node_of, shown

assert attention  # importing it registers the generators


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def problem(case):
    """(operands, attributes) of an attention."""
    q, k, v = normal(0, 2, 3, 37, 8), normal(1, 2, 3, 29, 8), normal(2, 2, 3, 29, 12)
    if case == "causal":
        return (q, k, v), (True, 0.4)
    if case == "hidden":
        hidden = np.random.default_rng(3).random((37, 29)) < 0.5
        hidden[5] = False
        return (q, k, v, hidden), (False, 0.3)
    if case == "added":
        return (q, k, v, normal(4, 2, 1, 1, 29)), (True, 0.3)
    return (normal(0, 2, 2, 19, 5), normal(1, 2, 1, 23, 5), normal(2, 2, 1, 23, 3)), (False, 0.5)  # heads that share keys, odd widths


CASES = ("causal", "hidden", "added", "shared")


@pytest.fixture(params=["composite", "flash"])
def way(request, monkeypatch):
    if request.param == "composite":
        monkeypatch.setattr(flash, "MANY", 1 << 40)
        monkeypatch.setattr(flash, "SHORT", 0)
    return request.param


@pytest.mark.parametrize("case", CASES)
def test_forward(case, way):
    operands, attrs = problem(case)
    n, values = node_of(REGISTRY["scaled_dot_product_attention"], Sample(operands, attrs))
    assert check(n, values, "gaps" if case == "added" else "contiguous", "contiguous")


@pytest.mark.parametrize("case", CASES)
def test_gradients_together(case, way):
    operands, attrs = problem(case)
    n, _ = node_of(REGISTRY["scaled_dot_product_attention"], Sample(operands, attrs))
    g = normal(9, *n.shape)
    op = REGISTRY["sdpa_grad"]
    which = ["query", "key", "value", *(["mask"] if case == "added" and way == "composite" else [])]
    nodes = [node_of(op, Sample((g, *operands), (*attrs, w))) for w in which]
    node, given = nodes[0]
    laid = [laid_out(i, a.shape, s.dtype, "contiguous", a) for i, (a, s) in enumerate(zip(given, node.srcs, strict=True))]
    views, arrays = tuple(v for v, _ in laid), dict(enumerate(a for _, a in laid))
    results = []
    for made, _ in nodes:
        v, arrays[len(arrays)] = laid_out(len(arrays), made.shape, made.dtype, "contiguous")
        results.append(v)
    low = lowering(len(arrays))
    siblings = tuple(zip(which[1:], results[1:], strict=True))
    assert LIBRARY["sdpa_grad"](low, LibraryNode("sdpa_grad", node.attrs, views, results[0], siblings=siblings))
    run(low, arrays)
    for (made, given), v in zip(nodes, results, strict=True):
        expected = np.asarray(reference.apply(made, given))
        np.testing.assert_allclose(shown(v, arrays[v.slot]), expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())


def test_many_scores_are_never_in_memory():
    q, k, v = normal(0, 2, 520, 8), normal(1, 2, 512, 8), normal(2, 2, 512, 8)
    n, values = node_of(REGISTRY["sdpa_grad"], Sample((normal(3, 2, 520, 8), q, k, v), (True, 0.5, "key")))
    low = lowering(5)
    views = tuple(laid_out(i, a.shape, s.dtype, "contiguous")[0] for i, (a, s) in enumerate(zip(values, n.srcs, strict=True)))
    assert LIBRARY["sdpa_grad"](low, LibraryNode("sdpa_grad", n.attrs, views, laid_out(4, n.shape, n.dtype, "contiguous")[0]))
    assert sum(low.temporaries.values()) < 4 * 2 * 520 * 16


@pytest.mark.parametrize("width,few", [(64, True), (80, True), (64, False)])
def test_blocks_of_a_large_adapter(width, few, monkeypatch):
    monkeypatch.setattr(block, "BUSY", 256 if few else 0)
    caps = replace(device().caps, software=False)
    q, k, v = normal(0, 1, 70, width), normal(1, 1, 45, width), normal(2, 1, 45, width)
    n, values = node_of(REGISTRY["scaled_dot_product_attention"], Sample((q, k, v), (True, 0.1)))
    assert check(n, values, caps=caps)
    n, values = node_of(REGISTRY["sdpa_grad"], Sample((normal(3, 1, 70, width), q, k, v), (True, 0.1, "key")))
    assert check(n, values, caps=caps, rtol=1e-4)


def test_gradients_take_the_statistics_that_the_forward_pass_left():
    operands, attrs = problem("causal")
    n, values = node_of(REGISTRY["scaled_dot_product_attention"], Sample(operands, attrs))
    m, given = node_of(REGISTRY["sdpa_grad"], Sample((normal(9, *n.shape), *operands), (*attrs, "value")))
    laid = [laid_out(i, a.shape, s.dtype, "contiguous", a) for i, (a, s) in enumerate(zip(given, m.srcs, strict=True))]
    laid += [laid_out(4 + i, x.shape, x.dtype, "contiguous") for i, x in enumerate((n, m))]
    views, arrays = [v for v, _ in laid], {i: a for i, (_, a) in enumerate(laid)}
    low = lowering(len(laid))
    assert LIBRARY["scaled_dot_product_attention"](low, LibraryNode(n.op.name, attrs, tuple(views[1:4]), views[4]))
    assert LIBRARY["sdpa_grad"](low, LibraryNode(m.op.name, m.attrs, tuple(views[:4]), views[5]))
    assert [c.label for c in low.calls] == ["attention", "attention deltas", "attention_keys"]
    run(low, arrays)
    for node, node_values, v in ((n, values, views[4]), (m, given, views[5])):
        expected = np.asarray(reference.apply(node, node_values))
        np.testing.assert_allclose(shown(v, arrays[v.slot]), expected, rtol=1e-4, atol=2e-5 * np.abs(expected).max())
