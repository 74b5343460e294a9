"""Loops whose numbers change from step to step, or whose number of steps does; each yields after a step what tells its control flow."""

import math
import random


def schedules(T):
    """A temperature, a weight and a probability that are scheduled, and a learning rate."""
    net = T.nn.Sequential(T.nn.Linear(4, 8), T.nn.ReLU(), T.nn.Linear(8, 4))
    optimizer = T.optim.Adam(net.parameters(), lr=1e-2)
    scheduler = T.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)
    x, y, step = T.randn(16, 4), T.randint(0, 4, (16,)), 0
    while True:
        step += 1
        weight, temperature, epsilon = min(1.0, step / 1000), max(0.5, 5 * math.exp(-0.003 * step)), 0.99**step
        logits = net(x)
        p = T.softmax(logits / temperature, -1)
        loss = T.nn.functional.cross_entropy(logits, y) + weight * (p * (p + 1e-9).log()).sum(-1).mean()
        loss = loss + epsilon * T.nn.functional.gumbel_softmax(logits, tau=temperature).pow(2).mean()
        loss = loss + (p * (1 - epsilon) + epsilon / 4).max()
        optimizer.zero_grad()
        loss.backward()
        T.nn.utils.clip_grad_norm_(net.parameters(), 1.0 + epsilon)
        optimizer.step()
        scheduler.step()
        yield


def averaged_weights(T):
    """A target network that follows at a rate of its own, written in three ways."""
    net, target = T.nn.Linear(4, 4), T.nn.Linear(4, 4)
    optimizer, x, step = T.optim.Adam(net.parameters(), lr=0.01), T.randn(8, 4), 0
    while True:
        step += 1
        kept = min(0.99, step / (step + 9))
        loss = (net(x) - target(x).detach()).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with T.no_grad():
            for p, q in zip(net.parameters(), target.parameters(), strict=True):
                q.mul_(kept).add_(p, alpha=1 - kept)
                q.data.copy_(q.data * kept + p.data * (1 - kept))
                q.lerp_(p, 1 - kept)
        yield


def random_numbers(T):
    """Mixup: numbers that the script draws."""
    draws, net, x = random.Random(0), T.nn.Linear(4, 4), T.randn(8, 4)
    optimizer = T.optim.SGD(net.parameters(), lr=0.01)
    while True:
        a, b = draws.random(), draws.uniform(0.5, 2)
        mixed = x * a + (1 - a) * x.flip(0)
        loss = (net(mixed) ** 2).mean() * b + T.clamp(net(x), min=a).sum() * 0.01 + x.abs().pow(b).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield


def backtracking_line_search(T):
    w, A, b = T.randn(5, requires_grad=True), T.randn(20, 5), T.randn(20)

    def loss_at(v):
        return ((A @ v - b) ** 2).sum()

    while True:
        loss = loss_at(w)
        (gradient,) = T.autograd.grad(loss, w)
        with T.no_grad():
            step, slope = 1.0, (gradient * gradient).sum().item()
            while step > 1e-8 and loss_at(w - step * gradient).item() > loss.item() - 0.5 * step * slope:
                step *= 0.7
            w -= step * gradient
        yield


def quasi_newton(T):
    net = T.nn.Sequential(T.nn.Linear(2, 10), T.nn.Tanh(), T.nn.Linear(10, 1)).double()
    x = T.rand(50, 2, dtype=T.float64)
    y = (x * 3).sin().sum(1, keepdim=True)
    optimizer = T.optim.LBFGS(net.parameters(), max_iter=6, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = ((net(x) - y) ** 2).mean()
        loss.backward()
        return loss

    while True:
        optimizer.step(closure).item()
        yield


def bisection(T):
    while True:
        low, high, c = T.tensor(0.0), T.tensor(2.0), T.rand(())
        while (high - low).item() > 1e-3:
            middle = (low + high) / 2
            if middle**3 - middle - c > 0:
                high = middle
            else:
                low = middle
        yield


def denoising(T):
    """The step's number as a tensor, made anew in each."""
    embed, net = T.nn.Embedding(20, 4), T.nn.Linear(6, 2)
    while True:
        x = T.randn(3, 2)
        with T.no_grad():
            for i in reversed(range(20)):
                t = T.full((3,), i, dtype=T.long)
                x = x - 0.1 * net(T.cat([x, embed(t)], 1)) + 0.01 * T.randn(3, 2) * (1 - i / 20)
        x.sum().item()
        yield


def predictions_row_by_row(T):
    net = T.nn.Linear(6, 2)
    while True:
        out = T.zeros(20, 2)
        with T.no_grad():
            for i in range(20):
                out[i] = net(T.randn(6))
        out.sum().item()
        yield


def adaptive_integration(T):
    """An embedded Runge-Kutta pair of order 3(2), whose steps follow from what was computed."""
    y, A, h = T.tensor([1.0, 0.0]), T.tensor([[-0.1, 2.0], [-2.0, -0.1]]), 0.05
    while True:
        k1 = y**3 @ A
        k2 = (y + h * 0.5 * k1) ** 3 @ A
        k3 = (y + h * 0.75 * k2) ** 3 @ A
        moved = y + h * (2 / 9 * k1 + 1 / 3 * k2 + 4 / 9 * k3)
        k4 = moved**3 @ A
        error = (h * (-5 / 72 * k1 + 1 / 12 * k2 + 1 / 9 * k3 - 1 / 8 * k4)).norm().item() / 1e-4
        y = moved if error <= 1 else y
        h *= min(5.0, max(0.2, 0.9 * max(error, 1e-10) ** (-1 / 3)))
        yield


#: those that settle although their numbers go on changing
SETTLING = (
    schedules, averaged_weights, random_numbers, backtracking_line_search, quasi_newton, bisection, denoising, predictions_row_by_row,
    adaptive_integration,
)  # fmt: skip


def neural_differential_equation(T):
    """Trained through the steps of an adaptive solver: yields which steps were accepted."""
    net = T.nn.Sequential(T.nn.Linear(2, 8), T.nn.Tanh(), T.nn.Linear(8, 2))
    optimizer, y0 = T.optim.Adam(net.parameters(), lr=1e-2), T.tensor([[2.0, 0.0]])
    while True:
        y, t, h, accepted = y0, 0.0, 0.3, []
        k1 = net(y**3)
        while t < 2:
            h = min(h, 2 - t)
            k2 = net((y + h * 0.5 * k1) ** 3)
            k3 = net((y + h * 0.75 * k2) ** 3)
            moved = y + h * (2 / 9 * k1 + 1 / 3 * k2 + 4 / 9 * k3)
            k4 = net(moved**3)
            error = (h * (-5 / 72 * k1 + 1 / 12 * k2 + 1 / 9 * k3 - 1 / 8 * k4)).norm().item() / 3e-3
            accepted.append(error <= 1)
            if error <= 1:
                y, k1, t = moved, k4, t + h
            h *= min(5.0, max(0.2, 0.9 * max(error, 1e-10) ** (-1 / 3)))
        loss = (y - 0.5).abs().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield tuple(accepted)


def variable_lengths(T):
    """A recurrence over as many steps as the data have: yields how many."""
    draws, cell, head = random.Random(0), T.nn.GRUCell(3, 5), T.nn.Linear(5, 2)
    optimizer = T.optim.Adam([*cell.parameters(), *head.parameters()], lr=1e-3)
    while True:
        n = draws.randint(1, 4)
        x, h = T.randn(n, 4, 3), T.zeros(4, 5)
        for t in range(n):
            h = cell(x[t], h)
        loss = T.nn.functional.cross_entropy(head(h), T.randint(0, 2, (4,)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield n


def growing_list(T):
    """All states so far, stacked; begun anew after five: yields how many there are."""
    net = T.nn.Linear(3, 3)
    while True:
        states = []
        for _ in range(5):
            states.append(T.randn(3))
            net(T.stack(states)).sum().item()
            yield len(states)


#: those whose steps have one of several control flows, or shapes
BRANCHING = (neural_differential_equation, variable_lengths, growing_list)
