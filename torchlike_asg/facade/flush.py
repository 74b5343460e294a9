"""Flush = execute. Every live pending result is computed at once, so that nothing is computed twice and nothing reads a later value.

A flush in mid-step, while a live tensor could still be differentiated, leaves the trace open: the values become known. Otherwise,
and at the end of an optimizer step, the trace closes: storages take their values and the next iteration starts from the same leaves.
"""

from __future__ import annotations

import itertools
from typing import Any
from weakref import ref

from ..asg import trace, traces
from ..asg.batching import dependent, depends
from ..asg.declare import CONST, IDENTITIES, INPUT, REBIND, VAR
from ..asg.gradients import history
from ..asg.interrupts import hold, release, whole
from ..asg.node import COUNTS, Node
from ..asg.trace import Trace, current, lock
from ..errors import HostMemoryError
from . import texts
from .closing import Live, close, make_concrete, to_leaf
from .division import look
from .failed import Failed
from .leaf_data import Lost, leaf_value, shown
from .past import SUMMED
from .rhythm import Rhythm
from .saved_values import blameless, ended, saved_together, verdict
from .sharing import foreign, keep, recover, settle_left, value_elsewhere
from .storage import Family

_LEAVES = (VAR, INPUT, CONST)
#: storages that take part in an open trace, from which on the dead ones are struck off at every read
_MANY = 256


def flush(closing: bool | None = None) -> None:
    """Compute everything pending. `closing`: end the trace even if a live tensor still has a history (it is kept aside)."""
    if trace.several and trace.left:
        settle_left()
    tr = current()
    if not (tr.claims or tr.data or tr.families or tr.updates or tr.grads or tr.plan is not None):
        return
    if tr.saving:
        from .saved_hooks import pack_pending

        pack_pending(tr)
    with lock:
        handler = hold()  # as `whole` does, without the call between: every step comes here
        if handler is None:
            _flush(tr, closing)
            return
        try:
            _flush(tr, closing)
        finally:
            release(handler)


def finish(tr: Trace) -> None:
    """Close the trace, which nobody records in any more. What cannot be computed raises where it is read."""
    with lock:
        for _ in range(2):
            try:
                _flush(tr, True)
                return
            except Exception:  # what failed was set aside
                continue


def _flush(tr: Trace, closing: bool | None) -> None:
    live = _live(tr)
    outputs: list[Any] = [t._n for t in live.tensors]
    if live.gradients:
        outputs += [g for _, g in live.gradients]
    if live.leaves:
        outputs += [f.h for f in live.leaves]
    if live.families:
        outputs += [f.h for f in live.families if f.h is not None and f.h.op not in _LEAVES]
    stale = tr.stale.copy() if tr.updates else None
    for _, old, new, _ in tr.updates:
        closing = True
        outputs += new
        tr.stale.update(old)
    histories: list[tuple[Any, Node]] = []
    if live.tracked or live.families:
        histories, saved = _histories(tr, live)
        outputs += saved  # what a later backward pass will read is kept, as PyTorch keeps saved tensors
    donated = _donated(tr, live.leaves) if (live.leaves or tr.updates) and (closing or not tr.held) and not histories else ()
    torn = keep(tr, _overwritten(tr, live)) if donated and trace.several else []
    try:
        compute(tr, outputs, donated)
    except Exception as error:
        tr.walk = None
        _give_up(tr, live, error)
        raise
    except BaseException:  # somebody insists on ending this: the step did not happen, and all that it was to compute stays pending
        tr.walk = None
        if stale is not None:
            tr.updates, tr.stale = [], stale
        raise
    if tr.loop is not None:
        tr.loop.read()
    cut = bool(histories) and not closing and _cut(tr, histories)
    if not closing and not cut and (tr.held or (histories and (not _moved_on(tr) or _goes_on(tr, histories)))):
        tr.flushes += 1
        tr.read = len(tr.claims), tr.slots
        if len(tr.families) > _MANY and not tr.level:  # those of a solver's steps; a transform counts its own
            tr.families = [r for r in tr.families if r() is not None]
        before = {id(r()) for r in tr.alive}
        tr.alive, tr.stood = [ref(o) for o, _ in histories], [n for _, n in histories]
        tr.fresh = [r for r in tr.alive if id(r()) not in before]
        return
    step = bool(tr.updates or live.leaves)
    if tr.entered or tr.division is not None:
        look(tr, step)
    if step:  # one of the loop ends: the next one is read from as often
        tr.patience = 0 if tr.reads >= trace.READS else trace.READS
        if tr.rhythm is not None:
            tr.rhythm.step(not tr.patience)
        tr.reads = 0
    if trace.several:
        torn += keep(tr, _overwritten(tr, live))
        tr.before = {n: tr.known[n] for t in live.tensors if (n := t._n) is not None}
    close(tr, live)
    tr.cut = cut
    for f in torn:
        f.invalidate()


def _overwritten(tr: Trace, live: Live) -> list[tuple[Node, Family]]:
    """The permanent leaves whose storages take another value when the trace closes, and their owners."""
    found = [(f.leaf, f) for f in (*live.leaves, *live.families) if f.leaf is not None and f.leaf.op is VAR]
    for storages, leaves, _, _ in tr.updates:
        found += zip(leaves, storages, strict=True)
    return found


def _live(tr: Trace) -> Live:
    """What is still reachable."""
    live = Live()
    tensors, tracked = live.tensors, live.tracked
    found: dict[Family, None] = {}
    claims = _claims(tr)
    hidden = dependent([n for n, _ in claims]) if tr.mapped else ()  # one example of a batch has no value
    alive: list[Node] = []
    for n, r in claims:
        o = r()
        if o is None:
            continue
        alive.append(n)
        if n in hidden:
            continue
        if o.__class__ is Family:
            if not (trace.several and foreign(o, tr)):
                found[o] = None
        elif o._f is None:
            tensors.append(o)
            if o._n.rg:
                tracked.append(o)
        else:
            found[o._f] = None
    for r in tr.families:
        f = r()
        if f is not None and not (tr.mapped and f.h is not None and depends((f.h,))) and not (trace.several and foreign(f, tr)):
            found[f] = None
    for r in tr.data:
        f = r()
        if f is not None and f not in found:
            if f.h is None:
                live.data.append(f)
            elif not (trace.several and foreign(f, tr)):
                found[f] = None
    tr.looked = (next(reversed(tr.claims), None), alive)
    for f in found:
        leaf, h = f.leaf, f.h
        if (
            leaf is not None
            and leaf.op is VAR
            and h is not None
            and h is not leaf
            and (not h.rg or (h.op is REBIND and h.srcs[0] is leaf))
            and h.op not in _LEAVES
        ):
            live.leaves.append(f)
        else:
            live.families.append(f)
    for owners, grads in tr.grads:
        for i, owner in enumerate(owners):
            f = owner()
            if f is not None and f.held is grads[i]:
                live.gradients.append((f, grads[i]))
    return live


def _claims(tr: Trace) -> list[tuple[Node, Any]]:
    """The claims that may have an owner, in order of recording.

    Where a trace stays open read after read, as in an adaptive solver, each read looks at what is new and at what was alive at the one
    before: a claim whose owner died gets no other.
    """
    claims, (last, alive) = tr.claims, tr.looked
    if last is None or last not in claims:
        return list(claims.items())
    new = list(itertools.takewhile(lambda item: item[0] is not last, reversed(claims.items())))
    return [(n, claims[n]) for n in alive if n in claims] + new[::-1]


def _histories(tr: Trace, live: Live) -> tuple[list[tuple[Any, Node]], list[Node]]:
    """(the live results that could still be differentiated, with their nodes; the values that their gradients will read)"""
    found = _differentiable(live)
    errors, saved = live.errors, None
    if tr.freed or tr.stale or tr.retained:
        rest = []
        for o, n in found:
            if ended(n, tr):
                errors[o] = texts.TWICE
            else:
                rest.append((o, n))
        found = rest
        saved = blameless(tuple([n for _, n in found]), tr) if found else None
        if saved is None:
            clean: set[Node] = set()
            for o, n in found:
                errors[o] = verdict(n, tr, clean)
            found = [(o, n) for o, n in found if errors[o] is None]
    if not found:
        return [], []
    for o, _ in found:
        errors[o] = None
    if saved is None:
        saved = saved_together(tuple([n for _, n in found]), tr)
    return found, saved.computed


def _differentiable(live: Live) -> list[tuple[Any, Any]]:
    """The live results that have a history, with their nodes."""
    found: list[tuple[Any, Any]] = [(t, t._n) for t in live.tracked]
    found += [(f, f.h) for f in live.families if f.h is not None and f.h.rg and not (f.wants and f.leaf_history)]
    return found


def _donated(tr: Trace, leaves: list[Family]) -> Any:
    """Pairs (new value, leaf) of the storages that a closing flush overwrites. A history that is kept aside would miss the old values."""
    found = tr.updates[0][3] if len(tr.updates) == 1 else tuple([pair for update in tr.updates for pair in update[3]])
    return tuple([(f.h, f.leaf) for f in leaves if not f.cell.exposed]) + found if leaves else found  # in the order of the outputs


def _give_up(tr: Trace, live: Live, error: Exception) -> None:
    """Some pending computation raised. Those that can be computed are; the others are set aside, so that the next flush is not spoilt too:
    a result raises the error again when read, and a storage keeps the value it had.
    """
    tr.updates = []
    for t in [*live.tensors, *[f.grad for f, _ in live.gradients if f.__class__ is Family]]:
        n = t._n
        if not _computes(tr, n):
            tr.claims.pop(n, None)
            make_concrete(t, Failed(error), None, ref(t))
    for f in live.leaves + live.families:
        n = f.h
        if n is None or n.op in _LEAVES or _computes(tr, n):
            continue
        for m in [m for m, r in tr.claims.items() if r() is f]:
            del tr.claims[m]
        f.invalidate()
        f.past = None
        if f.cell.empty:
            tr.families = [r for r in tr.families if r() is not f]
            f.value = (n, Failed(error))
            f.h = f.leaf = None
            del f.cell, f.counter
        else:
            to_leaf(f)


def _computes(tr: Trace, n: Node) -> bool:
    try:
        compute(tr, (n,))
    except Exception:
        return False
    return True


#: reads in a row after which histories that nothing was added to are taken for left over
_LAPSES = 8


def _moved_on(tr: Trace) -> bool:
    """Whether every history that kept the trace open at its last read is gone: then a loop reads anew what it computes anew.

    The same if something older lives on (the loss of an evaluation before the loop, in a notebook), but read after read all
    that was new at the one before is gone.
    """
    if not tr.flushes:
        return False
    if all(r() is None for r in tr.alive):
        return True
    if tr.fresh:
        tr.lapses = tr.lapses + 1 if all(r() is None for r in tr.fresh) else 0
    return tr.lapses >= _LAPSES


def _cut(tr: Trace, histories: list[tuple[Any, Node]]) -> bool:
    """Whether the trace ends at this read though histories live, which then go on over several traces (pieces.py): at the reads of a loop
    that adds to them, not at the few of an ordinary step, which is computed as a whole.
    """
    tr.reads += 1
    if _needed(tr):
        return False
    rhythm: Rhythm | None = tr.rhythm
    if rhythm is not None and rhythm.length > 1:
        rhythm.read(tr.plan)
        return tr.flushes + 1 >= rhythm.length and all([_carries(n) for _, n in histories])
    if not (tr.cut or tr.carried or tr.flushes >= tr.patience or _goes_on(tr, histories)) or not all([_carries(n) for _, n in histories]):
        return False
    if rhythm is None:
        rhythm = tr.rhythm = Rhythm()
    rhythm.read(tr.plan)
    return True


def _needed(tr: Trace) -> bool:
    """Whether histories that go on have to do so in this trace."""
    return bool(tr.held or tr.level or tr.whole or tr.hooks or tr.retained or tr.saving or trace.several)


def _carries(n: Node) -> bool:
    """Whether what has this history can be carried into another trace."""
    return n.device.type == "cpu" and n.dtype in SUMMED


def divides(tr: Trace) -> bool:
    """Whether the trace may end here though histories live: they go on over several."""
    return not _needed(tr) and all([_carries(n) for _, n in _differentiable(_live(tr))])


def discarded(tr: Trace) -> bool:
    """Whether the trace may end though histories live, and no gradient can be asked for any more through most of what was recorded: that
    of a decoder, say, whose script records gradients and only looks at the words, or of one that collects squared gradients.
    """
    if _needed(tr) or tr.mapped:
        return False
    nodes = tuple([n for _, n in _histories(tr, _live(tr))[0]])
    if not all(map(_carries, nodes)):
        return False
    claims = tr.claims
    return 2 * sum([n in claims for n in history(nodes)]) < sum([n.rg for n in claims])


def _goes_on(tr: Trace, histories: list[tuple[Any, Node]]) -> bool:
    """Whether what lives now was computed from what lived at the last read and is gone: the state of a solver or of a recurrence, whose
    history would be recorded again after every read. What was recorded again since has a new owner in the claims.
    """
    gone = {n for r, n in zip(tr.alive, tr.stood, strict=True) if r() is None and tr.claims.get(n, r) is r}
    return bool(gone) and not gone.isdisjoint(history(tuple([n for _, n in histories])))


def compute(tr: Trace, outputs: Any, donated: Any = ()) -> None:
    """Make the values of these nodes known."""
    known = tr.known
    if tr.mapped and depends(outputs):
        raise RuntimeError(texts.VMAP_VALUE)
    needed = tuple([n for n in dict.fromkeys(outputs) if n not in known]) if known else tuple(outputs)
    if needed:
        COUNTS["flushes"] += 1
        try:
            if needed[0].op in IDENTITIES and (values := shown(needed, tr)) is not None:
                known.update(zip(needed, values, strict=True))
                return
            trace.execute(tr, needed, donated)
        except MemoryError as error:
            if isinstance(error, RuntimeError):
                raise
            raise HostMemoryError(f"DefaultCPUAllocator: not enough memory: {error}") from error
        except Lost:
            if not recover(tr, needed):
                raise
        except AssertionError:
            if not depends(needed):
                raise
            raise RuntimeError(texts.VMAP_ESCAPED) from None


@whole
def evaluate(n: Node) -> Any:
    """The value of one node, computing only what it needs."""
    tr = current()
    if n not in tr.known:
        with lock:
            found = leaf_value(n, tr)
            if found is not None:
                return found
            if trace.several and (home := traces.home_of(n)) is not tr:
                return value_elsewhere(n, home)
            compute(tr, (n,))
    return tr.known[n]  # type: ignore[no-any-return]
