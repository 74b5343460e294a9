"""Solvers of differential equations whose gradient is a solve backwards in time: loops in a custom Function that read as they go."""

import itertools

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.facade import flush  # noqa: E402

from ..parity.scripts import new_work, same  # noqa: E402


def solver(T, steps, reads):
    """``step()`` of a training loop through an adjoint method; with `reads` the error of every step is looked at, as adaptive ones do."""
    T.manual_seed(0)
    encoder = T.nn.Linear(3, 2)
    field = T.nn.Sequential(T.nn.Linear(2, 8), T.nn.Tanh(), T.nn.Linear(8, 2))
    parameters = tuple(field.parameters())
    x, target, times = T.randn(4, 3), T.randn(4, 2), T.linspace(0, 1, steps)

    class Solve(T.autograd.Function):
        @staticmethod
        def forward(ctx, y, *parameters):
            states = [y]
            for before, after in itertools.pairwise(times):
                slope = field(y)
                if reads and not (slope.abs().max() * (after - before)).item() < 1e3:
                    raise ArithmeticError("the step is too large")
                y = y + (after - before) * slope
                states.append(y)
            ctx.save_for_backward(T.stack(states))
            return y

        @staticmethod
        def backward(ctx, adjoint):
            (states,) = ctx.saved_tensors
            sums = [T.zeros_like(p) for p in parameters]
            for i in range(steps - 1, 0, -1):
                span = times[i] - times[i - 1]
                with T.enable_grad():
                    y = states[i - 1].detach().requires_grad_()
                    found = T.autograd.grad(field(y), (y, *parameters), adjoint)
                if reads and not float(found[0].abs().max()) < 1e3:
                    raise ArithmeticError("the step is too large")
                adjoint = adjoint + span * found[0]
                sums = [s + span * g for s, g in zip(sums, found[1:], strict=True)]
            return (adjoint, *sums)

    optimizer = T.optim.Adam([*encoder.parameters(), *parameters], lr=0.05)

    def step():
        optimizer.zero_grad()
        loss = ((Solve.apply(encoder(x), *parameters) - target) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


@pytest.mark.parametrize("reads", [False, True])
def test_training_through_an_adjoint_solve_is_pytorchs_and_meets_nothing_new(reads):
    def trained(T):
        step = solver(T, 6, reads)
        return [step() for _ in range(5)]

    same(trained)
    assert new_work(solver(ours, 6, reads), warm=4) == {"nodes": 0, "plans": 0, "compiles": 0}


def test_a_read_looks_at_what_is_new_and_what_is_alive(monkeypatch):
    looked = []
    claims = flush._claims

    def counted(tr):
        found = claims(tr)
        looked.append(len(found))
        return found

    monkeypatch.setattr(flush, "_claims", counted)
    step = solver(ours, 40, True)
    step()
    assert len(looked) > 70 and max(looked) < 200  # some dozens at each read, where the whole solve records a thousand


def test_a_result_that_is_taken_back_is_not_missed_by_the_next_read():
    """Operations in place take back the claims of what they are made of."""
    x = ours.ones(3, requires_grad=True)
    kept = [x * 2]
    for i in range(4):
        y = x * (i + 3)
        assert y.sum().item() == 3 * (i + 3)
        y.add_(1).mul_(2)
        kept.append(y + i)
    assert [k.sum().item() for k in kept] == [6.0, *(3 * (2 * (i + 4) + i) for i in range(4))]
