"""Several launches that do not depend on each other, as one: the parts of a concatenation, the borders of a padded image."""

from __future__ import annotations

from collections.abc import Sequence

from .calls import Block, Call, Kernel, Source
from .emit import Module

_WORDS = 3  # per part: the number of its first unit, its function, its block


def together(calls: Sequence[Call], label: str = "") -> Call:
    """One call that does the work of all. They must not write what another one of them reads or writes."""
    if len(calls) == 1:
        return calls[0]
    words: list[object] = [len(calls)]
    units = 0
    for c in calls:
        words += [units, c.source, Block(c.operands, c.words)]
        units += c.units
    words.append(units)
    return Call(
        _SOURCE,
        (),
        tuple(words),
        tuple(dict.fromkeys(slot for c in calls for slot in c.reads)),
        tuple(dict.fromkeys(slot for c in calls for slot in c.writes)),
        units=units,
        cost=sum(c.cost for c in calls),
        scratch=max(c.scratch for c in calls),
        label=label or calls[0].label,
        flops=sum(c.flops for c in calls),
        bytes=sum(c.bytes for c in calls),
    )


def _write(module: Module, name: str) -> None:
    k = Kernel(module, name, 0)
    f = k.f
    lo, hi, scratch = k.rest
    with f.loop(0, k.word(0)) as part:
        entry = f.gep(k.word_address(1), part * _WORDS, "i64")
        first, end = f.load("i64", entry), f.load("i64", f.gep(entry, _WORDS, "i64"))
        a, b = f.maximum(lo, first), f.minimum(hi, end)
        with f.when(a < b):
            target, block = (f.load("ptr", f.gep(entry, i, "i64")) for i in (1, 2))
            f.call_pointer("void", target, block, a - first, b - first, scratch)


_SOURCE = Source(("together",), _write)
