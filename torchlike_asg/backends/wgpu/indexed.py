"""Reading from, and writing to, places that index tensors name.

Every array has a step for each dimension of an iteration space, and one side, the source when reading and the destination when writing, is
displaced by each index times a stride. Where only few values may name a place, they are taken in their order; else those that are combined
with what lies there are combined in any order, by atomic operations, and of those that replace it any one may stay. For an index out of
range nothing is written. Where results have to be the same from run to run, all values are taken in their order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ... import config
from ...dtypes import bool_, dtype, float32, int32, int64
from .calls import Lowering, View, element
from .checks import of_index
from .copies import convert
from .finish import exact, finish_function
from .points import Scope, Stream, points
from .source import failed

#: how a written value meets the one that is there
ACTIONS = {"copy": "value", "sum": "old + value", "prod": "old * value", "amax": "", "amin": ""}
#: one invocation combines, or replaces, values in their order where no more than that many may name a place
IN_ORDER = (32, 256)


@dataclass(frozen=True)
class Index:
    """An index tensor: where it lies, its step along every dimension of the iteration space, and what it selects along: how many
    positions there are and the step from one to the next. ``skip`` is an index whose points are passed over.
    """

    view: View
    steps: tuple[int, ...]
    size: int
    stride: int
    negative: bool = True
    skip: int | None = None
    #: the dimension that it selects along
    dim: int = 0


def indexed(
    lowering: Lowering,
    label: str,
    shape: Sequence[int],
    dst: View,
    dst_steps: Sequence[int],
    src: View,
    src_steps: Sequence[int],
    indices: Sequence[Index],
    write: bool,
    action: str = "copy",
    checks: str = "",
) -> bool:
    """Add the launch over `shape`; whether that was possible. `checks`: the operation, if an index out of range is an error."""
    if any(i.view.dtype not in (int32, int64) for i in indices):
        return False
    if action != "copy" and (dst.dtype is bool_ or dst.dtype.is_complex):
        return False
    every = [tuple(dst_steps), tuple(src_steps), *[i.steps for i in indices]]
    bound = [d for d, n in enumerate(shape) if write and n > 1 and dst_steps[d] == 0]
    ordered = config.deterministic or math.prod([shape[d] for d in bound]) <= IN_ORDER[action == "copy"]
    inner = bound if write and ordered else []
    outer = [d for d in range(len(shape)) if d not in inner]
    atomic = action != "copy" and bool(bound) and not ordered
    if atomic and dst.itemsize == 2:  # there are no atomic operations on 16 bits: combined in a copy of 32
        wide = replace(_dense(dst), slot=lowering.temporary(4 * _extent(dst)), dtype=float32)
        convert(lowering, dst, wide)
        done = indexed(lowering, label, shape, wide, dst_steps, src, src_steps, indices, write, action, checks)
        convert(lowering, wide, dst)
        return done
    native = atomic and action == "sum" and dst.dtype is float32 and "shader-float32-atomic" in lowering.caps.features
    integral = atomic and exact(dst.dtype) and not dst.dtype.is_floating_point and action in ("sum", "amax", "amin")
    of = element(dst.dtype)
    held = f"atomic<{of if native or integral else 'u32'}>" if atomic else of
    views = [dst, src, *[i.view for i in indices]]
    streams = [
        Stream(v, tuple([s[d] for d in outer]), held if k == 0 else "") for k, (v, s) in enumerate(zip(views, every, strict=True))
    ]  # fmt: skip
    words: dict[str, int | float] = {}
    for d, place in enumerate(inner):
        words |= {f"count{d}": shape[place], **{f"in{k}_{d}": s[place] for k, s in enumerate(every)}}
    for k, i in enumerate(indices):
        words |= {f"positions{k}": i.size, f"stride{k}": i.stride, f"skip{k}": i.skip or 0}
    checked = bool(checks) and len(views) < lowering.caps.max_operands
    if checked:
        flags = View(lowering.checked().slot, (2,), (1,), 0, int32)
        streams.append(Stream(flags, (0,) * len(outer), "u32"))
        words |= {f"check{k}": of_index(checks, i.dim, i.size, lowering.where) for k, i in enumerate(indices)}
    kinds = tuple((i.negative, i.skip is not None) for i in indices)
    how = "native" if native else "integral" if integral else "exchange" if atomic else "plain"
    made = _Body(dst.dtype, action, how, kinds, len(inner), write, checked)
    key = ("indexed", dst.dtype.name, action, how, kinds, len(inner), write, checked)
    points(lowering, key, label, [shape[d] for d in outer], streams, made.text, (0,), words, made.functions)
    return True


def _extent(v: View) -> int:
    """Elements from the first to the last of a view."""
    return 1 + sum((n - 1) * abs(s) for n, s in zip(v.shape, v.strides, strict=True))


def _dense(v: View) -> View:
    """The view at the beginning of memory of its own, with the same steps."""
    return replace(v, offset=sum((n - 1) * -s for n, s in zip(v.shape, v.strides, strict=True) if s < 0))


@dataclass(frozen=True)
class _Body:
    dtype: dtype
    action: str
    how: str
    kinds: tuple[tuple[bool, bool], ...]
    loops: int
    write: bool
    checked: bool

    def functions(self, s: Scope) -> str:
        d, t = self.dtype, element(self.dtype)
        if self.action == "copy":
            return ""
        best = {"amax": "k_max" if d.is_floating_point else "max", "amin": "k_min" if d.is_floating_point else "min"}
        text = f"{best[self.action]}(old, value)" if self.action in best else ACTIONS[self.action]
        combine = finish_function(d) + f"fn combine(old: {t}, value: {t}) -> {t} {{ return finish({text}); }}\n"
        if self.how == "plain":
            return combine + f"fn put(at: u32, value: {t}) {{ m0[at] = combine(m0[at], value); }}\n"
        if self.how in ("native", "integral"):
            name = {"sum": "atomicAdd", "amax": "atomicMax", "amin": "atomicMin"}[self.action]
            return f"fn put(at: u32, value: {t}) {{ {name}(&m0[at], value); }}\n"
        return combine + (
            f"fn put(at: u32, value: {t}) {{\nvar old = atomicLoad(&m0[at]);\nloop {{\n"
            f"let new_ = bitcast<u32>(combine(bitcast<{t}>(old), value));\nif (new_ == old) {{ break; }}\n"
            "let found = atomicCompareExchangeWeak(&m0[at], old, new_);\nif (found.exchanged) { break; }\nold = found.old_value;\n}\n}\n"
        )

    def text(self, s: Scope) -> str:
        lines = []
        for d in range(self.loops):
            lines.append(f"for (var n{d} = 0u; n{d} < {s[f'count{d}']}; n{d}++) {{")
        count = 2 + len(self.kinds)
        for k in range(count):
            moved = "".join(f" + n{d} * {s[f'in{k}_{d}']}" for d in range(self.loops))
            lines.append(f"var p{k} = a{k}{moved};")
        inside = []
        moving = "p0" if self.write else "p1"
        for k, (negative, skips) in enumerate(self.kinds):
            lines.append(f"var index{k} = m{k + 2}[p{k + 2}];")
            if skips:
                inside.append(f"index{k} != {s.signed(f'skip{k}')}")
            if negative:
                lines.append(f"if (index{k} < 0) {{ index{k} += {s.signed(f'positions{k}')}; }}")
            inside.append(f"u32(index{k}) < {s[f'positions{k}']}")
            if self.checked:
                wanted = f"{inside[-1]} || index{k} == {s.signed(f'skip{k}')}" if skips else inside[-1]
                lines.append(failed(f"m{count}", wanted, s[f"check{k}"], f"m{k + 2}[p{k + 2}]"))
            lines.append(f"{moving} += u32(index{k}) * {s[f'stride{k}']};")
        lines.append(f"if ({' && '.join(inside) or 'true'}) {{")
        lines.append("put(p0, m1[p1]);" if self.action != "copy" else "m0[p0] = m1[p1];")
        lines.append("}" + " }" * self.loops)
        return "\n".join(lines)
