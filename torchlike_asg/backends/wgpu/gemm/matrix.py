"""Loaders of matrices of any strides: transposed, broadcast and padded operands are read where they lie."""

from __future__ import annotations

from dataclasses import dataclass

from ..calls import View, element
from .kernel import Loader, Side


@dataclass(frozen=True)
class MatrixLoader(Loader):
    """A matrix with steps ``row`` and ``k``; whole vec4 are read if its memory is bound so, else single elements."""

    kind = "matrix"

    @property
    def _vector(self) -> bool:
        return self.type.startswith("vec4")

    def row(self, s: Side, i: int, row: str) -> str:
        p = s.prefix
        if self.along_k:
            return f"let {p}_row{i} = {p}_at + min({row}, {s.extent} - 1u) * {s.word('row')};"
        if self._vector:
            return f"let {p}_row{i} = {p}_at + min({row}, {s.extent} - 4u);"
        return "\n".join(
            f"let {p}_row{i}_{e} = {p}_at + min({row} + {e}u, {s.extent} - 1u) * {s.word('row')};" for e in range(4)
        )  # fmt: skip

    def load(self, s: Side, i: int, k: str) -> str:
        p, value = s.prefix, f"{s.prefix}_value{i}"
        zero = f"{s.vector}()"
        if self.along_k and not self._vector:
            parts, checks = [], []
            for e in range(4):
                at = f"{p}_row{i} + ({k} + {e}u) * {s.word('k')}"
                if self.checked:
                    checks.append(f"let inside{e} = {k} + {e}u < {s.depth};")
                    parts.append(f"select({zero}.x, {s.memory}[select(0u, {at}, inside{e})], inside{e})")
                else:
                    parts.append(f"{s.memory}[{at}]")
            return f"{{ {' '.join(checks)} {value} = {s.vector}({', '.join(parts)}); }}"
        if self.along_k:
            places = [f"({p}_row{i} + {k}) / 4u"]
        elif self._vector:
            places = [f"({p}_row{i} + {k} * {s.word('k')}) / 4u"]
        else:
            places = [f"{p}_row{i}_{e} + {k} * {s.word('k')}" for e in range(4)]
        if not self.checked:
            loaded = ", ".join(f"{s.memory}[{at}]" for at in places)
            return f"{value} = {loaded if self._vector else f'{s.vector}({loaded})'};"
        loaded = ", ".join(f"{s.memory}[select(0u, {at}, inside)]" for at in places)
        return (
            f"{{ let inside = {k} < {s.depth}; {value} = select({zero}, {loaded if self._vector else f'{s.vector}({loaded})'}, inside); }}"
        )


def matrix_loader(v: View, extent: int, length: int, row: int, k: int, batch: tuple[int, ...], *, checked: bool) -> MatrixLoader:
    """The loader of the matrices of view `v`: `extent` rows of `length` elements, with steps `row`, `k` and `batch`."""
    along_k = (k == 1 and not (row == 1 and length < 4)) or (row != 1 and abs(k) < abs(row))
    inner, outer = (k, row) if along_k else (row, k)
    size, others = (length, extent) if along_k else (extent, length)
    aligned = (v.offset, *batch, *([outer] if others > 1 else []))
    vector = inner == 1 and size > 0 and size % 4 == 0 and not any(s % 4 for s in aligned)
    b, at = v.bind()
    t = element(v.dtype)
    return MatrixLoader(b, f"vec4<{t}>" if vector else t, along_k, checked, {"at": at, "row": row, "k": k})
