"""Loops settle: from the third turn on they meet the nodes and plans of the turns before, however values are read and data come."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import events, nn, optim

from .loops import agree, settled, small_training


@pytest.mark.parametrize("read", ["after", "before", "between", "forward"])
def test_reads_anywhere_give_the_same_losses_and_settle(read):
    def run(T):
        step, losses = small_training(T, read)
        for _ in range(8):
            step()
        return losses

    agree(run, rtol=1e-4)
    ours.manual_seed(0)
    step, _ = small_training(ours, read)
    assert settled(step)[2:] == [(0, 0)] * 4


def test_a_read_in_mid_step_computes_nothing_twice(monkeypatch):
    from torchlike_asg.compiler import plan

    monkeypatch.setattr(ours.config, "backend", "reference")  # whose plans say which operations they compute
    ours.manual_seed(0)
    step, _ = small_training(ours, "before")
    for _ in range(4):
        step()
    work = []
    original = plan.Plan.run

    def counted(self, tr):
        work.append({s.kernel.op for s in self.executable.schedule.steps})
        original(self, tr)

    plan.Plan.run = counted
    try:
        step()
    finally:
        plan.Plan.run = original
    assert len(work) == 2 and "linear" in work[0] and "linear" not in work[1] and "relu" not in work[1]


def test_manual_updates_settle():
    def run(T, counts=None):
        w = T.tensor([1.0, -2.0], requires_grad=True)
        x, y = T.tensor([[1.0, 2.0], [3.0, -1.0]]), T.tensor([1.0, 0.5])
        out = []
        for _ in range(7):
            loss = ((x @ w - y) ** 2).sum()
            out.append(loss.item())
            loss.backward()
            with T.no_grad():
                w -= 0.01 * w.grad
                w.grad.zero_()
            if counts is not None:
                counts.append(ours.asg.stats()["nodes"])
        return out

    agree(run)
    counts = []
    run(ours, counts)
    assert counts[-1] == counts[-4]


def test_a_changing_python_number_does_not_recompile():
    ours.manual_seed(0)
    w = ours.randn(3, requires_grad=True)
    weights = iter(np.linspace(0.1, 0.9, 20))
    results = []

    def step():
        k = float(next(weights))
        loss = (w * k).sum() + k * (w * w).sum()
        loss.backward()
        results.append((k, loss.item(), w.detach().numpy().copy()))
        w.grad = None

    counts = settled(step, 8)
    assert counts[4:] == [(0, 0)] * 4, counts
    for k, loss, value in results:
        np.testing.assert_allclose(loss, (value * k).sum() + k * (value**2).sum(), rtol=1e-5)


def test_a_learning_rate_schedule_does_not_recompile():
    ours.manual_seed(0)
    model = nn.Linear(3, 2)
    opt = optim.AdamW(model.parameters(), lr=0.1)
    x = ours.randn(5, 3)

    def step():
        opt.zero_grad()
        model(x).pow(2).sum().backward()
        opt.step()
        opt.param_groups[0]["lr"] *= 0.9

    assert settled(step)[2:] == [(0, 0)] * 4


def test_a_ragged_last_batch_is_compiled_once():
    ours.manual_seed(0)
    model = nn.Linear(3, 2)
    opt = optim.SGD(model.parameters(), lr=0.1)
    data = ours.randn(10, 3)

    def epoch():
        for i in range(0, 10, 4):
            opt.zero_grad()
            model(data[i : i + 4]).pow(2).mean().backward()
            opt.step()

    assert settled(epoch, 4)[2:] == [(0, 0)] * 2


def test_a_new_batch_meets_the_same_nodes():
    ours.manual_seed(0)
    model = nn.Linear(3, 2)

    def step():
        (model(ours.randn(4, 3)) ** 2).mean().item()

    assert settled(step)[2:] == [(0, 0)] * 4


def test_evaluation_loops_stay_bounded():
    model = nn.Linear(3, 2)
    collected = []
    with ours.no_grad():
        for _ in range(6):
            collected.append(model(ours.ones(2, 3)))
    from torchlike_asg.asg.trace import current

    assert len(current().claims) < 20
    assert all(np.array_equal(collected[0].numpy(), c.numpy()) for c in collected)


def test_a_parameter_that_numpy_looked_at_is_updated_with_the_others():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
    before = [np.array(p.detach().numpy()) for p in model.parameters()]
    kept = model[0].weight.detach().numpy()
    opt = optim.SGD(model.parameters(), lr=0.5)
    x = ours.linspace(-1, 1, 12).reshape(3, 4)
    (model(x) ** 2).mean().backward()
    ours.sync()
    plans = ours.asg.stats()["plans"]
    opt.step()
    assert ours.asg.stats()["plans"] - plans <= 2  # what NumPy still refers to is computed at once, the other three parameters together
    np.testing.assert_array_equal(kept, model[0].weight.detach().numpy())
    assert all((a != p.detach().numpy()).any() for a, p in zip(before, model.parameters(), strict=True))


@pytest.mark.parametrize("rows", [1, 3])
def test_the_end_of_a_growing_text_settles(rows):
    """What a model is shown of a text that grows by a word in each turn: always as many words, of rows that get longer."""
    embedding = nn.Embedding(10, 4)
    text = ours.arange(rows * 9).reshape(rows, 9) % 10
    plain = text.numpy().copy()
    word = np.arange(rows)[:, None] % 10

    def turn():
        nonlocal text, plain
        shown = text[:, -6:]
        assert shown.stride() == (text.shape[1], 1) and shown.storage_offset() == text.shape[1] - 6
        with ours.no_grad():
            out = embedding(shown)
        assert shown.stride() == (text.shape[1], 1)
        np.testing.assert_array_equal(out.numpy(), embedding.weight.detach().numpy()[plain[:, -6:]])
        text = ours.cat((text, ours.from_numpy(word.copy())), 1)
        plain = np.concatenate((plain, word), 1)

    assert settled(turn, 8)[-4:] == [(0, 0)] * 4


def test_batches_of_pieces_of_a_text_are_data():
    text = ours.arange(100)
    places = np.random.default_rng(0)
    model = nn.Linear(8, 2)

    def turn():
        at = ours.from_numpy(places.integers(0, 80, 4))
        x = ours.stack([text[i : i + 8] for i in at])
        y = ours.stack([text[i + 1 : i + 8 + 1] for i in at])
        np.testing.assert_array_equal(y.numpy(), x.numpy() + 1)
        return model(x.float()).sum().item()

    assert settled(turn, 8)[-4:] == [(0, 0)] * 4


def test_a_parameter_written_before_the_first_call_does_not_split_it():
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1, bias=False))
    ours.sync()
    with ours.no_grad():
        model[2].weight.copy_(ours.ones(1, 8))
    built = []
    stop = events.subscribe("plan_built", lambda event: built.append({n.op.name for n in event.plan.order}))
    loss = (model(ours.ones(3, 4)) ** 2).mean()
    loss.backward()
    loss.item()
    stop()
    assert ["mean" in names for names in built if "tanh" in names] == [True]


@pytest.mark.parametrize("called", ["a module", "a function"])
def test_a_recurrence_that_is_read_in_every_step_records_its_history_once(called, monkeypatch):
    def run(T):
        T.manual_seed(0)
        cell, head, counts = T.nn.GRUCell(4, 8), T.nn.Linear(8, 4), []
        turn = cell if called == "a module" else (lambda x, h: T.tanh(h @ cell.weight_hh[:8].t() + x @ cell.weight_ih[:8].t()))
        x, h = T.zeros(1, 4), T.zeros(1, 8)
        for i in range(8):
            if i == 3:  # before its first call a module has its parameters take their values
                monkeypatch.setattr("torchlike_asg.facade.past.replay", refuse)
            h = turn(x, h)
            out = head(h)
            x = T.nn.functional.one_hot(T.tensor([out.argmax().item()]), 4).float()
            counts.append(ours.asg.stats()["plans"])
        out.sum().backward()
        return [cell.weight_hh.grad[:8], counts] if T is ours else [cell.weight_hh.grad[:8]]

    def refuse(*args):
        raise AssertionError("a history was recorded again")

    grad, counts = run(ours)
    assert [counts[i + 1] - counts[i] for i in range(3, 7)] == [0] * 4
    np.testing.assert_allclose(grad.numpy(), run(pytest.importorskip("torch"))[0].numpy(), rtol=1e-5, atol=1e-7)


def test_closing_a_trace_looks_at_each_storage_once(monkeypatch):
    """Lists of returns are filled element by element in reinforcement learning: a view for every row, all of one storage."""
    seen = []
    watch = ours.facade.past.Snapshot.watch
    monkeypatch.setattr(ours.facade.past.Snapshot, "watch", lambda self, n, counter: seen.append(n) or watch(self, n, counter))
    rows = 60
    net, rewards, returns, before = nn.Linear(3, 1), ours.randn(rows), ours.zeros(rows, 1), 0
    values = net(ours.randn(rows, 3))
    for i in reversed(range(rows)):
        returns[i] = rewards[i] + 0.9 * before - values.data[i]
        before = returns[i, 0]
    for _ in range(2):  # `values` and its history live on
        loss = (net(ours.randn(rows, 3)) - returns).pow(2).mean()
        loss.backward()
        loss.item()
    assert values.requires_grad
    assert 0 < len(seen) < 10 * rows
