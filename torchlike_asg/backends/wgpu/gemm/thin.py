"""Products with few rows, where each element of the right matrix is needed a few times only: what counts is to read it at full width.

A workgroup computes a few rows of some columns: its invocations divide k among them, and add up what they found. If the right matrix
lies with k adjacent, each has one column and reads four neighbours along k; else it has four neighbouring columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..calls import Binding, Dispatch, Lowering, Source, View, declarations, element, flat_index
from ..finish import complete
from ..words import Words
from .kernel import batch_words, places
from .multiply import Sizes
from .output import Output

#: most rows of a workgroup
ROWS = 8
#: most rows for which the right matrix may be read again for every few, and elements of it up to which it is
_FEW, _SMALL = 32, 1 << 19
#: multiplications up to which a product is small: what a tile takes to begin and to end is more than its work
_LITTLE = 1 << 14
_WORDS = ("groups", "m", "n", "k", "down", "across", "a_at", "w_at", "a_row", "a_k", "w_k", "w_column")


@dataclass(frozen=True)
class Thin:
    """``along_k``: which dimension of the right matrix is adjacent;  ``lanes``: invocations that divide k;  ``rows`` of a workgroup."""

    along_k: bool
    lanes: int
    rows: int
    a_type: str
    w_type: str

    @property
    def across(self) -> int:
        """Invocations beside each other."""
        return 8

    @property
    def columns(self) -> int:
        """Of a workgroup."""
        return self.across if self.along_k else 4 * self.across

    @property
    def threads(self) -> int:
        return self.across * self.lanes


def suits(m: int, n: int, k: int, w_k: int, w_column: int) -> bool:
    """Whether the product is one for this kernel."""
    wide = (k >= 32 and n >= 32) or 0 < m * n * k <= _LITTLE
    return (m <= ROWS or (m <= _FEW and n * k <= _SMALL)) and wide and 1 in (w_k, w_column)


def thin_product(
    lowering: Lowering, label: str, s: Sizes, a: View, w: View, a_steps: tuple[int, int], w_steps: tuple[int, int], out: Output
) -> None:
    """Add the dispatch of ``c = a @ w``: views that begin with the first matrix, steps of a along rows and k, of w along k and columns."""
    along_k = w_steps[0] == 1
    t = element(a.dtype)
    four = f"vec4<{t}>"
    a_wide = along_k and a_steps[1] == 1 and _whole(a, s.k, [a_steps[0], *[d[1] for d in s.batch]])
    outer, size = (w_steps[1], s.k) if along_k else (w_steps[0], s.n)
    w_wide = _whole(w, size, [outer, *[d[2] for d in s.batch]])
    lanes = 32 if s.k >= 1024 and 256 <= lowering.caps.max_invocations else 8
    f = Thin(along_k, lanes, min(ROWS, s.m), four if a_wide else t, four if w_wide else t)
    down, across = -(-s.m // f.rows), -(-s.n // f.columns)
    groups = down * across * s.count
    rank = len(s.batch)
    words = Words((*_WORDS, *batch_words(rank), *out.words))
    (a_binding, a_at), (w_binding, w_at) = a.bind(), w.bind()
    values: dict[str, int | float] = {
        "groups": groups, "m": s.m, "n": s.n, "k": s.k, "down": down, "across": across, "a_at": a_at, "w_at": w_at,
        "a_row": a_steps[0], "a_k": a_steps[1], "w_k": w_steps[0], "w_column": w_steps[1],
        **dict(zip(batch_words(rank), [x for d in s.batch for x in d], strict=True)), **out.values,
    }  # fmt: skip
    key = ("gemm_thin", f.along_k, f.lanes, f.rows, f.a_type, f.w_type, out.key, rank)
    bindings: tuple[Binding, ...] = (a_binding, w_binding, *out.bindings)
    nbytes = 4 * s.count * (s.m * s.n + s.m * s.k + s.k * s.n)
    lowering.add(
        Dispatch(
            Source(key, lambda: complete(_text(f, t, words, out, rank)), trusted=True), bindings, words.values(values), groups, out.writes,
            f"{label} {s.count}x{s.m}x{s.n}x{s.k} thin", 2 * s.count * s.m * s.n * s.k, nbytes, s.count * s.m * s.n * s.k,
        )
    )  # fmt: skip


def _whole(v: View, size: int, steps: Sequence[int]) -> bool:
    """Whether `size` adjacent elements can be read as vec4."""
    return size % 4 == 0 and not any(x % 4 for x in (v.offset, *steps))


def _text(f: Thin, t: str, w: Words, out: Output, rank: int) -> str:
    four = f"vec4<{t}>"
    sums = [f"c{r}" for r in range(f.rows)]
    kind = t if f.along_k else four
    rows = "\n".join(
        f"let row{r} = a_at + min(row_first + {r}u, {w['m']} - 1u) * {w['a_row']};\nvar c{r} = {kind}();" for r in range(f.rows)
    )
    loop = _along_k(f, t, w) if f.along_k else _along_columns(f, t, w)
    kept = "\n".join(f"partial[({r}u * {f.lanes}u + lane) * {f.across}u + x] = {c};" for r, c in enumerate(sums))
    if f.along_k:
        gathered = ", ".join(f"partial[at + {e}u]" for e in range(4))
        add = f"let at = (r * {f.lanes}u + l) * {f.across}u + four * 4u;\nsum += {four}({gathered});"
        fours = f.across // 4
    else:
        add, fours = f"sum += partial[(r * {f.lanes}u + l) * {f.across}u + four];", f.across
    return f"""{declarations([f.a_type, f.w_type, *out.types], len(w))}
var<workgroup> partial: array<{kind}, {f.rows * f.lanes * f.across}>;
{out.functions(w, 2)}
@compute @workgroup_size({f.threads}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) t: u32) {{
let number = {flat_index()};
let inside = number < {w["groups"]};
let flat = select({w["groups"]} - 1u, number, inside);
let down = {w["down"]};
let across = {w["across"]};
let batch = flat / (down * across);
let row_first = (flat % down) * {f.rows}u;
let column_first = ((flat / down) % across) * {f.columns}u;
var a_at = {w["a_at"]};
var w_at = {w["w_at"]};
var c_at = {w["c_at"]};
var i_at = {w["i_at"]};
{places(w, rank, "awci")}
let k_end = {w["k"]};
{rows}
{loop}
{kept}
workgroupBarrier();
for (var i = select({f.rows * fours}u, t, inside); i < {f.rows * fours}u; i += {f.threads}u) {{
let r = i / {fours}u;
let four = i % {fours}u;
var sum = {four}();
for (var l = 0u; l < {f.lanes}u; l++) {{
{add}
}}
store(batch, c_at, i_at, row_first + r, column_first + four * 4u, sum);
}}
}}
"""


def _along_k(f: Thin, t: str, w: Words) -> str:
    """An invocation's column: products with four neighbours along k at a time."""
    four = f"vec4<{t}>"
    lines = [
        f"let lane = t % {f.lanes}u;\nlet x = t / {f.lanes}u;",
        f"let column = w_at + min(column_first + x, {w['n']} - 1u) * {w['w_column']};",
        f"for (var k = lane * 4u; k < k_end; k += {f.lanes * 4}u) {{",
    ]
    if f.w_type == four:
        lines.append("let right = m1[(column + k) / 4u];")
    else:
        lines.append(f"let right = {four}({', '.join(_checked('m1', 'column + k', e, t) for e in range(4))});")
    for r in range(f.rows):
        if f.a_type == four:
            left = f"m0[(row{r} + k) / 4u]"
        else:
            step = w["a_k"]
            parts = [_checked("m0", f"row{r} + (k + {e}u) * {step}", e, t, placed=True) for e in range(4)]
            left = f"{four}({', '.join(parts)})"
        lines.append(f"c{r} += dot({left}, right);")
    return "\n".join([*lines, "}"])


def _checked(memory: str, at: str, e: int, t: str, *, placed: bool = False) -> str:
    """Element k + e, or 0 beyond the end."""
    place = at if placed else f"{at} + {e}u"
    return f"select({t}(0), {memory}[select(0u, {place}, k + {e}u < k_end)], k + {e}u < k_end)"


def _along_columns(f: Thin, t: str, w: Words) -> str:
    """An invocation's four columns: one position of k at a time."""
    four = f"vec4<{t}>"
    lines = [f"let x = t % {f.across}u;\nlet lane = t / {f.across}u;"]
    if f.w_type == four:
        lines.append(f"let column = w_at + min(column_first + x * 4u, {w['n']} - 4u);")
    else:
        lines += [f"let column{e} = w_at + min(column_first + x * 4u + {e}u, {w['n']} - 1u) * {w['w_column']};" for e in range(4)]
    lines.append(f"for (var k = lane; k < k_end; k += {f.lanes}u) {{")
    if f.w_type == four:
        lines.append(f"let right = m1[(column + k * {w['w_k']}) / 4u];")
    else:
        step = w["w_k"]
        parts = [f"m1[column{e} + k * {step}]" for e in range(4)]
        lines.append(f"let right = {four}({', '.join(parts)});")
    lines += [f"c{r} += m0[row{r} + k * {w['a_k']}] * right;" for r in range(f.rows)]
    return "\n".join([*lines, "}"])
