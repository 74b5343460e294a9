"""Tensors that several threads use at once.

Each thread records in a trace of its own, and storages are common to all. `trace.lock` makes every change of a storage one step for the
others; what is left are values that one thread overwrites while another has recorded something that reads them. Then

- what is overwritten is kept for those that read it (`keep`), as the value of its leaf in their traces: so a copy that was recorded before
  a step of the optimizer holds what was there before it. Their traces are *torn* from then on: the leaf has another value now than
  in them, so they end where that does no harm (`core.begin`, the optimizer's step);
- what a storage is to hold is computed by the thread that wrote it (`Cell.writer`), and nobody else puts a value there (`foreign`). Others
  compute it for themselves: values are pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..asg import reference, trace, traces
from ..asg.declare import INPUT, LEAVES, VAR
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from ..backends.wgpu.memory import DeviceArray
from .leaf_data import leaf_value
from .storage import Family

__all__ = ["foreign", "value_elsewhere", "keep", "preserve", "recover", "settle_left"]


def foreign(f: Family, tr: Trace) -> bool:
    """Whether the content of a storage is pending in the trace of another thread."""
    n = f.h
    if n is None or n.op in LEAVES:
        return False
    cell = f.made
    writer = None if cell is None else cell.writer
    return writer is not None and writer != tr.index and trace.by_index(writer) is not None


def keep(tr: Trace, overwritten: Iterable[tuple[Node, Any]]) -> list[Family]:
    """Before a trace overwrites the storages of permanent leaves, given as pairs (leaf, owner), and forgets its data: keep for the others
    what they read of it. Returns the families whose leaves have another value in some trace than in the others.
    """
    torn: list[Family] = []
    for other in traces.others(tr):
        read = traces.leaves_of(other)
        known = other.known
        for leaf, f in overwritten:
            if leaf in read and leaf not in known:
                known[leaf] = tr.known[leaf] if leaf in tr.known else f.cell.whole()
                other.torn = True
                torn.append(f)
        ours = [n for n in read if n.op is INPUT and n.attrs[0] == tr.index and n in tr.bound]
        for n in ours:
            other.bound.setdefault(n, tr.bound[n])
        if ours:  # a result of this trace that is used there: it reads the leaves as this trace does
            for n in read:
                if n.op is VAR and n in tr.known:
                    known.setdefault(n, tr.known[n])
    return torn


def preserve(leaf: Node, value: Any) -> None:
    """Have all that was recorded on a permanent leaf read this value, in every thread: its storage is about to get another one."""
    trace.current().known.setdefault(leaf, value)
    if trace.several:
        for other in traces.others(trace.current()):
            other.known.setdefault(leaf, value)


def value_elsewhere(n: Node, home: Trace) -> Any:
    """The value of a node in the trace of another thread, which goes on as if nobody had asked."""
    apart = Trace()
    apart.bound, apart.orphans, apart.known = home.bound, home.orphans, dict(home.known)
    with trace.using(apart):
        if n not in apart.known:
            trace.execute(apart, (n,), ())
    return apart.known[n]


def recover(tr: Trace, outputs: tuple[Node, ...]) -> bool:
    """Compute what was recorded from results of a trace that was closed between two steps of the recording: from their values. False if
    they are not known any more.
    """
    results, cut, lost = traces.results_before(tr), dict(tr.known), set()
    for n in topo(outputs, cut):
        if n.op is INPUT:
            home = trace.by_index(n.attrs[0])
            if n not in tr.bound and (home is None or n not in home.bound):
                lost.add(n)
        elif not lost.isdisjoint(n.srcs):
            if n in results:
                cut[n] = results[n]
            else:
                lost.add(n)
    if not lost.isdisjoint(outputs):
        return False
    values = reference.evaluate(outputs, lambda n: on_host(leaf_value(n, tr)), {n: on_host(v) for n, v in cut.items()})
    tr.known.update(zip(outputs, values, strict=True))
    return True


def on_host(value: Any) -> Any:
    """An array, from wherever it lies."""
    return value.numpy() if value.__class__ is DeviceArray else value


def settle_left() -> None:
    """Compute what threads that have ended have left."""
    from .flush import finish

    with trace.lock:
        while trace.left:
            tr = trace.left.pop()
            with trace.using(tr):
                finish(tr)
        trace.recount()
