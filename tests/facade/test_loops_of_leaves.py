"""Loops whose next iteration begins with a leaf that the last one computed: attacks, samplers, updates written as expressions."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

RNG = np.random.default_rng(0)
D, Y = (RNG.standard_normal(s).astype("f") for s in ((12, 8), (12, 1)))


class Loop:
    """Both libraries' state, and what is read in the end."""

    def __init__(self, T):
        self.T, self.d, self.y, self.kept = T, T.tensor(D), T.tensor(Y), []
        self.w = T.tensor(D[0, :, None], requires_grad=True)
        self.x = T.tensor(D)
        self.rows = [T.tensor(D[:8] * 0.1, requires_grad=True), T.tensor(D[8] * 0.1, requires_grad=True)]

    def loss(self, x, w):
        return ((x @ w - self.y) ** 2).mean()


def update(s):
    w = s.w
    (g,) = s.T.autograd.grad(s.loss(s.d, w), w)
    s.w = (w - 0.1 * g).detach().requires_grad_()
    return s.w


def read(s):
    w, loss = s.w, s.loss(s.d, s.w)
    (g,) = s.T.autograd.grad(loss, w)
    s.w = (w - 0.1 * g).detach().requires_grad_()
    s.kept.append(loss.item())
    return s.w


def attack(s):
    x = s.x.clone().detach().requires_grad_(True)
    (g,) = s.T.autograd.grad(s.loss(x, s.w), x)
    x = x.detach() + 0.01 * g.sign()
    s.x = s.T.clamp(s.d + s.T.clamp(x - s.d, -0.03, 0.03), -1, 1)
    return s.x


def sampler(s):
    x = s.x.requires_grad_(True)
    (g,) = s.T.autograd.grad((x @ s.w.detach()).sum(), x)
    s.x = x.detach() - 0.1 * g * 2
    return s.x


def accumulated(s):
    x = s.T.tanh(s.x).detach()
    x.requires_grad = True
    s.loss(x, s.w.detach()).backward()
    s.x = x - 0.05 * x.grad
    return s.x


def kept_losses(s):
    x = s.x.detach().requires_grad_(True)
    loss = s.loss(x, s.w)
    s.kept.append(loss)
    (g,) = s.T.autograd.grad(loss, x)
    s.x = x - 0.05 * g
    return s.x


def old_leaves(s):
    x = s.x.detach().requires_grad_(True)
    (g,) = s.T.autograd.grad(s.loss(x, s.w), x)
    s.x = x - 0.05 * g
    s.kept.append(x)
    (s.kept[max(0, len(s.kept) - 4)] * 2).sum().backward()
    return s.kept[max(0, len(s.kept) - 4)].grad


def several(s):
    fast = list(s.rows)
    for _ in range(3):
        loss = (((s.d @ fast[0]).tanh() @ fast[1] - s.y[:, 0]) ** 2).mean()
        gradients = s.T.autograd.grad(loss, fast)
        fast = [(w - 0.05 * g).detach().requires_grad_() for w, g in zip(fast, gradients, strict=True)]
    s.kept.append(loss.item())
    s.rows[0] = fast[0]
    return fast[1]


@pytest.mark.parametrize("step", [update, read, attack, sampler, accumulated, kept_losses, old_leaves, several])
def test_a_leaf_that_a_loop_computes_for_its_next_iteration_is_data(step):
    """It was a parameter each time, and each iteration a plan."""
    counts, found = [], []
    for T in (torch, ours):
        s = Loop(T)
        for i in range(12):
            before = ours.asg.stats()["plans"]
            last = step(s)
            counts.append(ours.asg.stats()["plans"] - before)
            if i == 2:
                assert last.is_leaf or step not in (update, read)
        found.append([last.detach().numpy(), *[float(k.detach().sum()) if isinstance(k, T.Tensor) else k for k in s.kept]])
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-6)
    assert counts[-6:] == [0] * 6, counts[12:]


def test_parameters_made_by_a_computation_are_parameters():
    """Of several at one line none is a loop's, nor that of a line which another step comes to."""

    def step(i):
        weights = [(ours.tensor(D[k : k + 2]) * 0.1).requires_grad_() for k in range(3)]
        opt = ours.optim.SGD(weights, lr=0.1)
        for _ in range(3):
            opt.zero_grad()
            sum((w * w).sum() for w in weights).backward()
            opt.step()
        return weights

    assert all(w._n is not None and w._n.op.name == "var" for w in step(0))
    assert all(w._n is not None and w._n.op.name == "var" for w in step(1))
