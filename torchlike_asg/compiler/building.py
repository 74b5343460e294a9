"""Building plans: from recorded nodes to an executable, or to one that is there already for nodes of equal structure."""

from __future__ import annotations

import contextlib
import gc
import heapq
import time
from collections.abc import Iterator, Sequence
from typing import Any

from .. import config, events
from ..asg import trace
from ..asg.digest import digest
from ..asg.node import COUNTS, Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from ..backends import base
from . import plan as plans
from . import structure
from .arguments import arguments_of, pairs_of, strides_of
from .pipeline import optimise
from .plan import EXECUTABLES, FIRST, PLANS, PROMOTED, Donated, Plan, enter, ordered, retire
from .reason import difference

_lock = trace.lock
#: the latest plans that are looked through for what a new one differs in
_COMPARED = 32
#: what may be computed again rather than kept: it moves no data
_CHEAP = frozenset(("shape", "identity", "creation", "cast"))


def foreseen(tr: Trace, key: Any, donated: Donated) -> bool:
    """Whether the executable of a plan that is to be built is there."""
    global _looked
    recorded = _look(tr, key, donated)
    _looked = (key, recorded)
    return recorded.form is not None and _executable(recorded, recorded.form, tr)[1] is not None


def reason(outputs: tuple[Node, ...]) -> str:
    """What keeps outputs from being those of a plan that is there, in words."""
    return difference(outputs, [known for _, known in list(PLANS.copy())[-_COMPARED:]])


def looked(key: Any) -> structure.Recorded | None:
    """What `foreseen` saw, if it was asked for that key last."""
    return _looked[1] if _looked is not None and _looked[0] is key else None


#: the last key that `foreseen` was asked for, and what it saw
_looked: tuple[Any, structure.Recorded] | None = None


def _look(tr: Trace, key: Any, donated: Donated) -> structure.Recorded:
    kept = tuple(n for n in PROMOTED.get(key, ()) if n not in tr.known)
    wanted = ordered(tuple(dict.fromkeys((*key[1], *kept))))
    return structure.look(wanted, topo(wanted, tr.known), tr.known, donated)


def build(tr: Trace, key: Any, outputs: tuple[Node, ...], donated: Donated = ()) -> Plan:
    """Compile a plan for `outputs`, given what the trace knows."""
    global _looked
    start = time.perf_counter()
    if events.wanted(events.CacheMiss):
        events.publish(events.CacheMiss(reason(outputs)))
    with _lock, _uncollected():
        looked, _looked = _looked, None
        recorded = looked[1] if looked is not None and looked[0] is key else _look(tr, key, donated)
        plan = _compiled(recorded, tr, donated)
    COUNTS["plans"] += 1
    with _lock:
        _promote(tr, plan)
        enter(key, plan)
        if len(PLANS) > config.max_plans:  # a few at once: each time all of them are looked at
            few = len(PLANS) - config.max_plans + config.max_plans // 32
            table = PLANS.copy().items()  # a copy: other threads retire plans, too
            for old, _ in heapq.nsmallest(few, table, key=lambda item: item[1].used):
                retire(old)
                PROMOTED.pop(old, None)
    if events.wanted(events.PlanBuilt):
        events.publish(events.PlanBuilt(len(recorded.order), plan.executable.size, time.perf_counter() - start, plan))
    return plan


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """No cyclic garbage collection meanwhile: building makes many objects that stay, and none in cycles worth looking for."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def compiled(wanted: tuple[Node, ...], order: list[Node], tr: Trace) -> Plan:
    """A plan for these nodes, which need those in `order`, beside what the trace does; it is in no table."""
    return _compiled(structure.look(wanted, order, tr.known, ()), tr, ())


def _compiled(recorded: structure.Recorded, tr: Trace, donated: Donated) -> Plan:
    known, wanted, form = tr.known, recorded.wanted, recorded.form
    if form is not None:
        arguments, executable = _executable(recorded, form, tr)
        if executable is not None:
            origins = recorded.origins(arguments)
            return Plan(wanted, recorded.order, arguments, arguments[: form.cuts], executable, form.places, form.pairs, donated, origins)
    roots = optimise(wanted, known)
    order, arguments, cuts = arguments_of(roots, known)
    places = {n: i for i, n in enumerate(dict.fromkeys(roots))}
    pairs = pairs_of(dict(zip(wanted, roots, strict=True)), places, arguments, donated)
    backend = _backend(roots)
    short = digest(tuple(places), order, arguments)
    name, strides = _named(short, arguments, pairs, tr)
    executable = EXECUTABLES.get(name)
    computed = [n for n in dict.fromkeys((*arguments, *order))][len(arguments) :]  # an argument may be in the order, too
    origins = (*[n.origin for n in arguments], *[n.origin for n in computed])
    if executable is None:
        COUNTS["compiles"] += 1
        # not all that is known: what lowering makes may be known as well, but is no argument
        executable = EXECUTABLES[name] = backend.program(tuple(places), frozenset(cuts), order, arguments, strides, pairs)
        steps = executable.made.origins if hasattr(executable, "made") else ()
        FIRST[executable] = origins, {n: n.origin for step in steps for n in step.nodes}
        if hasattr(executable, "forget"):
            executable.forget()
        while len(EXECUTABLES) > config.max_plans:
            EXECUTABLES.popitem(last=False)
    at = tuple([places[r] for r in roots])
    structure.note(recorded, short, arguments, len(cuts), at, pairs, computed)
    return Plan(wanted, recorded.order, arguments, cuts, executable, at, pairs, donated, origins)


def _executable(recorded: structure.Recorded, form: structure.Form, tr: Trace) -> tuple[tuple[Node, ...], Any]:
    """(the arguments of what was compiled for others of this form, that executable if there is one)"""
    arguments = tuple([recorded.leaves[i] for i in form.arguments])
    return arguments, EXECUTABLES.get(_named(form.name, arguments, form.pairs, tr)[0])


def _named(short: bytes, arguments: tuple[Node, ...], pairs: Any, tr: Trace) -> tuple[Any, tuple[Any, ...]]:
    """(the name of an executable, how its arguments lie in memory)"""
    known = tr.known
    strides = tuple([strides_of(n, known[n] if n in known else plans.leaf_value(n, tr)) for n in arguments])
    return (short, strides, pairs, config.backend, config.threads, config.exact_conv), strides


def _backend(roots: Sequence[Node]) -> base.Backend:
    """Who computes these nodes: the backend of their device; that of the CPU can be chosen."""
    return base.get("wgpu" if any(n.device.type == "wgpu" for n in roots) else config.backend)


def describe(roots: Sequence[Node], tr: Trace, llvm: bool = False) -> str:
    """In words, the program that would compute these nodes, which have been through the passes."""
    known = tr.known
    order, arguments, _ = arguments_of(roots, known)
    strides = [strides_of(n, known[n] if n in known else plans.leaf_value(n, tr)) for n in arguments]
    executable = _backend(roots).program(tuple(dict.fromkeys(roots)), known, order, arguments, strides, ())
    return executable.describe(llvm)


def _promote(tr: Trace, plan: Plan) -> None:
    """Note which nodes earlier plans of this trace computed and did not keep, though this one needs them."""
    for key, earlier in tr.ran:
        if key is None:  # interpreted
            continue
        again = plan.order & earlier.order
        if all(n.op.category in _CHEAP for n in again):
            continue
        frontier = {s: None for n in plan.order - again for s in n.srcs if s in again}
        frontier.update({n: None for n in plan.outputs if n in again})
        if frontier:
            PROMOTED.setdefault(key, {}).update(frontier)
            retire(key)
