"""Graph-to-graph differentiation: orders, sharing, errors."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.asg import gradients
from torchlike_asg.asg.declare import REGISTRY, Op
from torchlike_asg.errors import MissingGradientError

torch = pytest.importorskip("torch")


def orders(T, f, x, n):
    """f and its first n derivatives (of sums) at x."""
    x = T.tensor(x, dtype=T.float64, requires_grad=True)
    found, y = [], f(T, x).sum()
    for _ in range(n):
        (y,) = T.autograd.grad(y, x, create_graph=True)
        found.append(np.array(y.detach().numpy()))
        y = y.sum()
    return found


FUNCTIONS = {
    "polynomial": lambda T, x: x**4 - 2 * x**3,
    "exp of sin": lambda T, x: T.exp(T.sin(x)),
    "softmax": lambda T, x: T.softmax(x, -1) ** 2,
    "quotient": lambda T, x: x / (1 + x * x),
    "tanh": lambda T, x: T.tanh(x * x),
    "logsumexp": lambda T, x: T.logsumexp(x, -1),
    "matmul": lambda T, x: (x.t() @ x) @ x.t(),
    "log_softmax": lambda T, x: T.nn.functional.log_softmax(x, -1) * x,
    "gelu": lambda T, x: T.nn.functional.gelu(x),
    "layer_norm": lambda T, x: T.nn.functional.layer_norm(x, (3,)) ** 3,
    "sigmoid": lambda T, x: T.sigmoid(x) * x,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_third_order_derivatives_equal_torch(name):
    x = np.random.default_rng(0).standard_normal((2, 3))
    for a, b in zip(orders(ours, FUNCTIONS[name], x, 3), orders(torch, FUNCTIONS[name], x, 3), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_a_sweep_is_computed_once():
    x = ours.randn(3, requires_grad=True)
    node = ours.asg.node_of((x * x).sum())
    seed = gradients.ones(node)
    assert gradients.sweep((node,), (seed,)) is gradients.sweep((node,), (seed,))


def test_a_missing_rule_raises_and_names_the_operation():
    op = Op("no_rule_here", "arithmetic", lambda s: (s.shape, s.dtype), lambda x: x)
    try:
        from torchlike_asg.facade.core import unary

        x = ours.randn(3, requires_grad=True)
        y = unary(op, x).sum()
        with pytest.raises(MissingGradientError, match=r"no_rule_here.*test_gradients.py"):
            y.backward()
    finally:
        del REGISTRY["no_rule_here"]


def test_gradients_are_summed_over_broadcasting_at_every_node():
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((4, 3)), rng.standard_normal((1, 3))

    def run(T):
        x, y = T.tensor(a, requires_grad=True), T.tensor(b, requires_grad=True)
        z = (x + y) * y  # y is used broadcast and not
        (z.sum() + (y * 2).sum()).backward()
        return x.grad.numpy(), y.grad.numpy()

    for p, q in zip(run(ours), run(torch), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-12)


def test_a_composite_never_walks_past_its_operands(monkeypatch):
    """A chain of expanded operations costs steps linear in its length, not more: each pulls and walks only what is its own."""
    steps, pull, topo = [0], gradients._pull, gradients.topo

    def counted_topo(roots, stop=()):
        order = topo(roots, stop)
        steps[0] += len(order)
        return order

    def counted_pull(*args):
        steps[0] += 1
        return pull(*args)

    monkeypatch.setattr(gradients, "topo", counted_topo)
    monkeypatch.setattr(gradients, "_pull", counted_pull)

    def count(layers):
        steps[0] = 0
        h = x = ours.randn(4, 8, requires_grad=True)
        for _ in range(layers):
            h = ours.nn.functional.rms_norm(h, (8,), ours.ones(8)) + h
        ours.autograd.grad(h.sum(), x, create_graph=True)
        return steps[0]

    short, longer, longest = count(6), count(12), count(24)
    assert short > 6
    assert longest - longer == 2 * (longer - short)


def test_backward_through_part_of_the_graph_only():
    x = ours.tensor([2.0], requires_grad=True)
    w = ours.tensor([3.0], requires_grad=True)
    y = x * w
    z = y * y
    assert ours.autograd.grad(z, y, retain_graph=True)[0].item() == 12.0
    assert ours.autograd.grad(z, [x, w], retain_graph=True)[1].item() == 24.0
    with pytest.raises(RuntimeError, match="not have been used in the graph"):
        ours.autograd.grad(z, ours.tensor([1.0], requires_grad=True), retain_graph=True)
    assert ours.autograd.grad(z, [x, ours.tensor([1.0], requires_grad=True)], allow_unused=True)[1] is None


def test_gradcheck_accepts_right_and_refuses_wrong_gradients():
    x = ours.tensor([[0.3, -1.2]], dtype=ours.float64, requires_grad=True)
    assert ours.autograd.gradcheck(lambda t: (t.exp() * t).sum(1), x)
    assert ours.autograd.gradgradcheck(lambda t: (t.exp() * t).sum(1), x)

    class Wrong(ours.autograd.Function):
        @staticmethod
        def forward(ctx, t):
            ctx.save_for_backward(t)
            return t * t

        @staticmethod
        def backward(ctx, g):
            return g * 3 * ctx.saved_tensors[0]

    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        ours.autograd.gradcheck(Wrong.apply, x)


def test_gradcheck_wants_a_constant_where_there_is_no_history():
    x = ours.tensor([[0.3, -1.2]], dtype=ours.float64, requires_grad=True)
    assert ours.autograd.gradcheck(lambda t: t.detach() * 0 + 1, x)
    with pytest.raises(RuntimeError, match="expected to be zero"):
        ours.autograd.gradcheck(lambda t: t.detach() * 2, x)
