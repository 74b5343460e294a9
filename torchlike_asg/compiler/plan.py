"""From pending nodes to something that runs: build once, find again by identity.

A `Plan` is an executable plus the recipe that binds it to a trace: which leaf's data goes into which argument. Plans are found by
their output nodes and the plan that ran before them in the same open trace (which decides what is known already); executables are
shared between plans of equal structure.
"""

from __future__ import annotations

import contextlib
import gc
import heapq
import itertools
import os
import time
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from .. import config, events
from ..asg import arena, scope, trace
from ..asg.declare import INPUT, LEAVES, TRANSFER, VAR
from ..asg.digest import digest
from ..asg.node import COUNTS, Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from ..backends import base
from ..backends.meta import absent
from . import preparation, structure
from .arguments import arguments_of, pairs_of, strides_of
from .pipeline import optimise
from .reason import difference

_LEAVES = LEAVES
_lock = trace.lock
if hasattr(os, "register_at_fork"):  # a forked child must not inherit the lock from a thread it does not have, nor a half-run plan
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


#: pairs (output node, permanent leaf): the output is the next content of the leaf's storage, and nobody will read the old one
Donated = tuple[tuple[Node, Node], ...]
_ticks = itertools.count()
#: the latest plans that are looked through for what a new one differs in
_COMPARED = 32


class Plan:
    """How to compute some nodes of a trace.

    ``cuts``     nodes it takes as computed;  ``order`` the nodes it computes, as recorded
    ``outputs``  the nodes whose values it gives: those asked for, then those kept for later plans of the trace
    ``donated``  pairs (position among the executable's outputs, index of argument): that output may be written into that argument's memory,
                 if the executable can do so and finds that nobody else refers to it; ``offered`` is the same in nodes
    ``retired``  no longer among the plans to be found;  ``used`` when it ran last, in ticks of all plans
    ``origins``  serials of the nodes it was compiled from, in an order that is the same in all plans that share an executable
    """

    __slots__ = (
        "__weakref__", "arguments", "cuts", "donated", "executable", "inputs", "leaves", "nodes", "offered", "order", "origins", "outputs",
        "owners", "places", "retired", "runs", "used",
    )  # fmt: skip

    def __init__(
        self,
        outputs: tuple[Node, ...],
        order: list[Node],
        arguments: tuple[Node, ...],
        cuts: tuple[Node, ...],
        executable: Any,
        places: tuple[int, ...],
        donated: tuple[tuple[int, int], ...] = (),
        offered: Donated = (),
        origins: tuple[int, ...] = (),
    ) -> None:
        self.outputs, self.arguments, self.cuts, self.executable, self.places = outputs, arguments, cuts, executable, places
        self.donated, self.offered = donated if getattr(executable, "donates", False) else (), offered
        self.order = frozenset(n for n in order if n.op not in _LEAVES)
        self.nodes, self.runs, self.used, self.retired, self.origins = len(order), 0, next(_ticks), False, origins
        # how the arguments are found in a trace of which nothing is known yet: (cuts,) data, storages of leaves, in this order
        rest = arguments[len(cuts) :]
        self.inputs = tuple([n for n in rest if n.op is INPUT])
        self.owners = tuple([n.owner for n in rest if n.op is VAR])
        self.leaves = frozenset(rest)

    def recorded(self) -> dict[Node, int]:
        """For every node that the executable computes, the serial of the recorded node of this plan that it was made of."""
        first, made_of = _FIRST.get(self.executable, (self.origins, {}))
        own = dict(zip(first, self.origins, strict=True))
        return {n: own.get(serial, serial) for n, serial in made_of.items()}

    def bind(self, tr: Trace) -> list[Any]:
        """The arrays to run on."""
        known = tr.known
        if not known or known.keys().isdisjoint(self.leaves):
            try:
                arguments: list[Any] = [known[n] for n in self.cuts] if self.cuts else []
                if self.inputs:
                    arguments += map(tr.bound.__getitem__, self.inputs)
                if self.owners:
                    arguments += leaf_arrays(self.owners)
                return arguments
            except (KeyError, AttributeError, TypeError):
                pass  # a leaf of another thread, a storage that died, or one that keeps its content in another form
        return [known[n] if n in known else leaf_value(n, tr) for n in self.arguments]

    def _given(self, donated: Donated) -> bool:
        """Whether everything that this plan was built to overwrite is given up now."""
        if donated is not self.offered:
            if not set(self.offered) <= set(donated):
                return False
            self.offered = donated  # the next time it is this very object again
        return True

    def _place(self, error: Exception) -> None:
        """Have an exception say which recorded node could not be computed, if that is known."""
        serial: int | None = getattr(error, "_asg_origin", None)
        if serial is not None:
            first, _ = _FIRST.get(self.executable, (self.origins, {}))
            serial = dict(zip(first, self.origins, strict=True)).get(serial, serial)
            found = next((n for n in topo(self.outputs) if n.serial == serial), None)
            if found is not None:
                scope.placed(error, found)

    def run(self, tr: Trace, donated: Donated = ()) -> None:
        """Compute, and put the values into ``tr.known``. `donated`: leaves whose memory may be given up, see the class.

        The caller holds `trace.lock`. While the executable runs, a leaf's memory is referenced by its storage (`Cell.array`) and by the
        list of arguments alone, unless somebody captured the value: two references, and a third in the argument of ``sys.getrefcount``.
        """
        start = time.perf_counter() if events.listeners else 0.0
        try:
            if donated and self._given(donated):
                self.executable.run(self.bind(tr), self.donated)
            else:
                self.executable.run(self.bind(tr))
            values = self.executable.outputs()
        except Exception as error:
            self._place(error)
            raise
        known = tr.known
        for n, i in zip(self.outputs, self.places):  # noqa: B905 -- of one length; keywords take time in every step
            known[n] = values[i]
        self.runs += 1
        if events.listeners and events.wanted(events.PlanExecuted):
            events.publish(events.PlanExecuted(self, time.perf_counter() - start))


#: set by the facade: the data of a Var or Input leaf in a trace
leaf_value: Any = None
#: set by the facade: the content of storages, given weak references to what owns them; AttributeError if one needs a closer look
leaf_arrays: Any = None

PLANS: dict[Any, Plan] = {}
EXECUTABLES: OrderedDict[Any, Any] = OrderedDict()
#: executable -> the `origins` of the plan that it was compiled for, and for each node that it computes the node it was made of
_FIRST: weakref.WeakKeyDictionary[Any, tuple[tuple[int, ...], dict[Node, int]]] = weakref.WeakKeyDictionary()
#: what may be computed again rather than kept: it moves no data
_CHEAP = frozenset(("shape", "identity", "creation", "cast"))
#: plan key -> nodes that later plans of the same trace had to compute again, to be kept from the next iteration on
PROMOTED: dict[Any, dict[Node, None]] = {}
#: plan key -> the values that pass between devices, for what takes several of them
STAGED: dict[Any, tuple[Node, ...]] = {}


def execute(tr: Trace, outputs: tuple[Node, ...], donated: Donated = ()) -> None:
    """Make the values of `outputs` known in the trace. `donated` says which of them replace the content of which leaf's storage, if nothing
    but this run reads the old content any more.
    """
    if config.eager or config.detect_anomaly:
        from .eager import run_eagerly

        run_eagerly(tr, outputs)
        return
    key = (tr.plan, outputs)
    if STAGED and key in STAGED:
        run_staged(tr, STAGED[key], outputs, donated)
    elif key in PLANS:
        execute_plan(tr, key, donated)
    elif key not in preparation.SPLIT and staged(tr, key):
        run_staged(tr, STAGED[key], outputs, donated)
    else:
        prepared = () if key not in preparation.SPLIT and _foreseen(tr, key, donated) else preparation.first(key, tr.known, tr.varied)
        if prepared:
            execute_plan(tr, (tr.plan, prepared), ())
            key = tr.plan, tuple([n for n in outputs if n not in tr.known])
        execute_plan(tr, key, donated)


def execute_plan(tr: Trace, key: Any, donated: Donated) -> None:
    """The same, of outputs that one device computes from what is there. Who wants to hear of every plan puts a function of his own here."""
    outputs: tuple[Node, ...] = key[1]
    plan = PLANS.get(key)
    if plan is not None and (not plan.cuts or all(n in tr.known for n in plan.cuts)):
        COUNTS["cache_hits"] += 1
        plan.used = next(_ticks)
    else:
        plan = build(tr, key, outputs, donated)
    try:
        if donated and plan.donated:
            plan.run(tr, donated)
        else:
            plan.run(tr)
    except base.Misfit:  # before anything was computed
        plan = build(tr, key, outputs, donated)
        plan.run(tr, donated if plan.donated else ())
    tr.plan = plan
    tr.ran.append((key, plan))


def staged(tr: Trace, key: Any) -> bool:
    """Whether what is asked for takes several devices: then note the values that pass from one to another, in order."""
    outputs = key[1]
    if all(n.device.type == "cpu" for n in outputs) and not _meets_transfer(outputs, tr):
        return False
    order = topo(outputs, tr.known)
    moves = tuple([n for n in order if n.op is TRANSFER])
    places = {_place(n) for n in outputs}
    if not moves and len(places) == 1 and not any(kind == "meta" for kind, _ in places):
        return False
    STAGED[key] = moves
    while len(STAGED) > config.max_plans:
        STAGED.pop(next(iter(STAGED)))
    return True


def _meets_transfer(outputs: Sequence[Node], tr: Trace) -> bool:
    return bool(TRANSFER.table) and any(n.op is TRANSFER for n in topo(outputs, tr.known))


def _place(n: Node) -> tuple[str, int | None]:
    return n.device.type, n.device.index


def run_staged(tr: Trace, moves: Sequence[Node], outputs: tuple[Node, ...], donated: Donated) -> None:
    """Compute what has to pass to other devices, move it, then compute the rest, device by device."""
    known = tr.known
    for n in moves:
        if n in known:
            continue
        if n.device.type == "meta":
            known[n] = absent(n)
            continue
        source = n.srcs[0]
        value = known.get(source)
        if value is None:
            value = leaf_value(source, tr)
        if value is None:
            execute(tr, (source,))
            value = known[source]
        known[n] = value.numpy() if hasattr(value, "layout") else value
    groups: dict[Any, list[Node]] = {}
    for n in outputs:
        if n not in known:
            groups.setdefault(_place(n), []).append(n)
    for (kind, _), group in groups.items():
        if kind == "meta":  # nothing is computed there
            known.update((n, absent(n)) for n in group)
            continue
        members = set(group)
        execute_plan(tr, (tr.plan, tuple(group)), tuple([pair for pair in donated if pair[0] in members]))


def _foreseen(tr: Trace, key: Any, donated: Donated) -> bool:
    """Whether the executable of a plan that is to be built is there."""
    global _looked
    recorded = _look(tr, key, donated)
    _looked = (key, recorded)
    return recorded.form is not None and _executable(recorded, recorded.form, tr)[1] is not None


#: the last key that `_foreseen` was asked for, and what it saw
_looked: tuple[Any, structure.Recorded] | None = None


def _look(tr: Trace, key: Any, donated: Donated) -> structure.Recorded:
    kept = tuple(n for n in PROMOTED.get(key, ()) if n not in tr.known)
    wanted = tuple(dict.fromkeys((*key[1], *kept)))
    # a loop's second step asks for what the third one does in another order: a program does not depend on it
    every = set(wanted)
    wanted = next((p.outputs for p in list(PLANS.values()) if len(p.outputs) == len(wanted) and every.issuperset(p.outputs)), wanted)
    return structure.look(wanted, topo(wanted, tr.known), tr.known, donated)


def build(tr: Trace, key: Any, outputs: tuple[Node, ...], donated: Donated = ()) -> Plan:
    """Compile a plan for `outputs`, given what the trace knows."""
    global _looked
    start = time.perf_counter()
    if events.wanted(events.CacheMiss):
        events.publish(events.CacheMiss(difference(outputs, [known for _, known in list(PLANS.copy())[-_COMPARED:]])))
    with _lock, _uncollected():
        looked, _looked = _looked, None
        recorded = looked[1] if looked is not None and looked[0] is key else _look(tr, key, donated)
        plan = _compiled(recorded, tr, donated)
    _promote(tr, plan)
    COUNTS["plans"] += 1
    with _lock:
        _retire(key)
        PLANS[key] = plan
        if len(PLANS) > config.max_plans:  # a few at once: each time all of them are looked at
            few = len(PLANS) - config.max_plans + config.max_plans // 32
            table = PLANS.copy().items()  # a copy: other threads retire plans, too
            for old, _ in heapq.nsmallest(few, table, key=lambda item: item[1].used):
                _retire(old)
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


def _retire(key: Any) -> None:
    """Take a plan out of the table."""
    plan = PLANS.pop(key, None)
    if plan is not None:
        plan.retired = True


def _compile(wanted: tuple[Node, ...], order: list[Node], tr: Trace, donated: Donated = ()) -> Plan:
    return _compiled(structure.look(wanted, order, tr.known, donated), tr, donated)


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
        _FIRST[executable] = origins, {n: n.origin for step in steps for n in step.nodes}
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
    strides = tuple([strides_of(n, known[n] if n in known else leaf_value(n, tr)) for n in arguments])
    return (short, strides, pairs, config.backend, config.threads, config.exact_conv), strides


def _backend(roots: Sequence[Node]) -> base.Backend:
    """Who computes these nodes: the backend of their device; that of the CPU can be chosen."""
    return base.get("wgpu" if any(n.device.type == "wgpu" for n in roots) else config.backend)


def describe(roots: Sequence[Node], tr: Trace, llvm: bool = False) -> str:
    """In words, the program that would compute these nodes, which have been through the passes."""
    known = tr.known
    order, arguments, _ = arguments_of(roots, known)
    strides = [strides_of(n, known[n] if n in known else leaf_value(n, tr)) for n in arguments]
    executable = _backend(roots).program(tuple(dict.fromkeys(roots)), known, order, arguments, strides, ())
    return executable.describe(llvm)


def _promote(tr: Trace, plan: Plan) -> None:
    """Note which nodes earlier plans of this trace computed and did not keep, though this one needs them."""
    for key, earlier in tr.ran:
        again = plan.order & earlier.order
        if all(n.op.category in _CHEAP for n in again):
            continue
        frontier = {s: None for n in plan.order - again for s in n.srcs if s in again}
        frontier.update({n: None for n in plan.outputs if n in again})
        if frontier:
            PROMOTED.setdefault(key, {}).update(frontier)
            _retire(key)


@arena.register
def prune(dead: Any) -> None:
    """Forget the plans of dropped models."""
    with _lock:  # another thread may be looking for the plan used least
        for key in [k for k, p in PLANS.copy().items() if any(dead(n) for n in p.arguments) or any(dead(n) for n in k[1])]:
            _retire(key)
            PROMOTED.pop(key, None)
        for key in [k for k in list(PROMOTED) if any(dead(n) for n in k[1])]:
            PROMOTED.pop(key, None)
        for key in [k for k, moves in list(STAGED.items()) if any(dead(n) for n in (*k[1], *moves))]:
            STAGED.pop(key, None)


def clear() -> None:
    """Forget every plan (for tests and benchmarks of cold starts)."""
    for key in list(PLANS):
        _retire(key)
    EXECUTABLES.clear()
    PROMOTED.clear()
    STAGED.clear()
    preparation.clear()
    structure.clear()


trace.execute = execute
