"""From pending nodes to something that runs: build once, find again by identity.

A `Plan` is an executable plus the recipe that binds it to a trace: which leaf's data goes into which argument. Plans are found by
their output nodes and the plan that ran before them in the same open trace (which decides what is known already); executables are
shared between plans of equal structure.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from typing import Any

from .. import config, events
from ..asg import arena, trace
from ..asg.declare import INPUT, LEAVES, VAR
from ..asg.digest import digest
from ..asg.node import COUNTS, Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from ..backends import base
from .pipeline import optimise
from .schedule import schedule

_LEAVES = LEAVES
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):  # a forked child must not inherit the lock from a thread it does not have, nor a half-run plan
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Plan:
    """How to compute some nodes of a trace.

    ``cuts``     nodes it takes as computed;  ``order`` the nodes it computes, as recorded
    ``outputs``  the nodes whose values it gives: those asked for, then those kept for later plans of the trace
    """

    __slots__ = ("__weakref__", "arguments", "cuts", "executable", "nodes", "order", "outputs", "places", "runs")

    def __init__(
        self,
        outputs: tuple[Node, ...],
        order: list[Node],
        arguments: tuple[Node, ...],
        cuts: tuple[Node, ...],
        executable: Any,
        places: tuple[int, ...],
    ) -> None:
        self.outputs, self.arguments, self.cuts, self.executable, self.places = outputs, arguments, cuts, executable, places
        self.order = frozenset(n for n in order if n.op not in _LEAVES)
        self.nodes, self.runs = len(order), 0

    def run(self, tr: Trace) -> None:
        """Compute, and put the values into ``tr.known``."""
        known = tr.known
        arguments = [known[n] if n in known else leaf_value(n, tr) for n in self.arguments]
        start = time.perf_counter() if events.listeners else 0.0
        with _lock:
            self.executable.run(arguments)
            values = self.executable.outputs()
        for n, i in zip(self.outputs, self.places, strict=True):
            known[n] = values[i]
        self.runs += 1
        if events.listeners and events.wanted(events.PlanExecuted):
            events.publish(events.PlanExecuted(self, time.perf_counter() - start))


#: set by the facade: the data of a Var or Input leaf in a trace
leaf_value: Any = None

PLANS: OrderedDict[Any, Plan] = OrderedDict()
EXECUTABLES: OrderedDict[Any, Any] = OrderedDict()
#: what may be computed again rather than kept: it moves no data
_CHEAP = frozenset(("shape", "identity", "creation", "cast"))
#: plan key -> nodes that later plans of the same trace had to compute again, to be kept from the next iteration on
PROMOTED: dict[Any, dict[Node, None]] = {}


def execute(tr: Trace, outputs: tuple[Node, ...]) -> None:
    """Make the values of `outputs` known in the trace."""
    if config.eager or config.detect_anomaly:
        from .eager import run_eagerly

        run_eagerly(tr, outputs)
        return
    key = (tr.plan, outputs)
    plan = PLANS.get(key)
    if plan is not None and all(n in tr.known for n in plan.cuts):
        COUNTS["cache_hits"] += 1
        with _lock:
            if key in PLANS:
                PLANS.move_to_end(key)
    else:
        plan = build(tr, key, outputs)
    plan.run(tr)
    tr.plan = plan
    tr.ran.append((key, plan))


def build(tr: Trace, key: Any, outputs: tuple[Node, ...]) -> Plan:
    """Compile a plan for `outputs`, given what the trace knows."""
    start = time.perf_counter()
    kept = tuple(n for n in PROMOTED.get(key, ()) if n not in tr.known)
    wanted = tuple(dict.fromkeys((*outputs, *kept)))
    if events.wanted(events.CacheMiss):
        events.publish(events.CacheMiss(_difference(outputs)))
    recorded = topo(wanted, tr.known)
    with _lock:
        plan = _compile(wanted, recorded, tr.known)
    _promote(tr, plan)
    COUNTS["plans"] += 1
    PLANS[key] = plan
    while len(PLANS) > config.max_plans:
        old, _ = PLANS.popitem(last=False)
        PROMOTED.pop(old, None)
    if events.wanted(events.PlanBuilt):
        events.publish(events.PlanBuilt(len(recorded), len(plan.executable.schedule.steps), time.perf_counter() - start, plan))
    return plan


def _compile(wanted: tuple[Node, ...], recorded: list[Node], known: dict[Node, Any]) -> Plan:
    roots = optimise(wanted, known)
    order = topo(roots, known)
    cuts = tuple(dict.fromkeys([s for n in order for s in n.srcs if s in known] + [r for r in roots if r in known]))
    arguments = (*cuts, *[n for n in order if n.op is VAR or n.op is INPUT])
    places = {n: i for i, n in enumerate(dict.fromkeys(roots))}
    name = digest(tuple(places), order, arguments)
    executable = EXECUTABLES.get(name)
    if executable is None:
        COUNTS["compiles"] += 1
        backend = base.get("reference")
        program = schedule(tuple(places), order, arguments)
        pages = [backend.allocate(program.page_size)] if program.page_size else []
        executable = EXECUTABLES[name] = backend.link(program, pages)
        while len(EXECUTABLES) > config.max_plans:
            EXECUTABLES.popitem(last=False)
    return Plan(wanted, recorded, arguments, cuts, executable, tuple(places[r] for r in roots))


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
            PLANS.pop(key, None)


def _difference(outputs: tuple[Node, ...]) -> str:
    """In words, what keeps these outputs from being found among the plans."""
    best: tuple[int, str] = (-1, "this is the first plan")
    for (_, known), _plan in list(PLANS.items())[-32:]:
        same = sum(1 for a, b in zip(outputs, known, strict=False) if a is b)
        if same <= best[0]:
            continue
        pair = next(((a, b) for a, b in zip(outputs, known, strict=False) if a is not b), None)
        text = (
            f"{len(outputs)} outputs instead of {len(known)}"
            if pair is None
            else f"output {pair[0]!r} at {pair[0].site[1]}:{pair[0].site[2]} instead of {pair[1]!r}"
        )
        best = (same, text)
    return best[1]


@arena.register
def prune(dead: Any) -> None:
    """Forget the plans of dropped models."""
    for key in [k for k, p in list(PLANS.items()) if any(dead(n) for n in p.arguments) or any(dead(n) for n in k[1])]:
        PLANS.pop(key, None)
        PROMOTED.pop(key, None)
    for key in [k for k in list(PROMOTED) if any(dead(n) for n in k[1])]:
        PROMOTED.pop(key, None)


def clear() -> None:
    """Forget every plan (for tests and benchmarks of cold starts)."""
    PLANS.clear()
    EXECUTABLES.clear()
    PROMOTED.clear()


trace.execute = execute
