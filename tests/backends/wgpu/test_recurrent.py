"""Recurrent layers as shaders, step by step: sizes with a rest, both directions, results together or alone."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.asg import reference
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.wgpu import recurrent
from torchlike_asg.backends.wgpu.calls import LIBRARY, LibraryNode

from .harness import device, lowering, run
from .nodes import check, laid_out, node_of, shown

assert recurrent  # importing it registers the generators
GATES = {"rnn": 1, "lstm": 4, "gru": 3}


def normal(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32) / 2


def operands(cell, width, steps=4, batch=9):
    n = GATES[cell]
    states = [normal(i, batch, width) for i in range(1 + (cell == "lstm"))]
    bias = [normal(5, n * width)] if cell == "gru" else []
    return (normal(3, steps, batch, n * width), *states, normal(4, n * width, width) / 3, *bias)


def value(name, given, *attrs):
    n, values = node_of(REGISTRY[name], Sample(given, attrs))
    return np.asarray(reference.apply(n, values)).astype(np.float32)


@pytest.mark.parametrize("width", [12, 19])
@pytest.mark.parametrize("reverse", [False, True])
def test_forward_and_gradients(width, reverse):
    x, h, w = operands("rnn", width)
    for kind in ("tanh", "relu"):
        every("rnn", (x, h, w), [(kind, reverse)])
        every("rnn_grad", (normal(8, *h.shape)[None] + x[..., :width], w, value("rnn", (x, h, w), kind, reverse)), [(kind, reverse)])
    given = operands("lstm", width)
    every("lstm", given, [(reverse, of) for of in ("hidden", "cell", "gates")])
    cell, gates = value("lstm", given, reverse, "cell"), value("lstm", given, reverse, "gates")
    for wrt in ("hidden", "cell"):
        every("lstm_grad", (normal(8, *cell.shape), given[2], given[3], cell, gates), [(reverse, wrt, of) for of in ("input", "cell")])
    given = operands("gru", width)
    every("gru", given, [(reverse, of) for of in ("hidden", "gates")])
    hidden, gates = value("gru", given, reverse, "hidden"), value("gru", given, reverse, "gates")
    every("gru_grad", (normal(8, *hidden.shape), given[1], given[2], hidden, gates), [(reverse, of) for of in ("input", "state", "hidden")])


def every(name, given, attrs):
    """All parts of the result together; and the last one alone, laid out with gaps."""
    nodes = [node_of(REGISTRY[name], Sample(given, a)) for a in attrs]
    arrays, views = {}, []
    for i, (a, s) in enumerate(zip(nodes[0][1], nodes[0][0].srcs, strict=True)):
        v, arrays[i] = laid_out(i, a.shape, s.dtype, "contiguous", a)
        views.append(v)
    results = []
    for n, _ in nodes:
        v, arrays[len(arrays)] = laid_out(len(arrays), n.shape, n.dtype, "contiguous")
        results.append(v)
    low = lowering(len(arrays))
    siblings = tuple((a[-1], v) for a, v in zip(attrs[1:], results[1:], strict=True))
    assert LIBRARY[name](low, LibraryNode(name, attrs[0], tuple(views), results[0], siblings=siblings))
    run(low, arrays)
    for (n, values), v in zip(nodes, results, strict=True):
        np.testing.assert_allclose(shown(v, arrays[v.slot]), np.asarray(reference.apply(n, values)), rtol=1e-4, atol=1e-5)
    assert check(*nodes[-1], "gaps", "gaps", rtol=1e-4)


def test_one_dispatch_for_each_step():
    n, values = node_of(REGISTRY["lstm"], Sample(operands("lstm", 12, steps=6), (False, "hidden")))
    low = lowering(5)
    views = tuple(laid_out(i, a.shape, s.dtype, "contiguous")[0] for i, (a, s) in enumerate(zip(values, n.srcs, strict=True)))
    assert LIBRARY["lstm"](low, LibraryNode("lstm", n.attrs, views, laid_out(4, n.shape, n.dtype, "contiguous")[0]))
    assert len(low.calls) == 6


def test_packed_sequences():
    """Their places are made on the CPU, and follow the data."""
    device()
    rnn, found = ours.nn.utils.rnn, []
    for place in ("cpu", "wgpu"):
        ours.manual_seed(0)
        layer = ours.nn.LSTM(3, 4, bidirectional=True).to(place)
        rows = [(ours.arange(3.0 * n).reshape(n, 3) / 9).to(place) for n in (2, 5, 3)]
        output, (h, _) = layer(rnn.pack_sequence(rows, enforce_sorted=False))
        padded, lengths = rnn.pad_packed_sequence(output)
        (padded.sin().sum() + h.sum()).backward()
        assert padded.device.type == place and lengths.tolist() == [2, 5, 3]
        found.append([padded.detach().cpu().numpy(), *(p.grad.cpu().numpy() for p in layer.parameters())])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, 1e-4, 1e-6)
