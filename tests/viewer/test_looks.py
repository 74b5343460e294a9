"""Looks into steps: the true values, and when they are taken."""

import numpy as np

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.viewer import attach, taps
from torchlike_asg.viewer.protocol import Subscribe
from torchlike_asg.viewer.session import TRIES

from .models import Tiny, train
from .watching import looking_at


def test_probes_see_the_true_values_and_change_nothing():
    def run(model, probe):
        torch.manual_seed(5)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        handle = attach(model, window=False) if probe else None
        losses, kept = [], {}
        for k in range(12):
            x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))
            optimizer.zero_grad()
            hidden = model.norm(model.first(x))
            loss = nn.functional.cross_entropy(model.head(model.act(hidden)), y)
            loss.backward()
            optimizer.step()
            kept.setdefault("hidden", []).append(hidden.detach().numpy().copy())
            losses.append(loss.item())
            if probe:
                if k == 4:
                    handle._settle()
                if k >= 4:
                    session = handle._session
                    session._governor.credit, session._looked, session._fresh_selection = 9.0, 0.0, True
                    session._timed = 0.0
                    session._governor.most = 9.0
                    kept["nodes"] = looking_at(handle, "layer_norm", "weight")
                    handle._settle()
                    handle._settle()
        return losses, kept, handle

    torch.manual_seed(3)
    model = Tiny()
    start = {k: v.clone() for k, v in model.state_dict().items()}
    losses, _, _ = run(model, False)
    model.load_state_dict(start)
    watched, kept, handle = run(model, True)
    assert watched == losses
    history = list(handle._session.publisher.history._rest)
    handle._session.publisher.closed.set()
    handle.detach()
    from torchlike_asg.viewer.protocol import decode

    stats = [m for m in map(decode, history) if m.kind == "stats"]
    values = [m for m in stats if m.of == "value"]
    graph = handle._session._snapshot
    (norm,) = [i for i in kept["nodes"] if graph.text("op", i) == "layer_norm"]
    rows = [m.values[m.nodes.tolist().index(norm)] for m in values if norm in m.nodes]
    true = [[h.mean(), h.std(), h.min(), h.max()] for h in kept["hidden"]]
    assert rows
    assert all(any(np.allclose(row[:4], t, atol=1e-5) for t in true) for row in rows)
    assert any(m.of == "gradient" and np.isfinite(m.values[:, 5]).all() for m in stats)
    assert any(m.of == "update" and (m.values[:, 5] > 0).all() for m in stats)
    assert {m.kind for m in map(decode, history)} >= {"stats", "timing"}


def test_a_selection_is_looked_at_again_until_all_of_it_was_seen():
    model = Tiny()
    handle = attach(model, window=False)
    train(model, 10)
    handle._settle()
    handle.detach()
    session = handle._session  # from here on its thread is this one
    session._probe = None
    (gelu,) = looking_at(handle, "gelu")
    looks = 0
    while session._fresh_selection:
        session._plan_probe()
        probe, looks = session._probe, looks + 1
        assert {i for i, _ in probe.wanted} == {gelu, int(session._snapshot.gradient[gelu])}
        probe.done = True  # the step was half over: nothing is found
        session._collect()
    assert looks == 1 + TRIES
    session._hear(Subscribe(session.epoch))
    looking_at(handle, "gelu")
    session._plan_probe()
    assert not session._probe.complete
    for i, _ in session._probe.wanted:
        session._probe._add(i, np.ones(3, np.float32))
    session._probe.done = True
    before = len(session.publisher.history._rest)
    session._collect()
    assert not session._fresh_selection
    assert len(session.publisher.history._rest) > before
    looking_at(handle)
    looking_at(handle, "gelu")
    session._plan_probe()
    session._probe._add(gelu, np.ones(3, np.float32))
    session._probe.done = True
    session.epoch += 1  # another graph came: the numbers of nodes are those of the one before
    before = len(session.publisher.history._rest)
    session._collect()
    assert len(session.publisher.history._rest) == before


def test_a_look_that_is_asked_for_in_mid_step_is_at_the_next_step(monkeypatch):
    """The session's thread wakes while a plan runs, which is when training leaves the processor's lock to others."""
    model = Tiny()
    handle = attach(model, window=False)
    train(model, 10)
    handle._settle()
    (gelu,) = looking_at(handle, "gelu")
    session, tap, made = handle._session, handle._tap, []

    def idle():
        while session.asked:
            session.asked.popleft().set()

    monkeypatch.setattr(session, "tick", idle)
    handle._settle()  # from here on nobody else makes probes

    def original(tr, key, donated, run=taps._original):
        run(tr, key, donated)
        if not made:
            session._probe = tap.probe = None
            session._fresh_selection = True
            session._plan_probe()
            made.append(session._probe)

    monkeypatch.setattr(taps, "_original", original)
    tap.ask()
    train(model, 8)
    (probe,) = made
    assert probe.done
    assert probe.complete
    assert {i for i, _ in probe.wanted} >= {gelu, int(session._snapshot.gradient[gelu])}
    monkeypatch.undo()
    handle._session.publisher.closed.set()
    handle.detach()
