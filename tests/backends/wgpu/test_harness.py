"""The harness itself: a shader meets its operands, its words and its share of a large grid."""

import numpy as np

from torchlike_asg import dtypes
from torchlike_asg.backends.wgpu.calls import Binding, Dispatch, Source, View, bind_all, declarations, flat_index, grid, word

from .harness import lowering, run


def _scale() -> str:
    return (
        declarations(["f32", "f32"], 3)
        + f"""
@compute @workgroup_size(64) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{
    let i = {flat_index()} * 64u + lane;
    if (i < {word(0)}) {{ m1[i] = m0[i + {word(1)}] * {word(2, "f32")}; }}
}}
"""
    )


SCALE = Source(("test_scale",), _scale)


def test_words_and_offsets():
    low = lowering(2)
    x = np.arange(1000, dtype=np.float32)
    out = np.zeros(100, np.float32)
    bindings, (first, _) = bind_all([View(0, (100,), (1,), 837, dtypes.float32), View(1, (100,), (1,), 0, dtypes.float32)])
    assert bindings[0].offset == 837 * 4 // 256 * 256 and first == 837 % 64
    low.add(Dispatch(SCALE, bindings, (100, first, 0.5), 2, (1,)))
    run(low, {0: x, 1: out})
    np.testing.assert_array_equal(out, x[837:937] / 2)


def test_more_workgroups_than_a_dimension_has():
    low = lowering(2)
    n = 65_535 * 64 + 1000
    x = np.arange(n, dtype=np.float32)
    out = np.zeros(n, np.float32)
    groups = -(-n // 64)
    assert grid(groups)[1] == 2
    low.add(Dispatch(SCALE, (Binding(0), Binding(1)), (n, 0, 2.0), groups, (1,)))
    run(low, {0: x, 1: out})
    np.testing.assert_array_equal(out, x * 2)


def test_a_view_with_negative_strides_is_bound_from_its_lowest_element():
    binding, first = View(0, (5, 3), (-3, 1), 512, dtypes.float32).bind()
    assert binding == Binding(0, (512 - 12) * 4 // 256 * 256, (512 + 2 + 1) * 4 - (512 - 12) * 4 // 256 * 256)
    assert first == 512 - binding.offset // 4
