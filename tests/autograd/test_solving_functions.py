"""Custom Functions that read values in a loop, forward and backward, as the adjoint method of a solver does: in traces of their own."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.asg import trace

torch = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def fresh():
    ours.sync()
    trace.current().cut, trace.current().reads, trace.current().patience = False, 0, trace.READS


def solver(T, form="as it is"):
    """A Function of a state and weights that takes as many steps as it is told, forward and back; and the list of its backward calls."""
    called = []

    class Solve(T.autograd.Function):
        @staticmethod
        def forward(ctx, y, w, steps):
            for _ in range(steps):
                d = T.tanh(y @ w)
                y = y + 0.1 * d if d.sum().item() > -100 else y - d
            ctx.save_for_backward(y.clone(), w)
            ctx.steps = steps
            return y * 1.5, (y * y).sum()

        @staticmethod
        def backward(ctx, g, h):
            called.append(ctx.steps)
            y, w = ctx.saved_tensors
            a, total = g * 1.5 + 2 * y * h, T.zeros_like(w)
            for _ in range(ctx.steps):
                with T.enable_grad():
                    z, v = y.detach().requires_grad_(), w.detach().requires_grad_()
                    by_state, by_weight = T.autograd.grad(T.tanh(z @ v), (z, v), a)
                a, total = a + 0.1 * by_state, total + 0.1 * by_weight
                y = y - 0.1 * T.tanh(y @ w)
                if a.abs().max().item() > 100:
                    a = a / 100
            if form == "of another layout":
                a = a.t().contiguous().t()
            if form == "of another type":
                a, total = a.double(), total.double()
            return a, None if form == "none" else total.expand(2, *total.shape) / 2 if form == "of another shape" else total, None

    return Solve.apply, called


def weights(T):
    return T.tensor(np.random.default_rng(0).standard_normal((3, 3)) / 2, dtype=T.float32, requires_grad=True)


def close(a, b):
    for x, y in zip(a, b, strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=2e-5, atol=1e-6)


def test_their_steps_make_no_nodes_and_no_plans():
    solve, _ = solver(ours)
    w = weights(ours)
    optimizer = ours.optim.SGD([w], 0.01)
    before = []
    for steps in (12, 12, 13, 14, 9, 16):
        optimizer.zero_grad()
        y, norm = solve(ours.ones(2, 3), w, steps)
        (y.mean() + norm).backward()
        optimizer.step()
        before.append((ours.asg.stats()["nodes"], ours.asg.stats()["plans"]))
    assert before[2:] == [before[1]] * 4


@pytest.mark.parametrize("form", ["as it is", "of another layout", "of another type", "of another shape", "none"])
@pytest.mark.parametrize("steps", [2, 12])
def test_gradients_through_several_of_them(form, steps):
    def run(T):
        solve, called = solver(T, form)
        w, found = weights(T), []
        for _ in range(3):
            x = T.ones(2, 3, requires_grad=True)
            y, norm = solve(T.sin(x @ w), w, steps)
            z, _ = solve(y * y, w.t(), steps + 1)
            _, last = solve(T.stack([y, z]).sum(0), w, steps)
            loss = (z * y).sum() + norm + 2 * last
            if form == "none":
                loss = loss + w.sum()
            loss.item()
            found += T.autograd.grad(loss, [w, x, y], retain_graph=True)
            (loss * 2).backward()
            found += [w.grad.clone(), x.grad]
        return found, called

    (found, called), (expected, asked) = run(ours), run(torch)
    close(found, expected)
    assert called == asked


def test_they_are_asked_only_where_that_leads_to_what_is_wanted():
    def run(T):
        solve, called = solver(T)
        w, v, found = weights(T), weights(T), []
        for _ in range(3):
            y, _ = solve(T.ones(2, 3), w, 9)
            z, _ = solve(T.ones(2, 3), v, 10)
            loss = (y * z).sum()
            found += T.autograd.grad(loss, [v], retain_graph=True)
            loss.backward(inputs=[w])
        return [*found, w.grad], called

    (found, called), (expected, asked) = run(ours), run(torch)
    close(found, expected)
    assert called == asked


def test_hooks_see_their_gradients_and_a_second_pass_is_refused():
    def run(T):
        solve, _ = solver(T)
        w, seen = weights(T), []
        for k in range(3):
            y, norm = solve(T.ones(2, 3), w, 9)
            if k == 1:
                y.register_hook(lambda g: seen.append(g) or g * 2)
            loss = (y**2).sum() + norm
            loss.backward()
            with pytest.raises(RuntimeError, match="second time"):
                loss.backward()
        return [w.grad, *seen]

    close(run(ours), run(torch))


def test_an_error_in_the_middle_leaves_the_next_pass_alone():
    class Fails(ours.autograd.Function):
        @staticmethod
        def forward(ctx, x, fails):
            ctx.fails = fails
            return x * 2

        @staticmethod
        def backward(ctx, g):
            if g.sum().item() > 0 and ctx.fails:
                raise ValueError("on purpose")
            return g * 2, None

    w = ours.ones(3, requires_grad=True)
    for fails in (False, True, False):
        w.grad = None
        loss = Fails.apply(w * 3, fails).sum()
        if fails:
            with pytest.raises(ValueError, match="on purpose"):
                loss.backward()
        else:
            loss.backward()
            assert w.grad.tolist() == [6.0, 6.0, 6.0]
