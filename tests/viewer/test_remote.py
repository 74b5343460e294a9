"""A model on another device: statistics, times and losses come from there, and training never waits for them."""

import time

import numpy as np
import pytest

import torchlike_asg as torch
from tests.backends.wgpu.harness import device
from torchlike_asg import nn
from torchlike_asg.asg.geometry import contiguous
from torchlike_asg.backends.wgpu import readback
from torchlike_asg.backends.wgpu.memory import upload
from torchlike_asg.viewer import attach, capture, remote, statistics
from torchlike_asg.viewer.findings import code_of
from torchlike_asg.viewer.protocol import Subscribe, decode

from .models import Tiny


@pytest.fixture(autouse=True)
def adapter():
    return device()


def arrived(reading):
    until = time.monotonic() + 60
    while not reading.ready():
        assert time.monotonic() < until
        time.sleep(0.002)
    return reading


@pytest.mark.parametrize(
    "data",
    [
        np.random.default_rng(0).normal(1.0, 2.0, (300, 70)).astype(np.float32),
        np.full((5, 2), 3.0, np.float32),
        np.array([1.0, np.nan, np.inf, 2.0, -4.0], np.float32),
        np.arange(7, dtype=np.int32),
    ],
    ids=["normal", "constant", "not finite", "integers"],
)
def test_the_numbers_are_those_of_arrays_on_the_host(data):
    value = upload(device(), data, contiguous(data.shape), getattr(torch, data.dtype.name))
    out = remote.of_arrays([("histogram", [value]), ("norm", [value]), ("update", [value, value])])
    report = remote.Report("value", [(4, "histogram"), (5, "norm"), (6, "update")], arrived(remote.reading(out)))
    values, counts, ranges = report.statistics()
    expected, (low, high) = statistics.histogram(data)
    assert np.allclose(values[0], statistics.summary(data), rtol=1e-4, atol=1e-5)
    assert np.allclose(ranges[0], (low, high))
    assert np.abs(counts[0].astype(int) - expected.astype(int)).sum() <= 2  # of elements at an edge
    if np.isfinite(data).all():
        assert np.isclose(values[1, 5], np.linalg.norm(data), rtol=1e-4)
        assert values[2, 5] == 0.0


def test_training_is_looked_into_and_never_waits(monkeypatch):
    def run(watch):
        torch.manual_seed(3)
        model = Tiny().to("wgpu")
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        handle = attach(model, window=False) if watch else None
        x, y = torch.randn(16, 6).to("wgpu"), torch.randint(0, 3, (16,)).to("wgpu")
        for k in range(50):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            if watch and k == 10:
                handle._settle()
                session = handle._session
                session.publisher.closed.clear()
                graph = session._snapshot
                seen = [i for i in range(len(graph)) if graph.text("op", i) == "gelu" or graph.text("name", i) == "weight"]
                session._hear(Subscribe(session.epoch, np.asarray(seen, np.int32), np.asarray(seen, np.int32)))
            if watch and k > 10:
                session._governor.credit, session._looked = 9.0, 0.0
                handle._settle()
                time.sleep(0.01)
        if watch:
            until = time.monotonic() + 60
            while (session._findings._coming or session._findings._stamps or session.tap.log.coming) and time.monotonic() < until:
                handle._settle()
        waits.append("end")
        with torch.no_grad():
            hidden = model.act(model.norm(model.first(x)))
        return handle, [hidden.cpu().numpy(), *[p.detach().cpu().numpy() for p in model.parameters()]], loss.item()

    waits = []
    original, staged = readback.Reader.read, readback.Reader.staged
    plain = run(False)
    monkeypatch.setattr(readback.Reader, "read", lambda *a: waits.append("read") or original(*a))
    monkeypatch.setattr(readback.Reader, "staged", lambda *a: waits.append("staged") or staged(*a))
    waits.clear()
    handle, values, loss = run(True)
    assert waits[0] == "end"
    assert loss == plain[2]
    assert all(np.array_equal(a, b) for a, b in zip(values, plain[1], strict=True))
    session = handle._session
    history, kernels, graph = session.publisher.history, session._kernels, session._snapshot
    session.publisher.closed.set()
    handle.detach()
    found = [decode(f) for f in history._rest]
    stats = [m for m in found if m.kind == "stats"]
    (gelu,) = [i for i in range(len(graph)) if graph.text("op", i) == "gelu"]
    last = [m for m in stats if m.of == "value" and gelu in m.nodes][-1]
    row = last.nodes.tolist().index(gelu)
    assert np.allclose(last.values[row][:4], [f(values[0]) for f in (np.mean, np.std, np.min, np.max)], atol=0.1)
    assert last.counts[row].sum() == values[0].size
    norms = np.concatenate([v for _, _, v in history._curves["grad norm"]])
    assert (norms > 0).all()
    assert any(m.of == "update" and (m.values[:, 5] > 0).all() for m in stats)
    losses = np.concatenate([v for _, _, v in history._curves["loss"]])
    assert np.isclose(losses[-1], loss, rtol=0.2)
    if "timestamp-query" in device().caps.features:
        times = [m for m in found if m.kind == "timing"]
        assert set(times[-1].kernels.tolist()) == set(range(len(kernels)))
        assert (times[-1].microseconds >= 0).all()
    assert graph.kernel[gelu] >= 0
    language, text = code_of(kernels[graph.kernel[gelu]])
    assert language == "WGSL"
    assert "fn main" in text
    origin = next(o for c, o, *_ in capture.kernels(session.tap._last) if c is kernels[graph.kernel[gelu]])
    assert any(n.op.name == "gelu" for n in origin.nodes)


class Split(nn.Module):
    """Half on the host, half on another device: a step is several plans, with values passing between them."""

    def __init__(self):
        super().__init__()
        self.first, self.act, self.head = nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 3).to("wgpu")

    def forward(self, x):
        return self.head(self.act(self.first(x)).to("wgpu"))


def test_a_model_on_two_devices_has_values_from_both(monkeypatch):
    def run(watch):
        torch.manual_seed(5)
        model = Split()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        handle = attach(model, window=False) if watch else None
        y = torch.randint(0, 3, (16,)).to("wgpu")
        for k in range(30):
            if k == 5:  # all plans are known
                waits.clear()
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(torch.randn(16, 6)), y)
            loss.backward()
            optimizer.step()
            if watch and k == 10:
                handle._settle()
                session = handle._session
                session.publisher.closed.clear()
                everything = np.arange(len(session._snapshot), dtype=np.int32)
                session._hear(Subscribe(session.epoch, everything, everything))
            if watch and k > 10:
                session._governor.credit, session._looked = 9.0, 0.0
                handle._settle()
        waited = len(waits)
        while watch and session._findings._coming:
            handle._settle()
            time.sleep(0.002)
        return handle, waited, [loss.item(), *[p.detach().cpu().numpy() for p in model.parameters()]]

    waits = []
    original, staged = readback.Reader.read, readback.Reader.staged
    monkeypatch.setattr(readback.Reader, "read", lambda *a: waits.append("read") or original(*a))
    monkeypatch.setattr(readback.Reader, "staged", lambda *a: waits.append("staged") or staged(*a))
    _, waited, plain = run(False)
    handle, waited_too, values = run(True)
    assert waited_too == waited  # for what passes to the host, as the model says
    assert all(np.array_equal(a, b) for a, b in zip(values, plain, strict=True))
    session = handle._session
    graph, trouble = session._snapshot, session.trouble
    found = [m for m in map(decode, session.publisher.history._rest) if m.kind == "stats"]
    session.publisher.closed.set()
    handle.detach()
    assert not trouble
    seen = {of: {i for m in found if m.of == of for i in m.nodes.tolist()} for of in ("value", "gradient", "update")}
    assert seen["value"] == set(range(len(graph)))
    weights = {i for i in range(len(graph)) if graph.text("name", i) in ("weight", "bias")}
    assert len({graph.text("device", i) for i in weights}) == 2
    assert weights <= seen["gradient"]
    assert weights <= seen["update"]
