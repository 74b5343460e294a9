"""Kernels that go on with the result of another operation, in the shader that computes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ....compiler import parts
from ....compiler.kernel import Load, LoopKernel, Random, Reduce
from ....compiler.normal import over_matrix
from ..calls import Binding, Epilogue, Lowering, View, word
from ..handler import WORDS
from ..wgslmath import used
from .form import Form
from .joined import Joined
from .lower import Job, in_fours, word_of
from .render import Renderer

#: operands that operations have of their own, at most
_OWN = 3
#: functions that take long
_LONG = frozenset(f"k_{name}" for name in WORDS - {"sqrt"})


def epilogue(lowering: Lowering, k: LoopKernel, views: Sequence[View], result: int, columns: int) -> Epilogue | None:
    """A kernel without reductions as the epilogue of an operation, whose result, a matrix of that many columns, is operand `result`.

    The result itself is stored too, unless the kernel stores something in its place. None if the kernel is no such epilogue: it reduces,
    checks its data, writes over other elements of the result than it has read, or has more operands than can be bound, or larger ones.
    """
    pruned, kept = parts.prune(k)
    if result not in kept or any(isinstance(i, Reduce) for i in k.body) or not k.operands[result].dtype.is_floating_point:
        return None
    at = kept.index(result)
    places = [(views[n].slot, views[n].offset + k.operands[n].offset) for n in kept]
    whole = pruned.operands[at]
    over = [o for o, _ in pruned.stores if places[o][0] == places[at][0]]
    if any(places[o] != places[at] or pruned.operands[o].strides != whole.strides for o in over):
        return None
    if not over:
        value = next(n for n, i in enumerate(pruned.body) if isinstance(i, Load) and i.operand == at)
        pruned = replace(pruned, stores=(*pruned.stores, (at, value)))
    matrix = over_matrix(pruned, whole, columns)
    if matrix is None:
        return None
    matrix = replace(matrix, outer=len(matrix.sizes), operands=tuple([replace(o, offset=0) for o in matrix.operands]))
    job = Job(matrix, tuple(places))
    form = Form(matrix, False, vector=4 if in_fours(job) else 1, special=not lowering.caps.software)
    bound = [n for n in range(len(places)) if n != at or not over]
    pairs = [job.view(n).bind() for n in range(len(places))]
    for i in matrix.body:  # of these, both words
        for n in (i.key, i.block) if isinstance(i, Random) else ():
            pairs[n] = (Binding(places[n][0]), 0)
    if len(bound) + _OWN > lowering.caps.max_operands or any((b.size or 0) > lowering.caps.max_binding for b, _ in pairs):
        return None
    form.binding = [bound.index(n) if n in bound else -1 for n in range(len(places))]
    first = _Function(form, at)
    text = first.text()  # numbers the words
    if first.checked is not None:
        return None
    offsets = [place for _, place in pairs]
    return Epilogue(
        ("loops", at, *form.key()),
        tuple([pairs[n][0] for n in bound]),
        tuple([word_of(form, job, offsets, name) for name in form.words]),
        lambda operands, words: _Function(form, at, operands, words).text(),
        tuple([first.type(n) for n in bound]),
        tuple(sorted({places[o][0] for o, _ in matrix.stores})),
        form.vector > 1,
        bool(used(text) & _LONG),
    )


class _Inside(Joined):
    """Operands and words of a kernel that come after those of another."""

    def __init__(self, operands: int, words: int) -> None:
        super().__init__((), 0)
        self._operands, self._words = operands, words

    def word(self, k: int, type_: str = "u32") -> str:
        return word(self._words + k, type_)

    def read(self, b: int, at: str) -> str:
        return f"m{self._operands + b}[{at}]"

    def write(self, b: int, at: str, value: str) -> str:
        return f"m{self._operands + b}[{at}] = {value};"


class _Function(Renderer):
    """Writes the function; operand `result` is what it is given."""

    def __init__(self, form: Form, result: int, operands: int = 0, words: int = 0) -> None:
        super().__init__(form, _Inside(operands, words), checks=True)
        self._result = result

    def text(self) -> str:
        last, vector = len(self.k.sizes) - 1, self.form.vector > 1
        place = self._place("row", range(last), "i")
        place[last] = "(column / 4u)" if vector else "column"
        self._points(place, self._result)
        body = "\n    ".join(self.b.lines)
        return f"fn epilogue(row: u32, column: u32, value: {'vec4<f32>' if vector else 'f32'}) {{\n    {body}\n}}"
