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

    def row(self, s: Side, i: int, row: str, k: str) -> str:
        p = s.prefix
        if self.along_k or self._vector:
            inner = f"min({row}, {s.extent} - 4u) + {k} * {s.word('k')}"
            if self.along_k:
                inner = f"min({row}, {s.extent} - 1u) * {s.word('row')} + {k}" + ("" if self._vector else f" * {s.word('k')}")
            at = f"{p}_at + {inner}"
            return f"var {p}_next{i} = {f'({at}) / 4u' if self._vector else at};"
        rows = [f"let {p}_row{i}_{e} = {p}_at + min({row} + {e}u, {s.extent} - 1u) * {s.word('row')};" for e in range(4)]
        return "\n".join([*rows, f"var {p}_next{i} = {k} * {s.word('k')};"])

    def load(self, s: Side, i: int, k: str) -> str:
        p, value, at = s.prefix, f"{s.prefix}_value{i}", f"{s.prefix}_next{i}"
        zero, step = f"{s.vector}()", f"{s.piece}u * {s.word('k')}"
        if self._vector:
            step = f"{s.piece // 4}u" if self.along_k else f"{s.piece // 4}u * {s.word('k')}"
        checks = [f"let inside = {k} < {s.depth};"] if self.checked else []
        if self.along_k and not self._vector:
            checks = [f"let inside{e} = {k} + {e}u < {s.depth};" for e in range(4)] if self.checked else []
            places = [f"{at} + {e}u * {s.word('k')}" for e in range(4)]
        else:
            places = [at] if self._vector else [f"{p}_row{i}_{e} + {at}" for e in range(4)]
        parts = []
        for e, place in enumerate(places):
            inside = f"inside{e}" if len(checks) > 1 else "inside"
            none = zero if self._vector else f"{zero}.x"
            parts.append(f"select({none}, {s.memory}[select(0u, {place}, {inside})], {inside})" if self.checked else f"{s.memory}[{place}]")
        loaded = parts[0] if self._vector else f"{s.vector}({', '.join(parts)})"
        return f"{{ {' '.join(checks)} {value} = {loaded}; {at} += {step}; }}"


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
