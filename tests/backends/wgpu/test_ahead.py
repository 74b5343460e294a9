"""Passes recorded while the host waits for the device: what comes next is foreseen, and what was foreseen in vain is thrown away."""

import gc
import weakref

import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.backends.wgpu.ahead import STATES, Order, Program, Successors
from torchlike_asg.backends.wgpu.bindings import Bindings
from torchlike_asg.backends.wgpu.calls import Source
from torchlike_asg.backends.wgpu.native import Encoder

from .harness import device


class Watched:
    """The native library; notes when a pass was recorded and when it was submitted, and counts command buffers."""

    def __init__(self, lib):
        self._lib, self.log, self.made, self.released = lib, [], 0, 0

    def __getattr__(self, name):
        return getattr(self._lib, name)

    def wgpuCommandEncoderFinish(self, *args):
        self.log.append("record")
        self.made += 1
        return self._lib.wgpuCommandEncoderFinish(*args)

    def wgpuCommandBufferRelease(self, commands):
        self.released += 1
        self._lib.wgpuCommandBufferRelease(commands)

    def wgpuQueueSubmitForIndex(self, *args):
        self.log.append("submit")
        return self._lib.wgpuQueueSubmitForIndex(*args)


@pytest.fixture
def lib(monkeypatch):
    d = device()
    if d.encoder is None:
        pytest.skip("another build of wgpu")
    encoder = Encoder(d.gpu, d.gpu.queue)
    encoder._lib = watched = Watched(encoder._lib)
    monkeypatch.setattr(d, "encoder", encoder)
    return watched


def training(batches, read=True):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1)).to("wgpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    data = [(torch.randn(6, 5).to("wgpu"), torch.randn(6, 1).to("wgpu")) for _ in range(batches)]

    def step(i):
        x, y = data[i % batches]
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item() if read else loss

    return step


@pytest.mark.parametrize("batches", [1, 3, STATES])
def test_what_comes_next_is_recorded_while_the_host_waits(lib, batches):
    step = training(batches)
    for i in range(4 * batches + 4):
        step(i)
    lib.log.clear()
    for i in range(batches):
        step(i + 4 * batches + 4)
    assert lib.log == ["submit", "record"] * batches
    assert lib.released == lib.made - 1, "one is waiting"


def test_nothing_is_recorded_ahead_of_what_nobody_waits_for(lib):
    step = training(1, read=False)
    for i in range(12):
        step(i)
    lib.log.clear()
    step(12)
    assert lib.log == ["record", "submit"]


def test_two_plans_in_turns(lib):
    one, other = training(1), training(1)
    for i in range(6):
        one(i), other(i)
    lib.log.clear()
    one(6), other(6)
    assert lib.log == ["submit", "record"] * 2


def test_losses_are_the_same(lib, monkeypatch):
    def losses():
        step, kept, found = training(2), [], []
        for i in range(20):
            found.append(step(i))
            if i in (9, 13):  # memory that the next steps cannot have
                kept.append(training(1, read=False)(i))
            if i == 11:
                kept.clear()
        return found

    ahead = losses()
    assert "record" in lib.log[-2:] and ahead[-1] < ahead[0]
    monkeypatch.setattr(Encoder, "prepare", lambda self: None)
    assert losses() == ahead


def test_what_was_foreseen_in_vain_is_thrown_away(lib):
    step, other = training(1), torch.arange(3.0).to("wgpu")
    for i in range(6):
        step(i)
    assert lib.released == lib.made - 1
    lib.log.clear()
    assert other.mul(2).sum().item() == 6
    assert lib.log[:2] == ["record", "submit"]
    assert lib.released == lib.made, "also the one that was recorded for another step"
    lib.log.clear()
    step(6)
    assert lib.log[:2] == ["record", "submit"]


def test_a_program_is_not_kept_alive():
    program, successors = Program(2), Successors()
    program.settle("here")
    order = Order(program.serial, program.state.number, 0, 2, ())
    for _ in range(3):
        successors.note(order)
    assert successors.expected() == (order, program.state)
    gone = weakref.ref(program)
    del program
    gc.collect()
    assert gone() is None and successors.expected() is None


def test_states_are_found_again():
    program, numbers = Program(1), []
    for i in range(STATES):
        program.table[0, 1] = i + 1
        assert not program.resume(i)
        program.settle(i)
        numbers.append(program.state.number)
    for i in range(STATES):
        assert program.resume(i)
        assert program.state.number == numbers[i] and program.state.table[0, 1] == i + 1
    program.settle("other")
    assert program.known(numbers[0]) is None and program.known(numbers[1]).number == numbers[1]
    assert not program.resume(0)
    program.settle(0)
    assert program.state.number not in numbers, "a number is never used again: its objects may be gone"
    program.forget()
    assert program.known(numbers[-1]) is None and not program.resume(2)


def test_what_is_put_after_a_state_was_taken_up_again_is_not_that_states():
    d = device()
    if not hasattr(d.gpu, "_internal"):
        pytest.skip("another build of wgpu")
    source = Source(("empty",), lambda: "@compute @workgroup_size(1) fn main() {}")
    pipeline, group = d.pipeline(source, 0, False), d.gpu.create_bind_group(layout=d.layout(0, False)[0], entries=[])
    program = Program(2)
    for k in range(2):
        program.put(k, pipeline, group, (1, 1, 1))
    program.settle("first")
    first = program.state
    program.put(0, pipeline, group, (2, 1, 1))
    program.settle("second")
    assert program.resume("first") and program.state is first
    program.put(1, pipeline, group, (3, 1, 1))
    program.settle("third")
    assert [r[2] for r in first.records] == [1, 1] and [r[2] for r in program.state.records] == [1, 3]
    assert (first.table[1] != program.state.table[1]).any() and (first.table[0] == program.state.table[0]).all()


def test_batches_that_come_again_are_not_bound_again(monkeypatch):
    """Beside the results' memory, which a few runs share in turns."""
    if not hasattr(device().gpu, "_internal"):
        pytest.skip("another build of wgpu")
    step = training(3)
    losses = [step(i) for i in range(12)]
    monkeypatch.setattr(Bindings, "_group", lambda *_: pytest.fail("bound again"))
    losses += [step(i) for i in range(12, 18)]
    monkeypatch.undo()
    again = training(3)
    assert [again(i) for i in range(18)] == losses
