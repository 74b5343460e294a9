"""What a steady training step asks of the device, counted: one encoder, one pass, one submission, at most one write; nothing is made."""

import collections

import pytest

import torchlike_asg as torch
from torchlike_asg import nn

from .harness import device


class Counting:
    """Passes everything on to one of wgpu's objects and counts the calls; what they give is counted, too."""

    WATCHED = ("create_command_encoder", "begin_compute_pass")

    def __init__(self, target, counts):
        self._target, self._counts = target, counts

    def __getattr__(self, name):
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*args, **kwargs):
            self._counts[name] += 1
            out = found(*args, **kwargs)
            return Counting(out, self._counts) if name in self.WATCHED else out

        return call


@pytest.fixture
def watch(monkeypatch):
    """``watch()`` begins to count calls, by name of method. They are made by the objects of wgpu, not by the C interface, which makes the
    same."""

    def begin():
        d, found = device(), collections.Counter()
        monkeypatch.setattr(d, "gpu", Counting(d.gpu, found))
        monkeypatch.setattr(d, "queue", Counting(d.queue, found))
        monkeypatch.setattr(d, "encoder", None)
        return found

    device()
    return begin


def trained(read):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.2), nn.LayerNorm(16), nn.Linear(16, 3)).to("wgpu")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def step():
        x, y = torch.randn(8, 6).to("wgpu"), torch.randint(0, 3, (8,)).to("wgpu")
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item() if read else None

    return step


@pytest.mark.parametrize("read", [True, False])
def test_a_steady_step(watch, read):
    step = trained(read)
    for _ in range(5):
        step()
    counts = watch()
    for _ in range(3):
        step()
    passes = {name: counts.pop(name, 0) for name in ("create_command_encoder", "begin_compute_pass", "submit", "write_buffer")}
    assert passes == {"create_command_encoder": 3, "begin_compute_pass": 3, "submit": 3, "write_buffer": 3}
    made = [name for name in counts if name.startswith("create_") or name.startswith("read_")]
    assert not made, counts


def test_a_step_of_evaluation(watch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Linear(16, 3)).to("wgpu").eval()
    x = torch.randn(8, 6).to("wgpu")

    def step():
        with torch.no_grad():
            return float(model(x).sum().item())

    for _ in range(5):
        step()
    counts = watch()
    step()
    assert counts["submit"] == counts["begin_compute_pass"] == 1 and counts["write_buffer"] <= 1
