"""Where iterations end in loops that never say so.

A closing flush anywhere is safe (histories that live on are kept aside and replayed if used); the places are chosen so that each
iteration of a loop records the same nodes, and so that loops that read nothing stay bounded.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

from ..asg.scope import Calls
from ..asg.trace import Trace, current
from .core import Tensor, catch_up
from .flush import discarded, divides, flush

#: results recorded in one trace before the next outermost module call cuts it
MAX_PENDING = 50_000
#: results recorded in one trace without gradients before the next repeated call inside the outermost module cuts it
MAX_INSIDE = 512
#: calls of one outermost module that are a loop, in a trace with gradients of which nothing was read
_LOOP = 4
#: the same where backward passes ran: they may be the parts of a batch whose gradients are summed up to one step
_PASSES = 8
#: id of each module that was called -> weak reference that takes it out of here
_called: dict[int, Any] = {}


class _Looking(Calls):
    """The modules being called while no gradients are recorded.

    A module whose `forward` is a loop over another one (the sampler of a diffusion model, a decoder word by word) is called once: its
    iterations begin where it calls that one again. They are cut there once they are long; a model that calls a layer twice is not.
    """

    __slots__ = ()

    def append(self, module: Any) -> None:
        if len(self) == 1:
            tr = current()
            if not (tr.grad or tr.held):
                key = ~id(module)  # apart from what was called by no module
                if key in tr.entered and len(tr.claims) > MAX_INSIDE:
                    flush(closing=True)
                tr.entered[key] = 1
        super().append(module)


def enter(module: Any, args: tuple[Any, ...], calls: Calls) -> None:
    """An outermost module is called: it will be the first of `calls`. A second call of the same one starts a new trace if something was
    read since the first (an evaluation or acting loop), or if nothing is recorded for differentiation (a loop that collects predictions).
    So does a later one, once much is pending, if most of what was recorded for differentiation is gone (a loop that forgot to say so), and
    any where steps are new each time (division.py).
    Before the very first call, parameters that were initialised by hand take their values: the use of one in the middle of the call would
    end the trace there. Nothing ends where an argument has a history, as in a solver or a recurrence, which would be recorded again, nor
    inside a function transform, for the nodes of its arguments would be lost.
    """
    tr = current()
    if tr.grad is (calls.__class__ is _Looking):
        calls.__class__ = Calls if tr.grad else _Looking
    if tr.held:
        return
    if tr.torn:
        catch_up(tr)
    key = id(module)
    if key not in tr.entered and key not in _called:
        _called[key] = ref(module, lambda _: _called.pop(key, None))
        begin_training(tr)
    before = tr.entered.get(key, 0)
    if (before and _anew(tr, before, args)) or len(tr.claims) > MAX_PENDING:
        flush(closing=True)
        before = 0
    tr.entered[key] = before + 1


def begin_training(tr: Trace) -> None:
    """Have parameters that were initialised by hand take their values, if that is pending. An optimizer that is made asks for it, too: what
    a loop's first step prepares before it calls the model is then part of that step, as it is of all others, and they share a plan.
    """
    if tr.grad and not tr.held and _initialised(tr):
        flush(closing=True)


def _anew(tr: Trace, before: int, args: tuple[Any, ...]) -> bool:
    """Whether a module that was called that often in this trace before begins another one."""
    if not tr.grad:
        return True
    if tr.division is not None and tr.division.on and divides(tr):  # its parts are met again, as a whole it is not
        return True
    read = tr.flushes > 0
    least = _PASSES if tr.swept or tr.grads else _LOOP
    if not read and (before < least or len(tr.claims) <= max(MAX_INSIDE, tr.due)):
        return False
    if any([a.__class__ is Tensor and not a.is_leaf for a in args]):
        return False
    if not read:
        tr.due = 2 * len(tr.claims)
    return read or discarded(tr)


def _initialised(tr: Trace) -> bool:
    """Whether the value of a parameter that was overwritten is pending."""
    for r in tr.families:
        f = r()
        if f is not None and f.leaf is not None and f.h is not None and f.h is not f.leaf and f.leaf.rg and f.leaf_history:
            return True
    return False
