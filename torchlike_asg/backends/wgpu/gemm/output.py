"""What becomes of a product's sums: an initial value, rounding, the store, or an epilogue instead of it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import ClassVar

from ....dtypes import dtype
from ..calls import Binding, Epilogue, View, element
from ..finish import finish_function
from ..words import Words


@dataclass(frozen=True)
class Output:
    """Where sums go. The kernel calls ``store(batch, c_at, i_at, row, column, sums)`` with the sums of four neighbouring columns; rows and
    columns may lie beyond m and n. It binds `bindings` after its own operands, and has a word for each name in `values`, the epilogue's
    last; among them ``c_at`` and ``i_at``: the index of the first element of the result and of the initial value.
    """

    dtype: dtype
    bindings: tuple[Binding, ...]
    types: tuple[str, ...]
    values: dict[str, int | float]
    writes: tuple[int, ...]
    epilogue: Epilogue | None
    #: the result is stored four columns at a time
    vector: bool
    #: there is an initial value: operand 0 of the output's
    init: bool
    kind: ClassVar[str]

    @property
    def words(self) -> tuple[str, ...]:
        return tuple(self.values)

    @property
    def key(self) -> tuple[Hashable, ...]:
        """Determines the text."""
        return self.kind, self.dtype.name, self.types, self.vector, self.init, self.epilogue.key if self.epilogue else None

    def functions(self, words: Words, first: int) -> str:
        """Definitions of ``store`` and what it needs; the output's operands are bound from number `first` on."""
        raise NotImplementedError

    def put(self, words: Words, first: int) -> str:
        """``finish`` and ``put(index, at, sum)``, which disposes of one element: ``index`` in the result, ``at`` in its memory."""
        n, t = first + self.init, "f32" if self.dtype.is_floating_point else "i32"
        text = finish_function(self.dtype)
        if self.epilogue is None:
            return text + f"fn put(index: u32, at: u32, sum: {t}) {{ m{n}[at] = finish(sum); }}\n"
        epilogue = self.epilogue.write(n, len(words) - len(self.epilogue.words))
        return text + epilogue + f"\nfn put(index: u32, at: u32, sum: {t}) {{ epilogue(index, sum); }}\n"


@dataclass(frozen=True)
class MatrixOutput(Output):
    """The result is a batch of matrices of any strides, the initial value too."""

    kind = "matrix"

    def functions(self, words: Words, first: int) -> str:
        t, n = "f32" if self.dtype.is_floating_point else "i32", first + self.init
        head = (
            f"fn store(batch: u32, c_at: u32, i_at: u32, row: u32, column: u32, sums: vec4<{t}>) {{\n"
            f"if (row >= {words['m']}) {{ return; }}\n"
        )
        c, i = f"c_at + row * {words['c_row']}", f"i_at + row * {words['i_row']}" if self.init else ""
        if self.vector:
            initial = [f"m{first}[{i} + (column + {e}u) * {words['i_column']}]" for e in range(4)] if self.init else []
            given = f" + vec4<{t}>({', '.join(initial)})" if self.init else ""
            finished = ", ".join(f"finish(all.{e})" for e in "xyzw")
            return (
                finish_function(self.dtype)
                + head
                + (
                    f"if (column >= {words['n']}) {{ return; }}\nlet all = sums{given};\n"
                    f"m{n}[({c} + column) / 4u] = vec4<{t}>({finished});\n}}\n"
                )
            )
        lines = []
        for e in range(4):
            column = f"(column + {e}u)"
            given = f" + m{first}[{i} + {column} * {words['i_column']}]" if self.init else ""
            index = f"(batch * {words['m']} + row) * {words['n']} + column + {e}u"
            lines.append(f"if ({column} < {words['n']}) {{ put({index}, {c} + {column} * {words['c_column']}, sums.{'xyzw'[e]}{given}); }}")
        return self.put(words, first) + head + "\n".join(lines) + "\n}\n"


def matrix_output(
    c: View,
    steps: tuple[int, int],
    shape: tuple[int, int],
    batch_steps: tuple[int, ...],
    init: View | None = None,
    init_steps: tuple[int, int] = (0, 0),
    epilogue: Epilogue | None = None,
) -> MatrixOutput:
    """The output to the view `c`, whose first element is that of the first matrix, with steps along rows and columns."""
    bindings: list[Binding] = []
    types: list[str] = []
    values: dict[str, int | float] = {"c_at": 0, "c_row": steps[0], "c_column": steps[1], "i_at": 0}
    if init is not None:
        b, values["i_at"] = init.bind()
        values |= {"i_row": init_steps[0], "i_column": init_steps[1]}
        bindings.append(b)
        types.append(element(init.dtype))
    writes: tuple[int, ...] = (c.slot,)
    vector = False
    if epilogue is None:
        b, values["c_at"] = c.bind()
        vector = (
            steps[1] == 1 and shape[1] % 4 == 0 and not any(s % 4 for s in (c.offset, *batch_steps, *(steps[:1] if shape[0] > 1 else ())))
        )
        bindings.append(b)
        types.append(f"vec4<{element(c.dtype)}>" if vector else element(c.dtype))
    else:
        bindings += epilogue.bindings
        types += epilogue.types
        values |= {f"e{k}": w for k, w in enumerate(epilogue.words)}
        writes = epilogue.writes
    return MatrixOutput(c.dtype, tuple(bindings), tuple(types), values, writes, epilogue, vector, init is not None)
