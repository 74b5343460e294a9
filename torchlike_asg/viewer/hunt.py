"""The hunt for the first bad value. A step whose loss is not finite is done again on the host, node by node, in order.

By the time a loss is known to be bad, the parameters it was computed from are overwritten, often with NaNs. So now and then a copy of
what a step reads is kept (`Kept`), and the tap keeps the data of the step that went wrong. The hunt begins with these; if all is well, it
goes on training from the copy, as the optimizer would, until something breaks: an exploding learning rate explodes again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..asg import reference
from ..asg.declare import CONST, LEAVES, SCALAR, VAR
from ..asg.node import Node
from .capture import behind
from .kept import Kept
from .snapshot import GraphSnapshot

#: seconds that a hunt may take, steps that it goes on for, and bytes of values that it may hold
LIMIT, STEPS, BYTES = 10.0, 300, 1 << 30


@dataclass(frozen=True)
class Found:
    """``node`` of the snapshot; ``what``: "nan" or "inf"; how many elements are bad, of how many."""

    node: int
    what: str
    bad: int
    size: int


class _Unknown(Exception):
    """A value that cannot be had."""


class Hunt:
    """Over the graph of a step: its nodes, their snapshot, and what becomes of its storages, as (leaf, node of the new content)."""

    def __init__(self, nodes: Sequence[Node], snapshot: GraphSnapshot, updates: Sequence[tuple[Node, Node]]) -> None:
        self._nodes, self._updates = nodes, updates
        self._index = {n: i for i, n in enumerate(nodes)}
        self._phases = [[i for i in range(len(nodes)) if snapshot.phase[i] == phase] for phase in range(3)]
        self._operands = [snapshot.inputs(i) for i in range(len(nodes))]
        self._until = 0.0

    def run(self, kept: Kept | None, bound: Mapping[Node, Any], current: Callable[[Node], Any]) -> Found | None:
        """The first node that is bad although what it reads is not. `bound`: the data of the step that went wrong, as far as it is known;
        `current`: the content that a storage has now."""
        self._until = time.monotonic() + LIMIT
        with np.errstate(all="ignore"):
            if kept is not None:
                found = self._step(kept.state, {**kept.bound, **bound}, current)[0]
                state, steps = dict(kept.state), 0
                while found is None and state and steps < STEPS and time.monotonic() < self._until:
                    found, new = self._step(state, kept.bound, current)
                    state, steps = {**state, **new} if new else {}, steps + 1
                if found is not None:
                    return found
            return _Step(self, dict(bound), current).first(self._phases[0])  # what can still be seen

    def _step(self, state: Mapping[Node, Any], bound: Mapping[Node, Any], current: Callable[[Node], Any]) -> tuple[Found | None, Any]:
        """(what goes wrong in a step, the new contents of storages)"""
        step = _Step(self, {**bound, **state}, current)
        for phase in self._phases:
            found = step.first(phase)
            if found is not None:
                return found, {}
        return None, {leaf: value for leaf, n in self._updates if leaf in state and (value := step.known(n)) is not None}


class _Step:
    """Values of one step."""

    def __init__(self, hunt: Hunt, leaves: dict[Node, Any], current: Callable[[Node], Any]) -> None:
        self._hunt, self._leaves, self._current = hunt, leaves, current
        self._values: dict[Node, Any] = {}
        self._bytes = 0
        self._bad: dict[int, tuple[int, int, int]] = {}  # node -> how many elements are NaN, +inf, -inf
        self._suspects: set[int] = set()

    def first(self, phase: Sequence[int]) -> Found | None:
        """The first node of a phase that went wrong and made others go wrong: a NaN, or what ends the phase not finite."""
        read = set()
        for i in phase:
            read.update(self._hunt._operands[i])
            if time.monotonic() > self._hunt._until:
                return None
            try:
                value = self.value(self._hunt._nodes[i])
            except _Unknown:
                continue
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "fc":
                continue
            nan, inf = int(np.isnan(value).sum()), int(np.isinf(value).sum())
            if not nan and not inf:
                continue
            low = int(np.isneginf(value).sum()) if value.dtype.kind == "f" else 0
            self._bad[i] = nan, inf - low, low
            if self._suspected(i):
                self._suspects.add(i)
            if nan and i in self._suspects:
                return self._origin(i)
        for i in phase:
            if i in self._bad and i not in read and self._bad[i][:2] != (0, 0):  # a result
                return self._origin(i)
        lost = [i for i in phase if i in self._bad and i not in read and self._origin(i) is not None]
        return self._origin(lost[0]) if lost else None

    def _suspected(self, i: int) -> bool:
        """Whether a bad node is so for the first time. Infinities may be meant (the mask of an attention is -inf), and pass on."""
        nan, high, _ = self._bad[i]
        node, operands = self._hunt._nodes[i], self._hunt._operands[i]
        if node.op in LEAVES:
            return bool(nan or high)
        if nan:
            return not any(self._bad.get(o, (0,))[0] for o in operands) and not any(_literal(s, np.isnan) for s in node.srcs)
        return bool(operands) and not any(o in self._bad for o in operands) and not any(_literal(s, _not_finite) for s in node.srcs)

    def _origin(self, i: int) -> Found | None:
        """Of the nodes whose bad values reach node `i`, the first that had no cause itself."""
        seen, stack = {i}, [i]
        while stack:
            for o in self._hunt._operands[stack.pop()]:
                if o in self._bad and o not in seen:
                    seen.add(o)
                    stack.append(o)
        suspects = seen & self._suspects
        if not suspects:
            return None
        first = min(suspects)
        nan, high, low = self._bad[first]
        return Found(first, "nan" if nan else "inf", nan or high + low, self._hunt._nodes[first].numel)

    def known(self, n: Node) -> Any:
        """The value of a node, or None."""
        try:
            return self.value(n)
        except _Unknown:
            return None

    def value(self, n: Node) -> Any:
        """The value of a node, by the references."""
        values, stack = self._values, [n]
        while stack:
            m = stack[-1]
            if m not in values:
                if m.op is CONST or m.op is SCALAR or m.op in LEAVES:
                    values[m] = self._leaf(m)
                else:
                    missing = [s for s in m.srcs if s not in values]
                    if missing:
                        stack += missing
                        continue
                    values[m] = self._applied(m, [values[s] for s in m.srcs])
            stack.pop()
        found = values[n]
        if found is _Unknown:
            raise _Unknown
        return found

    def _leaf(self, n: Node) -> Any:
        if n.op is CONST:
            return reference.constant(n)
        if n.op is SCALAR:
            return np.asarray(n.attrs[0])
        found = self._leaves.get(n)
        if found is None and n.op is VAR:
            found = self._current(n)
        return _Unknown if found is None else np.asarray(found)

    def _applied(self, n: Node, operands: list[Any]) -> Any:
        self._bytes += n.numel * n.dtype.compute.itemsize
        if any(o is _Unknown for o in operands) or self._bytes > BYTES:
            return _Unknown
        try:
            return reference.apply(n, operands)
        except Exception:  # as where another device computes what NumPy refuses
            return _Unknown


def _not_finite(x: Any) -> Any:
    return ~np.isfinite(x)


def _literal(n: Node, test: Callable[[Any], Any]) -> bool:
    """Whether a node is a literal that the test holds for."""
    n = behind(n)
    return n.op in (CONST, SCALAR) and isinstance(n.attrs[0], float) and bool(test(n.attrs[0]))


def finite(kept: Kept) -> bool:
    """Whether training could go on from there."""
    return all(a.dtype.kind not in "fc" or bool(np.isfinite(a).all()) for a in kept.state.values() if isinstance(a, np.ndarray))
