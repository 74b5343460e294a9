"""Loop kernels as compute shaders, against the interpreter of the kernel IR."""

from dataclasses import replace

import numpy as np
import pytest

from tests.backends.cpu import random_kernels
from tests.backends.cpu.interpret import interpret
from tests.backends.cpu.random_kernels import Draw, assert_close, tolerance
from torchlike_asg import dtypes
from torchlike_asg.backends.wgpu import loops
from torchlike_asg.backends.wgpu.calls import View
from torchlike_asg.compiler.kernel import Apply, Load, LoopKernel, Operand, Random, Reduce

from .harness import lowering, memory, run


def compute(k, memories, special=None):
    """The memories after the kernel, run as shaders."""
    low = lowering(len(memories))
    if special is not None:
        low.caps = replace(low.caps, software=not special)
    low.wide = {n for i in k.body if isinstance(i, Random) for n in (i.key, i.block)}
    loops.lower(low, k, [View(s, (), (), 0, o.dtype) for s, o in enumerate(k.operands)])
    arrays = {s: memory(m, o.dtype) for s, (m, o) in enumerate(zip(memories, k.operands, strict=True)) if s not in low.wide}
    run(low, arrays | {s: memories[s].view(np.uint32).copy() for s in low.wide})
    return [arrays[s].astype(m.dtype) if s in arrays else m for s, m in enumerate(memories)], low


def expected(k, memories):
    out = [m.copy() for m in memories]
    interpret(k, out)
    return out


@pytest.mark.parametrize("block", range(10))
def test_random_kernels(block, monkeypatch):
    monkeypatch.setattr(random_kernels, "INTEGERS", (dtypes.int32, dtypes.int16, dtypes.int8, dtypes.uint8))  # int64 has 32 bits here
    monkeypatch.setattr(random_kernels, "FLOATS", (dtypes.float32, dtypes.float32, dtypes.float32, dtypes.float16, dtypes.bfloat16))
    for seed in range(block * 12, block * 12 + 12):
        d = Draw(seed)
        got, _ = compute(d.kernel, d.memories, special=seed % 2 == 0)
        want = expected(d.kernel, d.memories)
        got, want = ([a.astype(np.int32) if a.dtype == np.int64 else a for a in arrays] for arrays in (got, want))  # 32 bits here
        assert_close(got, want, tolerance(d.kernel), (seed, d.kernel))


def apply(op, *args, d=dtypes.float32):
    formulas = {
        "mul": lambda e, a, b: e.mul(a, b),
        "add": lambda e, a, b: e.add(a, b),
        "sub": lambda e, a, b: e.sub(a, b),
        "exp": lambda e, a: e.exp(a),
        "div": lambda e, a, b: e.div(a, b),
    }
    return Apply(op, args, (), d, d, formulas[op])


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("second", [(4096, 1), (0, 1), (1, 0)])
def test_four_neighbours_at_once(special, second):
    sizes, rng = (64, 4096), np.random.default_rng(0)
    f = dtypes.float32
    k = LoopKernel(
        sizes,
        2,
        (Operand(f, (4096, 1), 8), Operand(f, second, 4), Operand(f, (8192, 1), 12)),
        (Load(0, f), Load(1, f), apply("mul", 0, 1)),
        ((2, 2),),
    )
    memories = [rng.standard_normal(n).astype(np.float32) for n in (64 * 4096 + 8, 64 * 4096 + 4, 2 * 64 * 4096 + 12)]
    got, low = compute(k, memories, special)
    assert "vec4<f32>" in low.calls[0].source.text
    assert_close(got, expected(k, memories), 1e-6)


@pytest.mark.parametrize("sizes, outer, strides", [((300_000,), 0, (1,)), ((3, 70_001), 1, (70_001, 1)), ((37, 5000), 1, (1, 37))])
def test_long_reductions_are_done_in_parts(sizes, outer, strides):
    """x - mean(x) and its maximum: what is left after the first sums goes on with them."""
    f, rng = dtypes.float32, np.random.default_rng(0)
    row = tuple(s if d < outer else 0 for d, s in enumerate(strides if outer else (0,)))
    row = tuple([(1 if d < outer else 0) for d in range(len(sizes))])
    n = 1
    for s in sizes[outer:]:
        n *= s
    k = LoopKernel(
        sizes,
        outer,
        (Operand(f, strides), Operand(f, strides), Operand(f, row)),
        (Load(0, f), Reduce("sum", 0, f), apply("mul", 0, 1), Reduce("max", 2, f), apply("sub", 0, 1)),
        ((1, 4), (2, 3)),
    )
    count = int(np.prod(sizes))
    memories = [(rng.integers(-4, 5, count) / 8).astype(np.float32), np.zeros(count, np.float32), np.zeros(40, np.float32)]
    got, low = compute(k, memories)
    assert len(low.calls) > 2
    assert_close(got, expected(k, memories), 1e-5)


def test_operands_larger_than_a_binding():
    f = dtypes.float32
    low = lowering(2)
    low.caps = replace(low.caps, limits={**low.caps.limits, "max-storage-buffer-binding-size": 4096 * 4})
    x = np.arange(3 * 5000, dtype=np.float32)
    out = np.zeros(3 * 5000, np.float32)
    k = LoopKernel((3, 5000), 2, (Operand(f, (5000, 1)), Operand(f, (1, 3))), (Load(0, f), apply("add", 0, 0)), ((1, 1),))
    loops.lower(low, k, [View(0, (), (), 0, f), View(1, (), (), 0, f)])
    assert len(low.calls) > 2
    assert all((b.size or 0) <= 4096 * 4 for c in low.calls for b in c.operands)
    run(low, {0: x, 1: out})
    np.testing.assert_array_equal(out.reshape(5000, 3), 2 * x.reshape(3, 5000).T)


def test_more_operands_than_can_be_bound():
    """Operands in one memory share a binding; what is stored is divided among kernels."""
    f, count = dtypes.float32, 40
    low = lowering(3)
    low.caps = replace(low.caps, limits={**low.caps.limits, "max-storage-buffers-per-shader-stage": 8})
    loads = tuple(Operand(f, (count,), n) for n in range(count))
    stores = tuple(Operand(f, (count,), n) for n in range(count))
    body = (*[Load(n, f) for n in range(count)], *[apply("add", n, (n + 1) % count) for n in range(count)])
    k = LoopKernel((50,), 1, (*loads, *stores), body, tuple((count + n, count + n) for n in range(count)))
    loops.lower(low, k, [View(0 if n < count else 1, (), (), 0, f) for n in range(2 * count)])
    assert all(len(c.operands) <= 8 for c in low.calls)
    x, out = np.random.default_rng(0).standard_normal((50, count)).astype(np.float32), np.zeros((50, count), np.float32)
    run(low, {0: x, 1: out})
    np.testing.assert_allclose(out, x + np.roll(x, -1, 1), rtol=1e-6)
