"""The pieces that all kernels of `flash` are made of: blocks of rows and of columns, their products, the scores, what is stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..calls import Capabilities, Dispatch, Lowering, Source, declarations, element, flat_index
from ..finish import complete, finish_function
from ..words import Words
from .problem import Problem

#: rows and columns of a block, best first
BLOCKS = ((64, 32), (32, 32), (32, 16), (16, 16), (8, 8))
#: the score of what must not be seen
LOWEST = "-1e30f"


@dataclass(frozen=True)
class Form:
    """How a kernel is written: its block, vec4s of a row of queries and of values, and how operands are read (four elements at a time)."""

    rows: int
    columns: int
    width: int
    width_v: int
    wide: tuple[str, ...]

    @property
    def down(self) -> int:
        return self.rows // 4

    @property
    def across(self) -> int:
        return self.columns // 4

    @property
    def threads(self) -> int:
        return self.down * self.across

    def pitch(self, width: int) -> int:
        """vec4s of a row of an operand in shared memory: a multiple of the invocations beside each other, and one."""
        return -(-width // self.across) * self.across + 1

    def reach(self, width: int) -> int:
        """vec4s of a row of the result that one invocation has."""
        return -(-width // self.across)


def tile_size(f: Form, rows: int) -> int:
    return rows * max(f.pitch(f.width), f.pitch(f.width_v))


def form_of(caps: Capabilities, p: Problem, size: Callable[[Form], int]) -> Form | None:
    """The largest block for which `size` vec4s fit into shared memory."""
    for rows, columns in BLOCKS:
        f = Form(rows, columns, -(-p.width // 4), -(-p.width_v // 4), _wide(p))
        if 16 * size(f) <= caps.shared_memory and f.threads <= caps.max_invocations and not (caps.software and rows > 16):
            return f
    return None


def _wide(p: Problem) -> tuple[str, ...]:
    """The operands whose rows can be read in whole vec4."""
    found = []
    for name in ("q", "k", "v", "g"):
        v = p.views.get(name)
        if v is not None and v.strides[-1] == 1 and v.shape[-1] % 4 == 0 and not any(s % 4 for s in (v.offset, *v.strides[:-1])):
            found.append(name)
    return tuple(found)


class BlockText:
    """Names and pieces of one kernel over certain operands, in the order of their bindings."""

    def __init__(self, p: Problem, f: Form, names: Sequence[str]) -> None:
        self.p, self.f, self.names = p, f, tuple(names)
        self.rank = len(p.sizes)
        words = ["blocks", "queries", "keys", "scale", "count", *[f"size{d}" for d in range(self.rank)]]
        for n in self.names:
            words += [f"{n}_at", f"{n}_row", f"{n}_column", *[f"{n}{d}" for d in range(self.rank)]]
        self.w = Words(tuple(words))

    def type(self, name: str) -> str:
        t = element(self.p.views[name].dtype)
        return f"vec4<{t}>" if name in self.f.wide else t

    def memory(self, name: str) -> str:
        return f"m{self.names.index(name)}"

    def head(self) -> str:
        return declarations([self.type(n) for n in self.names], len(self.w)) + f"const LOWEST = {LOWEST};\n"

    def values(self, blocks: int, bound: dict[str, int]) -> dict[str, int | float]:
        p = self.p
        values: dict[str, int | float] = {
            "blocks": blocks, "queries": p.queries, "keys": p.keys, "count": p.count, "scale": float(p.scale * math.log2(math.e)),
            **{f"size{d}": n for d, n in enumerate(p.sizes)},
        }  # fmt: skip
        for n in self.names:
            *batch, row, column = p.steps(n)
            values |= {f"{n}_at": bound[n], f"{n}_row": row, f"{n}_column": column, **{f"{n}{d}": s for d, s in enumerate(batch)}}
        return values

    def begin(self, blocks_of: int) -> str:
        """The block of rows and the attention it belongs to; where each operand begins."""
        lines = [
            f"let flat = {flat_index()};",
            f"let blocks = {self.w['blocks']};",
            f"if (flat >= blocks * {self.w['count']}) {{ return; }}",
            f"let row_first = (flat % blocks) * {blocks_of}u;",
            "var rest = flat / blocks;",
            *[f"var {n}_at = {self.w[f'{n}_at']};" for n in self.names],
        ]
        for d in reversed(range(self.rank)):
            lines.append(f"let index{d} = rest % {self.w[f'size{d}']};\nrest = rest / {self.w[f'size{d}']};")
            lines += [f"{n}_at += index{d} * {self.w[f'{n}{d}']};" for n in self.names]
        return "\n".join([*lines, f"let x = t % {self.f.across}u;", f"let y = t / {self.f.across}u;"])

    def bring(self, name: str, tile: str, rows: int, width: int, first: str, count: str) -> str:
        """A block of an operand's rows into shared memory, zeros beyond its end."""
        w, pitch = self.w, self.f.pitch(width)
        columns = self.p.views[name].shape[-1]
        at = f"{name}_at + row * {w[f'{name}_row']}"
        if name in self.f.wide:
            value = f"let value = select(vec4<f32>(), {self.memory(name)}[select(0u, ({at}) / 4u + d, inside)], inside);"
            inside = f"row < {count} && d < {columns // 4}u"
        else:
            parts = []
            for e in range(4):
                here = f"(inside && d * 4u + {e}u < {columns}u)"
                place = f"{at} + (d * 4u + {e}u) * {w[f'{name}_column']}"
                parts.append(f"select(0f, {self.memory(name)}[select(0u, {place}, {here})], {here})")
            value, inside = f"let value = vec4<f32>({', '.join(parts)});", f"row < {count}"
        return f"""for (var i = t; i < {rows * (pitch - 1)}u; i += {self.f.threads}u) {{
let d = i % {pitch - 1}u;
let row = {first} + i / {pitch - 1}u;
let inside = {inside};
{value}
{tile}[(i / {pitch - 1}u) * {pitch}u + d] = value;
}}"""

    def products(self, sums: str, left: str, right: str, width: int) -> str:
        """``{sums}{i}{j}``: products of the invocation's rows of one tile with its columns, which are rows of the other."""
        f, pitch = self.f, self.f.pitch(width)
        # set to zero in so many words: in a loop, a declaration without a value may keep that of the turn before
        lines = [f"var wide_{sums}{i}{j} = vec4<f32>();" for i in range(4) for j in range(4)]
        lines.append(f"for (var d = 0u; d < {width}u; d++) {{")
        lines += [f"let l{i} = {left}[(y + {i * f.down}u) * {pitch}u + d];" for i in range(4)]
        for j in range(4):
            lines.append(f"let r{j} = {right}[(x + {j * f.across}u) * {pitch}u + d];")
            lines += [f"wide_{sums}{i}{j} = fma(l{i}, r{j}, wide_{sums}{i}{j});" for i in range(4)]
        lines.append("}")
        for i in range(4):
            for j in range(4):
                lines.append(f"var {sums}{i}{j} = dot(wide_{sums}{i}{j}, vec4<f32>(1f));")
        return "\n".join(lines)

    def scores(self, row_is_query: bool) -> str:
        """``s{i}{j}`` scaled, with the mask."""
        p, w, f = self.p, self.w, self.f
        lines = []
        for i in range(4):
            for j in range(4):
                row, column = f"row_first + y + {i * f.down}u", f"column_first + x + {j * f.across}u"
                query, key = (row, column) if row_is_query else (column, row)
                s = f"s{i}{j}"
                lines.append(f"{{ let query = {query}; let key = {key}; {s} = {s} * {w.typed('scale', 'f32')};")
                inside = [f"query < {w['queries']}", f"key < {w['keys']}"]
                if p.causal:
                    inside.append("key <= query")
                lines.append(f"let inside = {' && '.join(inside)};")
                if p.mask:
                    at = f"select(0u, m_at + query * {w['m_row']} + key * {w['m_column']}, inside)"
                    value = f"{self.memory('m')}[{at}]"
                    lines.append(
                        f"{s} = select(LOWEST, {s}, {value} != 0u);" if p.mask == "u32" else f"{s} = {s} + {value} * {math.log2(math.e)}f;"
                    )
                lines.append(f"{s} = select(LOWEST, {s}, inside && !({s} < LOWEST)); }}")
        return "\n".join(lines)

    def spread(self, tile: str, value: str) -> str:
        """``{value}{i}{j}`` into shared memory: for each column a vec4 of the rows of each invocation."""
        f = self.f
        return "\n".join(
            f"{tile}[(x + {j * f.across}u) * {f.down}u + y] = vec4<f32>({', '.join(f'{value}{i}{j}' for i in range(4))});" for j in range(4)
        )

    def sums(self, name: str, width: int) -> str:
        return "\n".join(f"var {name}{i}_{j}: vec4<f32>;" for i in range(4) for j in range(self.f.reach(width)))

    def accumulate(self, name: str, tile: str, operand: str, width: int) -> str:
        """``{name}{i}_{j} += `` the spread tile times an operand's rows, which are the columns."""
        f, pitch = self.f, self.f.pitch(width)
        lines = [f"for (var c = 0u; c < {f.columns}u; c++) {{", f"let p = {tile}[c * {f.down}u + y];"]
        for j in range(f.reach(width)):
            lines.append(f"let v{j} = {operand}[c * {pitch}u + x + {j * f.across}u];")
            lines += [f"{name}{i}_{j} = fma(vec4<f32>(p.{'xyzw'[i]}), v{j}, {name}{i}_{j});" for i in range(4)]
        return "\n".join([*lines, "}"])

    def store(self, name: str, value: str, width: int, count: str, scale: Sequence[str]) -> str:
        """The invocation's part of a result."""
        w, f = self.w, self.f
        columns = self.p.views[name].shape[-1]
        lines = []
        for i in range(4):
            lines.append(f"{{ let row = row_first + y + {i * f.down}u;\nif (row < {count}) {{")
            for j in range(f.reach(width)):
                for e in range(4):
                    column = f"(x + {j * f.across}u) * 4u + {e}u"
                    at = f"{name}_at + row * {w[f'{name}_row']} + ({column}) * {w[f'{name}_column']}"
                    stored = f"{self.memory(name)}[{at}] = finish_{name}({value}{i}_{j}.{'xyzw'[e]} * {scale[i]});"
                    lines.append(f"if ({column} < {columns}u) {{ {stored} }}")
            lines.append("} }")
        return "\n".join(lines)

    def finishes(self, *names: str) -> str:
        return "".join(finish_function(self.p.views[n].dtype).replace("finish(", f"finish_{n}(") for n in names)

    def dispatch(self, lowering: Lowering, kind: str, blocks: int, text: str, writes: Sequence[str], flops: float) -> None:
        p, f = self.p, self.f
        bound = {n: p.views[n].bind() for n in self.names}
        types = tuple((n, self.type(n), p.views[n].shape[-1], p.views[n].dtype.name) for n in self.names)
        key = (kind, f.rows, f.columns, types, p.mask, p.causal, self.rank)
        values = self.w.values(self.values(blocks, {n: at for n, (_, at) in bound.items()}))
        slots = tuple(dict.fromkeys(p.views[n].slot for n in writes))
        source = Source(key, lambda: complete(text), trusted=True)
        lowering.add(Dispatch(source, tuple([bound[n][0] for n in self.names]), values, blocks * p.count, slots, kind, int(flops)))


def entry(threads: int) -> str:
    return (
        f"@compute @workgroup_size({threads}) fn main(\n    @builtin(workgroup_id) group: vec3<u32>, "
        "@builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) t: u32) {"
    )
