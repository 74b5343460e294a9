"""RNN, LSTM, GRU and their cells beside torch's: initial values, outputs, states, gradients, packed sequences, errors."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest

import torchlike_asg as ours

LAYERS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu", "bias": False}),
    ("LSTM", {}),
    ("LSTM", {"proj_size": 2}),
    ("LSTM", {"proj_size": 2, "bias": False}),
    ("GRU", {}),
    ("GRU", {"bias": False}),
]
SHAPES = [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True, "bidirectional": True}, {"num_layers": 3}]


def state(name, options, batch, seed=5):
    """An initial state in the form the layer takes."""
    rng = np.random.default_rng(seed)
    n = options.get("num_layers", 1) * (2 if options.get("bidirectional") else 1)
    shape = (n, batch) if batch else (n,)
    h = rng.standard_normal((*shape, options.get("proj_size", 4))).astype(np.float32)
    return (h, rng.standard_normal((*shape, 4)).astype(np.float32)) if name == "LSTM" else h


@pytest.mark.parametrize(("layer", "shape"), list(itertools.product(LAYERS, SHAPES)), ids=str)
def test_layers(parity, randn, layer, shape):
    name, options = layer[0], {**layer[1], **shape}
    theirs, mine = parity.make(name, 3, 4, **options)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)
    x = randn(2, 5, 3) if options.get("batch_first") else randn(5, 2, 3)
    parity.forward(theirs, mine, x)
    parity.forward(theirs, mine, x, state(name, options, 2))
    parity.forward(theirs, mine, randn(5, 3))
    parity.forward(theirs, mine, randn(5, 3), state(name, options, None))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_dropout_between_layers_draws_as_torch_does(parity, randn, name):
    theirs, mine = parity.make(name, 3, 4, num_layers=3, dropout=0.4, bidirectional=True)
    parity.forward(theirs, mine, randn(5, 2, 3))
    parity.forward(theirs.eval(), mine.eval(), randn(5, 2, 3))


class Packed:
    """A layer called with a packed batch; returns the padded output, the lengths and the state."""

    def __init__(self, package, layer, lengths, enforce_sorted):
        self.rnn, self.layer, self.lengths, self.sorted = package.nn.utils.rnn, layer, lengths, enforce_sorted
        self.named_parameters, self.parameters = layer.named_parameters, layer.parameters

    def __call__(self, x, hx=None):
        first = self.layer.batch_first
        packed = self.rnn.pack_padded_sequence(x, self.lengths, first, self.sorted)
        output, hidden = self.layer(packed, hx)
        assert type(output).__name__ == "PackedSequence"
        assert output.unsorted_indices is packed.unsorted_indices
        padded, lengths = self.rnn.pad_packed_sequence(output, first)
        return padded, lengths, hidden


@pytest.mark.parametrize(("layer", "shape"), list(itertools.product(LAYERS[::2], SHAPES[:3])), ids=str)
@pytest.mark.parametrize("lengths", [[5, 3, 3, 1], [2, 5, 1, 4]], ids=str)
def test_packed_sequences(parity, randn, torch, layer, shape, lengths):
    name, options = layer[0], {**layer[1], **shape}
    theirs, mine = parity.make(name, 3, 4, **options)
    x = randn(4, 5, 3) if options.get("batch_first") else randn(5, 4, 3)
    in_order = lengths == sorted(lengths, reverse=True)
    pair = Packed(torch, theirs, lengths, in_order), Packed(ours, mine, lengths, in_order)
    parity.forward(*pair, x)
    parity.forward(*pair, x, state(name, options, 4))


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize("bias", [True, False])
def test_cells(parity, randn, name, bias):
    theirs, mine = parity.make(name, 3, 4, bias=bias)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)
    hidden = (randn(2, 4, seed=1), randn(2, 4, seed=2)) if name == "LSTMCell" else randn(2, 4, seed=1)
    parity.forward(theirs, mine, randn(2, 3))
    parity.forward(theirs, mine, randn(2, 3), hidden)
    parity.forward(theirs, mine, randn(3))
    parity.forward(theirs, mine, randn(3), tuple(h[0] for h in hidden) if name == "LSTMCell" else hidden[0])


def test_relu_cell(parity, randn):
    theirs, mine = parity.make("RNNCell", 3, 4, nonlinearity="relu")
    assert repr(theirs) == repr(mine)
    parity.forward(theirs, mine, randn(2, 3), randn(2, 4))


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("RNN", (2, 3), {"nonlinearity": "x"}),
        ("RNN", (2, 3), {"proj_size": 2}),
        ("GRU", (2, 3), {"proj_size": 2}),
        ("LSTM", (2, 3), {"proj_size": 3}),
        ("LSTM", (2, 3), {"proj_size": -3}),
        ("LSTM", (2, 3), {"dropout": 2}),
        ("LSTM", (2, 3), {"dropout": True}),
        ("LSTM", (2, 3), {"bias": 1}),
        ("LSTM", (2, 3), {"batch_first": 1}),
        ("LSTM", (2, 0), {}),
        ("LSTM", (0, 2), {}),
        ("LSTM", (2, 3.0), {}),
        ("LSTM", (2, 3), {"num_layers": 0}),
        ("RNNBase", ("X", 2, 3), {}),
    ],
)
def test_constructor_errors(parity, name, args, kwargs):
    parity.constructor_errors(name, *args, **kwargs)


def test_forward_errors(parity, randn):
    lstm, gru = parity.make("LSTM", 2, 3), parity.make("GRU", 2, 3)
    parity.errors(*lstm, randn(2))
    parity.errors(*lstm, randn(2, 2, 3))
    parity.errors(*gru, randn(2, 2, 2).astype(np.float64))
    parity.errors(*gru, randn(2, 2, 2), randn(1, 1, 3))
    parity.errors(*gru, randn(2, 2, 2), randn(2, 3))
    parity.errors(*gru, randn(2, 2), randn(1, 2, 3))
    parity.errors(*lstm, randn(2, 2, 2), (randn(1, 1, 3), randn(1, 2, 3)))
    parity.errors(*lstm, randn(2, 2, 2), (randn(1, 2, 3), randn(1, 2, 4)))
    parity.errors(*lstm, randn(2, 2, 2), (randn(2, 3), randn(2, 3)))
    cell = parity.make("LSTMCell", 2, 3)
    parity.errors(*cell, randn(1, 4))
    parity.errors(*cell, randn(1, 2, 2))
    parity.errors(*cell, randn(1, 2), (randn(2, 3), randn(2, 3)))
    parity.errors(*parity.make("GRUCell", 2, 3), randn(1, 2), randn(1, 4))
    parity.errors(*parity.make("RNNCell", 2, 3, nonlinearity="x"), randn(1, 2))


def test_dropout_of_a_single_layer_warns():
    with pytest.warns(UserWarning, match="num_layers greater than 1"):
        ours.nn.LSTM(2, 3, dropout=0.5)


def test_weights_by_name_and_copies():
    layer = ours.nn.LSTM(2, 3, num_layers=2, bidirectional=True)
    assert layer._flat_weights_names == list(dict(layer.named_parameters()))
    assert layer.all_weights[1][0] is layer.weight_ih_l0_reverse
    assert layer.flatten_parameters() is None
    clone = copy.deepcopy(layer)
    x = ours.ones(2, 1, 2)
    np.testing.assert_array_equal(clone(x)[0].detach().numpy(), layer(x)[0].detach().numpy())
    layer.weight_ih_l0 = ours.nn.Parameter(ours.zeros(12, 2))
    assert layer._flat_weights[0] is layer.weight_ih_l0
    assert not np.array_equal(clone(x)[0].detach().numpy(), layer(x)[0].detach().numpy())
    assert layer.double()(x.double())[0].dtype == ours.float64


@pytest.mark.parametrize(("name", "options"), [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("LSTM", {}), ("GRU", {})], ids=str)
@pytest.mark.parametrize("reverse", [False, True])
def test_gradients_of_gradients(parity, torch, name, options, reverse):
    """Of output and final states, with respect to input and initial states, where a penalty on a gradient is part of the loss."""
    theirs, mine = parity.make(name, 3, 4, bidirectional=reverse, **options)
    x = np.random.default_rng(1).standard_normal((5, 2, 3)).astype(np.float32)
    start = state(name, {"bidirectional": reverse}, 2)
    found = []
    for package, layer in ((torch, theirs), (ours, mine)):
        parts = [package.tensor(a, requires_grad=True) for a in (x, *(start if name == "LSTM" else (start,)))]
        hidden = tuple(parts[1:]) if name == "LSTM" else parts[1]
        output, final = layer(parts[0], hidden)
        loss = output.sin().sum() + sum((f * f).sum() for f in (final if name == "LSTM" else (final,)))
        first = package.autograd.grad(loss, parts, create_graph=True)
        sum((g * g).sum() for g in first).backward()
        found.append([p.grad.numpy() for p in [*parts, *layer.parameters()]])
    for theirs_, mine_ in zip(*found, strict=True):
        np.testing.assert_allclose(mine_, theirs_, 1e-4, 1e-5)


def test_a_layer_is_one_operation_for_any_number_of_steps():
    from torchlike_asg.facade.core import node_of

    layer = ours.nn.LSTM(3, 4)
    assert node_of(layer(ours.zeros(50, 2, 3))[0]).op.name == "lstm"
    with pytest.raises(RuntimeError):
        layer(ours.zeros(0, 2, 3))


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_packed_sequences_of_other_lengths_share_a_plan(name):
    """Lengths are data: only the longest and the number of rows are shapes."""
    layer, x = getattr(ours.nn, name)(3, 4, bidirectional=True), ours.randn(7, 3, 3)

    def loss(lengths):
        output, _ = layer(ours.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False))
        return output.data.sum().item()

    found = {loss([7, 3, 2]), loss([7, 3, 2])}
    before = ours.asg.stats()["plans"]
    found |= {loss([2, 7, 3]), loss([7, 4, 1])}
    assert ours.asg.stats()["plans"] == before and len(found) > 1


def test_sequences_of_one_length_lie_in_pytorchs_order():
    """Masks of dropout are drawn in the order in which sequences are packed, which is not the one they stood in."""
    torch = pytest.importorskip("torch")
    for n in (1, 16, 17, 33, 100, 300):
        for seed in range(4):
            lengths = np.random.default_rng(seed).integers(1, 2 + n // (1 + 3 * seed), n)
            lengths = np.sort(lengths) if seed == 2 else lengths
            want = torch.sort(torch.tensor(lengths), descending=True).indices.tolist()
            x, y = (t.zeros(n, int(lengths.max()), 1) for t in (ours, torch))
            got = ours.nn.utils.rnn.pack_padded_sequence(x, lengths.tolist(), batch_first=True, enforce_sorted=False)
            theirs = torch.nn.utils.rnn.pack_padded_sequence(y, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
            assert got.sorted_indices.tolist() == want == theirs.sorted_indices.tolist()
            assert got.batch_sizes.tolist() == theirs.batch_sizes.tolist()
