"""Adaptive softmax, and recurrent layers as functions: values, gradients, initial weights and errors as PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

from ..facade.compare import same_error  # noqa: E402
from ..parity.scripts import same, steady  # noqa: E402


def layer(T, **kwargs):
    return T.nn.AdaptiveLogSoftmaxWithLoss(8, 20, [4, 10], div_value=2.0, **kwargs)


@pytest.mark.parametrize("bias", [False, True])
def test_adaptive_softmax(bias):
    def run(T):
        m = layer(T, head_bias=bias)
        x = T.randn(12, 8, requires_grad=True)
        output, loss = m(x, T.tensor([0, 3, 4, 9, 10, 19, 7, 1, 15, 2, 5, 11]))
        loss.backward()
        one = m(x[0].detach(), T.tensor(12))
        return [repr(m), output, loss, x.grad, [p.grad for p in m.parameters()], m.log_prob(x), m.predict(x * 5), one.output, one.loss]

    same(run)


def test_adaptive_softmax_is_steady():
    def make(T):
        m, x = layer(T), T.randn(6, 8)
        optimizer = T.optim.SGD(m.parameters(), 0.1)

        def step():
            loss = m(x, T.randint(20, (6,))).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return step

    steady(make)


@pytest.mark.parametrize("cutoffs", [[], [10, 4], [4, 4], [20], [0, 4], [2.5]])
def test_cutoffs(cutoffs):
    same_error(lambda T: T.nn.AdaptiveLogSoftmaxWithLoss(8, 20, cutoffs))


def test_targets():
    same_error(lambda T: layer(T)(T.zeros(2, 8), T.tensor([0, 20])))
    same_error(lambda T: layer(T)(T.zeros(3, 8), T.tensor([0, 2])))
    same_error(lambda T: layer(T)(T.zeros(2, 8), T.zeros(2, 2, dtype=T.long)))
    same_error(lambda T: layer(T)(T.zeros(2, 8), T.tensor(1)))


@pytest.mark.parametrize("name,gates", [("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)])
def test_cells(name, gates):
    def run(T):
        state = [T.randn(2, 4) for _ in range(2)]
        w = [T.randn(gates * 4, 3), T.randn(gates * 4, 4), T.randn(gates * 4), T.randn(gates * 4)]
        w[0].requires_grad_()
        hx = state if name == "lstm" else state[0]
        x, cell = T.randn(2, 3), getattr(T, f"{name}_cell")
        found = [cell(x, hx, *w), cell(x, hx, *w[:2])]
        found = [f if isinstance(f, tuple) else (f,) for f in found]
        return [*found, T.autograd.grad(found[0][0].sum(), w[0])]

    same(run)


@pytest.mark.parametrize("name,gates", [("lstm", 4), ("gru", 3), ("rnn_tanh", 1), ("rnn_relu", 1)])
@pytest.mark.parametrize("biases", [True, False])
def test_layers(name, gates, biases):
    def run(T):
        weights = []
        for layer_ in range(2):
            for _ in range(2):
                weights += [T.randn(gates * 4, 3 if layer_ == 0 else 8), T.randn(gates * 4, 4)]
                weights += [T.randn(gates * 4), T.randn(gates * 4)] if biases else []
        state = [T.randn(4, 2, 4) for _ in range(2)]
        hx = state if name == "lstm" else state[0]
        f = getattr(T, name)
        whole = f(T.randn(2, 5, 3), hx, weights, biases, 2, 0.0, True, True, True)
        packed = f(T.randn(7, 3), T.tensor([2, 2, 2, 1]), hx, weights, biases, 2, 0.0, False, True)
        return [whole, packed]

    same(run)
