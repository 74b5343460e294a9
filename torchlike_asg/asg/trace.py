"""The trace: what one thread has recorded since its last closing flush.

A trace maps the anonymous nodes of the graph to this moment's data: which value an `Input` slot stands for, which storage
owns a node, what is already computed, and what was overwritten or freed. The nodes themselves outlive it, so that the next
iteration meets them again.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import get_ident
from typing import Any

import numpy as np

from .declare import INPUT
from .node import Node

_indices = itertools.count()
_traces: weakref.WeakValueDictionary[int, Trace] = weakref.WeakValueDictionary()

#: Held while plans are built and run, and while anything changes that tensors of several threads share: storages, families, versions. A
#: thread that holds it waits for no other one. Recording does not take it.
lock = threading.RLock()
#: whether there are traces of several threads: then names of data are kept for each, and what one overwrites is kept for the others
several = False
#: how many functions are being recorded to be differentiated, in all threads: what data is written in them is looked at first
transforming = 0
#: those of threads that have ended, whose results somebody may still read
left: list[Trace] = []
_threads: dict[int, int] = {}
_counting = threading.RLock()


def _count(thread: int, by: int) -> None:
    """Note that a thread has one more trace or one less."""
    global several
    with _counting:
        count = _threads.get(thread, 0) + by
        if count > 0:
            _threads[thread] = count
        else:
            _threads.pop(thread, None)
        several = len(_threads) > 1 or bool(left)
        for t in everyone():
            t.apart = several


def everyone() -> list[Trace]:
    """Every trace. Other threads may make some meanwhile, so the table is copied, and in one step."""
    return [t for r in _traces.valuerefs() if (t := r()) is not None]


def _forked() -> None:
    """The other threads do not exist here."""
    for thread in [t for t in _threads if t != get_ident()]:
        del _threads[thread]
    _count(get_ident(), 0)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


#: reads that leave a trace open where histories live, in one step of a loop
READS = 8


class Trace:
    """Per-thread recording state.

    ``claims``    node -> weak reference to the tensor or family whose value it is; doubles as the list of pending results
    ``looked``    (the last claim at the last read, those of the claims up to it whose owner was alive): what is dead stays dead
    ``bound``     Input node -> the array it stands for
    ``known``     node -> computed array, while the trace stays open after a read
    ``families``  weak references to the storages that take part;  ``data`` to those that were read as data
    ``grads``     (weak references to leaves' families, gradients that these were given by a backward pass) for each pass
    ``stale``     nodes overwritten by a counted write;  ``silent`` overwritten behind the version counter's back
    ``freed``     nodes whose saved operands a backward pass gave up, with how many claims there were then;  ``swept`` the roots of
                  those passes, ``passed`` what they went through (filled from ``swept`` when somebody asks)
    ``held``      positive while a backward pass runs: a hook that reads a value must not end the trace under it;  ``loop`` the `forward` of
                  a custom Function that runs, which is told of reads
    ``level``     how many function transforms are being recorded;  ``forward`` how many of them in forward mode
    ``mapped``    those that record one example for a whole batch
    ``hooks``     node -> gradient hooks;  ``retained`` node -> weak reference to the computed tensor that wants its gradient kept
    ``leaf_owner``  leaf of this trace -> the family its gradient accumulates in
    ``contexts``  node of a custom Function's result -> what its forward left for backward
    ``orphans``   permanent leaf -> storage whose tensors died, while results that read it are pending
    ``twinned``   node -> how many of its twins are in use
    ``updates``   (storages, their leaves, their new nodes, pairs of these) of an optimizer step, taken over by the flush that ends it
    ``varied``    while a flush computes one of many programs, see the optimizers': what can be shared with the others is worth a plan
    ``alive``     weak references to the results whose history kept the trace open at its last read;  ``stood`` their nodes then;
                  ``fresh`` those new at it
    ``lapses``    at how many reads in a row all that had been new at the one before was gone
    ``replays``   the histories of earlier traces (see the facade) that were recorded again in this one
    ``plan``      the plan run last in this open trace: plans form a chain, so what is known needs no key of its own
    ``thread``    the thread it was made in;  ``torn`` whether another thread has overwritten what pending results read (they have kept it)
    ``apart``     `several`, at hand
    ``before``    where there are several threads: the values of the results that were alive when this trace was closed last
    ``named``     where there are several threads: id of a tensor of data -> (weak reference to it, its node here, what that depends on)
    ``walk``      what was found out about the histories that kept the trace open at its reads (the facade's)
    ``inference`` the block of inference mode that is open (see the facade), or None
    ``carried``   Input that stands for a result of an earlier trace -> the history that it has there (the facade's);  ``cut`` whether the
                  trace before was closed at a read in the middle of histories;  ``reads`` how many there were since the last step,
                  ``patience`` up to how many leave it open;  ``whole`` whether histories are recorded again instead
    ``rhythm``    how many reads a trace of a loop takes (the facade's), or None
    ``transforms`` the functions that are being recorded to be differentiated, innermost last (the facade's)
    ``due``       how many claims there are to be before it is asked again whether a loop discards its histories
    ``division``  what steps were like that are too large to be new each time (the facade's), or None
    ``read``      (how many claims, how many slots) there were at the read that left it open last
    ``reached``   (generation, nodes gone through, leaves among them): what pending results read, see `leaves_of`
    """

    __slots__ = (
        "__weakref__",
        "alive",
        "apart",
        "before",
        "bound",
        "carried",
        "claims",
        "contexts",
        "cut",
        "data",
        "division",
        "due",
        "eager",
        "entered",
        "families",
        "flushes",
        "freed",
        "fresh",
        "generation",
        "grad",
        "grads",
        "held",
        "hooks",
        "forgiving",
        "running",
        "saving",
        "index",
        "inference",
        "inputs",
        "known",
        "lapses",
        "leaf_owner",
        "leaves",
        "loop",
        "level",
        "forward",
        "looked",
        "mapped",
        "moved",
        "named",
        "orphans",
        "passed",
        "patience",
        "plan",
        "ran",
        "reached",
        "read",
        "reads",
        "replays",
        "retained",
        "rhythm",
        "silent",
        "slots",
        "stood",
        "stale",
        "swept",
        "thread",
        "torn",
        "transforms",
        "twinned",
        "updates",
        "varied",
        "walk",
        "whole",
    )

    def __init__(self) -> None:
        self.index = next(_indices)
        self.grad, self.eager = True, False
        self.inference: Any = None
        self.generation = self.held = self.level = self.forward = 0
        self.loop: Any = None
        self.mapped: list[Any] = []
        self.transforms: list[Any] = []
        self.claims: dict[Node, Any] = {}
        self.looked: tuple[Node | None, list[Node]] = (None, [])
        self.bound: dict[Node, np.ndarray[Any, Any]] = {}
        self.known: dict[Node, Any] = {}
        self.families: list[Any] = []
        self.data: list[Any] = []
        self.grads: list[Any] = []
        self.inputs: dict[int, Node] = {}  # the node each slot stood for last
        self.moved: list[Any] = []  # weak references to storages that have views at a place that is data of this trace
        self.stale: set[Node] = set()
        self.silent: set[Node] = set()
        self.freed: dict[Node, int] = {}
        self.swept: list[tuple[Node, ...]] = []
        self.passed: set[Node] = set()
        self.hooks: dict[Node, list[Any]] = {}
        #: blocks of hooks on saved values that are open, innermost last
        self.saving: list[Any] = []
        #: (roots, whether it keeps what it needs, the nodes whose gradients alone are asked for) of the latest backward pass
        self.running: Any = None
        #: whether overwritten saved values are no error
        self.forgiving = False
        self.retained: dict[Node, Any] = {}
        self.leaf_owner: dict[Node, Any] = {}
        self.contexts: dict[Node, Any] = {}
        self.orphans: dict[Node, Any] = {}
        self.twinned: dict[Node, int] = {}
        self.entered: dict[int, int] = {}
        self.slots = self.leaves = self.flushes = self.due = 0
        self.read = 0, 0
        self.plan: Any = None
        self.ran: list[Any] = []
        self.updates: list[Any] = []
        self.alive: list[Any] = []
        self.stood: list[Node] = []
        self.fresh: list[Any] = []
        self.lapses = 0
        self.walk: Any = None
        self.replays: list[Any] = []
        self.carried: dict[Node, Any] = {}
        self.cut = self.whole = False
        self.division: Any = None
        self.rhythm: Any = None
        self.reads, self.patience = 0, READS
        self.torn = self.varied = False
        self.before: dict[Node, Any] = {}
        self.named: dict[int, tuple[Any, ...]] = {}
        self.reached: tuple[int, set[Node], set[Node]] = (-1, set(), set())
        self.thread = get_ident()
        self.apart = several
        _traces[self.index] = self
        _count(self.thread, 1)

    def __del__(self) -> None:
        """A thread has ended. What it has recorded and not computed may be read by others."""
        if _count is not None and hasattr(self, "thread"):
            if self.pending:
                _traces[self.index] = self
                left.append(self)
            _count(self.thread, -1)

    @property
    def pending(self) -> bool:
        """Whether something is recorded that was not computed."""
        return bool(self.claims or self.families or self.data or self.grads or self.updates)

    def reset(self) -> None:
        """Forget this iteration's data; the grad mode and the graph stay."""
        self.claims.clear()
        self.looked = (None, [])
        self.bound.clear()
        self.known.clear()
        self.entered.clear()
        if (
            self.swept
            or self.leaf_owner
            or self.twinned
            or self.stale
            or self.silent
            or self.freed
            or self.passed
            or self.replays
            or self.carried
            or self.hooks
            or self.retained
            or self.contexts
            or self.orphans
        ):
            self._forget()
        self.slots = self.leaves = self.flushes = self.lapses = self.due = 0
        self.plan = self.walk = None
        self.read = 0, 0
        if self.data:
            self.data = []
        if self.families or self.grads or self.updates:
            self.families, self.grads, self.updates = [], [], []
        if self.moved or self.alive or self.fresh:
            self.moved, self.alive, self.stood, self.fresh = [], [], [], []
        self.ran = []
        self.torn = self.whole = False
        if self.named or self.before:
            self.named = {}
            if not several:
                self.before = {}
        self.generation += 1

    def _forget(self) -> None:
        """Clear what only some traces fill."""
        for table in (
            self.stale,
            self.silent,
            self.freed,
            self.swept,
            self.passed,
            self.replays,
            self.carried,
            self.hooks,
            self.retained,
            self.leaf_owner,
            self.contexts,
            self.orphans,
            self.twinned,
        ):
            if table:
                table.clear()

    def input(self, value: np.ndarray[Any, Any], shape: Any, strides: Any, dtype: Any, device: Any, flag: str = "") -> Node:
        """The next Input slot, bound to `value`. ``flag``: "" data, "number" a Python number, "inferred" data made in inference mode,
        "leaf" a leaf that wants a gradient, "ended" a value whose history was freed, "carried" one whose history is in an earlier trace.
        """
        slot = self.slots
        self.slots = slot + 1
        last = self.inputs.get(slot)
        if (
            last is not None
            and last.shape == shape
            and last.strides == strides
            and last.dtype is dtype
            and last.device is device
            and last.attrs[2] == flag
        ):
            self.bound[last] = value
            return last
        key = (self.index, slot, flag, shape, strides, dtype, device)
        n = INPUT.table.get(key)
        if n is None:
            made = Node(INPUT, (), (self.index, slot, flag), shape, dtype, strides, 0, device, flag in ("leaf", "ended", "carried"))
            if flag == "ended":
                made.saved = ()
            n = INPUT.table.setdefault(key, made)
        self.inputs[slot] = n
        self.bound[n] = value
        return n


_current: ContextVar[Trace | None] = ContextVar("trace", default=None)
_get = _current.get


def current() -> Trace:
    """This thread's trace."""
    t = _get()
    if t is None:
        t = Trace()
        _current.set(t)
    return t


@contextmanager
def using(tr: Trace) -> Iterator[None]:
    """Record in `tr` instead of the thread's own trace: for host work that must not meet what is pending there."""
    token = _current.set(tr)
    try:
        yield
    finally:
        _current.reset(token)


def forget_inputs() -> None:
    """Have every trace look its Inputs up again: some were dropped from the graph."""
    for t in everyone():
        t.inputs = {}


def recount() -> None:
    """What ended threads have left is computed."""
    _count(get_ident(), 0)


def by_index(index: int) -> Trace | None:
    """The trace with that index, if its thread still lives (to explain a tensor that was recorded in another thread)."""
    return _traces.get(index)


#: Set by the compiler: run(trace, outputs, donated) puts the values of the output nodes into trace.known. `donated`: pairs
#: (output, permanent leaf whose storage it is the next content of, and whose old content nobody will ask for).
execute: Callable[[Trace, tuple[Node, ...], tuple[tuple[Node, Node], ...]], None]
