"""Programs of ever new sizes are interpreted once a few were compiled for one use each (compiler/interpretation.py)."""

import gc

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg import events, nn  # noqa: E402
from torchlike_asg.asg import arena  # noqa: E402
from torchlike_asg.compiler import interpretation  # noqa: E402


@pytest.fixture(autouse=True)
def anew(monkeypatch):
    ours.sync()
    monkeypatch.setattr(ours.config, "interpret", True)
    interpretation.clear()
    yield
    interpretation.clear()


@pytest.fixture
def built():
    """The plans that were built, and what was interpreted instead."""
    found = {"plan_built": [], "interpreted": []}
    ends = [events.subscribe(topic, found[topic].append) for topic in found]
    yield found
    for end in ends:
        end()


def counted(built, turn, turns):
    """(plans built, programs interpreted) by that many turns."""
    before = [len(found) for found in built.values()]
    for i in turns:
        turn(i)
    return tuple(len(found) - b for found, b in zip(built.values(), before, strict=True))


def like_torch(run, rtol):
    """Losses, within `rtol`, and weights of a training by both packages."""
    (losses, weights), (want, wanted) = run(ours), run(torch)
    np.testing.assert_allclose(losses, want, rtol=rtol)
    for a, b in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_growing_text_builds_a_few_plans(built):
    def generated(p, length):
        p.manual_seed(0)
        table, head = p.nn.Embedding(20, 16), p.nn.Linear(16, 20)
        block = p.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
        text, read = p.zeros(2, 1, dtype=p.long), []
        with p.no_grad():
            for _ in range(length):
                logits = head(block(table(text)))[:, -1]
                word = p.multinomial(logits.softmax(-1), 1)
                text = p.cat((text, word), 1)
                read.append(word[0].item())
        return read, text.tolist()

    first = generated(ours, 20)
    plans = len(built["plan_built"])
    assert first == generated(torch, 20)  # seeds give the same numbers
    assert plans <= 8 and len(built["interpreted"]) >= 6
    assert "shape" in built["interpreted"][-1].reason or "instead of" in built["interpreted"][-1].reason


def test_a_text_that_is_generated_again_has_a_plan_a_word(built):
    """Joining a word to the text is not split from a network that was interpreted before: nothing of it is there."""
    ours.manual_seed(0)
    layers = [layer for _ in range(12) for layer in (nn.Linear(8, 8), nn.Tanh(), nn.LayerNorm(8))]
    network = nn.Sequential(nn.Embedding(9, 8), *layers, nn.Linear(8, 9)).eval()

    def generate(_):
        text = ours.zeros(1, 1, dtype=ours.long)
        with ours.no_grad():
            for _ in range(16):
                text = ours.cat((text, network(text)[:, -1].argmax(-1, keepdim=True)), 1)
        found.append(text.tolist())

    found = []
    plans, interpreted = counted(built, generate, [0])
    assert interpreted >= 8
    again, none = counted(built, generate, [0])
    assert none == 0 and plans + again <= 16 + 3
    before = ours.asg.stats()["flushes"]
    assert counted(built, generate, [0]) == (0, 0) and ours.asg.stats()["flushes"] == before + 16
    assert found[0] == found[1] == found[2]


def test_gradients_and_steps_of_new_sizes(built):
    """Forward, backward and update of batches that never come again."""

    def run(p):
        p.manual_seed(0)
        m = p.nn.Sequential(p.nn.Linear(5, 8), p.nn.Tanh(), p.nn.LayerNorm(8), p.nn.Linear(8, 1))
        optimizer = p.optim.Adam(m.parameters(), 0.01)
        losses = []
        for i in range(2, 20):
            x = p.arange(i * 5.0).reshape(i, 5).sin()
            loss = (m(x) ** 2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, [q.detach().numpy() for q in m.parameters()]

    like_torch(run, rtol=1e-5)
    assert built["interpreted"]


def test_loops_that_go_round_another_number_of_times(built):
    """Losses of episodes of ever other lengths: programs that differ in how many equal steps they have."""

    def run(p):
        p.manual_seed(0)
        m = p.nn.Linear(4, 3)
        optimizer = p.optim.SGD(m.parameters(), 0.1)
        losses = []
        for n in (20, 33, 14, 27, 41, 18, 36, 29, 23, 16, 31):
            weights = p.arange(float(n)).cos()
            parts = [-m(p.full((1, 4), i / n)).log_softmax(-1)[:, i % 3] * w for i, w in enumerate(weights)]
            loss = p.cat(parts).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses, [q.detach().numpy() for q in m.parameters()]

    like_torch(run, rtol=1e-4)
    assert len(built["interpreted"]) >= 5


def test_attributes_that_change_build_no_plans_without_end(built):
    x = ours.arange(40.0).flip(0)
    read = []
    plans, interpreted = counted(built, lambda i: read.append(x.kthvalue(i + 1).values.item()), range(30))
    assert read == list(range(30)) and plans <= 8 and interpreted >= 22


def test_what_comes_again_is_compiled(built):
    def turn(n):
        np.testing.assert_allclose(ours.full((n, 5), 3.0).softmax(-1).sum().item(), n, rtol=1e-5)

    counted(built, turn, range(1, 10))
    assert counted(built, turn, [9]) == (1, 0)
    assert counted(built, turn, [9, 9]) == (0, 0)


def test_programs_that_run_often_are_not_interpreted(built):
    """Batches of a few sizes: those of a size that was never there are like the others, which were used again."""

    def turn(n):
        return (ours.full((n, 5), 3.0) * 2).cos().sum().item()

    counted(built, turn, list(range(1, 7)) * 4)
    assert counted(built, turn, [7, 8]) == (2, 0)


def test_nothing_is_interpreted_where_results_are_to_be_the_same_always(built, monkeypatch):
    def turn(n):
        return ours.full((n, 6), 2.0).softmax(-1).sum().item()

    monkeypatch.setattr(ours.config, "interpret", False)
    assert counted(built, turn, range(1, 12)) == (11, 0)
    monkeypatch.setattr(ours.config, "interpret", True)
    ours.use_deterministic_algorithms(True)
    try:
        assert counted(built, turn, range(12, 22)) == (10, 0)
    finally:
        ours.use_deterministic_algorithms(False)


def test_large_programs_are_compiled(built):
    """To interpret them would take longer."""

    def turn(n):
        return ours.ones(1000, 1000 + n).tanh().sum().item()

    assert counted(built, turn, range(9)) == (9, 0)


def test_results_are_nobody_elses(built):
    """References may return an operand or a view of one: what is written afterwards is the result alone."""
    found = []

    def turn(n):
        x = ours.arange(float(n))
        y = ours.arange(float(n)).reshape(1, n)
        a, b, c = x.contiguous() * 1, y.expand(2, n).clone(), (x + 0).to(ours.float32)
        d = x[1:].unsqueeze(0)
        a.sum().item()  # computes all that is pending
        a += 1
        b[0] = 7
        c.zero_()
        d.fill_(5)
        found.append((x.tolist(), y.tolist(), a.tolist(), b.tolist(), c.tolist()))

    counted(built, turn, range(2, 12))
    assert built["interpreted"]
    for n, (x, y, a, b, c) in enumerate(found, 2):
        plain = [float(i) for i in range(n)]
        assert x == [0.0] + [5.0] * (n - 1) and y == [plain]
        assert a == [i + 1 for i in plain] and b == [[7.0] * n, plain] and c == [0.0] * n


def test_errors_of_data_are_those_of_compiled_programs(built):
    table = nn.Embedding(4, 2)

    def turn(n):
        places = ours.arange(n) % 4
        return table(places).sum().item()

    counted(built, turn, range(1, 9))
    assert built["interpreted"]
    with pytest.raises(IndexError, match="index out of range"):
        table(ours.full((9,), 4)).sum().item()
    assert turn(10) == pytest.approx(table(ours.arange(10) % 4).sum().item())


def test_values_between_reads_of_one_trace(built):
    """A loop that reads with a live history goes on from values that were interpreted."""
    w = ours.ones(3, requires_grad=True)

    def turn(n):
        y = (w * ours.arange(n * 3.0).reshape(n, 3)).sum(0)
        top = y.max().item()
        (y * 2).sum().backward()
        assert top == y.detach().max().item() and w.grad.tolist() == (ours.arange(n * 3.0).reshape(n, 3).sum(0) * 2).tolist()
        w.grad = None

    counted(built, turn, range(1, 15))
    assert built["interpreted"]


@pytest.mark.parametrize("deep", [1, 6])
def test_models_that_come_and_go_are_compiled(deep):
    """A search over widths: each model is trained, and gone before the next one."""

    def trained(width):
        layers = [layer for _ in range(deep) for layer in (nn.Linear(width, width), nn.Sigmoid())]
        model = nn.Sequential(*layers)
        optimizer = ours.optim.SGD(model.parameters(), 0.1)
        for _ in range(4):
            loss = model(ours.ones(3, width)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()

    before = ours.asg.stats()["interpreted"]  # not the events, which hold their plans
    for width in range(2, 13):
        trained(width)
        gc.collect()
        arena.compact()
    assert ours.asg.stats()["interpreted"] == before


def test_a_history_that_goes_on_over_reads(built):
    """The state of a loop that reads in each turn, and that grows: its trace ends at the reads."""

    def run(p):
        w = p.ones(2, 2, requires_grad=True)
        h, read = p.ones(1, 2), []
        for _ in range(30):
            h = p.cat((h, (h @ w * 0.4).tanh()[-1:] + 0.1))
            read.append(h.sum().item())
        h.sum().backward()
        return read, w.grad.tolist()

    (read, grad), (want, wanted) = run(ours), run(torch)
    assert built["interpreted"]
    np.testing.assert_allclose(read, want, rtol=1e-5)
    np.testing.assert_allclose(grad, wanted, rtol=1e-4)


def test_powers_that_are_roots_are_roots_when_interpreted(monkeypatch):
    monkeypatch.setattr(ours.config, "eager", True)

    def run(p):
        x = p.tensor([-np.inf, -0.0, 0.0, 4.0])
        return [x**0.5, x**-0.5, x ** p.tensor(0.5), x ** p.tensor(-0.5), x ** p.tensor([0.5])]

    for got, want in zip(run(ours), run(torch), strict=True):
        np.testing.assert_array_equal(got.numpy(), want.numpy())
        np.testing.assert_array_equal(np.signbit(got.numpy()[1:]), np.signbit(want.numpy()[1:]))
