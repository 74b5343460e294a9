"""Loops of every kind meet nothing new after their first iterations: the same nodes, the same plans, nothing compiled."""

import pytest

from .scripts import new_work, ours, steady


def hooks(T):
    model = T.nn.Sequential(T.nn.Linear(4, 8), T.nn.ReLU(), T.nn.Linear(8, 1))
    model[1].register_full_backward_hook(lambda *_: None)
    model[0].weight.register_hook(lambda g: g * 2)
    optimizer = T.optim.SGD(model.parameters(), 0.1)
    x = T.randn(8, 4)

    def step():
        optimizer.zero_grad()
        h = model[0](x)
        h.retain_grad()
        h.register_hook(lambda g: g * 1.5)
        loss = model[2](model[1](h)).sum()
        loss.backward()
        optimizer.step()
        return loss.item(), h.grad.sum().item()

    return step


def recurrent(T):
    lstm = T.nn.LSTM(4, 5)
    optimizer = T.optim.Adam(lstm.parameters())
    x = T.randn(7, 2, 4)

    def step():
        optimizer.zero_grad()
        y, (h, _) = lstm(x)
        loss = (y**2).sum() + h.sum()
        loss.backward()
        T.nn.utils.clip_grad_norm_(lstm.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def assignments(T):
    w = T.randn(3, 4, requires_grad=True)
    optimizer = T.optim.SGD([w], 0.1)

    def step():
        out = T.zeros(3, 4)
        for i in range(3):
            out[i] = w[i] * 2
        out[out < 0] = 0
        loss = out.sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def closures(T):
    model = T.nn.Linear(3, 2)
    optimizer = T.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    x, y = T.randn(5, 3), T.randn(5, 2)

    def closure():
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        return loss

    return lambda: optimizer.step(closure).item()


def custom_functions(T):
    class MyReLU(T.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x.clamp(min=0)

        @staticmethod
        def backward(ctx, g):
            (x,) = ctx.saved_tensors
            g = g.clone()
            g[x < 0] = 0
            return g

    w, x = T.randn(4, 4, requires_grad=True), T.randn(5, 4)

    def step():
        loss = MyReLU.apply(x @ w).sum()
        loss.backward()
        with T.no_grad():
            w.sub_(w.grad * 0.01)
            w.grad = None
        return loss.item()

    return step


def convolutions(T):
    """A training step and an evaluation, with batch statistics, dropout and a schedule."""
    nn = T.nn
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(), nn.Linear(36, 3)
    )
    optimizer = T.optim.AdamW(model.parameters(), lr=0.01)
    scheduler = T.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    x, y = T.randn(6, 1, 8, 8), T.tensor([0, 1, 2, 0, 1, 2])

    def step():
        model.train()
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
        model.eval()
        with T.no_grad():
            correct = (model(x).argmax(1) == y).sum().item()
        return loss.item(), correct

    return step


@pytest.mark.parametrize("loop", [hooks, recurrent, assignments, closures, custom_functions, convolutions], ids=lambda f: f.__name__)
def test_a_loop_is_steady(loop):
    steady(loop, warm=4)


def test_rows_that_are_written_at_places_of_their_own():
    """Each sample of a batch is filled as far as it is long: rows are data before they are stacked, whatever their lengths."""
    lengths = iter(range(1000))
    table = ours.randn(9, 3, requires_grad=True)

    def sample():
        n = next(lengths) * 5 % 7 + 1
        row = ours.zeros(8, dtype=ours.long)
        row[:n] = ours.tensor(list(range(1, n + 1)))
        row[n:] = -1
        return row

    def step():
        batch = ours.stack([sample() for _ in range(4)])
        return table[batch.clamp(min=0)].sum().item()

    assert new_work(step, warm=8, more=8) == {"nodes": 0, "plans": 0, "compiles": 0}


def test_what_is_written_into_a_new_tensor_is_still_refused_by_backward():
    w, z = ours.ones(4, requires_grad=True), ours.zeros(4)
    product = (w * z).sum()
    z[1] = 3.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.backward()
    other = ours.zeros(4)
    (w * other).sum().backward()
    assert w.grad.tolist() == [0.0] * 4 and z.tolist() == [0.0, 3.0, 0.0, 0.0] and z._version == 1


def test_a_loss_left_over_from_before_a_loop_does_not_keep_its_trace_open():
    """As in a notebook, where the loss of an evaluation stays in a variable while text is sampled."""
    w = ours.randn(5, 7, requires_grad=True)
    x = ours.randn(6, 5)
    left_over = (x @ w).square().mean()
    left_over.item()

    def step():
        logits = ours.randn(1, 5) @ w
        return ours.softmax(logits, 1).argmax().item()

    assert new_work(step, warm=24, more=20) == {"nodes": 0, "plans": 0, "compiles": 0}
    left_over.backward()
    assert ours.allclose(w.grad, 2 / 42 * x.T @ (x @ w.detach()), atol=1e-6)
