"""Convolutions of groups of few channels, whose products are too small for tiles: one invocation for each pixel and channel of the result;
for gradients of filters one workgroup for each of their elements.
"""

from __future__ import annotations

import math

from ..calls import Dispatch, Lowering, Source, View, bind_all, declarations, element, flat_index
from ..finish import complete, finish_function
from ..words import Words
from .geometry import Walk

#: groups of fewer channels are multiplied here
_FEW = 8
GROUP = 128
_DIMS = tuple(f"{name}{d}" for d in range(3) for name in ("k", "q", "size", "step", "first", "apart", "x", "w", "y"))
_STEPS = "x_n", "x_c", "w_g", "w_o", "w_c", "y_n", "y_c", "b_c"
_WORDS = Words(("total", "n", "groups", "outputs", "channels", "x_at", "w_at", "y_at", "b_at", *_STEPS, *_DIMS))
_ENTRY = f"""@compute @workgroup_size({GROUP}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {{"""


def is_depthwise(w: View) -> bool:
    """Whether filters (groups, O, D, H, W, C) are many small ones."""
    return w.shape[0] > 1 and w.shape[1] < _FEW and w.shape[5] < _FEW


def _values(x: View, w: View, y: View, walk: Walk, at: tuple[int, ...], bias_step: int) -> dict[str, int]:
    groups, outputs, channels = w.shape[0], w.shape[1], w.shape[5]
    values = {
        "n": y.shape[0], "outputs": outputs, "channels": channels, "groups": groups, "total": math.prod(y.shape),
        "x_at": at[0], "w_at": at[1], "y_at": at[2], "b_at": at[3] if len(at) > 3 else 0, "x_n": x.strides[0], "x_c": x.strides[4],
        "w_g": w.strides[0], "w_o": w.strides[1], "w_c": w.strides[5], "y_n": y.strides[0], "y_c": y.strides[4], "b_c": bias_step,
    }  # fmt: skip
    for d in range(3):
        values |= {
            f"k{d}": w.shape[d + 2], f"q{d}": y.shape[d + 1], f"size{d}": x.shape[d + 1], f"step{d}": walk.step[d],
            f"first{d}": walk.first[d], f"apart{d}": walk.apart[d], f"x{d}": x.strides[d + 1], f"w{d}": w.strides[d + 2],
            f"y{d}": y.strides[d + 1],
        }  # fmt: skip
    return values


def depthwise(lowering: Lowering, label: str, x: View, w: View, y: View, walk: Walk, bias: View | None) -> None:
    """As `lowering.convolve`."""
    bindings, at = bind_all([x, w, y, *([bias] if bias is not None else [])])
    last = y.strides[4] == 1
    values = _values(x, w, y, walk, at, bias.strides[0] if bias is not None else 0)
    source = Source(
        ("depthwise", y.dtype.name, last, bias is not None), lambda: complete(_forward(last, bias is not None, y)), trusted=True
    )  # fmt: skip
    flops = 2 * math.prod(y.shape) * math.prod(w.shape[2:])
    groups = -(-values["total"] // GROUP)
    lowering.add(Dispatch(source, bindings, _WORDS.values(values), groups, (y.slot,), f"{label} in groups", flops))


def _forward(last: bool, with_bias: bool, y: View) -> str:
    w, t = _WORDS, element(y.dtype)
    pixels = "\n".join(f"let q{d} = rest % {w[f'q{d}']}; rest = rest / {w[f'q{d}']};" for d in reversed(range(3)))
    channel = "let o = rest % outputs;\nrest = rest / outputs;\n"
    order = channel + pixels + "\nlet n = rest;" if last else pixels + "\n" + channel + "let n = rest;"
    loops = "\n".join(
        f"for (var j{d} = 0u; j{d} < {w[f'k{d}']}; j{d}++) {{\n"
        f"let p{d} = q{d} * {w[f'step{d}']} + {w[f'first{d}']} + j{d} * {w[f'apart{d}']};\nif (p{d} >= {w[f'size{d}']}) {{ continue; }}"
        for d in range(3)
    )
    x_at = " + ".join(f"p{d} * {w[f'x{d}']}" for d in range(3))
    w_at = " + ".join(f"j{d} * {w[f'w{d}']}" for d in range(3))
    y_at = " + ".join(f"q{d} * {w[f'y{d}']}" for d in range(3))
    return f"""{declarations([t] * (3 + with_bias), len(w))}
{finish_function(y.dtype)}
{_ENTRY}
let id = {flat_index()} * {GROUP}u + lane;
if (id >= {w["total"]}) {{ return; }}
let outputs = {w["outputs"]} * {w["groups"]};
var rest = id;
{order}
let g = o / {w["outputs"]};
var sum = {f"m3[{w['b_at']} + o * {w['b_c']}]" if with_bias else "0f"};
{loops}
let x_at = {w["x_at"]} + n * {w["x_n"]} + g * {w["channels"]} * {w["x_c"]} + {x_at};
let w_at = {w["w_at"]} + g * {w["w_g"]} + (o % {w["outputs"]}) * {w["w_o"]} + {w_at};
for (var c = 0u; c < {w["channels"]}; c++) {{ sum = fma(m0[x_at + c * {w["x_c"]}], m1[w_at + c * {w["w_c"]}], sum); }}
}} }} }}
m2[{w["y_at"]} + n * {w["y_n"]} + o * {w["y_c"]} + {y_at}] = finish(sum);
}}
"""


def depthwise_gradient(lowering: Lowering, label: str, g: View, x: View, out: View, walk: Walk) -> None:
    """The filters' gradient (groups, O, D, H, W, C) from that of the result and the image."""
    bindings, at = bind_all([x, out, g])
    values = _values(x, out, g, walk, at, 0)
    count = math.prod(out.shape)
    values["total"] = count
    source = Source(("depthwise_gradient", g.dtype.name), lambda: complete(_gradient(g)), trusted=True)
    flops = 2 * math.prod(g.shape) * math.prod(out.shape[2:])
    lowering.add(Dispatch(source, bindings, _WORDS.values(values), count, (out.slot,), f"{label} in groups", flops))


def _gradient(g: View) -> str:
    w, t = _WORDS, element(g.dtype)
    weight = "\n".join(f"let j{d} = rest % {w[f'k{d}']}; rest = rest / {w[f'k{d}']};" for d in reversed(range(3)))
    pixels = "\n".join(f"let q{d} = at % {w[f'q{d}']}; at = at / {w[f'q{d}']};" for d in reversed(range(3)))
    places = "\n".join(f"let p{d} = q{d} * {w[f'step{d}']} + {w[f'first{d}']} + j{d} * {w[f'apart{d}']};" for d in range(3))
    inside = " && ".join(f"p{d} < {w[f'size{d}']}" for d in range(3))
    x_at = " + ".join(f"p{d} * {w[f'x{d}']}" for d in range(3))
    w_at = " + ".join(f"j{d} * {w[f'w{d}']}" for d in range(3))
    y_at = " + ".join(f"q{d} * {w[f'y{d}']}" for d in range(3))
    return f"""{declarations([t] * 3, len(w))}
{finish_function(g.dtype)}
var<workgroup> sums: array<f32, {GROUP}>;
{_ENTRY}
let id = {flat_index()};
if (id >= {w["total"]}) {{ return; }}
var rest = id;
let c = rest % {w["channels"]};
rest = rest / {w["channels"]};
{weight}
let o = rest % {w["outputs"]};
let gr = rest / {w["outputs"]};
let x_c = {w["x_at"]} + (gr * {w["channels"]} + c) * {w["x_c"]};
let y_c = {w["y_at"]} + (gr * {w["outputs"]} + o) * {w["y_c"]};
let pixels = {w["n"]} * {w["q0"]} * {w["q1"]} * {w["q2"]};
var sum = 0f;
for (var i = lane; i < pixels; i += {GROUP}u) {{
var at = i;
{pixels}
let n = at;
{places}
if ({inside}) {{
sum = fma(m0[x_c + n * {w["x_n"]} + {x_at}], m2[y_c + n * {w["y_n"]} + {y_at}], sum);
}}
}}
sums[lane] = sum;
workgroupBarrier();
for (var half = {GROUP // 2}u; half > 0u; half = half / 2u) {{
if (lane < half) {{ sums[lane] += sums[lane + half]; }}
workgroupBarrier();
}}
if (lane == 0u) {{
m1[{w["w_at"]} + gr * {w["w_g"]} + o * {w["w_o"]} + c * {w["w_c"]} + {w_at}] = finish(sums[0]);
}}
}}
"""
