"""Running what is asked of a trace: finding its plans, or having them built, device by device."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import config
from ..asg import trace
from ..asg.declare import TRANSFER
from ..asg.node import COUNTS, Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from ..backends import base
from ..backends.meta import absent
from . import interpretation, preparation
from . import plan as plans
from .building import build, foreseen, looked
from .plan import PLANS, STAGED, Donated, ticks


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
        prepared: tuple[Node, ...] = ()
        there = key not in preparation.SPLIT and foreseen(tr, key, donated)
        if not there:
            recorded = looked(key)  # nothing, if it was split before
            prepared = preparation.first(key, tr.known, tr.varied, bool(donated))
            if prepared and interpretation.fleeting(recorded) and not foreseen(tr, (tr.plan, prepared), ()):
                preparation.SPLIT.pop(key, None)  # nothing of it is compiled: it was interpreted before
                prepared = ()
        if prepared:
            _execute_new(tr, (tr.plan, prepared), ())
            key = tr.plan, tuple([n for n in outputs if n not in tr.known])
        if there:
            execute_plan(tr, key, donated)
        else:
            _execute_new(tr, key, donated)


def _execute_new(tr: Trace, key: Any, donated: Donated) -> None:
    """Run a plan that may not be there; or do without one, where programs of its kind run once each."""
    recorded = None
    if key not in PLANS and execute_plan is _execute_plan:  # and nobody looks at every plan
        recorded = looked(key)
        if recorded is None and not foreseen(tr, key, donated):
            recorded = looked(key)
    kind, interpreted = interpretation.met(recorded) if recorded is not None else (None, None)
    if recorded is not None and interpreted is not None:
        try:
            interpretation.interpret(tr, recorded)
        except Exception:  # what is wrong is said as it is for programs that are compiled
            pass
        else:
            tr.plan = interpreted
            tr.ran.append((None, interpreted))
            return
    execute_plan(tr, key, donated)
    if kind is not None:
        interpretation.note(kind, tr.plan)


def execute_plan(tr: Trace, key: Any, donated: Donated) -> None:
    """The same, of outputs that one device computes from what is there. Who wants to hear of every plan puts a function of his own here."""
    outputs: tuple[Node, ...] = key[1]
    plan = PLANS.get(key)
    if plan is not None and (not plan.cuts or all(n in tr.known for n in plan.cuts)):
        COUNTS["cache_hits"] += 1
        plan.used = next(ticks)
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


_execute_plan = execute_plan


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
            value = plans.leaf_value(source, tr)
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


trace.execute = execute
