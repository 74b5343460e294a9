"""Several kernels of one form as one dispatch: each has its own memory, its own words and its own workgroups.

The words begin with the number of each kernel's first workgroup; after them come the words of the first kernel, of the second, and so on.
A workgroup finds its kernel among the former, and memory through functions that choose among the bindings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..calls import Binding, Dispatch, Source, flat_index
from ..half import narrowed
from .form import Form


class Joined:
    """How the text of a form's shader reaches the memory and the words of the kernel that a workgroup belongs to.

    ``places[b][s]`` is the number of the binding that operand b has in kernel s
    """

    #: the number of the workgroup within its kernel
    GROUP = "own_group"

    def __init__(self, places: tuple[tuple[int, ...], ...], words: int) -> None:
        self.places, self.count = places, len(places[0]) if places else 0
        self._starts, self._each = -(-self.count // 4), -(-words // 4)

    @property
    def words(self) -> int:
        return 4 * (self._starts + self._each * self.count)

    def word(self, k: int, type_: str = "u32") -> str:
        """Word k of the kernel."""
        text = f"words[own_words + {k // 4}u].{'xyzw'[k % 4]}"
        return text if type_ == "u32" else f"bitcast<{type_}>({text})"

    def _one(self, b: int) -> bool:
        return len(set(self.places[b])) == 1

    def read(self, b: int, at: str) -> str:
        return f"m{self.places[b][0]}[{at}]" if self._one(b) else f"read{b}(segment, {at})"

    def write(self, b: int, at: str, value: str) -> str:
        return f"m{self.places[b][0]}[{at}] = {value};" if self._one(b) else f"write{b}(segment, {at}, {value});"

    def declarations(self, types: Sequence[str]) -> str:
        """Of the bindings, the words, and the functions that choose."""
        kinds: dict[int, str] = {}
        for b, numbers in enumerate(self.places):
            for n in numbers:
                kinds.setdefault(n, types[b])
        lines = [f"@group(0) @binding({n}) var<storage, read_write> m{n}: array<{kinds[n]}>;" for n in sorted(kinds)]
        lines.append(f"@group(0) @binding({len(kinds)}) var<uniform> words: array<vec4<u32>, {self.words // 4}>;")
        for b, type_ in enumerate(types):
            if not self._one(b):
                lines += [f"fn read{b}(segment: u32, at: u32) -> {type_} {{", f"    var out: {type_};"]
                lines += [*self._chosen(b, "out = m{}[at];"), "    return out;", "}"]
                lines += [f"fn write{b}(segment: u32, at: u32, value: {type_}) {{", *self._chosen(b, "m{}[at] = value;"), "}"]
        return "\n".join(lines) + "\n"

    def _chosen(self, b: int, statement: str) -> list[str]:
        """A statement about the binding that operand b has in the kernel `segment`."""
        kernels: dict[int, list[str]] = {}
        for s, n in enumerate(self.places[b]):
            kernels.setdefault(n, []).append(f"{s}u")
        *cases, (last, _) = kernels.items()
        lines = [f"        case {', '.join(numbers)}: {{ {statement.format(n)} }}" for n, numbers in cases]
        return ["    switch segment {", *lines, f"        default: {{ {statement.format(last)} }}", "    }"]

    @property
    def begin(self) -> str:
        """The first lines of the shader: which kernel a workgroup belongs to."""
        step = 1 << max(0, (self.count - 1).bit_length() - 1)
        return f"""    let any_group = {flat_index()};
    var segment = 0u;
    for (var step = {step}u; step > 0u; step = step / 2u) {{
        let next = segment + step;
        if (next < {self.count}u && words[next / 4u][next % 4u] <= any_group) {{ segment = next; }}
    }}
    let {self.GROUP} = any_group - words[segment / 4u][segment % 4u];
    let own_words = {self._starts}u + segment * {self._each}u;
"""

    def packed(self, starts: Sequence[int], words: Sequence[Sequence[int | float]]) -> tuple[int | float, ...]:
        """The words of a dispatch."""
        out: list[int | float] = [*starts, *[0] * (4 * self._starts - len(starts))]
        for mine in words:
            out += [*mine, *[0] * (4 * self._each - len(mine))]
        return tuple(out)


def bindings_of(calls: Sequence[Dispatch]) -> tuple[tuple[Binding, ...], tuple[tuple[int, ...], ...]]:
    """The bindings of several dispatches of one form together, each once, and `Joined.places`."""
    numbers: dict[Any, int] = {}
    form: Form = calls[0].form
    places = []
    for b in range(len(calls[0].operands)):
        operand = form.binding.index(b)
        kind = (form.k.operands[operand].dtype.short, form.vector > 1 and form.k.operands[operand].strides[-1] == 1)
        places.append(tuple([numbers.setdefault((kind, call.operands[b]), len(numbers)) for call in calls]))
    return tuple([binding for _, binding in numbers]), tuple(places)


def join(calls: Sequence[Dispatch]) -> Dispatch:
    """Dispatches of loop kernels of one form, none of which needs what another computes, as one."""
    from .render import Renderer

    first = calls[0]
    form: Form = first.form
    operands, places = bindings_of(calls)
    joined = Joined(places, len(first.words))
    starts, groups = [], 0
    for call in calls:
        assert isinstance(call.groups, int)
        starts.append(groups)
        groups += call.groups
    source = Source(
        ("joined", places, len(first.words), *first.source.key), lambda: Renderer(form, joined).text(), trusted=first.source.trusted
    )
    made = Dispatch(
        source,
        operands,
        joined.packed(starts, [call.words for call in calls]),
        groups,
        tuple(sorted({slot for call in calls for slot in call.writes})),
        f"{first.label} of {len(calls)}",
        sum(call.flops for call in calls),
        sum(call.bytes for call in calls),
        sum(call.work for call in calls),
    )
    return narrowed(made)
