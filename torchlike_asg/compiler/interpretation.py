"""Programs that come in ever new sizes are interpreted by their references, where compiling each for one use would take longer.

A text that grows by a word asks for its network in another length each time, and a batch of a sampled graph has other sizes in every
step. Each is another program, and most of them run once: to compile one takes a tenth of a millisecond for each of its operations,
to call their references a tenth of that, and their time for the elements. So after a few programs that differ in nothing but sizes and
other attributes, and that ran no more than twice, the next ones are interpreted when they come first, and compiled when they come again.
Long programs that consist of the same operations are of one kind, too, how often each of them is in it: the losses of an episode of
another length, added up by a loop of Python's.
The decision depends on what was recorded alone, not on the clock: a script computes the same numbers in each of its runs.
"""

from __future__ import annotations

import math
import time
import weakref
from collections import OrderedDict, deque
from typing import Any

import numpy as np

from .. import config, events
from ..asg.declare import LEAVES
from ..asg.node import COUNTS, Node
from ..asg.trace import Trace
from . import plan as plans
from .building import reason
from .eager import evaluated
from .structure import Recorded

__all__ = ["clear", "fleeting", "interpret", "met", "note"]

#: programs of one kind that are compiled before one is interpreted, and how often each of the latest may have run
_COMPILED, _USES = 6, 2
#: operations from which on programs are of one kind whatever the number of their equal steps, and how many of these are compiled first
_LONG, _LONG_COMPILED = 48, 4
#: structures that were interpreted, which are noted for each kind
_NOTED = 1024
#: microseconds that an operation takes to compile, with its part of memory and schedule; to call its reference; and to call a view
_COMPILING, _CALL, _VIEW = 130.0, 9.0, 4.0
#: microseconds for an element of a result: of what is computed in registers, what has a loop in NumPy, and what is not known to have one
_POINT, _MOVED, _OTHER = 0.003, 0.002, 0.03
#: microseconds for a product and its sum, where a library multiplies matrices, beyond those of a compiled program, and where none does
_PRODUCT, _PRODUCT_ALONE = 2e-6, 2e-3
#: microseconds for a step of a recurrence
_STEP = 60.0


class Interpreted:
    """Stands for a plan among those that a trace ran: one without compiled nodes that ran for the first time."""

    __slots__ = ("__weakref__",)
    nodes, runs = 0, 1


class _Kind:
    """Programs that differ in sizes and attributes alone: how many were asked for, the latest compiled ones, those interpreted once."""

    __slots__ = ("asked", "compiled", "interpreted")

    def __init__(self) -> None:
        self.asked = 0
        self.compiled: deque[weakref.ref[plans.Plan]] = deque(maxlen=_COMPILED)
        self.interpreted: OrderedDict[Any, Interpreted] = OrderedDict()

    def fleeting(self, recorded: Recorded) -> bool:
        """Whether the latest programs ran a few times and no more. Of one whose model is gone nobody knows: it may have been trained."""
        enough = self.asked > (_COMPILED if len(recorded.order) < _LONG else _LONG_COMPILED)
        return enough and all(p is not None and p.runs <= _USES for p in [r() for r in self.compiled])


_kinds: OrderedDict[int, _Kind] = OrderedDict()


def _kind_of(recorded: Recorded) -> _Kind:
    name = hash(_parts_of(recorded) if len(recorded.order) < _LONG else _steps_of(recorded))
    kind = _kinds.get(name)
    if kind is None:
        kind = _kinds[name] = _Kind()
        while len(_kinds) > config.max_plans:
            _kinds.popitem(last=False)
    else:
        _kinds.move_to_end(name)
    return kind


def _parts_of(recorded: Recorded) -> tuple[Any, ...]:
    """All operations with their operands, without sizes."""
    numbers: dict[Node, int] = {}
    parts: list[Any] = []
    for n in (*recorded.leaves, *recorded.order):
        if n not in numbers:
            numbers[n] = len(numbers)
            parts.append((n.op.name, n.dtype.short, len(n.shape), *[numbers.get(s, -1) for s in n.srcs]))
    parts += [numbers[n] for n in recorded.wanted]
    return tuple(parts)


def _steps_of(recorded: Recorded) -> frozenset[tuple[str, str]]:
    """Which operations there are: a loop of Python's that goes round more often has more of the same."""
    return frozenset([(n.op.name, n.dtype.short) for n in recorded.order])


def met(recorded: Recorded) -> tuple[_Kind | None, Interpreted | None]:
    """(the kind of a program that is not there, what stands for its plan if it is to be interpreted)"""
    if not _may(recorded):
        return None, None
    kind = _kind_of(recorded)
    kind.asked += 1
    if not kind.fleeting(recorded) or (events.listeners and events.wanted(events.PlanExecuted)):
        return kind, None
    if recorded.name in kind.interpreted:
        del kind.interpreted[recorded.name]
        return kind, None
    if not _pays(recorded):
        return kind, None
    if len(kind.interpreted) >= _NOTED:
        kind.interpreted.popitem(last=False)
    found = kind.interpreted[recorded.name] = Interpreted()
    return kind, found


def fleeting(recorded: Recorded | None) -> bool:
    """Whether programs of this one's kind are interpreted, when they come first."""
    return recorded is not None and _may(recorded) and _kind_of(recorded).fleeting(recorded)


def _may(recorded: Recorded) -> bool:
    """Whether programs may be interpreted at all, and this one is known by a name."""
    return recorded.name is not None and config.interpret and not config.deterministic and config.backend == "cpu"


def note(kind: _Kind, plan: plans.Plan) -> None:
    """A program of that kind was compiled."""
    kind.compiled.append(weakref.ref(plan))


def _pays(recorded: Recorded) -> bool:
    """Whether to interpret takes less time than to compile."""
    left = _COMPILING * sum([n.op not in LEAVES for n in recorded.order])
    for n in recorded.order:
        if n.op in LEAVES:
            continue
        if n.device.type != "cpu" or (n.op.ref is None and n.op.category != "identity"):
            return False
        left -= _cost(n)
        if left < 0:
            return False
    return all([n.device.type == "cpu" for n in recorded.leaves])


def _cost(n: Node) -> float:
    """Microseconds that the reference of an operation takes, about."""
    op = n.op
    if op.view or op.category == "identity":
        return _VIEW
    size: int = n.numel
    if op.scalar is not None or op.category in ("cast", "random"):
        return _CALL + _POINT * size
    size += sum([s.numel for s in n.srcs])
    category = op.category
    if op.name in ("matmul", "linear", "conv", "conv_transpose", "conv_grad_weight"):
        a, b = n.srcs[0], n.srcs[1]
        if op.name in ("matmul", "linear"):
            products, taps = n.numel * a.shape[-1], 0
        else:
            weight = b if op.name != "conv_grad_weight" else n
            products = max(n.numel, a.numel) * math.prod(weight.shape[1:])
            taps = products // max(weight.shape[0], 1)  # elements of the columns that are multiplied
        alone = n.dtype.short not in ("f32", "f64", "c64", "c128")
        return _CALL + _MOVED * float(n.numel + taps) + (_PRODUCT_ALONE if alone else _PRODUCT) * float(products)
    if category == "recurrent" or op.name in ("recurrence", "ctc_loss", "ctc_loss_grad"):
        steps: int = max([s for m in (n, *n.srcs) for s in m.shape[:-1]], default=1)
        return _CALL + _STEP * steps + _OTHER * size
    if category == "embedding":  # what is looked up, not the table; a gradient has its size
        return _CALL + _MOVED * n.numel
    if category in ("reduction", "shape", "creation", "index", "norm") or op.name in ("softmax", "log_softmax"):
        return _CALL + _MOVED * size
    return 2 * _CALL + _OTHER * size


def interpret(tr: Trace, recorded: Recorded) -> None:
    """Compute what is wanted through the references, and put the values into ``tr.known``; nothing but these is kept."""
    start = time.perf_counter()
    known, wanted = tr.known, recorded.wanted
    left: dict[Node, int] = dict.fromkeys(wanted, 1)
    for n in recorded.order:
        for s in n.srcs:
            left[s] = left.get(s, 0) + 1

    def release(n: Node, values: dict[Node, Any], _: list[Any]) -> None:
        for s in n.srcs:
            left[s] -= 1
            if not left[s] and s.op not in LEAVES:
                values.pop(s, None)

    values = evaluated(recorded.order, tr, release)
    # arrays of others, which no result may be: they may be written
    given = {id(values[n]) for n in recorded.order if n.op in LEAVES} | {id(known[s]) for n in recorded.order for s in n.srcs if s in known}
    for n in wanted:
        known[n] = _own(values[n], given)
    COUNTS["interpreted"] += 1
    if events.wanted(events.Interpreted):
        events.publish(events.Interpreted(len(recorded.order), time.perf_counter() - start, reason(recorded.wanted)))


def _own(value: Any, given: set[int]) -> Any:
    """A result as an array that is nobody else's: a reference may return an operand, or a view of one."""
    if value.__class__ is not np.ndarray:
        return value if value.__class__ is tuple else np.array(value)
    if value.base is not None or id(value) in given or not value.flags.writeable:
        value = value.copy()
    given.add(id(value))
    return value


def clear() -> None:
    """Forget all that was met."""
    _kinds.clear()
