"""The short ways through wgpu's C interface: passes recorded and results read by compiled sequences, data sent only where they changed."""

import dataclasses

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.backends.wgpu import native, readback, walk
from torchlike_asg.backends.wgpu.ahead import Program
from torchlike_asg.backends.wgpu.executable import WgpuExecutable
from torchlike_asg.backends.wgpu.native import PASSES, Encoder, Mapper
from torchlike_asg.compiler import plan

from .harness import device, trained


def losses(steps=4):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1)).to("wgpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    x, y = torch.randn(6, 5).to("wgpu"), torch.randn(6, 1).to("wgpu")
    return trained(model, optimizer, x, y, steps)


@pytest.fixture
def encoder(monkeypatch):
    """An encoder of the device's own that has not compiled anything yet."""
    d = device()
    if d.encoder is None:
        pytest.skip("another build of wgpu")
    made = Encoder(d.gpu, d.gpu.queue)
    monkeypatch.setattr(d, "encoder", made)
    return made


@pytest.mark.parametrize("mappable", [True, False])
def test_compiled_sequences_do_what_python_does(encoder, mappable, monkeypatch):
    """Where results lie in memory that the host maps, and where they are copied there."""
    d = device()
    if not mappable:
        monkeypatch.setattr(d, "caps", dataclasses.replace(d.caps, features=d.caps.features - {readback.MAPPABLE}))
    plan.clear()
    expected = losses()
    assert encoder.compile()
    assert losses() == expected
    plan.clear()


def test_large_and_small_contents_are_read(encoder):
    """The compiled sequence has room for little; with flags and without."""
    assert encoder.compile()
    a = np.arange(5000, dtype=np.float32)
    for n in (1, 2, 7, 2046, 2047, 2048, 2049, 5000):
        assert (torch.from_numpy(a[:n]).to("wgpu") * 2).cpu().numpy().tolist() == (a[:n] * 2).tolist()
    kept = torch.from_numpy(a[:3]).to("wgpu") + 1
    first = kept.cpu().numpy()
    (torch.from_numpy(a[:3]).to("wgpu") + 5).cpu()
    assert first.tolist() == [1.0, 2.0, 3.0]  # not memory that the next read writes over


@pytest.mark.parametrize("compiled", [True, False])
def test_what_cannot_be_mapped_raises(encoder, compiled):
    if compiled:
        assert encoder.compile()
    d = device()
    buffer = d.buffer(64, readable=True)
    mapper = Mapper(d.gpu)
    mapper.compiled = encoder.compiled
    buffer.destroy()
    encoder._complaints.begin()
    try:
        with pytest.raises(RuntimeError, match="cannot be read"):
            mapper.content(buffer, 16)
    finally:
        assert "destroyed" in encoder._complaints.end()


class Interrupted:
    """The native library, of which one function is interrupted by Ctrl-C once, after it has done its work or before."""

    def __init__(self, lib, name, after):
        self._lib, self._name, self._after = lib, name, after

    def __getattr__(self, name):
        function = getattr(self._lib, name)
        if name != self._name:
            return function

        def once(*args):
            self._name = ""
            if self._after:
                function(*args)
            raise KeyboardInterrupt

        return once


@pytest.mark.parametrize(
    ("compiled", "name"), [(True, "wgpuBufferMapAsync"), *[(False, f"wgpu{n}") for n in ("BufferMapAsync", "DevicePoll", "BufferUnmap")]]
)
@pytest.mark.parametrize("after", [False, True])
def test_an_interrupted_read_is_not_in_the_way_of_the_next(encoder, compiled, name, after, monkeypatch):
    """The library ended the process when something was to be copied to the buffer that was still mapped."""
    if compiled:
        assert encoder.compile()
    d = device()
    buffer = d.buffer(64)
    d.write(buffer, 0, np.arange(16, dtype=np.float32))
    mapper = Mapper(d.gpu)
    monkeypatch.setattr(d.reader, "_map", mapper)
    monkeypatch.setattr(mapper, "_lib", Interrupted(mapper._lib, name, after))
    with pytest.raises(KeyboardInterrupt):
        d.read(buffer, 16)
    assert d.read(buffer, 16, 16).view(np.float32).tolist() == [4.0, 5.0, 6.0, 7.0]


def test_the_loop_is_compiled_when_that_has_paid(encoder, monkeypatch):
    monkeypatch.setattr(walk, "PAYS", 10)
    expected = losses()
    assert encoder.compiled is not None
    assert losses() == expected


class Watched:
    """The native library, with the submissions made and waited for."""

    def __init__(self, lib):
        self._lib, self.made, self.waited = lib, [], []

    def __getattr__(self, name):
        return getattr(self._lib, name)

    def wgpuQueueSubmitForIndex(self, *args):
        self.made.append(self._lib.wgpuQueueSubmitForIndex(*args))
        return self.made[-1]

    def wgpuDevicePoll(self, device, wait, index):
        assert wait
        self.waited.append(index[0])
        return self._lib.wgpuDevicePoll(device, wait, index)


@pytest.fixture
def unread(encoder, monkeypatch):
    """``(library, step)``: a step of training that nobody reads."""
    lib = Watched(encoder._lib)
    monkeypatch.setattr(encoder, "_lib", lib)
    w = torch.ones(5, device="wgpu", requires_grad=True)
    optimizer = torch.optim.SGD([w], lr=0.1)

    def step():
        w.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    step()
    lib.made.clear()
    encoder.landed()
    return lib, step


def test_a_step_that_is_not_read_never_waits(unread):
    lib, step = unread
    for _ in range(3 * PASSES):
        step()
    assert len(lib.made) == 3 * PASSES and not lib.waited


def test_who_reads_nothing_does_not_run_away(unread, encoder, monkeypatch):
    """Only when the device has that many dispatches to do, in so many passes, the host waits: for the oldest, never for the last."""
    monkeypatch.setattr(native, "DISPATCHES", 5)
    lib, step = unread
    for i in range(PASSES + 10):
        step()
        assert lib.waited == lib.made[: max(0, i + 1 - PASSES)]
    x = torch.ones(5).to("wgpu")
    assert x.sum().item() == 5  # what is read is done, and all before it
    before = len(lib.waited)
    for i in range(PASSES + 10):
        assert x.mul(i).sum().item() == 5 * i
    assert len(lib.waited) == before and not encoder._dispatches and not encoder._flight


def test_data_for_the_future_are_bounded(unread, encoder, monkeypatch):
    monkeypatch.setattr(native, "SENT", 5000)
    lib, _ = unread
    d, buffer = device(), device().buffer(4096)
    for i in range(4):
        d.write(buffer, 0, np.full(1024, i, np.float32))
        encoder.submit(Program(0), 0, 0, ())
    assert lib.waited == lib.made[:3], "two of them would be more than may be under way"
    assert d.read(buffer, 4).view(np.float32)[0] == 3


def test_without_llvmlite_python_records(encoder, monkeypatch):
    def missing():
        raise ImportError("llvmlite")

    monkeypatch.setattr(walk, "addresses", missing)
    monkeypatch.setattr(walk, "PAYS", 10)
    found = losses()
    assert encoder.compiled is None and found[-1] < found[0]


def test_equal_data_are_sent_once(encoder, monkeypatch):
    sent = []
    write = encoder.write
    monkeypatch.setattr(encoder, "write", lambda buffer, offset, content: (sent.append(content.nbytes), write(buffer, offset, content)))
    weight = torch.ones(4).to("wgpu")

    def run(values):
        with torch.no_grad():
            return (torch.tensor(values).to("wgpu") * weight).sum().item()

    for _ in range(3):
        run([1.0, 2.0, 3.0, 4.0])
    sent.clear()
    assert run([1.0, 2.0, 3.0, 4.0]) == 10 and not sent
    assert run([1.0, 2.0, 3.0, 5.0]) == 11 and len(sent) == 1
    assert run([1.0, 2.0, 3.0, 4.0]) == 10 and len(sent) == 2


def test_both_forms_of_a_program_agree(encoder, monkeypatch):
    plans = []
    run = WgpuExecutable.run
    monkeypatch.setattr(WgpuExecutable, "run", lambda self, *a: (plans.append(self), run(self, *a))[1])
    losses(2)
    bindings = max(plans, key=lambda p: p.size).bindings
    program, pointer = bindings._program, lambda p: int(encoder._ffi.cast("uintptr_t", p))
    for k in reversed(bindings._live):
        bindings._moved.add(k)
        bindings._renew()
    assert len(program.records) > 1
    for (pipeline, group, *grid), row in zip(program.records, program.table, strict=True):
        assert tuple(int(w) for w in row) == walk.packed(pointer(pipeline), pointer(group), *grid)


def test_words_of_a_dispatch():
    row = np.array([walk.packed(2**63 + 1, 7, 65535, 3, 2)], np.uint64)
    assert row[0, :2].tolist() == [2**63 + 1, 7] and row.view(np.uint32)[0, 4:7].tolist() == [65535, 3, 2]


def test_what_the_library_refuses_is_told_once(encoder):
    d = device()
    buffer = d.buffer(16)
    with pytest.raises(RuntimeError, match=r"(?s)the GPU refuses data: .*overrun"):
        d.write(buffer, 0, np.zeros(64, np.float32))
    d.write(buffer, 0, np.full(4, 3, np.float32))
    target = d.buffer(16)
    copies = [(buffer, 0, target, 0, 64)]
    with pytest.raises(RuntimeError, match=r"(?s)the GPU refuses a pass: .*overrun"):
        encoder.submit(Program(0), 0, 0, copies)
    encoder.submit(Program(0), 0, 0, [(buffer, 0, target, 0, 16)])
    assert d.read(target, 16).view(np.float32).tolist() == [3] * 4
