"""Small dispatches that follow one another become one of one workgroup, which computes the same numbers."""

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.backends.assemble import Origin
from torchlike_asg.backends.wgpu import chaining
from torchlike_asg.backends.wgpu.calls import Binding, Capabilities, Dispatch, Source
from torchlike_asg.backends.wgpu.chaining import chained
from torchlike_asg.backends.wgpu.executable import WgpuExecutable
from torchlike_asg.compiler import plan

from .harness import device, trained


@pytest.fixture
def chains(monkeypatch):
    """Software adapters get chains, too; plans are made anew before and after."""
    device()
    monkeypatch.setattr(chaining, "ON_SOFTWARE", True)
    plan.clear()
    yield
    plan.clear()


def latest():
    """The steps of the plan that was made last on the device."""
    return [p.executable for p in plan.PLANS.values() if isinstance(p.executable, WgpuExecutable)][-1].assembly.steps


def is_chain(step):
    return step.source.key[0] == "chain"


# ---------------------------------------------------------------- what becomes a chain
CAPS = Capabilities(
    "test", limits={"max-storage-buffers-per-shader-stage": 8, "max-compute-invocations-per-workgroup": 256}
)  # fmt: skip
TEXT = """@group(0) @binding(0) var<storage, read_write> m0: array<f32>;
@group(0) @binding(1) var<storage, read_write> m1: array<{type}>;
{more}@compute @workgroup_size({threads}) fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin({builtin}) lane: u32) {{
m1[group.x] = {type}(m0[lane]);
}}
"""


def small(source, target, *, type="f32", threads=64, more="", builtin="local_invocation_index", **changes):
    text = TEXT.format(type=type, threads=threads, more=more, builtin=builtin)
    made = {"groups": 2, "work": 10, "writes": (target,), "label": f"{source}>{target}", **changes}
    return Dispatch(Source(("test", text), lambda: text), (Binding(source, 0, 64), Binding(target, 0, 64)), **made)


def labels(*calls, caps=CAPS):
    steps, origins = chained(calls, [Origin(()) for _ in calls], caps)
    assert len(steps) == len(origins)
    return [s.label for s in steps]


def test_neighbours_become_one():
    steps, _ = chained([small(1, 2), small(2, 3), small(3, 4)], [Origin(()) for _ in range(3)], CAPS)
    (one,) = steps
    assert one.groups == 1 and one.writes == (2, 3, 4)
    assert [b.slot for b in one.operands] == [1, 2, 3, 4]  # each once
    assert one.source.text.count("storageBarrier") == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"work": 0},
        {"work": chaining.WORK + 1},
        {"groups": (2, 1, 1)},
        {"groups": 0},
        {"groups": 9},  # 576 invocations, of which 256 go side by side
        {"threads": 96},
        {"threads": 512},
        {"more": "struct A { a: u32 }\n"},
        {"more": "var<workgroup> a: array<vec4<f32>, 2000>;\n"},
        {"builtin": "subgroup_size"},
    ],
    ids=str,
)
def test_what_does_not_suit_stays_alone(changes):
    assert labels(small(1, 2), small(2, 3), small(3, 4, **changes), small(4, 5), small(5, 6)) == ["1>2; 2>3", "3>4", "4>5; 5>6"]


def test_memory_that_is_written_has_one_type():
    """A shader compiler may take two variables for two places."""
    assert labels(small(1, 2), small(2, 3, type="u32"), small(3, 4)) == ["1>2; 2>3", "3>4"]
    assert labels(small(1, 2, type="u32"), small(3, 2), small(4, 5)) == ["1>2", "3>2; 4>5"]


def test_operands_that_are_only_read_may_have_several():
    whole = small(1, 2)
    half = Dispatch(whole.source, (Binding(1, 0, 32), Binding(3, 0, 64)), groups=2, work=10, writes=(3,), label="half")
    assert labels(whole, half) == ["1>2; half"]


def test_bindings_have_a_limit():
    calls = [small(2 * k, 2 * k + 1) for k in range(5)]
    assert labels(*calls) == ["0>1; 2>3; 4>5; 6>7", "8>9"]


def test_a_workgroup_is_never_larger_than_the_adapters():
    """Some adapters' largest workgroup is no power of two."""
    caps = Capabilities("test", limits=CAPS.limits | {"max-compute-invocations-per-workgroup": 384})
    for groups, threads in ((1, 64), (3, 256), (5, 384), (6, 384), (12, 384)):
        (one,), _ = chained([small(1, 2, groups=groups), small(2, 3, groups=1)], [Origin(()), Origin(())], caps)
        assert f"@workgroup_size({threads})" in one.source.text


def test_software_adapters_get_none(monkeypatch):
    software = Capabilities("test", limits=CAPS.limits, software=True)
    monkeypatch.setattr(chaining, "ON_SOFTWARE", False)
    assert labels(small(1, 2), small(2, 3), caps=software) == ["1>2", "2>3"]
    monkeypatch.setattr(chaining, "ON_SOFTWARE", True)
    assert labels(small(1, 2), small(2, 3), caps=software) == ["1>2; 2>3"]


# ---------------------------------------------------------------- what it computes
def test_a_network_for_one_row_is_one_dispatch(chains):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(60, 128), nn.ReLU(), nn.Linear(128, 100), nn.Tanh(), nn.Linear(100, 37)).eval()
    x = torch.randn(1, 60)
    with torch.no_grad():
        wanted = model(x)
        found = model.to("wgpu")(x.to("wgpu"))
        place = found.argmax(1)
        probabilities = found.softmax(1)
        assert place.item() == wanted.argmax(1).item()
    (one,) = latest()
    assert is_chain(one) and one.label.count("linear") == 3 and "argmax" in one.label
    np.testing.assert_allclose(found.cpu().numpy(), wanted.numpy(), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(probabilities.cpu().numpy(), wanted.softmax(1).numpy(), rtol=1e-5, atol=1e-7)


def test_stages_go_through_the_workgroup_several_times(chains):
    """More workgroups than go side by side, and a number that they do not divide; reductions with memory of their own."""
    torch.manual_seed(1)
    x, w, v = torch.randn(3, 32), torch.randn(150, 32), torch.randn(150, 33)

    def compute(x, w, v):
        h = nn.functional.layer_norm(torch.relu(x @ w.t()), (150,))
        return (torch.softmax(h @ v, 1) * 2).sum(0) + h.std()

    wanted = compute(x, w, v)
    found = compute(*[t.to("wgpu") for t in (x, w, v)]).cpu()
    assert any(is_chain(s) for s in latest())
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=2e-5, atol=1e-6)


def losses(steps=6):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1), nn.Sigmoid()).to("wgpu")
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]).to("wgpu")
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]]).to("wgpu")
    return trained(model, optimizer, x, y, steps)


def test_training_is_the_same_to_the_bit(chains, monkeypatch):
    found = losses()
    few = len(latest())
    monkeypatch.setattr(chaining, "WORK", 0)  # no dispatch is small enough
    plan.clear()
    assert found == losses()
    assert few < len(latest())
