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


def test_micro_batches_without_reads_stay_one_trace():
    decoder = Decoder(ours)
    float(decoder(ours.arange(3), 2)[1].sum())
    before = ours.asg.stats()["flushes"]
    for i in range(16):
        decoder.body(decoder.words(ours.tensor([i % 9]))).sum().backward()
    assert len(current().claims) > boundary.MAX_INSIDE
    assert ours.asg.stats()["flushes"] == before
