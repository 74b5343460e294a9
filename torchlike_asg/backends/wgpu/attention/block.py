"""The pieces that all kernels of `flash` are made of: blocks of rows and of columns, their products, the scores, what is stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..calls import Capabilities, Dispatch, Lowering, Source, declarations, element, flat_index
from ..finish import complete, finish_function
from ..words import Words
from .problem import Problem

#: blocks, best first: rows, columns, and vec4s of a row in shared memory at a time; the first one for what needs many workgroups
BLOCKS = ((32, 64, 8), (64, 32, 8), (32, 32, 8), (32, 32, 4), (16, 16, 4), (8, 8, 2))
#: workgroups that keep a large GPU busy
BUSY = 256
#: the score of what must not be seen
LOWEST = "-1e30f"
#: row and column of each of an invocation's scores
EACH = tuple([(i, j) for i in range(4) for j in range(4)])


@dataclass(frozen=True)
class Form:
    """How a kernel is written: its block, vec4s of a row of queries and of values, and how operands are read (four elements at a time)."""

    rows: int
    columns: int
    piece: int
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

    def reach(self, width: int) -> int:
        """vec4s of a row of the result that one invocation has."""
        return -(-width // self.across)

    def strip(self, width: int) -> int:
        """Rows, all of their width, of the operand that scores are multiplied with, in shared memory at a time."""
        strip = self.columns
        while strip > 1 and strip * self.pitch(width) > self._pieces:
            strip //= 2
        return strip

    def pitch(self, width: int) -> int:
        """vec4s of such a row there: a multiple of the invocations beside each other, and one."""
        return self.reach(width) * self.across + 1

    @property
    def _pieces(self) -> int:
        return self.piece * (self.rows + self.columns + 8)

    @property
    def tile(self) -> int:
        """vec4s of shared memory for the operands."""
        return max(self._pieces, *[self.strip(w) * self.pitch(w) for w in (self.width, self.width_v)])

    @property
    def scores(self) -> int:
        """vec4s of shared memory for a block of scores."""
        return self.columns * (self.rows // 4 + 1)

    @property
    def seen(self) -> int:
        """vec4s of shared memory for one number of each row from each invocation."""
        return self.across * self.rows // 4


def form_of(caps: Capabilities, p: Problem) -> Form | None:
    """The best block for which there are shared memory and invocations."""
    few = p.count * -(-max(p.queries, p.keys) // BLOCKS[1][0]) < BUSY
    for block in BLOCKS if few else BLOCKS[1:]:
        f = Form(*block, -(-p.width // 4), -(-p.width_v // 4), _wide(p))
        shared = 16 * (f.tile + f.scores + f.seen)
        if shared <= caps.shared_memory and f.threads <= caps.max_invocations and not (caps.software and f.rows > 16):
            return f
    return None


def _wide(p: Problem) -> tuple[str, ...]:
    """The operands and results whose rows can be read and written in whole vec4."""
    found = []
    for name in ("q", "k", "v", "g", "o", "dq", "dk", "dv"):
        v = p.views.get(name)
        if v is not None and v.strides[-1] == 1 and v.shape[-1] % 4 == 0 and not any(s % 4 for s in (v.offset, *v.strides[:-1])):
            found.append(name)
    return tuple(found)


class BlockText:
    """Names and pieces of one kernel over certain operands, in the order of their bindings.

    An invocation has the scores of 4 neighbouring rows and 4 neighbouring columns, for each row a vec4 over the columns. Shared memory:
    ``tile``, pieces of operands; ``scores``, for each column of the block the vec4s of its rows.
    """

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

    def head(self, *results: str) -> str:
        f = self.f
        finishes = "".join(finish_function(self.p.views[n].dtype).replace("finish(", f"finish_{n}(") for n in results)
        return (
            declarations([self.type(n) for n in self.names], len(self.w))
            + f"const LOWEST = {LOWEST};\n{finishes}"
            + f"var<workgroup> tile: array<vec4<f32>, {f.tile}>;\nvar<workgroup> scores: array<vec4<f32>, {f.scores}>;\n"
        )

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

    def begin(self, *, last_first: bool) -> str:
        """The block of rows and the attention it belongs to; where each operand begins. With a causal mask blocks have more to do the later
        their rows are (the earlier, if rows are keys): those come first, so that no long one is left at the end.
        """
        w = self.w
        number = f"({w['blocks']} - 1u - flat / count)" if last_first else "(flat / count)"
        lines = [
            f"let flat = {flat_index()};",
            f"let count = {w['count']};",
            f"if (flat >= {w['blocks']} * count) {{ return; }}",
            f"let row_first = {number} * {self.f.rows}u;",
            "var rest = flat % count;",
            *[f"var {n}_at = {w[f'{n}_at']};" for n in self.names],
        ]
        for d in reversed(range(self.rank)):
            lines.append(f"let index{d} = rest % {w[f'size{d}']};\nrest = rest / {w[f'size{d}']};")
            lines += [f"{n}_at += index{d} * {w[f'{n}{d}']};" for n in self.names]
        return "\n".join([*lines, f"let x = t % {self.f.across}u;", f"let y = t / {self.f.across}u;"])

    # ---------------------------------------------------------------- operands
    @staticmethod
    def row(i: int) -> str:
        """The invocation's row number `i`."""
        return f"row_first + y * 4u + {i}u"

    @staticmethod
    def column(j: int) -> str:
        return f"column_first + x * 4u + {j}u"

    def _load(self, name: str, value: str, row: str, d: str, count: str, *, whole: bool) -> str:
        """The vec4 number `d` of a row (of `count`; beyond them the last one) of an operand into a new variable: zeros beyond the row's
        end, if it has to be looked at.
        """
        w, f = self.w, self.f
        columns = self.p.views[name].shape[-1]
        at = f"{name}_at + min({row}, {count} - 1u) * {w[f'{name}_row']}"
        if name in f.wide and whole:
            return f"let {value} = {self.memory(name)}[({at}) / 4u + {d}];"
        if name in f.wide:
            inside = f"{d} < {columns // 4}u"
            return f"let {value} = select(vec4<f32>(), {self.memory(name)}[select(0u, ({at}) / 4u + {d}, {inside})], {inside});"
        parts = []
        for e in range(4):
            inside = f"({d} * 4u + {e}u < {columns}u)"
            place = f"{at} + ({d} * 4u + {e}u) * {w[f'{name}_column']}"
            parts.append(f"select(0f, {self.memory(name)}[select(0u, {place}, {inside})], {inside})")
        return f"let {value} = vec4<f32>({', '.join(parts)});"

    def _turned(self, name: str, at: str, rows: int, first: str, count: str, width: int) -> tuple[str, str]:
        """Statements that load a piece of `rows` rows of an operand, from vec4 number ``piece`` on, into registers, and that write it to
        shared memory, neighbouring rows side by side.
        """
        f, pitch = self.f, rows // 4 + 1
        together = min(4, f.piece)  # neighbours in a row that neighbouring invocations load
        again = together * rows // f.threads
        loads = [f"let {name}_r = t / {together}u;", f"let {name}_d = t % {together}u;"]
        keeps = []
        for i in range(rows * f.piece // f.threads):
            row = f"{name}_r + {i % again * f.threads // together}u"
            d = f"{name}_d + {i // again * together}u"
            loads.append(self._load(name, f"{name}_value{i}", f"{first} + {row}", f"(piece + {d})", count, whole=width % f.piece == 0))
            for e, c in enumerate("xyzw"):
                keeps.append(f"tile[{at} + (({d}) * 4u + {e}u) * {pitch}u + ({row}) / 4u][({row}) % 4u] = {name}_value{i}.{c};")
        return "\n".join(loads), "\n".join(keeps)

    def products(self, sums: str, rows: tuple[str, str], columns: tuple[str, str], width: int) -> str:
        """``{sums}{i}``: products of the invocation's rows of one operand with its columns, which are rows of the other; each operand a
        name and how many rows it has. Begins with a barrier.
        """
        f = self.f
        pitches = f.rows // 4 + 1, f.columns // 4 + 1
        split = f.piece * 4 * pitches[0]
        left = self._turned(rows[0], "0u", f.rows, "row_first", rows[1], width)
        right = self._turned(columns[0], f"{split}u", f.columns, "column_first", columns[1], width)
        # set to zero in so many words: in a loop, a declaration without a value may keep that of the turn before
        lines = [f"var {sums}{i} = vec4<f32>();" for i in range(4)]
        lines += [f"for (var piece = 0u; piece < {width}u; piece += {f.piece}u) {{", left[0], right[0], "workgroupBarrier();"]
        lines += [left[1], right[1], "workgroupBarrier();", f"for (var d = 0u; d < {4 * f.piece}u; d++) {{"]
        lines += [f"let l = tile[d * {pitches[0]}u + y];", f"let r = tile[{split}u + d * {pitches[1]}u + x];"]
        lines += [f"{sums}{i} = fma(vec4<f32>(l.{e}), r, {sums}{i});" for i, e in enumerate("xyzw")]
        return "\n".join([*lines, "}", "}"])

    def scale(self, row_is_query: bool) -> str:
        """The scores ``s`` scaled, with the mask."""
        p, w, f = self.p, self.w, self.f
        queries, keys = ("row_first", "column_first") if row_is_query else ("column_first", "row_first")
        many, few = (f.rows, f.columns) if row_is_query else (f.columns, f.rows)
        whole = [f"{queries} + {many}u <= {w['queries']}", f"{keys} + {few}u <= {w['keys']}"]
        if p.causal:
            whole.append(f"{keys} + {few - 1}u <= {queries}")
        lines = [f"let scale = {w.typed('scale', 'f32')};"]
        if not p.mask:
            lines.append(f"if ({' && '.join(whole)}) {{")
            for i in range(4):
                lines.append(f"s{i} = s{i} * scale; s{i} = select(vec4<f32>(LOWEST), s{i}, !(s{i} < vec4<f32>(LOWEST)));")
            lines.append("} else {")
        for i, j in EACH:
            query, key = (self.row(i), self.column(j)) if row_is_query else (self.column(j), self.row(i))
            s = f"s{i}.{'xyzw'[j]}"
            lines.append(f"{{ let query = {query}; let key = {key}; {s} = {s} * scale;")
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
        return "\n".join([*lines, "" if p.mask else "}"])

    # ---------------------------------------------------------------- results
    def sums(self, name: str, width: int) -> str:
        """The invocation's part of a result: its rows, and every so many vec4s of each."""
        return "\n".join(f"var {name}{i}_{j}: vec4<f32>;" for i in range(4) for j in range(self.f.reach(width)))

    def accumulate(self, name: str, value: str, operand: str, count: str, width: int) -> str:
        """``{name}{i}_{j}`` plus an invocation's scores times an operand's rows, which are the columns. Begins with a barrier."""
        f, pitch, strip, height = self.f, self.f.pitch(width), self.f.strip(width), self.f.rows // 4 + 1
        across, total = pitch - 1, strip * (pitch - 1)
        loads, keeps = [], []
        for i in range(-(-total // f.threads)):
            if f.threads % across == 0:
                row, d = f"(t / {across}u + {i * f.threads // across}u)", f"(t % {across}u)"
            elif across % f.threads == 0:
                row, d = f"{i * f.threads // across}u", f"(t + {i * f.threads % across}u)"
            else:
                row, d = f"((t + {i * f.threads}u) / {across}u)", f"((t + {i * f.threads}u) % {across}u)"
            whole = width == across and (i + 1) * f.threads <= total
            loads.append(self._load(operand, f"{operand}_value{i}", f"column_first + strip + {row}", d, count, whole=whole))
            keep = f"tile[{row} * {pitch}u + {d}] = {operand}_value{i};"
            keeps.append(keep if (i + 1) * f.threads <= total else f"if (t + {i * f.threads}u < {total}u) {{ {keep} }}")
        lines = []
        for j, e in enumerate("xyzw"):
            four = ", ".join(f"{value}{i}.{e}" for i in range(4))
            lines.append(f"scores[(x * 4u + {j}u) * {height}u + y] = vec4<f32>({four});")
        lines += [f"for (var strip = 0u; strip < {f.columns}u; strip += {strip}u) {{", *loads, "workgroupBarrier();", *keeps]
        lines += ["workgroupBarrier();", f"for (var c = 0u; c < {strip}u; c++) {{", f"let p = scores[(strip + c) * {height}u + y];"]
        lines += [f"let v{j} = tile[c * {pitch}u + x + {j * f.across}u];" for j in range(f.reach(width))]
        for i, e in enumerate("xyzw"):
            lines += [f"{name}{i}_{j} = fma(vec4<f32>(p.{e}), v{j}, {name}{i}_{j});" for j in range(f.reach(width))]
        return "\n".join([*lines, "}", "}"])

    def store(self, name: str, value: str, width: int, count: str, scale: Sequence[str]) -> str:
        """The invocation's part of a result, each row times a number."""
        w, f = self.w, self.f
        columns = self.p.views[name].shape[-1]
        lines = []
        for i in range(4):
            lines.append(f"{{ let row = {self.row(i)};\nif (row < {count}) {{")
            for j in range(f.reach(width)):
                column = f"(x + {j * f.across}u) * 4u"
                finished = [f"finish_{name}({value}{i}_{j}.{e} * {scale[i]})" for e in "xyzw"]
                if name in f.wide:
                    at = f"({name}_at + row * {w[f'{name}_row']} + {column}) / 4u"
                    lines.append(f"if ({column} < {columns}u) {{ {self.memory(name)}[{at}] = vec4<f32>({', '.join(finished)}); }}")
                    continue
                for e, element_ in enumerate(finished):
                    at = f"{name}_at + row * {w[f'{name}_row']} + ({column} + {e}u) * {w[f'{name}_column']}"
                    lines.append(f"if ({column} + {e}u < {columns}u) {{ {self.memory(name)}[{at}] = {element_}; }}")
            lines.append("} }")
        return "\n".join(lines)

    def dispatch(self, lowering: Lowering, kind: str, blocks: int, text: str, writes: Sequence[str], flops: float) -> None:
        p, f = self.p, self.f
        bound = {n: p.views[n].bind() for n in self.names}
        types = tuple((n, self.type(n), p.views[n].shape[-1], p.views[n].dtype.name) for n in self.names)
        key = (kind, f.rows, f.columns, f.piece, types, p.mask, p.causal, self.rank)
        values = self.w.values(self.values(blocks, {n: at for n, (_, at) in bound.items()}))
        slots = tuple(dict.fromkeys(p.views[n].slot for n in writes))
        source = Source(key, lambda: complete(text), trusted=True)
        lowering.add(Dispatch(source, tuple([bound[n][0] for n in self.names]), values, blocks * p.count, slots, kind, int(flops)))


def entry(threads: int) -> str:
    return (
        f"@compute @workgroup_size({threads}) fn main(\n    @builtin(workgroup_id) group: vec3<u32>, "
        "@builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) t: u32) {"
    )
