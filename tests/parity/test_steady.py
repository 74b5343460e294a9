"""Loops of every kind meet nothing new after their first iterations: the same nodes, the same plans, nothing compiled."""

import pytest

from .scripts import steady


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
