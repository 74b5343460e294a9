"""What becomes of a product's sums: an initial value, rounding, the store, or an epilogue instead of it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from ....dtypes import dtype
from ...views import merge
from ..calls import Binding, Epilogue, View, element
from ..finish import finish_function
from ..words import Words

#: a dimension of the result: its size and its step in memory
Dim = tuple[int, int]


@dataclass(frozen=True)
class Output:
    """Where sums go. The kernel calls ``store(batch, c_at, i_at, row, column, sums)`` with the sums of four neighbouring columns; rows and
    columns may lie beyond m and n. The output binds `bindings` after the kernel's own operands, and has a word for each name in `values`,
    the epilogue's last; among them ``c_at`` and ``i_at``: the index of the first element of the result and of the initial value.

    ``rows, columns``  of how many dimensions the numbers of a row and of a column of the result are made
    ``vector``         the result is stored four columns at a time;  ``init``  there is an initial value, bound first
    """

    dtype: dtype
    bindings: tuple[Binding, ...]
    types: tuple[str, ...]
    values: dict[str, int | float]
    writes: tuple[int, ...]
    rows: int
    columns: int
    vector: bool
    init: bool
    epilogue: Epilogue | None

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Determines the text."""
        last = self.epilogue.key if self.epilogue else None
        return self.dtype.name, self.types, self.rows, self.columns, self.vector, self.init, last

    @property
    def _register(self) -> str:
        return "f32" if self.dtype.is_floating_point else "i32"

    def functions(self, words: Words, first: int) -> str:
        """Definitions of ``store`` and what it needs; the output's operands are bound from number `first` on."""
        t, n = self._register, first + self.init
        text = finish_function(self.dtype) + _way(words, "row", self.rows) + _way(words, "column", self.columns)
        head = (
            f"fn store(batch: u32, c_at: u32, i_at: u32, row: u32, column: u32, sums: vec4<{t}>) {{\n"
            f"if (row >= {words['m']}) {{ return; }}\nlet at = c_at + row_way(row);\n"
        )
        given = ["" for _ in range(4)]
        if self.init:
            head += f"let i_row = i_at + row * {words['i_row']};\n"
            given = [f" + m{first}[i_row + (column + {e}u) * {words['i_column']}]" for e in range(4)]
        sums = [f"sums.{x}{g}" for x, g in zip("xyzw", given, strict=True)]
        if self.vector:
            finished = ", ".join(f"finish({x})" for x in sums)
            body = f"if (column >= {words['n']}) {{ return; }}\nm{n}[(at + column_way(column)) / 4u] = vec4<{t}>({finished});\n"
            return text + head + body + "}\n"
        if self.epilogue is not None:
            text += self.epilogue.write(n, len(words) - len(self.epilogue.words)) + "\n"
            head += f"let whole_row = batch * {words['m']} + row;\n"
            if self.epilogue.vector:
                finished = ", ".join(f"finish({x})" for x in sums)
                return text + head + f"if (column < {words['n']}) {{ epilogue(whole_row, column, vec4<{t}>({finished})); }}\n}}\n"
        for e, x in enumerate(sums):
            put = f"m{n}[at + column_way(column + {e}u)] = finish({x});"
            if self.epilogue is not None:
                put = f"epilogue(whole_row, column + {e}u, finish({x}));"
            head += f"if (column + {e}u < {words['n']}) {{ {put} }}\n"
        return text + head + "}\n"


def _way(words: Words, name: str, rank: int) -> str:
    """``row_way`` or ``column_way``: how far into the result's memory a row or a column is."""
    lines = []
    rest = "number"
    for d in reversed(range(rank)):
        step, size = words[f"{name}_step{d}"], words[f"{name}_size{d}"]
        lines.append(f"way += {f'({rest} % {size})' if d else f'({rest})'} * {step};")
        rest = f"{rest} / {size}"
    return f"fn {name}_way(number: u32) -> u32 {{ var way = 0u; {' '.join(lines)} return way; }}\n"


def merged(dims: Sequence[Dim]) -> tuple[Dim, ...]:
    """Fewer dimensions over the same places, outermost first."""
    return tuple(merge([size for size, _ in dims], [step for _, step in dims])) or ((1, 0),)


def output(
    c: View,
    rows: Sequence[Dim],
    columns: Sequence[Dim],
    batch: Sequence[int] = (),
    init: View | None = None,
    init_steps: tuple[int, int] = (0, 0),
    epilogue: Epilogue | None = None,
) -> Output:
    """The output to the view `c`, which covers all its matrices and begins with the first: the dimensions that its rows and its columns
    count, and the steps between the matrices of the batch. `init`, steps along rows and columns: what the sums are added to.
    """
    bindings: list[Binding] = []
    types: list[str] = []
    values: dict[str, int | float] = {"c_at": 0, "i_at": 0}
    rows, columns = merged(rows), merged(columns)
    for name, dims in (("row", rows), ("column", columns)):
        for d, (size, step) in enumerate(dims):
            values |= {f"{name}_size{d}": size, f"{name}_step{d}": step}
    if init is not None:
        b, values["i_at"] = init.bind()
        values |= {"i_row": init_steps[0], "i_column": init_steps[1]}
        bindings.append(b)
        types.append(element(init.dtype))
    writes: tuple[int, ...] = (c.slot,)
    vector = False
    if epilogue is None:
        b, values["c_at"] = c.bind()
        steps = (c.offset, *batch, *[s for _, s in rows], *[s for _, s in columns[:-1]])
        vector = columns[-1][1] == 1 and columns[-1][0] % 4 == 0 and not any(s % 4 for s in steps)
        bindings.append(b)
        types.append(f"vec4<{element(c.dtype)}>" if vector else element(c.dtype))
    else:
        bindings += epilogue.bindings
        types += epilogue.types
        values |= {f"e{k}": w for k, w in enumerate(epilogue.words)}
        writes = epilogue.writes
    return Output(
        c.dtype, tuple(bindings), tuple(types), values, writes, len(rows), len(columns), vector, init is not None, epilogue
    )  # fmt: skip
