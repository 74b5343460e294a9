"""Normal numbers of the counter-based stream (rng/philox.py). Uniform ones are made in the loop kernels that use them."""

from __future__ import annotations

import math

from ... import dtypes
from .calls import Binding, Dispatch, LibraryNode, Lowering, Source, View, declarations, flat_index, library, word
from .copies import copy
from .wgslmath import definitions

_GROUP = 256
#: key and first block are int64 numbers that come whole, as pairs of words (see `Lowering.wide`)
_TEXT = """
fn numbers(words: vec4<u32>) -> vec4<f32> {{
    let u = vec4<f32>(words >> vec4<u32>(8u)) * 5.96046448e-8f;
    let radius = vec2<f32>(k_sqrt(-2f * k_log(1f - u.x)), k_sqrt(-2f * k_log(1f - u.z)));
    let angle = 6.28318531f * vec2<f32>(u.y, u.w);
    return vec4<f32>(radius.x * k_cos(angle.x), radius.x * k_sin(angle.x), radius.y * k_cos(angle.y), radius.y * k_sin(angle.y));
}}

@compute @workgroup_size({group}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{
    let number = {flat} * {group}u + lane;
    if (number * 4u >= {count}) {{ return; }}
    let low = m1[0] + number;
    let counter = vec2<u32>(low, m1[1] + select(0u, 1u, low < number));
    let made = numbers(k_philox(counter, vec2<u32>(m0[0], m0[1])));
    for (var i = 0u; i < 4u; i++) {{
        let at = number * 4u + i;
        if (at < {count}) {{ m2[{offset} + at] = made[i]; }}
    }}
}}
"""


def _text() -> str:
    body = _TEXT.format(group=_GROUP, flat=flat_index(), count=word(0), offset=word(1))
    return declarations(["u32", "u32", "f32"], 2) + definitions(("k_philox", "k_log", "k_sqrt", "k_cos", "k_sin")) + body


@library("philox_normal")
def _normal(lowering: Lowering, node: LibraryNode) -> bool:
    (key, block), out = node.operands, node.result
    count = math.prod(out.shape)
    if not {key.slot, block.slot} <= lowering.wide:
        return False
    if not count:
        return True
    made = out
    if not out.contiguous:
        made = View(lowering.temporary(4 * count), (count,), (1,), 0, dtypes.float32)
    binding, first = made.bind()
    lowering.add(
        Dispatch(
            Source((node.op,), _text, trusted=True),
            (Binding(key.slot), Binding(block.slot), binding),
            (count, first),
            -(-(count + 3) // (4 * _GROUP)),
            (made.slot,),
            "philox",
            bytes=4 * count,
        )
    )
    if made is not out:
        strides, step = [], 1
        for n in reversed(out.shape):
            strides.append(step)
            step *= n
        copy(lowering, View(made.slot, out.shape, tuple(reversed(strides)), 0, dtypes.float32), out)
    return True
