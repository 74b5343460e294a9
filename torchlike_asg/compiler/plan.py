"""Plans, and the tables in which they are found again by identity.

A `Plan` is an executable plus the recipe that binds it to a trace: which leaf's data goes into which argument. Plans are found by
their output nodes and the plan that ran before them in the same open trace (which decides what is known already); executables are
shared between plans of equal structure. `building` makes them, `execution` finds and runs them.
"""

from __future__ import annotations

import itertools
import os
import time
import weakref
from collections import OrderedDict
from typing import Any

from .. import events
from ..asg import arena, scope, trace
from ..asg.declare import INPUT, LEAVES, VAR
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from . import preparation, structure

_LEAVES = LEAVES
_lock = trace.lock
if hasattr(os, "register_at_fork"):  # a forked child must not inherit the lock from a thread it does not have, nor a half-run plan
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


#: pairs (output node, permanent leaf): the output is the next content of the leaf's storage, and nobody will read the old one
Donated = tuple[tuple[Node, Node], ...]
ticks = itertools.count()


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
        self.nodes, self.runs, self.used, self.retired, self.origins = len(order), 0, next(ticks), False, origins
        # how the arguments are found in a trace of which nothing is known yet: (cuts,) data, storages of leaves, in this order
        rest = arguments[len(cuts) :]
        self.inputs = tuple([n for n in rest if n.op is INPUT])
        self.owners = tuple([n.owner for n in rest if n.op is VAR])
        self.leaves = frozenset(rest)

    def recorded(self) -> dict[Node, int]:
        """For every node that the executable computes, the serial of the recorded node of this plan that it was made of."""
        first, made_of = FIRST.get(self.executable, (self.origins, {}))
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
            first, _ = FIRST.get(self.executable, (self.origins, {}))
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
FIRST: weakref.WeakKeyDictionary[Any, tuple[tuple[int, ...], dict[Node, int]]] = weakref.WeakKeyDictionary()
#: plan key -> nodes that later plans of the same trace had to compute again, to be kept from the next iteration on
PROMOTED: dict[Any, dict[Node, None]] = {}
#: the outputs of plans in the table -> (these in the order of all such plans, how many there are)
_orders: dict[frozenset[Node], tuple[tuple[Node, ...], int]] = {}
#: plan key -> the values that pass between devices, for what takes several of them
STAGED: dict[Any, tuple[Node, ...]] = {}


def ordered(outputs: tuple[Node, ...]) -> tuple[Node, ...]:
    """Outputs in the order in which a plan in the table has them: a loop's second step asks for what the third one does in another order,
    and a program does not depend on it.
    """
    return _orders.get(frozenset(outputs), (outputs, 0))[0]


def enter(key: Any, plan: Plan) -> None:
    """Put a plan into the table, in place of what is there. The caller holds `trace.lock`."""
    retire(key)
    PLANS[key] = plan
    every = frozenset(plan.outputs)
    outputs, count = _orders.get(every, (plan.outputs, 0))
    _orders[every] = outputs, count + 1


def retire(key: Any) -> None:
    """Take a plan out of the table. The caller holds `trace.lock`."""
    plan = PLANS.pop(key, None)
    if plan is not None:
        plan.retired = True
        every = frozenset(plan.outputs)
        outputs, count = _orders.pop(every, ((), 0))
        if count > 1:
            _orders[every] = outputs, count - 1


@arena.register
def prune(dead: Any) -> None:
    """Forget the plans of dropped models."""
    with _lock:  # another thread may be looking for the plan used least
        for key in [k for k, p in PLANS.copy().items() if any(dead(n) for n in p.arguments) or any(dead(n) for n in k[1])]:
            retire(key)
            PROMOTED.pop(key, None)
        for key in [k for k in list(PROMOTED) if any(dead(n) for n in k[1])]:
            PROMOTED.pop(key, None)
        for key in [k for k, moves in list(STAGED.items()) if any(dead(n) for n in (*k[1], *moves))]:
            STAGED.pop(key, None)


def clear() -> None:
    """Forget every plan (for tests and benchmarks of cold starts)."""
    for key in list(PLANS):
        retire(key)
    _orders.clear()
    EXECUTABLES.clear()
    PROMOTED.clear()
    STAGED.clear()
    preparation.clear()
    structure.clear()
