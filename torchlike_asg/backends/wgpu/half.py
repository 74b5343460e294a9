"""float16 in 16 bits of memory: which operands lie so, and shaders rewritten for them.

Shaders are written for elements of 4 bytes and compute in f32. For an operand that lies in 16 bits, the text's accesses to it are given
conversions: ``m0[i]`` becomes ``f32(m0[i])``, and ``m0[i] = x;`` becomes ``m0[i] = f16(x);``. So every kernel reads and writes half of the
bytes, and sums stay in f32, without a second text of any of them. (bfloat16 stays in 32 bits: WGSL's compiler has no way to the bits of
its 16.)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from ...dtypes import dtype, float16
from .adapter import adapters

if TYPE_CHECKING:
    from .calls import Dispatch, Source


@functools.cache
def available() -> bool:
    """Whether float16 lies in 16 bits: where every adapter has ``shader-f16``, so that all devices of a process agree."""
    found = [a for a in adapters() if a.raw is not None]
    return bool(found) and all("shader-f16" in a.raw.features for a in found)


#: of the devices that were opened: whether their conversions round to the nearest, ties to even
_rounding: list[bool] = []


def opened(rounds: bool) -> None:
    """Told for each device: without one that rounds otherwise, values are rounded by the hardware's conversions."""
    _rounding.append(rounds)


def halved(d: dtype) -> bool:
    """Whether elements of a type take 2 bytes."""
    return d is float16 and available()


def narrowed(call: Dispatch) -> Dispatch:
    """The launch with a shader that reads and writes its halved operands as f16."""
    places = tuple([k for k, b in enumerate(call.operands) if b.half])
    return replace(call, source=_source(call.source, places)) if places else call


def _source(source: Source, places: tuple[int, ...]) -> Source:
    hardware = all(_rounding)
    return replace(
        source,
        key=(*source.key, "f16", places, hardware),
        write=lambda: f16_text(source.text, places, hardware),
        features=source.features | {"shader-f16"},
    )


_DECLARED = r"@binding\({k}\) var<storage, read_write> m{k}: array<(vec4<f32>|f32)>;"
_ROUNDING = r"fn k_round_f16\(x: f32\) -> f32 \{.*?\n\}"
_ASSIGNED = re.compile(r"\s*(\.[xyzw]|\[[^\]]*\])?\s*([-+*/]?)=(?!=)\s*")


def f16_text(text: str, places: Sequence[int], hardware: bool = False) -> str:
    """A shader's text with the operands of those numbers as arrays of f16; `hardware`: conversions round as they have to."""
    types: dict[str, str] = {}
    for k in places:
        pattern = _DECLARED.format(k=k)
        found = re.search(pattern, text)
        if found is None:
            raise AssertionError(f"operand {k} lies in 16 bits, but the shader does not declare it as floats:\n{text[:1000]}")
        types[f"m{k}"] = found[1]
        narrow = found[0].replace("f32", "f16")
        text = text.replace(found[0], narrow, 1)
    if hardware:
        text = re.sub(_ROUNDING, "fn k_round_f16(x: f32) -> f32 { return f32(f16(x)); }", text, flags=re.DOTALL)
    return "enable f16;\n" + _Rewriter(types).rewritten(text)


class _Rewriter:
    def __init__(self, types: dict[str, str]) -> None:
        self._types = types
        self._access = re.compile(rf"\b({'|'.join(types)})\[")

    def rewritten(self, text: str) -> str:
        out, at = [], 0
        while found := self._access.search(text, at):
            out.append(text[at : found.start()])
            name = found[1]
            wide = self._types[name]
            end = _closing(text, found.end() - 1)
            place = f"{name}[{self.rewritten(text[found.end() : end])}]"
            assigned = _ASSIGNED.match(text, end + 1)
            if assigned is None:
                out.append(f"{wide}({place})")
                at = end + 1
                continue
            stop = text.index(";", assigned.end())
            value, part, sign = self.rewritten(text[assigned.end() : stop]), assigned[1] or "", assigned[2]
            one = "f32" if part else wide
            if sign:
                value = f"{one}({place}{part}) {sign} ({value})"
            out.append(f"{place}{part} = {one.replace('f32', 'f16')}({value})")
            at = stop
        out.append(text[at:])
        return "".join(out)


def _closing(text: str, opening: int) -> int:
    """Where the bracket that opens at a place is closed."""
    depth = 0
    for i in range(opening, len(text)):
        depth += {"[": 1, "]": -1}.get(text[i], 0)
        if not depth:
            return i
    raise AssertionError("a bracket is not closed")
