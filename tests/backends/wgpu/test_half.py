"""float16 in 16 bits of memory: rewritten shaders, and every operation on float16 operands against its reference."""

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.asg.declare import REGISTRY, Sample
from torchlike_asg.backends.wgpu import half
from torchlike_asg.backends.wgpu.calls import LIBRARY, View

from .harness import device
from .nodes import LAYOUTS, check, node_of
from .test_registry import NAMES, SLOW


def test_accesses_are_given_conversions():
    text = """@group(0) @binding(0) var<storage, read_write> m0: array<f32>;
@group(0) @binding(1) var<storage, read_write> m1: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> m2: array<f32>;
{ m0[a0 + u32(m2[i])] = m1[i / 4u].x + m2[m0[j] == m1[k][0]]; m1[i][j] = 2f; m0[i] += m0[i]; m1[i] = m1[j]; }
if (m0[i] == 0f) { m10[i] = m0[i]; }"""
    got = half.f16_text(text, (0, 1)).splitlines()
    assert got[0] == "enable f16;"
    assert got[1].endswith("m0: array<f16>;") and got[2].endswith("m1: array<vec4<f16>>;") and got[3].endswith("m2: array<f32>;")
    assert got[4] == (
        "{ m0[a0 + u32(m2[i])] = f16(vec4<f32>(m1[i / 4u]).x + m2[f32(m0[j]) == vec4<f32>(m1[k])[0]]); m1[i][j] = f16(2f); "
        "m0[i] = f16(f32(m0[i]) + (f32(m0[i]))); m1[i] = vec4<f16>(vec4<f32>(m1[j])); }"
    )
    assert got[5] == "if (f32(m0[i]) == 0f) { m10[i] = f32(m0[i]); }"
    with pytest.raises(AssertionError, match="does not declare it as floats"):
        half.f16_text(text.replace("m0: array<f32>", "m0: array<u32>"), (0,))


@pytest.fixture
def halves():
    device()
    if not half.available():
        pytest.skip("an adapter has no shader-f16")


def test_elements_take_two_bytes(halves):
    v = View(0, (3, 5), (5, 1), 130, dtypes.float16)
    binding, first = v.bind()
    assert v.itemsize == 2 and binding == (0, 256, 36, True) and first == 2
    assert View(0, (3,), (1,), 0, dtypes.bfloat16).itemsize == 4


def lower(sample):
    """The sample with float16 for its floats, or None if it has none."""
    operands = tuple(np.asarray(a).astype(np.float16) if np.asarray(a).dtype.kind == "f" else a for a in sample.operands)
    return Sample(operands, sample.attrs) if any(np.asarray(a).dtype.kind == "f" for a in operands) else None


@pytest.mark.parametrize("name", NAMES)
def test_operations_with_shaders_of_their_own(name, halves):
    """On the samples that have floats, as far as the operation takes float16."""
    several = 1 if REGISTRY[name].category in SLOW else 2
    for i, sample in enumerate(filter(None, map(lower, list(REGISTRY[name].samples())[:several]))):
        try:
            with np.errstate(all="ignore"):
                n, operands = node_of(REGISTRY[name], sample)
        except (RuntimeError, TypeError, NotImplementedError):
            continue  # not for this type
        if n.op.name in LIBRARY:
            check(n, operands, LAYOUTS[i % 3], LAYOUTS[(i + 1) % 3], rtol=4e-3)


def test_whole_tensors(halves):
    """Odd sizes go there and come back; four neighbours at a time; reductions in parts; many values onto few places."""
    import torchlike_asg as torch

    rng = np.random.default_rng(0)
    for shape in ((), (1,), (3, 5), (257, 255), (512, 256), (3, 70_000)):
        a = (rng.standard_normal(shape) / 4).astype(np.float16)
        x = torch.tensor(a, device="wgpu")
        y = x * 2
        assert y.dtype is torch.float16
        np.testing.assert_array_equal(y.cpu().numpy(), a * np.float16(2))
        np.testing.assert_allclose(x.float().sum().item(), a.astype(np.float32).sum(), rtol=1e-4, atol=1e-2)
        np.testing.assert_allclose(
            (x * x).sum(-1 if shape else None).cpu().numpy(), (a.astype(np.float32) ** 2).sum(-1 if shape else None), rtol=2e-3
        )
    before = torch.accelerator.memory_allocated()
    kept = torch.rand(1024, 1024, device="wgpu").half()
    torch.sync()
    assert 2 << 20 <= torch.accelerator.memory_allocated() - before < 7 << 20, "this one in 16 bits, and what it was made of"
    assert kept.shape == (1024, 1024)
    index = torch.arange(3000, device="wgpu") % 3
    total = torch.zeros(3, dtype=torch.float16, device="wgpu").index_add(
        0, index, torch.full((3000,), 0.25, dtype=torch.float16, device="wgpu")
    )
    assert total.tolist() == [250.0] * 3
    w = torch.rand(5, 3, dtype=torch.float16, device="wgpu", requires_grad=True)
    torch.nn.functional.embedding(index, w).sum().backward()
    assert w.grad.dtype is torch.float16 and w.grad.tolist() == [[1000.0] * 3] * 3 + [[0.0] * 3] * 2


def test_products_add_in_32_bits(halves):
    import torchlike_asg as torch

    a = torch.full((8, 4096), 1.0, dtype=torch.float16, device="wgpu")
    b = torch.full((4096, 8), 0.5, dtype=torch.float16, device="wgpu")
    assert (a @ b).tolist() == [[2048.0] * 8] * 8 and (a[:, 1:] @ b[1:]).tolist() == [[2048.0] * 8] * 8
    assert torch.asg.explain(lambda: a @ b, kernels=True, show=None).count("enable f16;") >= 1


def test_without_the_feature(halves, monkeypatch):
    """Then float16 takes 4 bytes, and no shader asks for the feature."""
    from torchlike_asg.backends.wgpu.memory import stored

    monkeypatch.setattr(half, "available", lambda: False)
    assert View(0, (3,), (1,), 0, dtypes.float16).itemsize == 4 and stored(dtypes.float16) == np.float32
    n, operands = node_of(REGISTRY["linear"], Sample((np.ones((3, 5), np.float16), np.ones((4, 5), np.float16))))
    assert check(n, operands, rtol=1e-3)


def test_small_kernels_of_one_shader_together(halves):
    """Those that are one dispatch (joining.py) are rewritten, too."""
    import torchlike_asg as torch

    x = [torch.full((5 + 2 * i,), 1.5 + i, dtype=torch.float16, device="wgpu") + 0 for i in range(4)]
    torch.sync()
    text = torch.asg.explain(lambda: [(t * t - 0.25).tanh() for t in x], kernels=True, show=None)
    assert "of 4" in text and "enable f16;" in text
    for i, t in enumerate([(t * t - 0.25).tanh() for t in x]):
        assert t.tolist() == pytest.approx([np.tanh((1.5 + i) ** 2 - 0.25)] * (5 + 2 * i), rel=1e-3)


def test_values_are_rounded_by_conversions_where_these_are_right(halves, monkeypatch):
    """And by integer arithmetic elsewhere: the same numbers."""
    import torchlike_asg as torch
    from torchlike_asg.backends.wgpu import trials
    from torchlike_asg.compiler import plan

    assert isinstance(trials.rounds_to_even(device()), bool)
    rng = np.random.default_rng(1)
    a = np.concatenate([rng.standard_normal(4000) * 10.0 ** rng.integers(-8, 5, 4000), [65504, -65504, 6e-8, 0.0]]).astype(np.float16)
    results = []
    for hardware in (True, False):
        monkeypatch.setattr(half, "_rounding", [hardware and trials.rounds_to_even(device())])
        plan.clear()
        x = torch.tensor(a, device="wgpu")
        results.append([t.cpu().numpy() for t in (x * x, x * 1.0009765625 + x, x / 3)])
        if hardware and half._rounding == [True]:
            assert "return f32(f16(x));" in torch.asg.explain(lambda x=x: x / 3, kernels=True, show=None)
    plan.clear()
    with np.errstate(all="ignore"):
        want = [a * a, a * np.float16(1.0009765625) + a, a / np.float16(3)]
    for r in results:
        for got, w in zip(r, want, strict=True):
            np.testing.assert_array_equal(got, w)
