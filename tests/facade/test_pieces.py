"""Histories that go on over many reads: their traces are closed at the reads, and backward passes go through them piece by piece."""

import builtins

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.asg import trace
from torchlike_asg.asg.declare import INPUT
from torchlike_asg.devices import free
from torchlike_asg.facade.flush import flush

torch = pytest.importorskip("torch")
STEPS = 14


def without_replays(run, monkeypatch):
    """The results are PyTorch's, and no history was recorded again for them."""

    def refuse(*args):
        raise AssertionError("a history was recorded again")

    with monkeypatch.context() as m:
        m.setattr("torchlike_asg.facade.past.replay", refuse)
        found = run(ours)
    close(found, run(torch))


@pytest.fixture(autouse=True)
def fresh():
    ours.sync()
    trace.current().cut, trace.current().reads, trace.current().patience = False, 0, trace.READS


def walk(T, steps=STEPS, dtype="float32", start=None):
    """A recurrence that is read in every step, and its leaves."""
    g = np.random.default_rng(0)
    w, b = (T.tensor(g.standard_normal(s) / 2, dtype=getattr(T, dtype), requires_grad=True) for s in ((3, 3), (3,)))
    y, states = T.ones(2, 3, dtype=getattr(T, dtype)) if start is None else start, []
    for i in range(steps):
        d = T.tanh(y @ w + b)
        y = y + d if d.sum().item() > -100 else y - d
        states.append(y * (i + 1))
    return w, b, states


def close(a, b):
    for x, y in zip(a, b, strict=True):
        assert (x is None) == (y is None)
        if x is not None:
            np.testing.assert_allclose(x.detach().numpy(), y.detach().numpy(), rtol=2e-5, atol=1e-6)


def both(fn):
    found = fn(ours)
    assert isinstance(found[0], ours.Tensor)
    close(found, fn(torch))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_backward_pass_goes_through_all_pieces(dtype):
    def run(T):
        w, b, states = walk(T, dtype=dtype)
        loss = (T.stack(states) ** 2).mean() + (w * w).sum()
        loss.backward()
        first = w.grad.clone(), b.grad.clone()
        walk(T, dtype=dtype)[2][-1].sum().backward()
        return [*first, w.grad, b.grad]

    both(run)


def test_steps_of_such_a_loop_make_no_nodes_and_no_plans():
    w = ours.tensor(np.eye(3), dtype=ours.float32, requires_grad=True)
    optimizer = ours.optim.SGD([w], 0.01)
    before = []
    for steps in (12, 12, 13, 14, 9, 16):
        y = ours.ones(2, 3)
        for _ in range(steps):
            y = ours.tanh(y @ w)
            y.sum().item()
        optimizer.zero_grad()
        (y * y).sum().backward()
        optimizer.step()
        before.append((ours.asg.stats()["nodes"], ours.asg.stats()["plans"]))
    assert before[2:] == [before[1]] * 4


def test_gradients_of_leaves_and_of_states_of_earlier_pieces():
    def run(T):
        w, b, states = walk(T)
        loss = (states[-1] * states[2]).sum()
        kept = T.autograd.grad(loss, [w, states[4], states[-1], b], retain_graph=True, allow_unused=True)
        return [*kept, *T.autograd.grad(loss, [b, w])]

    both(run)


def test_backward_to_some_inputs_only():
    def run(T):
        w, b, states = walk(T)
        T.stack(states).sum().backward(inputs=[b])
        return [b.grad, w.grad]

    both(run)


def test_higher_derivatives_record_the_history_as_a_whole():
    def run(T):
        w, b, states = walk(T)
        (first,) = T.autograd.grad((states[-1] ** 2).sum(), w, create_graph=True)
        return [first, *T.autograd.grad((first**2).sum(), [w, b])]

    both(run)


def test_a_gradient_within_a_step_leaves_the_earlier_pieces_alone(monkeypatch):
    def run(T):
        g = np.random.default_rng(1)
        w = T.tensor(g.standard_normal((3, 3)) / 2, dtype=T.float32, requires_grad=True)
        y = T.ones(2, 3)
        for _ in range(STEPS):
            x = T.tanh(y @ w)
            (slope,) = T.autograd.grad((x**3).sum(), x, create_graph=True)
            y = y - 0.1 * slope
            y.sum().item()
        y.sum().backward()
        return [w.grad]

    without_replays(run, monkeypatch)


def test_hooks_and_kept_gradients_see_the_whole_gradient():
    def run(T):
        w, _, states = walk(T)
        seen = []
        states[3].retain_grad()
        states[5].register_hook(lambda g: seen.append(g) or 2 * g)
        (states[-1] * states[3] * states[5]).sum().backward()
        return [w.grad, states[3].grad, *seen]

    both(run)


@pytest.mark.parametrize("how", ["a second pass", "an overwritten leaf"])
def test_what_was_freed_or_overwritten_is_refused(how):
    for T in (ours, torch):
        w, _, states = walk(T)
        loss = (states[-1] ** 2).sum()
        if how == "a second pass":
            loss.backward()
            match = "second time"
        else:
            with T.no_grad():
                w.mul_(2)
            match = "modified by an inplace operation"
        with pytest.raises(RuntimeError, match=match):
            (states[-2] ** 2).sum().backward()


def test_a_retained_history_is_swept_again():
    def run(T):
        w, b, states = walk(T)
        states[-1].sum().backward(retain_graph=True)
        states[-1].sum().backward(retain_graph=True)
        (states[-3] ** 2).sum().backward()
        return [w.grad, b.grad]

    both(run)


def test_the_steps_behind_a_state_are_named_and_found():
    for T in (ours, torch):
        w, _, states = walk(T)
        last = states[-1] * 2
        step = last.grad_fn.next_functions[0][0]
        assert step.name() == "MulBackward0"
        assert step.next_functions[0][0].name() == "AddBackward0"
        last.sum().backward()
        assert w.grad is not None


def test_custom_functions_in_the_pieces():
    def run(T):
        class Cube(T.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x**3

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return 3 * x * x * g

        w = T.tensor([0.3, 0.5, 0.7], requires_grad=True)
        y = T.ones(3)
        for _ in range(STEPS):
            y = Cube.apply(T.sin(y * w)) + w
            y.sum().item()
        y.sum().backward()
        return [w.grad]

    both(run)


@pytest.mark.parametrize("used", ["in a stack", "in a sum", "transposed"])
def test_gradients_that_come_in_another_layout_than_the_first_time(used):
    def run(T):
        g = np.random.default_rng(2)
        w, c = (
            T.tensor(g.standard_normal((3, 3)), dtype=T.float32, requires_grad=True),
            T.tensor(g.standard_normal((2, 3, 4)), dtype=T.float32),
        )
        found = []
        for again in (False, True, False):
            y = T.ones(2, 3)
            for _ in range(STEPS):
                y = T.tanh(y @ w)
                y.sum().item()
            z = {
                "in a stack": lambda y: T.stack([y, c[..., 0], c[..., 1], c[..., 2]], -1) * c,
                "in a sum": lambda y: y,
                "transposed": lambda y: y.t(),
            }[used](y)
            loss = z.sum()
            loss.item()
            if again:  # its gradient is added up from two pieces
                loss = loss + (y * c[..., 3]).sum()
            w.grad = None
            loss.backward()
            found.append(w.grad)
        return found

    both(run)


def test_what_is_asked_of_a_value_in_a_later_piece_outlives_it():
    def run(T):
        w, _, states = walk(T)
        seen = []
        states[4].retain_grad()
        states[3].register_hook(lambda g: seen.append(g) or g * 2)
        states[3].sum().item()
        if T is ours:
            flush(closing=True)
        states[3].register_hook(lambda g: seen.append(g))
        (states[4] * states[3] * states[-1]).sum().backward()
        return [w.grad, states[4].grad, *seen]

    both(run)


def test_gradients_that_are_numbers_do_not_make_inputs_of_no_device():
    before = set(INPUT.table)
    w, _, states = walk(ours)
    sum(s.sum() for s in states).backward()
    assert all(n.device is not free for key, n in INPUT.table.items() if key not in before)
    assert w.grad.device == ours.device("cpu")


def test_a_gradient_may_be_what_the_pass_began_with(monkeypatch):
    monkeypatch.setattr(ours.config, "eager", True)

    def run(T):
        x, found = T.tensor(2.0, requires_grad=True), []
        for _ in range(12):
            y = x.sum()
            y.item()
            found += T.autograd.grad(y, x, T.tensor(3.0), retain_graph=True)
        return found

    both(run)


def test_a_hook_on_a_leaf_behind_a_read():
    """The gradient that a pass in pieces gives such a leaf is a tensor with a value of its own: in the second iteration it had none."""
    found = []
    for _ in range(4):
        x = ours.tensor([-1.0, 1.5], requires_grad=True)
        x.register_hook(lambda g: None)
        y = x.sum()
        z = y.tanh()
        z.item()
        (y * y).backward()
        found.append(x.grad.tolist())
        ours.sync()
        assert z.item() == pytest.approx(0.4621, abs=1e-3)
    assert found == [[1.0, 1.0]] * 4


@pytest.mark.parametrize("create", [False, True])
def test_gradients_by_a_result_with_a_hook_go_through_what_was_carried(create):
    def run(T):
        b = T.tensor([0.1, 0.2, 0.3], requires_grad=True)
        y = T.ones(3, 3) + b
        y.sum().item()
        y.register_hook(lambda g: g * 0.5)
        z = y.sum(0, keepdim=True).expand(3, 3)
        z.sum().item()
        found = list(T.autograd.grad((z**2).sum(), [b], retain_graph=True))
        z = T.sin(z)
        z.sum().item()
        u = z.view(-1)[:2]
        found += T.autograd.grad((u**2).sum() + z.sum(), [u, y, u], retain_graph=True, create_graph=create)
        return found

    both(run)


def test_a_warm_loop_of_views_and_reads_imports_nothing(monkeypatch):
    g = ours.tensor([[0.5, -1.0], [0.25, 1.0]], requires_grad=True)

    def step():
        state = ours.ones(1, 2)
        for _ in range(4):
            parts = []
            for j in range(2):
                scores = state + g[j].view(1, -1)
                best = scores.max(1)[1].item()
                parts.append(scores[0, best].view(1) + ours.log(ours.sum(ours.exp(scores))))
            state = ours.cat(parts).view(1, -1)
        return state

    for _ in range(20):
        step().sum().backward()
        g.grad = None
    imported, ordinary = [], builtins.__import__

    def counting(name, globals=None, *args, **kwargs):
        if globals is not None and globals["__name__"].startswith("torchlike_asg.facade"):
            imported.append((globals["__name__"], name))
        return ordinary(name, globals, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", counting)
    step()
    monkeypatch.undo()
    assert imported == []
