"""Data that an operation does not take: found by the kernel, raised with the next read, as the CPU's error with the program's line."""

import re

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.compiler import plan

from .harness import device
from .test_steady import watch

assert watch
F = nn.functional


@pytest.fixture
def w():
    device()
    return torch.arange(6.0, device="wgpu").reshape(3, 2) / 8 + 0.125


def computed(*values):
    """Whole numbers that only the device knows."""
    return torch.tensor(values, device="wgpu") + torch.zeros(len(values), dtype=torch.int64, device="wgpu").mul(3)


CASES = {
    "embedding": (lambda w, i: F.embedding(i, w), IndexError, "index out of range in self: 7 of 3 (embedding, recorded at"),
    "index_select": (lambda w, i: w.index_select(0, i), IndexError, "index out of range in self: 7 of 3"),
    "index": (lambda w, i: w[i], IndexError, "index 7 is out of bounds for dimension 0 with size 3 (index, recorded at"),
    "index of columns": (lambda w, i: w[:, i], IndexError, "index 7 is out of bounds for dimension 0 with size 2"),
    "gather": (lambda w, i: w.gather(1, i[None]), RuntimeError, "index 7 is out of bounds for dimension 1 with size 2 (gather"),
    "index_put": (lambda w, i: w.index_put((i,), w[0]), IndexError, "index 7 is out of bounds for dimension 0 with size 3"),
    "index_add": (lambda w, i: w.index_add(0, i, w[:2]), IndexError, "index 7 is out of bounds for dimension 0 with size 3"),
    "scatter": (lambda w, i: w.scatter(0, i[:, None], 1.0), RuntimeError, "index 7 is out of bounds for dimension 0 with size 3"),
    "cross_entropy": (lambda w, i: F.cross_entropy(w[:2], i), IndexError, "Target 7 is out of bounds. (recorded at"),
    "nll_loss": (lambda w, i: F.nll_loss(w[:2], i), IndexError, "Target 7 is out of bounds."),
    "binary_cross_entropy": (
        lambda w, i: F.binary_cross_entropy(w * i.sum(), w),
        RuntimeError,
        "all elements of input should be between 0 and 1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_error_is_raised_with_the_next_read(name, w):
    fn, error, text = CASES[name]
    with pytest.raises(error, match=re.escape(text)) as raised:
        fn(w, computed(1, 7)).sum().item()
    if "recorded at" in str(raised.value):
        assert __file__ in str(raised.value)
    assert (w * 2).sum().item() > 0, "it is told once"


def test_what_is_in_range_passes(w):
    i = computed(-1, 2)
    assert w[i].tolist() == [[0.625, 0.75]] * 2
    assert F.cross_entropy(w, torch.tensor([0, -100, 1], device="wgpu")).item() > 0
    assert F.embedding(computed(0, 2), w, padding_idx=0).shape == (2, 2)
    assert F.binary_cross_entropy(w, w).item() > 0
    with pytest.raises(IndexError, match="index -4 is out of bounds"):
        w[computed(-4)].tolist()


def test_a_gradient_alone_tells_too(w):
    """The rows are not computed where only their sum's gradient is asked for."""
    p = nn.Parameter(w.clone())
    F.embedding(computed(1, 7), p).sum().backward()
    with pytest.raises(IndexError, match="7 of 3"):
        p.grad.tolist()


def trained():
    torch.manual_seed(0)
    table, head = nn.Embedding(5, 4, device="wgpu"), nn.Linear(4, 3, device="wgpu")
    optimizer = torch.optim.SGD([*table.parameters(), *head.parameters()], lr=0.1)

    def step(tokens, labels, read):
        optimizer.zero_grad()
        loss = F.cross_entropy(head(table(tokens.to("wgpu"))), labels.to("wgpu"))
        loss.backward()
        optimizer.step()
        return loss.item() if read else None

    return step


@pytest.mark.parametrize("read", [True, False])
def test_a_step_waits_for_nothing(watch, read):
    """Checks cost no submission, write or read of their own."""
    step, rng = trained(), np.random.default_rng(0)

    def go(bad=0):
        step(torch.tensor(rng.integers(0, 5, 6)), torch.tensor(rng.integers(0, 3, 6) + bad), read)

    for _ in range(5):
        go()
    counts = watch()
    for _ in range(3):
        go()
    passes = {name: counts.pop(name, 0) for name in ("create_command_encoder", "begin_compute_pass", "submit", "write_buffer")}
    assert passes == {"create_command_encoder": 3, "begin_compute_pass": 3, "submit": 3, "write_buffer": 3}
    assert not [name for name in counts if name.startswith(("create_", "read_"))]
    if read:
        with pytest.raises(IndexError, match="Target 9"):
            step(torch.tensor([0] * 6), torch.tensor([0, 1, 2, 9, 0, 0]), True)
    else:
        step(torch.tensor([0] * 6), torch.tensor([0, 1, 2, 9, 0, 0]), False)
        torch.sync()
        with pytest.raises(IndexError, match="Target 9"):
            torch.accelerator.synchronize()


def test_without_room_for_another_operand(w, monkeypatch):
    """A kernel that binds as much as the adapter allows is not checked, and writes nothing out of range."""
    import dataclasses

    d = device()
    plan.clear()
    monkeypatch.setattr(d, "caps", dataclasses.replace(d.caps, limits={**d.caps.limits, "max-storage-buffers-per-shader-stage": 3}))
    v = w * 1
    v[computed(1, 7)] = 0.0
    assert v[:, 0].tolist() == [0.125, 0.0, 0.625]
    plan.clear()
