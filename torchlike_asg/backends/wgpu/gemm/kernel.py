"""The tiled product: a workgroup brings pieces of both operands into its shared memory, and its threads multiply them from there.

``c[b, i, j] = sum over k of a[b, i, k] * w[b, k, j]``. What a and w are is said by two `Loader`s (matrices of any strides, or patches of
images), what becomes of c by an `Output`; so this one kernel serves products and convolutions. What makes it fast, measured on an NVIDIA
H200 in order of effect: both pieces lie in shared memory as rows of vec4 with k outermost, so that all reads there are whole vec4;
neighbouring threads have neighbouring columns, with no conflicts of banks; the loop over a piece's k is unrolled; the next piece is
fetched into registers while the present one is multiplied, from places that move on by an addition (computed anew for each piece, they
cost a fifth of the speed); the columns are gone through forth and back, so that the operand of the last product serves the next one too;
a row of the shared pieces is longer by one vec4.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from typing import ClassVar

from ..calls import Binding
from ..source import declarations, flat_index
from ..words import Words
from .output import Output
from .tiles import PATCH, Tile

#: words of every tiled product, before those of its operands and its batch
WORDS = ("groups", "m", "n", "k", "step", "down", "across", "parts", "part_c")
#: rows of tiles that are computed side by side, so that what their columns need is found in the cache
BAND = 8


@dataclass(frozen=True)
class Side:
    """What a loader's text is written with: a prefix for its names, the name of its memory, the vec4 type, and expressions for the number
    of its rows (columns, for the right operand) and for the length of k.
    """

    prefix: str
    memory: str
    vector: str
    words: Words
    extent: str
    depth: str
    #: steps of k in a piece
    piece: int

    def word(self, name: str) -> str:
        return self.words[f"{self.prefix}_{name}"]


@dataclass(frozen=True)
class Loader:
    """An operand of the tiled product, loaded four elements at a time: four neighbours along k, or four along its other dimension, which
    is called its rows.

    ``checked``  k may go beyond its end, where elements are 0
    """

    binding: Binding
    #: type of the elements as bound
    type: str
    along_k: bool
    checked: bool
    #: the loader's words, by name
    words: dict[str, int]
    kind: ClassVar[str]

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Determines the text, with the type of the sums."""
        return self.kind, self.type, self.along_k, self.checked

    def row(self, s: Side, i: int, row: str, k: str) -> str:
        """Statements before the loop that prepare load number `i`: `row` is its (first) row, a u32 that may be beyond the extent, `k` its
        first position in the first piece. ``{prefix}_at`` is the index where the matrix of the batch begins.
        """
        raise NotImplementedError

    def step(self, s: Side) -> str:
        """Statements before the loads of a piece, which begins at ``k``."""
        return ""

    def load(self, s: Side, i: int, k: str) -> str:
        """Statements that set the vec4 variable ``{prefix}_value{i}`` to the elements at (first) position `k`, a u32: those of the first
        piece, of the second, and so on.
        """
        raise NotImplementedError


def batch_words(rank: int) -> tuple[str, ...]:
    """For each dimension of the batch: its size, and the steps of a, w, c and the initial value."""
    return tuple(f"{name}{d}" for d in range(rank) for name in ("size", "a", "w", "c", "i"))


def places(words: Words, rank: int, names: str) -> str:
    """Statements that add to ``a_at``, ``w_at``, ``c_at``, ``i_at`` (those whose letters are in `names`) where matrix ``batch`` begins."""
    lines = ["var rest = batch;"] if rank else []
    for d in reversed(range(rank)):
        index = f"rest % {words[f'size{d}']}" if d else "rest"
        lines.append(f"let index{d} = {index};")
        lines += [f"{x}_at += index{d} * {words[f'{x}{d}']};" for x in names]
        if d:
            lines.append(f"rest = rest / {words[f'size{d}']};")
    return "\n".join(lines)


def tiled(tile: Tile, element: str, a: Loader, w: Loader, out: Output, rank: int) -> str:
    """The text of the kernel."""
    words = Words((*WORDS, *(f"a_{x}" for x in a.words), *(f"w_{x}" for x in w.words), *batch_words(rank), *out.words))
    vector = f"vec4<{element}>"
    sides = (
        Side("a", "m0", vector, words, words["m"], words["k"], tile.depth),
        Side("w", "m1", vector, words, words["n"], words["k"], tile.depth),
    )
    pitches = tile.rows // 4 + 1, tile.columns // 4 + 1
    pieces = [
        _Piece(loader, side, extent, pitch, tile)
        for loader, side, extent, pitch in zip((a, w), sides, (tile.rows, tile.columns), pitches, strict=True)
    ]
    load, keep = "\n".join(p.load() for p in pieces), "\n".join(p.keep() for p in pieces)
    multiply = _multiply(tile, element, pitches)
    return f"""{declarations([a.type, w.type, *out.types], len(words))}
var<workgroup> a_piece: array<{vector}, {pitches[0] * tile.depth}>;
var<workgroup> w_piece: array<{vector}, {pitches[1] * tile.depth}>;
{out.functions(words, 2)}
@compute @workgroup_size({tile.threads}) fn main(
    @builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) t: u32) {{
let flat = {flat_index()};
if (flat >= {words["groups"]}) {{ return; }}
let down = {words["down"]};
let across = {words["across"]};
let tiles = down * across;
let part = (flat / tiles) % {words["parts"]};
let batch = flat / (tiles * {words["parts"]});
let band = (flat % tiles) / ({BAND}u * across);
let within = (flat % tiles) % ({BAND}u * across);
let high = min({BAND}u, down - band * {BAND}u);
let row_first = (band * {BAND}u + within % high) * {tile.rows}u;
let column_first = (within / high) * {tile.columns}u;
var a_at = {words["a_at"]};
var w_at = {words["w_at"]};
var c_at = {words["c_at"]} + part * {words["part_c"]};
var i_at = {words["i_at"]};
{places(words, rank, "awci")}
{_places_of_threads(tile)}
var k = part * {words["step"]};
let end = min({words["k"]}, k + {words["step"]});
{_sums(tile, vector)}
{"".join(p.begin() for p in pieces)}
{load}
{_loop(tile, load, keep, multiply)}
{_stores(tile) if out.epilogue is None else _stores_in_a_loop(tile, vector)}
}}
"""


@dataclass(frozen=True)
class _Piece:
    """One operand's part of the text: which of its elements a thread loads, and where they go in shared memory."""

    loader: Loader
    side: Side
    extent: int
    pitch: int
    tile: Tile

    @property
    def _count(self) -> int:
        return -(-self.extent * self.tile.depth // 4 // self.tile.threads)

    def _across(self) -> tuple[int, int]:
        """Vectors of a line of loads: (along k, along the rows)."""
        return self.tile.depth // 4, self.extent // 4

    def begin(self) -> str:
        p, lines = self.side.prefix, []
        first = "row_first" if p == "a" else "column_first"
        along_k, along_rows = self._across()
        for i in range(self._count):
            lines.append(f"let {p}_id{i} = t + {i * self.tile.threads}u;")
            if self.loader.along_k:
                lines += [f"let {p}_r{i} = {p}_id{i} / {along_k}u;", f"let {p}_k{i} = ({p}_id{i} % {along_k}u) * 4u;"]
            else:
                lines += [f"let {p}_r{i} = ({p}_id{i} % {along_rows}u) * 4u;", f"let {p}_k{i} = {p}_id{i} / {along_rows}u;"]
            row = self.loader.row(self.side, i, f"({first} + {p}_r{i})", f"(k + {p}_k{i})")
            lines += [f"var {p}_value{i}: {self.side.vector};", row]
        return "\n".join(lines) + "\n"

    def load(self) -> str:
        if not self.loader.checked:
            return self._loads(self.loader)
        whole = replace(self.loader, checked=False)
        return f"if (k + {self.tile.depth}u <= {self.side.depth}) {{\n{self._loads(whole)}\n}} else {{\n{self._loads(self.loader)}\n}}"

    def _loads(self, loader: Loader) -> str:
        p = self.side.prefix
        loads = [self._where_needed(i, loader.load(self.side, i, f"(k + {p}_k{i})")) for i in range(self._count)]
        return "\n".join(["{", loader.step(self.side), *loads, "}"])

    def keep(self) -> str:
        """From registers into shared memory."""
        p, lines = self.side.prefix, []
        for i in range(self._count):
            if self.loader.along_k:
                text = " ".join(
                    f"{p}_piece[({p}_k{i} + {e}u) * {self.pitch}u + {p}_r{i} / 4u][{p}_r{i} % 4u] = {p}_value{i}.{c};"
                    for e, c in enumerate("xyzw")
                )
            else:
                text = f"{p}_piece[{p}_k{i} * {self.pitch}u + {p}_r{i} / 4u] = {p}_value{i};"
            lines.append(self._where_needed(i, text))
        return "\n".join(lines)

    def _where_needed(self, i: int, text: str) -> str:
        """In a last round of loads, not every thread may have one."""
        total = self.extent * self.tile.depth // 4
        needed = (i + 1) * self.tile.threads <= total
        return text if needed else f"if ({self.side.prefix}_id{i} < {total}u) {{ {text} }}"


def _loop(tile: Tile, load: str, keep: str, multiply: str) -> str:
    """The loop over k."""
    return f"""loop {{
{keep}
workgroupBarrier();
k += {tile.depth}u;
if (k < end) {{
{load}
}}
{multiply}
if (k >= end) {{ break; }}
workgroupBarrier();
}}"""


def _places_of_threads(tile: Tile) -> str:
    """``x``, ``y``: which of the first vec4s of the shared pieces' rows are the thread's; its others are ``tile.apart`` behind them."""
    if not tile.patch:
        return f"let x = t % {tile.threads_across}u;\nlet y = t / {tile.threads_across}u;"
    down, across = tile.apart
    patches = tile.threads_across // across
    return f"""let unit = t / {PATCH}u;
let x = (unit % {patches}u) * {across * tile.thread_columns // 4}u + t % {across}u;
let y = (unit / {patches}u) * {down * tile.thread_rows // 4}u + (t % {PATCH}u) / {across}u;"""


def _sums(tile: Tile, vector: str) -> str:
    return "\n".join(f"var c{i}_{j}: {vector};" for i in range(tile.thread_rows) for j in range(tile.thread_columns // 4))


def _multiply(tile: Tile, element: str, pitches: tuple[int, int]) -> str:
    """The shared pieces' product added to the thread's sums."""
    down, across = tile.thread_rows // 4, tile.thread_columns // 4
    lines = [] if tile.unrolled else [f"for (var step = 0u; step < {tile.depth}u; step++) {{"]
    for k in range(tile.depth if tile.unrolled else 1):
        starts = [f"{k * pitch}u" if tile.unrolled else f"step * {pitch}u" for pitch in pitches]
        lines += ["{"] if tile.unrolled else []
        lines += [f"let a{i} = a_piece[{starts[0]} + y + {i * tile.apart[0]}u];" for i in range(down)]
        lines += [f"let w{j} = w_piece[{starts[1]} + x + {j * tile.apart[1]}u];" for j in range(across)]
        for i in range(tile.thread_rows):
            for j in reversed(range(across)) if i % 2 else range(across):
                left, sum_ = f"vec4<{element}>(a{i // 4}.{'xyzw'[i % 4]})", f"c{i}_{j}"
                lines.append(f"{sum_} = {f'fma({left}, w{j}, {sum_})' if element == 'f32' else f'{sum_} + {left} * w{j}'};")
        lines.append("}")
    return "\n".join(lines)


def _stores(tile: Tile) -> str:
    lines = []
    for i in range(tile.thread_rows):
        lines.append(f"let row{i} = row_first + (y + {i // 4 * tile.apart[0]}u) * 4u + {i % 4}u;")
        for j in range(tile.thread_columns // 4):
            column = f"column_first + (x + {j * tile.apart[1]}u) * 4u"
            lines.append(f"store(batch, c_at, i_at, row{i}, {column}, c{i}_{j});")
    return "\n".join(lines)


def _stores_in_a_loop(tile: Tile, vector: str) -> str:
    """The same with the text of ``store`` once: an epilogue written out for every sum took registers from the loop over k, and halved the
    speed of large tiles.
    """
    across = tile.thread_columns // 4
    sums = [f"c{i}_{j}" for i in range(tile.thread_rows) for j in range(across)]
    return f"""var sums = array<{vector}, {len(sums)}>({", ".join(sums)});
for (var e = 0u; e < {len(sums)}u; e++) {{
let i = e / {across}u;
let row = row_first + (y + i / 4u * {tile.apart[0]}u) * 4u + i % 4u;
store(batch, c_at, i_at, row, column_first + (x + e % {across}u * {tile.apart[1]}u) * 4u, sums[e]);
}}"""
