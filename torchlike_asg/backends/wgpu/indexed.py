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
from ..subscripts import Index
from ..views import at
from .calls import Lowering, View, element
from .checks import of_index
from .copies import convert
from .finish import exact, finish_function
from .halves import longest
from .points import Scope, Stream, points
from .source import failed

#: how a written value meets the one that is there
ACTIONS = {"copy": "value", "sum": "old + value", "prod": "old * value", "amax": "", "amin": ""}
#: one invocation combines, or replaces, values in their order where no more than that many may name a place
IN_ORDER = (32, 256)
#: operations whose messages count the indexed dimensions, not those of the tensor
_COUNTED = ("index", "unindex", "index_put")


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
    divided = _divided(lowering, shape, dst, dst_steps, src, src_steps, indices, write)
    if divided is not None:
        return all(indexed(lowering, label, *piece, write, action, checks if checking else "") for piece, checking in divided)
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
        if i.range is not None:
            words |= {f"begin{k}": i.range[0], f"length{k}": i.range[1]}
    checked = bool(checks) and len(views) < lowering.caps.max_operands
    if checked:
        flags = View(lowering.checked().slot, (2,), (1,), 0, int32)
        streams.append(Stream(flags, (0,) * len(outer), "u32"))
        words |= {f"check{k}": of_index(checks, k if checks in _COUNTED else i.dim, i.size, lowering.where) for k, i in enumerate(indices)}
    kinds = tuple((i.negative, i.skip is not None, i.range is not None) for i in indices)
    how = "native" if native else "integral" if integral else "exchange" if atomic else "plain"
    made = _Body(dst.dtype, action, how, kinds, len(inner), write, checked)
    key = ("indexed", dst.dtype.name, action, how, kinds, len(inner), write, checked)
    points(lowering, key, label, [shape[d] for d in outer], streams, made.text, (0,), words, made.functions)
    return True


#: shape, the destination and its steps, the source and its steps, indices
_Launch = tuple[list[int], View, Sequence[int], View, Sequence[int], list[Index]]


def _divided(
    lowering: Lowering, shape: Sequence[int], dst: View, dst_steps: Sequence[int], src: View, src_steps: Sequence[int],
    indices: Sequence[Index], write: bool,
) -> list[tuple[_Launch, bool]] | None:  # fmt: skip
    """The launch as two, each with whether it looks for indices out of range, if an array is too large to be bound and can be halved: over
    halves of the positions that an index names, or of the iteration space.
    """
    moving, steps, still, still_steps = (dst, dst_steps, src, src_steps) if write else (src, src_steps, dst, dst_steps)
    own = [replace(v, shape=tuple(shape), strides=tuple(s)) for v, s in ((still, still_steps), *[(i.view, i.steps) for i in indices])]
    sides = list(zip(moving.shape, moving.strides, strict=True))
    named = {i.dim: k for k, i in enumerate(indices) if sides[i.dim : i.dim + 1] == [(i.count, i.stride)]}
    cut = longest(lowering, [moving], range(len(sides)))
    along: int | None = None
    if cut in named:
        d, k = cut, named[cut]
    elif cut is not None:
        along = next((d for d, s in enumerate(steps) if s == moving.strides[cut] and 1 < shape[d] <= moving.shape[cut]), None)
    else:
        along = longest(lowering, own, range(len(shape)))
        if along is not None and steps[along]:
            cut = next((d for d, s in enumerate(moving.strides) if s == steps[along] and moving.shape[d] >= shape[along]), None)
            along = along if cut is not None else None
    if along is None and cut not in named:
        return None
    made: list[tuple[_Launch, bool]] = []
    for second in (False, True):
        size, part, views, to = list(shape), moving, own, list(indices)
        if along is None:
            first, count = to[k].range or (0, to[k].size)
            begin, n = (count // 2, count - count // 2) if second else (0, count // 2)
            part, to[k] = at(moving, d, begin, n), replace(to[k], range=(first + begin, n))
        else:
            begin, n = (shape[along] // 2, shape[along] - shape[along] // 2) if second else (0, shape[along] // 2)
            size[along] = n
            part = at(moving, cut, begin, n) if cut is not None else moving
            views = [at(v, along, begin, n) for v in own]
            to = [replace(i, view=v) for i, v in zip(to, views[1:], strict=True)]
        arrays = (part, steps, views[0], still_steps) if write else (views[0], still_steps, part, steps)
        made.append(((size, *arrays, to), along is not None or not second))
    return made


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
    kinds: tuple[tuple[bool, bool, bool], ...]
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
        for k, (negative, skips, ranged) in enumerate(self.kinds):
            lines.append(f"var index{k} = m{k + 2}[p{k + 2}];")
            if skips:
                inside.append(f"index{k} != {s.signed(f'skip{k}')}")
            if negative:
                lines.append(f"if (index{k} < 0) {{ index{k} += {s.signed(f'positions{k}')}; }}")
            inside.append(f"u32(index{k}) < {s[f'positions{k}']}")
            if self.checked:
                wanted = f"{inside[-1]} || index{k} == {s.signed(f'skip{k}')}" if skips else inside[-1]
                lines.append(failed(f"m{count}", wanted, s[f"check{k}"], f"m{k + 2}[p{k + 2}]"))
            place = f"u32(index{k})"
            if ranged:
                place = f"(u32(index{k}) - {s[f'begin{k}']})"
                inside.append(f"{place} < {s[f'length{k}']}")
            lines.append(f"{moving} += {place} * {s[f'stride{k}']};")
        lines.append(f"if ({' && '.join(inside) or 'true'}) {{")
        lines.append("put(p0, m1[p1]);" if self.action != "copy" else "m0[p0] = m1[p1];")
        lines.append("}" + " }" * self.loops)
        return "\n".join(lines)
