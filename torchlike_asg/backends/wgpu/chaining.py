"""Vertical fusion: dispatches that follow one another, each less work than a launch costs, become one, of one workgroup.

A small network computes one row by a chain of products of a few thousand multiplications; a GPU takes some four microseconds from one
dispatch to the next, and the host as long to record each. In a chain a barrier stands between them instead. Each is a stage: a function
made of its shader, which takes the number of a workgroup and the number of an invocation in it. The chain's only workgroup is large
enough for several of the stage's side by side, so that its memory is divided among those, and every barrier is met by all of them.

What one stage writes and another reads is one variable in the text: shader compilers may assume that two do not lie in the same memory.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..assemble import Origin
from .calls import Binding, Capabilities, Dispatch, Source

#: what a stage may do: operations on elements, bytes bound; a multiprocessor does that in the time of a launch
WORK, BYTES = 1 << 17, 1 << 17
#: invocations of the workgroup, and how many times it may be gone through for one stage
INVOCATIONS, ROUNDS = 1024, 2
#: stages of a chain, its bindings, its words (as vec4): a text of thousands of lines takes long to compile
MOST, MOST_BINDINGS, MOST_WORDS = 32, 64, 512
#: whether software adapters get chains: there launches cost next to nothing, and shaders are compiled slowly
ON_SOFTWARE = False

_DECLARED = re.compile(r"@group\(0\) @binding\((\d+)\) var<(storage, read_write|uniform)> (\w+): (.+);\n?")
_SHARED = re.compile(r"var<workgroup> (\w+): (array<[\w<>]+, \d+>);\n?")
_ENTRY = re.compile(r"@compute @workgroup_size\((\d+)\) fn main\(([^{]*)\)\s*\{")
_PARAMETER = re.compile(r"@builtin\((\w+)\) (\w+): [\w<>]+")
#: what has a name: functions and constants (which are variables where compilers are not to compute with them)
_NAMED = re.compile(r"^(?:fn|const|var<private>) (\w+)", re.MULTILINE)
_OTHER = re.compile(r"^(?:override|struct|alias|enable|diagnostic|@)", re.MULTILINE)
_WORDS = re.compile(r"array<vec4<u32>, (\d+)>")
_WORD = re.compile(r"(?<![\w.])words\[")
_NAME = re.compile(r"(?<![\w.])[A-Za-z_]\w*")
_BUILTINS = {"workgroup_id": "vec3<u32>", "num_workgroups": "vec3<u32>", "local_invocation_index": "u32"}


@dataclass(frozen=True)
class _Stage:
    """A shader taken apart.

    ``text``    its functions, with ``main`` among them, and constants;  ``names`` of all of them
    ``types``   of the operands' elements;  ``words`` how many vec4 its words are
    ``shared``  its memory by name, see `_Chain.rooms`;  ``threads`` of a workgroup;  ``parameters`` of ``main``: what is built in, in order
    """

    text: str
    names: frozenset[str]
    types: tuple[str, ...]
    words: int
    shared: dict[str, tuple[str, int]]
    threads: int
    parameters: tuple[str, ...]


@functools.lru_cache(1024)
def _stage(source: Source) -> _Stage | None:
    """None for a shader that has something else than stages have."""
    text = source.text
    entry = _ENTRY.search(text)
    if entry is None:
        return None
    parameters = _PARAMETER.findall(entry[2])
    if any(name not in _BUILTINS for name, _ in parameters):
        return None
    declared = {int(k): (name, kind) for k, _, name, kind in _DECLARED.findall(text)}
    shared: dict[str, tuple[str, int]] = {}
    for name, kind in _SHARED.findall(text):
        shared[name] = kind, sum(k == kind for k, _ in shared.values())
    types, words = [], 0
    for k in range(len(declared)):
        name, kind = declared[k]
        if name == "words" and (found := _WORDS.fullmatch(kind)) is not None:
            words = int(found[1])
        elif name == f"m{k}":
            types.append(kind)
        else:
            return None
    taken = ", ".join(f"{name}: {_BUILTINS[builtin]}" for builtin, name in parameters)
    text = text.replace(entry[0], f"fn main({taken}) {{", 1)
    text = _SHARED.sub("", _DECLARED.sub("", text))
    if _OTHER.search(text) is not None:
        return None
    names = frozenset(_NAMED.findall(text))
    return _Stage(text, names, tuple(types), words, shared, int(entry[1]), tuple([builtin for builtin, _ in parameters]))


@dataclass(frozen=True)
class _Chain:
    """Stages that can be one dispatch.

    ``places``   for each stage the variable of each of its operands;  ``variables`` the binding and type of each
    ``groups``   for each stage its number of workgroups;  ``threads`` of the chain's workgroup
    """

    stages: tuple[_Stage, ...]
    groups: tuple[int, ...]
    places: tuple[tuple[int, ...], ...]
    variables: tuple[tuple[Binding, str], ...]
    threads: int

    @property
    def rooms(self) -> dict[tuple[str, int], int]:
        """The workgroup memory, which stages share: (type, how many of that type a stage has before it) -> of how many workgroups."""
        found: dict[tuple[str, int], int] = {}
        for stage in self.stages:
            for room in stage.shared.values():
                found[room] = max(found.get(room, 0), self.threads // stage.threads)
        return found

    @property
    def words(self) -> int:
        return sum(stage.words for stage in self.stages)

    def text(self) -> str:
        lines = [f"@group(0) @binding({k}) var<storage, read_write> b{k}: {kind};" for k, (_, kind) in enumerate(self.variables)]
        if self.words:
            lines.append(f"@group(0) @binding({len(self.variables)}) var<uniform> words: array<vec4<u32>, {self.words}>;")
        rooms = self.rooms
        lines += [f"var<workgroup> room{k}: array<{kind}, {lots}>;" for k, ((kind, _), lots) in enumerate(rooms.items())]
        lines.append("var<private> lot: u32;")
        body: list[str] = []
        first = 0
        for number, (stage, groups, places) in enumerate(zip(self.stages, self.groups, self.places, strict=True)):
            lines.append(_functions(number, stage, places, first, list(rooms)))
            body += self._call(number, stage, groups)
            first += stage.words
        entry = f"@compute @workgroup_size({self.threads}) fn main(@builtin(local_invocation_index) index: u32) {{"
        return "\n".join([*lines, entry, *body[:-1], "}", ""])

    def _call(self, number: int, stage: _Stage, groups: int) -> Iterator[str]:
        """The statements that run a stage, and the barrier behind it."""
        lots = self.threads // stage.threads
        given = {"workgroup_id": "vec3<u32>(at + lot, 0u, 0u)", "num_workgroups": f"vec3<u32>({groups}u, 1u, 1u)",
                 "local_invocation_index": f"index % {stage.threads}u"}  # fmt: skip
        call = f"s{number}_main({', '.join(given[p] for p in stage.parameters)});"
        yield f"lot = index / {stage.threads}u;"
        if not stage.shared:
            yield f"for (var at = 0u; at < {groups}u; at += {lots}u) {{ if (at + lot < {groups}u) {{ {call} }} }}"
        else:
            yield f"for (var at = 0u; at < {groups}u; at += {lots}u) {{ {call} workgroupBarrier(); }}"
        yield "storageBarrier();"


def _functions(number: int, stage: _Stage, places: Sequence[int], first: int, rooms: Sequence[tuple[str, int]]) -> str:
    """A stage's functions under names of their own; its words begin with the vec4 of number `first`."""
    names = {name: f"s{number}_{name}" for name in stage.names}
    names |= {f"m{k}": f"b{place}" for k, place in enumerate(places)}
    names |= {name: f"room{rooms.index(room)}[lot]" for name, room in stage.shared.items()}
    text = _NAME.sub(lambda found: names.get(found[0], found[0]), stage.text)
    return _WORD.sub(f"words[{first}u + ", text) if first else text


def _bytes(kind: str) -> int:
    """Of a type of workgroup memory."""
    element, count = kind.removeprefix("array<").removesuffix(">").rsplit(", ", 1)
    return int(count) * (16 if element.startswith("vec4") else 8 if element.startswith("vec2") else 4)


def _chain(calls: Sequence[Dispatch], caps: Capabilities) -> _Chain | None:
    """The chain of some dispatches; None if they cannot be one."""
    most = min(INVOCATIONS, caps.max_invocations, caps.limits.get("max-compute-workgroup-size-x", INVOCATIONS))
    stages, numbers, places = [], {}, []
    for call in calls:
        stage = _stage(call.source)
        if stage is None or stage.threads > most or most % stage.threads:
            return None
        stages.append(stage)
        places.append(tuple([numbers.setdefault((b, t), len(numbers)) for b, t in zip(call.operands, stage.types, strict=True)]))
    written = {slot for call in calls for slot in call.writes}
    several = [b.slot for b, _ in numbers]
    if len(several) > min(caps.max_operands, MOST_BINDINGS) or any(slot in written and several.count(slot) > 1 for slot in several):
        return None
    groups = tuple([call.groups for call in calls if isinstance(call.groups, int)])
    needed = max(s.threads * g for s, g in zip(stages, groups, strict=True))
    sizes = [*[t for t in (64, 128, 256, 512) if t < most], most]
    threads = next(t for t in sizes if (t >= needed or t == most) and not any(t % s.threads for s in stages))
    found = _Chain(tuple(stages), groups, tuple(places), tuple(numbers), threads)
    if any(s.threads * g > ROUNDS * threads for s, g in zip(stages, groups, strict=True)):
        return None
    memory = sum(_bytes(kind) * lots for (kind, _), lots in found.rooms.items())
    return found if memory <= caps.shared_memory and found.words <= MOST_WORDS else None


def _suits(call: Any) -> bool:
    """Whether a step can be a stage."""
    return (
        call.__class__ is Dispatch
        and 0 < call.work <= WORK
        and isinstance(call.groups, int)
        and call.groups > 0
        and not any(b.half or b.size is None for b in call.operands)
        and sum(b.size or 0 for b in set(call.operands)) <= BYTES
    )


def _made(calls: Sequence[Dispatch], chain: _Chain) -> Dispatch:
    words: list[int | float] = []
    for call, stage in zip(calls, chain.stages, strict=True):
        words += [*call.words, *[0] * (4 * stage.words - len(call.words))]
    key = ("chain", tuple([c.source.key for c in calls]), chain.groups, chain.places, chain.threads)
    labels = list(dict.fromkeys([c.label for c in calls]))
    features = frozenset().union(*[c.source.features for c in calls])
    return Dispatch(
        Source(key, chain.text, trusted=all(c.source.trusted for c in calls), features=features),
        tuple([b for b, _ in chain.variables]),
        tuple(words),
        1,
        tuple(sorted({slot for c in calls for slot in c.writes})),
        "; ".join(labels),
        sum(c.flops for c in calls),
        sum(c.bytes for c in calls),
    )


def chained(steps: Sequence[Any], origins: Sequence[Origin], caps: Capabilities) -> tuple[list[Any], list[Origin]]:
    """A plan's steps with its small dispatches in chains."""
    if caps.software and not ON_SOFTWARE:
        return list(steps), list(origins)
    out: list[Any] = []
    made_of: list[Origin] = []
    calls: list[Dispatch] = []
    mine: list[Origin] = []
    chain: _Chain | None = None

    def end() -> None:
        nonlocal chain
        if chain is not None and len(calls) > 1:
            out.append(_made(calls, chain))
            made_of.append(Origin(tuple(dict.fromkeys([n for o in mine for n in o.nodes])), mine[0].kernel))
        else:
            out.extend(calls)
            made_of.extend(mine)
        calls.clear()
        mine.clear()
        chain = None

    for step, origin in zip(steps, origins, strict=True):
        longer = _chain([*calls, step], caps) if _suits(step) and len(calls) < MOST else None
        if longer is None:
            end()
            longer = _chain([step], caps) if _suits(step) else None
        if longer is None:
            out.append(step)
            made_of.append(origin)
        else:
            chain = longer
            calls.append(step)
            mine.append(origin)
    end()
    return out, made_of
