"""The hunt for the first bad value: after a loss that is not finite, the next step is evaluated node by node until one makes a NaN."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from ..asg import reference
from ..asg.declare import CONST, LEAVES, SCALAR
from ..asg.node import Node
from ..asg.trace import Trace
from ..compiler import plan as plans
from .probe import Probe
from .snapshot import GraphSnapshot

#: seconds a hunt may take
LIMIT = 10.0


class Hunt(Probe):
    """``found`` after the step: (index of the node, what it is, how many elements are bad, of how many), or None."""

    def __init__(self, nodes: list[Node], snapshot: GraphSnapshot) -> None:
        super().__init__(())
        self._index = {n: i for i, n in enumerate(nodes)}
        self._forward = [n for i, n in enumerate(nodes) if snapshot.phase[i] == 0]
        self.found: tuple[int, str, int, int] | None = None

    def before(self, tr: Trace, outputs: Any) -> None:
        """Evaluate the forward half with the references, NaN by NaN: first what is read, then what is computed."""
        if self.found is not None:
            return
        plan = plans.PLANS.get((tr.plan, outputs))
        if plan is None or any(n.device.type != "cpu" for n in self._forward):  # another device is not waited for
            return
        until = time.monotonic() + LIMIT
        values: dict[Node, Any] = {}
        infinite: tuple[int, str, int, int] | None = None
        here = [n for n in self._forward if n in plan.order or n in plan.leaves or n in tr.known]
        for n in sorted(here, key=lambda n: n.op not in LEAVES):
            try:
                value = self._value(n, tr, values)
            except Exception:
                return
            values[n] = value
            if not isinstance(value, np.ndarray) or value.dtype.kind not in "fc":
                continue
            bad = int(np.isnan(value).sum())
            if bad:
                self.found = (self._index[n], "nan", bad, value.size)
                return
            if infinite is None and np.isinf(value).any() and not np.isneginf(value).any():
                infinite = (self._index[n], "inf", int(np.isinf(value).sum()), value.size)
            if time.monotonic() > until:
                return
        self.found = infinite

    def after(self, tr: Trace) -> None:
        """Nothing more to see."""

    @staticmethod
    def _value(n: Node, tr: Trace, values: dict[Node, Any]) -> Any:
        if n in tr.known:
            return tr.known[n]
        stack = [n]
        while stack:
            m = stack[-1]
            if m in values:
                stack.pop()
                continue
            if m.op is CONST or m.op is SCALAR:
                values[m] = np.asarray(m.attrs[0]) if m.op is SCALAR else reference.constant(m)
            elif m in tr.known:
                values[m] = tr.known[m]
            elif m.op in LEAVES:
                values[m] = plans.leaf_value(m, tr)
            else:
                missing = [s for s in m.srcs if s not in values]
                if missing:
                    stack += missing
                    continue
                with np.errstate(all="ignore"):
                    values[m] = reference.apply(m, [values[s] for s in m.srcs])
            stack.pop()
        return values[n]
