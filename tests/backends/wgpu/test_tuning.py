"""Plans by measurement: measured once, kept on disk, damaged files and refused tiles cost nothing but time."""

import json
from dataclasses import replace

import pytest

from torchlike_asg import config
from torchlike_asg.backends.wgpu import device as device_module
from torchlike_asg.backends.wgpu import timing
from torchlike_asg.backends.wgpu.calls import Binding, Dispatch, Lowering, Source, declarations
from torchlike_asg.backends.wgpu.gemm import tuning
from torchlike_asg.backends.wgpu.gemm.tiles import plan

from .harness import device

SIZES = (1, 512, 512, 512)


@pytest.fixture
def caps(monkeypatch, tmp_path):
    """Those of an adapter that is worth tuning for, whose device is the test's."""
    made = replace(device().caps, software=False, name="An adapter / for tests")
    monkeypatch.setattr(device_module, "device_with", lambda caps: device())
    monkeypatch.setattr(config, "cache", str(tmp_path))
    monkeypatch.setattr(tuning, "_known", {})
    return made


@pytest.fixture
def times(monkeypatch):
    """Seconds by plan instead of measured ones: the later the proposal, the faster. Counts the measurements."""
    count = []

    class Prepared:
        def __init__(self, d, calls, buffers):
            self.number = calls[0].words[0]

        def run(self, times=1):
            return 0.0

        def seconds(self, rounds=2):
            count.append(self.number)
            return 1.0 / (1 + self.number)

    monkeypatch.setattr(timing, "Prepared", Prepared)
    return count


def build(caps):
    """Adds a dispatch that says which proposal it is."""
    every = tuning._candidates(caps, *SIZES)
    source = Source(("test_nothing",), lambda: declarations(["f32"], 1))
    return lambda low, p: low.add(Dispatch(source, (Binding(0, 0, 64),), (every.index(p),), 1, (0,)))


def ask(caps):
    return tuning.planned(Lowering(1, caps), "ff", *SIZES, build(caps))


def test_the_fastest_is_found_once_and_kept(caps, times, monkeypatch, tmp_path):
    best = ask(caps)
    assert best == tuning._candidates(caps, *SIZES)[-1] and best != plan(caps, *SIZES)
    measured = len(times)
    assert measured and ask(caps) == best
    monkeypatch.setattr(tuning, "_known", {})  # another process
    assert ask(caps) == best and len(times) == measured
    (file,) = tmp_path.rglob("An_adapter_for_tests.json")
    assert list(json.loads(file.read_text())) == ["ff 1x512x512x512"]


@pytest.mark.parametrize("content", ["", "[1]", '{"ff 1x512x512x512": 3}', '{"ff 1x512x512x512": [[1, 2], 3]}'])
def test_damaged_files_are_measured_again_or_passed_over(content, caps, times, monkeypatch, tmp_path):
    ask(caps)
    (file,) = tmp_path.rglob("An_adapter_for_tests.json")
    file.write_text(content)
    monkeypatch.setattr(tuning, "_known", {})
    assert ask(caps) in tuning._candidates(caps, *SIZES)


def test_nothing_is_measured_for_small_products_without_a_device_or_when_told_so(caps, times, monkeypatch):
    assert tuning.planned(Lowering(1, caps), "ff", 1, 64, 64, 64, build(caps)) == plan(caps, 1, 64, 64, 64)
    monkeypatch.setenv("TORCHLIKE_ASG_TUNE", "off")
    assert ask(caps) == plan(caps, *SIZES)
    monkeypatch.delenv("TORCHLIKE_ASG_TUNE")
    monkeypatch.setattr(device_module, "device_with", lambda caps: None)
    assert ask(caps) == plan(caps, *SIZES)
    assert not times


def test_dispatches_are_timed():
    d = device()
    text = declarations(["f32"]) + "@compute @workgroup_size(1) fn main() { m0[0] = m0[0] + 1f; }\n"
    call = Dispatch(Source(("test_timed",), lambda: text), (Binding(0),), (), 1, (0,))
    low = Lowering(1, d.caps)
    low.add(call)
    assert timing.sizes_of(low) == {0: 16}
    buffer = d.buffer(16)
    p = timing.Prepared(d, low.calls, {0: (buffer, 16)})
    p.run(5)
    assert d.read(buffer, 4).view("f4")[0] == 5
    assert 0 < p.seconds(1) < 1
