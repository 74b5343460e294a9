"""Kernels with one invocation for each point of an index space, whose body is written by hand: gathers, pooling, scans of short lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from ..views import merge
from .calls import Dispatch, Lowering, Source, View, declarations, element, flat_index
from .finish import complete
from .words import Words

#: invocations of a workgroup
GROUP = 64


@dataclass(frozen=True)
class Stream:
    """Memory that a kernel moves over: the view that is bound, and its step in elements along each dimension of the index space."""

    view: View
    steps: tuple[int, ...]
    #: type of the elements as bound, if not that of the view's
    type: str = ""


@dataclass(frozen=True)
class Scope:
    """What a body is written with: ``words`` by name; memory k is ``m{k}``, and the point's place there ``a{k}``."""

    words: Words

    def __getitem__(self, name: str) -> str:
        return self.words[name]

    def signed(self, name: str) -> str:
        """A word as an i32."""
        return self.words.typed(name, "i32")


def points(
    lowering: Lowering,
    key: tuple[Hashable, ...],
    label: str,
    shape: Sequence[int],
    streams: Sequence[Stream],
    body: Callable[[Scope], str],
    writes: Sequence[int],
    words: Mapping[str, int | float] | None = None,
    functions: Callable[[Scope], str] | None = None,
    *,
    indexed: bool = False,
    group: int = GROUP,
    lanes: int = 1,
    shared: str = "",
    flops: int = 0,
    trusted: bool = True,
    work: int = 0,
) -> None:
    """Add the launch: `body` (statements) runs for every point of `shape`.

    ``key``      with the streams' types and the number of dimensions, determines the text
    ``writes``   numbers of the streams that are written;  ``functions`` text before the entry point
    ``indexed``  the dimensions are kept as they are, and ``i{d}`` is the point's index along each
    ``lanes``    how many invocations work on a point: the body computes with ``lane % lanes``. A workgroup has `group` of them, a multiple.
                 Those beyond the last point run the body too, with ``live`` false; `shared` declares workgroup memory
    ``work``     see `Dispatch`; with it, the body does not return before a barrier
    """
    total = math.prod(shape)
    if not total:
        return
    every = [s.steps for s in streams]
    dims = list(zip(shape, *every, strict=True)) if indexed else merge(shape, *every)
    rank = len(dims)
    bound = [s.view.bind() for s in streams]
    values: dict[str, int | float] = {"total": total, **{f"size{d}": dim[0] for d, dim in enumerate(dims)}}
    for k, (_, at) in enumerate(bound):
        values |= {f"at{k}": at, **{f"step{k}_{d}": dim[k + 1] for d, dim in enumerate(dims)}}
    values |= words or {}
    names = Words(tuple(values))
    types = [s.type or element(s.view.dtype) for s in streams]

    def write() -> str:
        scope = Scope(names)
        flat = f"{flat_index()} * {group // lanes}u + lane{f' / {lanes}u' if lanes > 1 else ''}"
        lines = [f"let id = {flat};"]
        if lanes > 1:
            lines += [f"let live = id < {names['total']};", "var rest = select(0u, id, live);"]
        else:
            lines += [f"if (id >= {names['total']}) {{ return; }}", "var rest = id;"]
        for d in reversed(range(rank)):
            lines.append(_index(names, d))
        for k in range(len(streams)):
            moved = "".join(f" + i{d} * {names[f'step{k}_{d}']}" for d in range(rank))
            lines.append(f"let a{k} = {names[f'at{k}']}{moved};")
        entry = (
            f"@compute @workgroup_size({group}) fn main(@builtin(workgroup_id) group: vec3<u32>, "
            "@builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {\n"
        )
        head = declarations(types, len(names)) + shared + (functions(scope) if functions is not None else "")
        return complete(head + entry + "\n".join(lines) + "\n" + body(scope) + "\n}\n")

    source = Source((*key, tuple(types), rank, indexed, group, lanes), write, trusted=trusted)
    slots = tuple(dict.fromkeys(streams[k].view.slot for k in writes))
    nbytes = 4 * total * len(streams)
    groups = -(-total * lanes // group)
    lowering.add(Dispatch(source, tuple([b for b, _ in bound]), names.values(values), groups, slots, label, flops, nbytes, work))


def _index(names: Words, d: int) -> str:
    if not d:
        return "let i0 = rest;"
    size = names[f"size{d}"]
    return f"let i{d} = rest % {size}; rest = rest / {size};"
