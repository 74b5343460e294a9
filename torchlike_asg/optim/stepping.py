"""What surrounds a step: the hooks before and after it, and the end of the iteration."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .. import events
from ..asg.interrupts import whole
from ..asg.node import COUNTS
from ..asg.trace import current, lock
from ..facade.flush import flush
from ..facade.hooks import RemovableHandle, attach
from .programs import set_apart

if TYPE_CHECKING:
    from .optimizer import Optimizer

#: A step that builds a plan adds the first number to the optimizer's count, every other one takes one off. From the second on, which takes
#: more steps than begin a loop, the shapes or the control flow of what is trained are taken to change all the time: then the update is a
#: plan of its own, which serves every step, and is not planned again with each of them. The third bounds the count.
_BUILT, _UNSTEADY, _MOST = 4, 20, 32

_global_pre: OrderedDict[int, Any] = OrderedDict()
_global_post: OrderedDict[int, Any] = OrderedDict()


def no_hooks() -> dict[str, OrderedDict[int, Any]]:
    """Where an optimizer keeps its hooks, by kind."""
    return {k: OrderedDict() for k in ("pre", "post", "state_pre", "state_post", "load_pre", "load_post")}


def hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """A class's own `step` with what belongs around it: hooks and the closing flush, once also where it calls ``super().step()``.

    Schedules look at `_opt_called` to see whether steps come in the right order.
    """

    @functools.wraps(step)
    def wrapped(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        known = self.__dict__
        if known.get("_stepping") or "_hooks" not in known:  # or a wrapper of another optimizer that did not call ``super().__init__()``
            return step(self, *args, **kwargs)
        known["_stepping"] = known["_opt_called"] = True
        try:
            hooks = known["_hooks"]
            if not (hooks["pre"] or hooks["post"] or _global_pre or _global_post):
                out = step(self, *args, **kwargs)
                finish(self)
                return out
            given: tuple[Any, ...] = (self, *args)
            for hook in (*_global_pre.values(), *hooks["pre"].values()):
                changed = hook(self, given, kwargs)
                if changed is not None:
                    if not (isinstance(changed, tuple) and len(changed) == 2):
                        raise RuntimeError(f"{step} must return None or a tuple of (new_args, new_kwargs), but got {changed}.")
                    given, kwargs = changed
            out = step(*given, **kwargs)
            finish(self)
            for hook in (*hooks["post"].values(), *_global_post.values()):
                hook(self, given, kwargs)
            return out
        finally:
            known["_stepping"] = False

    return wrapped


@whole
def run(optimizer: Optimizer) -> None:
    """Record a step, and run it with the iteration that it ends."""
    tr = current()
    with lock:  # no other thread sees, or changes, a parameter between the recording of its new value and the end of the iteration
        known, new = optimizer.__dict__, COUNTS["plans"] + COUNTS["interpreted"]
        unsteady = known.get("_unsteady", 0)
        if unsteady >= _UNSTEADY and not tr.held:
            set_apart(tr)
        elif tr.torn:
            flush(closing=True)  # the gradients are those of the old values, and the step is one from the new
        mode, tr.grad = tr.grad, False
        try:
            optimizer._recorded.run(optimizer)
        finally:  # also what was recorded before a group that is refused
            tr.grad = mode
            _close()
        if COUNTS["plans"] + COUNTS["interpreted"] != new:
            known["_unsteady"] = min(unsteady + _BUILT, _MOST)
        elif unsteady:
            known["_unsteady"] = unsteady - 1


def finish(optimizer: Optimizer) -> None:
    """What ends a step, whoever wrote it."""
    _close()
    before = events.steps
    events.steps = before + 1
    if before >= events.due:
        events.after_step(optimizer)
    if events.listeners and events.wanted(events.StepDone):
        events.publish(events.StepDone(type(optimizer).__name__, optimizer))


def _close() -> None:
    """Run the iteration that a step ends, and start a new trace. A step that a hook takes while a backward pass runs ends nothing: what
    the pass has yet to go through is part of the same trace."""
    tr = current()
    if tr.families or tr.data or tr.updates:
        flush(closing=None if tr.held else True)


def register_optimizer_step_pre_hook(hook: Any) -> RemovableHandle:
    """``hook(optimizer, args, kwargs)`` before every step of every optimizer."""
    return attach(_global_pre, hook)


def register_optimizer_step_post_hook(hook: Any) -> RemovableHandle:
    """``hook(optimizer, args, kwargs)`` after every step of every optimizer."""
    return attach(_global_post, hook)
