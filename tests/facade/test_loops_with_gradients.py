"""Loops over modules that record gradients and ask for none, as decoders do whose script forgot `no_grad`: their traces end on the way."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg.trace import current  # noqa: E402
from torchlike_asg.facade import boundary  # noqa: E402

from .loops import agree  # noqa: E402


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Loops of a few steps are long already."""
    ours.sync()
    monkeypatch.setattr(boundary, "MAX_INSIDE", 40)


class Decoder:
    """Modules that are called one by one, and a word that is chosen after the other."""

    def __init__(self, p, blocks=2):
        p.manual_seed(1)
        self.p = p
        self.words = p.nn.Embedding(9, 6)
        self.encoder = p.nn.Sequential(p.nn.Linear(6, 6), p.nn.Tanh())
        self.body = p.nn.Sequential(*[p.nn.Sequential(p.nn.Linear(6, 6), p.nn.Tanh(), p.nn.LayerNorm(6)) for _ in range(blocks)])
        self.parameters = [q for m in (self.words, self.encoder, self.body) for q in m.parameters()]

    def __call__(self, source, steps):
        p = self.p
        memory = self.encoder(self.words(source))
        found = p.zeros(1, 1, dtype=p.long)
        for _ in range(steps - 1):
            out = self.body(self.words(found) + memory.mean(0))[:, -1] @ self.words.weight.t()
            word = out.max(1)[1]
            found = p.cat([found, word.data[None]], 1)
        return found, out, memory


def test_a_loop_that_discards_its_histories_builds_the_plans_of_its_first_iterations():
    decoder, source = Decoder(ours), ours.arange(5)
    decoder(source, 14)[0].tolist()
    before = ours.asg.stats()
    found, out, memory = decoder(source, 18)
    pending = len(current().claims)
    found.tolist()
    after = ours.asg.stats()
    assert pending < 2 * boundary.MAX_INSIDE
    found, out, memory = decoder(source, 18)
    found.tolist()
    assert ours.asg.stats()["compiles"] == after["compiles"]
    assert after["compiles"] - before["compiles"] <= 3, "what the first loop had is compiled anew"
    assert out.requires_grad and memory.requires_grad


def test_what_is_left_of_such_a_loop_has_its_gradients():
    def run(p):
        decoder = Decoder(p)
        found, out, memory = decoder(p.arange(5), 16)
        loss = (out**2).sum() + memory.sum()
        given = p.autograd.grad(loss, [memory, *decoder.parameters[:3]], retain_graph=True)
        loss.backward()
        (slope,) = p.autograd.grad((decoder(p.arange(4), 12)[1] ** 3).sum(), decoder.parameters[:1], create_graph=True)
        slope.sum().backward()
        return [*found.flatten().tolist(), *[float(g.sum()) for g in given], *[float(q.grad.abs().sum()) for q in decoder.parameters]]

    agree(run, rtol=2e-4)


def test_hooks_and_gradients_of_results_before_the_end_of_a_trace():
    def run(p):
        decoder, seen = Decoder(p), []
        memory = decoder.encoder(decoder.words(p.arange(5)))
        first = memory[1:3]
        for i in range(16):
            out = decoder.body(decoder.words(p.tensor([i % 9])) + memory.mean(0))
        memory.register_hook(lambda g: seen.append(float(g.sum())))
        first.retain_grad()
        (out.sum() + (first**2).sum()).backward()
        return [*seen, float(first.grad.sum()), *[float(q.grad.abs().sum()) for q in decoder.parameters]]

    agree(run, rtol=2e-4)


def test_a_write_to_what_such_a_loop_has_used_is_refused_as_ever():
    def run(p):
        decoder = Decoder(p)
        memory = decoder.encoder(decoder.words(p.arange(5)))
        for i in range(16):
            out = decoder.body(decoder.words(p.tensor([i % 9])) * memory.exp().mean(0))
        memory.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()
        return []

    agree(run)


@pytest.mark.parametrize("kept", ["losses", "states"])
def test_a_loop_whose_histories_are_kept_stays_one_trace(kept):
    decoder, total, state = Decoder(ours), 0, ours.ones(1, 6)
    float(decoder(ours.arange(3), 2)[1].sum())
    before = ours.asg.stats()["flushes"]
    for i in range(20):
        if kept == "losses":
            total = total + decoder.body(decoder.words(ours.tensor([i % 9]))).sum()
        else:
            state = decoder.body(state + decoder.words(ours.tensor([i % 9])))
    assert len(current().claims) > boundary.MAX_INSIDE
    assert ours.asg.stats()["flushes"] == before
    (total + state.sum()).backward()


def test_a_few_micro_batches_without_reads_stay_one_trace():
    decoder = Decoder(ours)
    float(decoder(ours.arange(3), 2)[1].sum())
    before = ours.asg.stats()["flushes"]
    for i in range(8):
        decoder.body(decoder.words(ours.tensor([i % 9]))).sum().backward()
    assert len(current().claims) > boundary.MAX_INSIDE
    assert ours.asg.stats()["flushes"] == before


class Fisher:
    """Squared gradients of each example, as estimates of weights' importance collect them: nothing is read, nobody takes a step."""

    def __init__(self, p, classes=3):
        p.manual_seed(2)
        self.p, self.classes = p, classes
        self.model = p.nn.Sequential(p.nn.Linear(4, 6), p.nn.Tanh(), p.nn.Linear(6, classes))
        self.parameters = list(self.model.parameters())
        self.inputs = p.randn(40, 4)

    def __call__(self, kept=None):
        p = self.p
        found = [p.zeros_like(q) for q in self.parameters]
        pending = []
        for i in range(40):
            out = self.model(self.inputs[i : i + 1])
            pending.append(len(current().claims))
            if i == 3 and kept is not None:
                kept.append(out[0, 0] * 2)
            for c in range(self.classes):
                self.model.zero_grad()
                loss = p.nn.functional.cross_entropy(out, p.full((1,), c, dtype=p.long))
                loss.backward(retain_graph=c + 1 < self.classes or kept is not None)
                for f, q in zip(found, self.parameters, strict=True):
                    f += q.grad.detach() ** 2
        return found, pending


def test_a_loop_of_backward_passes_builds_the_plans_of_its_first_iterations():
    fisher, plans = Fisher(ours), []
    for _ in range(4):
        found, pending = fisher()
        found[0].tolist()
        plans.append(ours.asg.stats()["plans"])
        assert max(pending) < 9 * boundary.MAX_INSIDE, "all examples are one program"
    assert plans[-1] == plans[2]


def test_what_a_loop_of_backward_passes_collects_and_leaves():
    def run(p):
        fisher, kept = Fisher(p), []
        found, _ = fisher(kept)
        kept[0].backward()
        return [float(f.sum()) for f in found] + [float(q.grad.sum()) for q in fisher.parameters]

    agree(run)


def test_a_batch_in_many_parts_is_one_step_each_time():
    def run(p):
        p.manual_seed(3)
        model = p.nn.Sequential(p.nn.Linear(4, 6), p.nn.Tanh(), p.nn.Linear(6, 1))
        optimizer = p.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        x, counts = p.randn(20, 2, 4), []
        for _ in range(6):
            optimizer.zero_grad()
            for part in x:
                (model(part).square().mean() / len(x)).backward()
            optimizer.step()
            if p is ours:
                counts.append(ours.asg.stats()["plans"])
        assert not counts or counts[-1] == counts[2], "a step of those parts builds new plans"
        return [q.sum().item() for q in model.parameters()]

    agree(run)
