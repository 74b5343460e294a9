"""Small dispatches of one shader become one, and nothing is seen before it is computed or after it is overwritten."""

import dataclasses

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import dtypes, nn
from torchlike_asg.backends.assemble import Origin
from torchlike_asg.backends.wgpu import loops
from torchlike_asg.backends.wgpu.calls import Binding, Capabilities, Dispatch, Lowering, Source, View
from torchlike_asg.backends.wgpu.executable import WgpuExecutable
from torchlike_asg.backends.wgpu.joining import joined
from torchlike_asg.backends.wgpu.timing import Prepared
from torchlike_asg.compiler.kernel import Apply, Const, Load, LoopKernel, Operand
from torchlike_asg.compiler.kernel import Reduce as Total

from .harness import device

CAPS = Capabilities("test", limits={"max-storage-buffers-per-shader-stage": 64})


def times(a, b):
    f = dtypes.float32
    return Apply("mul", (a, b), (), f, f, lambda h, x, y: h.mul(x, y))


def copy(low, source, target, count=4):
    """A small loop kernel from one slot to another."""
    f = dtypes.float32
    k = LoopKernel((count,), 1, (Operand(f, (1,)), Operand(f, (1,))), (Load(0, f),), ((1, 0),))
    loops.lower(low, k, [View(slot, (count,), (1,), 0, f) for slot in (source, target)], f"{source}>{target}")


def other(low, source, target):
    """A dispatch that is no loop kernel."""
    low.add(Dispatch(Source(("other",), str), (Binding(source), Binding(target)), writes=(target,), label=f"{source}>{target}"))


def labels(build, caps=CAPS, sizes=None):
    low = Lowering(100, caps)
    build(low)
    steps, origins = joined(low.calls, [Origin(()) for _ in low.calls], caps, sizes or {})
    assert len(steps) == len(origins)
    return [s.label for s in steps]


def test_independent_ones_join_at_the_end():
    def build(low):
        copy(low, 1, 2)
        other(low, 20, 21)
        copy(low, 3, 4)
        copy(low, 5, 6)

    assert labels(build) == ["20>21", "1>2 of 3"]


def test_who_reads_the_result_comes_after():
    def build(low):
        copy(low, 1, 2)
        copy(low, 3, 4)
        other(low, 4, 21)
        copy(low, 5, 6)

    assert labels(build) == ["1>2 of 2", "4>21", "5>6"]


def test_who_writes_what_is_read_comes_after():
    def build(low):
        copy(low, 1, 2)
        other(low, 9, 1)
        copy(low, 3, 4)

    assert labels(build) == ["1>2", "9>1", "3>4"]


def test_one_that_needs_another_of_its_kind_is_not_joined_with_it():
    def build(low):
        copy(low, 1, 2)
        copy(low, 2, 3)
        copy(low, 4, 5)

    assert labels(build) == ["1>2", "2>3 of 2"]


def total(low, source, target):
    """Another kind of small kernel: a sum."""
    f = dtypes.float32
    k = LoopKernel((1, 8), 1, (Operand(f, (8, 1)), Operand(f, (1, 0))), (Load(0, f), Total("sum", 0, f)), ((1, 1),))
    loops.lower(low, k, [View(source, (1, 8), (8, 1), 0, f), View(target, (1, 8), (1, 0), 0, f)], f"sum {source}>{target}")


def test_kinds_that_need_each_other_keep_their_order():
    def build(low):
        total(low, 1, 2)
        copy(low, 2, 3)
        total(low, 4, 5)
        copy(low, 5, 6)
        total(low, 6, 7)  # after the copies, which come after the first sums

    assert labels(build) == ["sum 1>2 of 2", "2>3 of 2", "sum 6>7"]


def test_no_more_bindings_than_the_adapter_has():
    def build(low):
        for i in range(1, 13, 2):
            copy(low, i, i + 1)

    few = dataclasses.replace(CAPS, limits={"max-storage-buffers-per-shader-stage": 8})
    assert labels(build, few) == ["1>2 of 4", "9>10 of 2"]


def test_large_intermediate_results_are_not_kept_for_it():
    def build(low):
        copy(low, 1, 2)
        copy(low, 3, 4)
        other(low, 20, 21)

    assert labels(build, sizes={1: 1 << 24}) == ["1>2", "20>21", "3>4"]


@pytest.mark.parametrize("count", [1, 3, 70000])
def test_values(count):
    """Kernels of one form and different sizes, with a shared operand and numbers of their own, also where four are computed at once."""
    f, d = dtypes.float32, device()
    low = Lowering(100, d.caps)
    sizes = [count, 4 * count, 8]
    data, buffers = {}, {}

    def fill(slot, values):
        data[slot] = values.astype(np.float32)
        buffers[slot] = d.buffer(values.size * 4)
        d.queue.write_buffer(buffers[slot], 0, data[slot])

    fill(0, np.array([3.0]))
    rng = np.random.default_rng(0)
    for i, n in enumerate(sizes):
        fill(2 * i + 1, rng.standard_normal(n))
        fill(2 * i + 2, np.zeros(n))
        body = (Load(0, f), Load(1, f), times(0, 1), Const(1.5 + i, f), times(2, 3))
        k = LoopKernel((n,), 1, (Operand(f, (1,)), Operand(f, (0,)), Operand(f, (1,))), body, ((2, 4),))
        views = [View(2 * i + 1, (n,), (1,), 0, f), View(0, (n,), (0,), 0, f), View(2 * i + 2, (n,), (1,), 0, f)]
        loops.lower(low, k, views)
    steps, _ = joined(low.calls, [Origin(()) for _ in low.calls], d.caps, {})
    assert len(steps) < len(sizes)
    Prepared(d, steps, {slot: (buffers[slot], data[slot].nbytes) for slot in buffers}).run()
    for i, n in enumerate(sizes):
        got = d.read(buffers[2 * i + 2], 4 * n).view(np.float32)
        np.testing.assert_array_equal(got, data[2 * i + 1] * np.float32(3) * np.float32(1.5 + i))


def training(where, steps=3):
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU()]
    for _ in range(3):
        layers += [nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()]
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(4 * 16, 3)).to(where)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3)
    x, y = torch.randn(5, 2, 6, 6).to(where), torch.randint(0, 3, (5,)).to(where)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, [b.cpu().numpy() for b in model.buffers()] + [p.detach().cpu().numpy() for p in model.parameters()]


def test_training(monkeypatch):
    device()
    sizes = []
    run = WgpuExecutable.run
    monkeypatch.setattr(WgpuExecutable, "run", lambda self, *a: (sizes.append(self.assembly.steps), run(self, *a))[1])
    losses, state = training("wgpu")
    expected, values = training("cpu")
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for a, b in zip(state, values, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    updates = [s for s in max(sizes, key=len) if isinstance(s, Dispatch) and s.writes and s.label.startswith("mul+add")]
    assert len(updates) <= 8  # of 18 parameters and 12 statistics
