"""Order, liveness and memory: a graph as a linear program over numbered slots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..asg import reference
from ..asg.declare import CONST, LEAVES
from ..asg.node import Node
from ..backends.base import Kernel, Schedule, Spec, Step
from .memory import Planner
from .passes.fold import constant_nodes

#: categories whose references return fresh arrays, never views of an operand
_FRESH = frozenset(("arithmetic", "comparison", "logic", "activation", "linalg", "reduction"))


def spec(n: Node) -> Spec:
    return Spec(tuple(n.shape), n.dtype)


def kernel_of(n: Node) -> Kernel:
    """The kernel of one operation."""
    assert n.op.ref is not None, n.op.name
    ufunc = n.op.ref if isinstance(n.op.ref, np.ufunc) else None
    return Kernel(n.op.name, n.attrs, tuple([spec(s) for s in n.srcs]), spec(n), n.op.ref, ufunc)


def schedule(roots: Sequence[Node], order: Sequence[Node], arguments: Sequence[Node]) -> Schedule:
    """A schedule computing `roots` in the given topological order."""
    slots: dict[Node, int] = {n: i for i, n in enumerate(arguments)}
    constants, body = _split(order, slots)
    values = _constants(roots, order, constants, body)
    for n in values:
        slots[n] = len(slots)
    for n in body:
        slots[n] = len(slots)
    last: dict[int, int] = {}
    for i, n in enumerate(body):
        for s in n.srcs:
            last[slots[s]] = i
        last.setdefault(slots[n], i)
    kept = {slots[r] for r in roots} | {slots[n] for n in values}
    frees: list[list[int]] = [[] for _ in body]
    for slot, i in last.items():
        if slot not in kept:
            frees[i].append(slot)
    pages, size = _pages(body, slots, kept, last)
    steps = [
        Step(kernel_of(n), tuple([slots[s] for s in n.srcs]), slots[n], tuple(sorted(frees[i])), pages.get(slots[n]), n.origin)
        for i, n in enumerate(body)
    ]
    return Schedule(len(arguments), len(slots), steps, tuple([slots[r] for r in roots]), {slots[n]: v for n, v in values.items()}, size)


def _split(order: Sequence[Node], slots: dict[Node, int]) -> tuple[set[Node], list[Node]]:
    constants = constant_nodes(order)
    return constants, [n for n in order if n not in constants and n not in slots and n.op not in LEAVES]


def _constants(roots: Sequence[Node], order: Sequence[Node], constants: set[Node], body: Sequence[Node]) -> dict[Node, Any]:
    """The values of the constants the program reads."""
    read = dict.fromkeys([s for n in body for s in n.srcs if s in constants] + [r for r in roots if r in constants])
    values: dict[Node, Any] = {}
    if not read:
        return values
    needed = {n for n in order if n in constants}
    env: dict[Node, Any] = {}
    for n in order:
        if n in needed:
            env[n] = reference.constant(n) if n.op is CONST else reference.apply(n, [env[s] for s in n.srcs])
    for n in read:
        values[n] = env[n]
    return values


def _pages(body: Sequence[Node], slots: dict[Node, int], kept: set[int], last: dict[int, int]) -> tuple[dict[int, int], int]:
    """Places in the transient page for results that only fresh-valued operations read (a view would outlive its source)."""
    safe: dict[int, bool] = {}
    for n in body:
        fresh = n.op.category in _FRESH
        for s in n.srcs:
            safe[slots[s]] = safe.get(slots[s], True) and fresh
    planner = Planner()
    places: dict[int, int] = {}
    ends: dict[int, list[int]] = {}
    for i, n in enumerate(body):
        slot = slots[n]
        if isinstance(n.op.ref, np.ufunc) and slot not in kept and safe.get(slot, False) and _same_types(n) and n.numel:
            nbytes = n.numel * n.dtype.compute.itemsize
            places[slot] = planner.allocate(nbytes)
            ends.setdefault(last[slot], []).append(slot)
        for done in ends.pop(i, ()):
            planner.free(places[done])
    return places, planner.size


def _same_types(n: Node) -> bool:
    """Whether the ufunc computes in the result's own type, without a conversion before or after."""
    return n.dtype.storage == n.dtype.compute and all(s.dtype is n.dtype for s in n.srcs)
