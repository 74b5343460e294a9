"""torch.profiler on a GPU: kernels with the device's own times, in the table and in the trace file."""

import dataclasses
import itertools
import json
import warnings

import pytest

import torchlike_asg as torch
from torchlike_asg.backends.wgpu import profiling
from torchlike_asg.errors import ReferenceWarning
from torchlike_asg.profiler import ProfilerActivity

from .harness import device


@pytest.fixture
def operands():
    device()
    a, b = torch.rand(70, 90, device="wgpu"), torch.rand(90, 50, device="wgpu")
    torch.sync()
    return a, b


def work(a, b):
    return float((torch.tanh(a @ b) + 1).sum())


def test_kernels_have_the_devices_times(operands, tmp_path):
    expected = work(*operands)
    with torch.profiler.profile() as p:
        for _ in range(3):
            assert work(*operands) == expected
    averages = p.key_averages()
    product = next(a for a in averages if a.key.startswith("matmul"))
    assert product.count == 3 and product.flops == 3 * 2 * 70 * 90 * 50
    assert product.self_device_time_total == product.device_time_total == pytest.approx(3 * product.device_time)
    assert product.device_time > 0 and product.cpu_time_total == 0
    assert product.self_cuda_time_total == product.self_device_time_total and product.gigaflops > 0
    assert any("tanh" in a.key for a in averages)
    kernels = [e for e in p.events() if e.device]
    assert {e.device for e in kernels} == {"wgpu:0"} and len(kernels) >= 6
    assert all(e.start <= e.end <= later.start for e, later in itertools.pairwise(kernels)), "one after the other"
    text = averages.table(sort_by="self_device_time_total")
    assert "Self WGPU %" in text and "WGPU time avg" in text and "Self WGPU time total:" in text
    p.export_chrome_trace(tmp_path / "trace.json")
    rows = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    (row,) = {r["tid"] for r in rows if r["ph"] == "X" and r["name"].startswith("matmul")}
    assert {r["args"]["name"] for r in rows if r["ph"] == "M" and r["tid"] == row} == {"wgpu:0"}


def test_only_what_is_asked_for(operands):
    with torch.profiler.profile(activities=[ProfilerActivity.CPU]) as p:
        work(*operands)
    assert not [e for e in p.events() if e.device] and "WGPU" not in p.key_averages().table()
    with torch.profiler.profile(activities=[ProfilerActivity.CUDA]) as p:
        work(*operands)
        work(torch.rand(3, 4), torch.rand(4, 5))
    assert {e.device for e in p.events() if e.kind == "kernel"} == {"wgpu:0"}
    assert profiling.recorder is None


def test_parts_of_numpy_and_many_passes(operands, monkeypatch):
    monkeypatch.setattr(profiling, "MOST", 4)
    a, _ = operands
    with warnings.catch_warnings(), torch.profiler.profile() as p:
        warnings.simplefilter("ignore", ReferenceWarning)
        values = torch.linalg.svdvals(a[:4, :4] + 1).cumsum(0)
        x = a
        for k in range(5):
            x = (x - x.mean(0) * k).softmax(0)
        assert x.sum().item() + values.sum().item() > 0
    names = [e.name for e in p.events()]
    assert "numpy svdvals" in names and sum(e.device == "wgpu:0" for e in p.events()) > profiling.MOST // 2


def test_without_timestamps_a_submission_is_timed(operands, monkeypatch):
    d = device()
    monkeypatch.setattr(d, "caps", dataclasses.replace(d.caps, features=d.caps.features - {"timestamp-query"}))
    expected = work(*operands)
    with torch.profiler.profile() as p:
        assert work(*operands) == expected
    (event,) = [e for e in p.events() if e.device]
    assert "matmul" in event.name and "tanh" in event.name and event.end > event.start
