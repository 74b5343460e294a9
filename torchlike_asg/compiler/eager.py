"""One operation at a time, for hunting a NaN: slow, and it says where."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import config
from ..asg import reference, scope
from ..asg.declare import CONST, LEAVES, get
from ..asg.node import Node
from ..asg.rewrite import topo
from ..asg.trace import Trace
from ..backends.meta import absent

_POWER, _ROOTS = get("pow"), {0.5: get("sqrt"), -0.5: get("rsqrt")}


def run_eagerly(tr: Trace, outputs: tuple[Node, ...]) -> None:
    """Compute every recorded operation through its reference, in order, keeping everything."""
    from . import plan

    env: dict[Node, Any] = {}
    for n in topo(outputs, tr.known):
        if n.op in LEAVES:
            env[n] = reference.constant(n) if n.op is CONST else plan.leaf_value(n, tr)
            continue
        if n.device.type == "meta":
            env[n] = absent(n)
            continue
        try:
            with np.errstate(all="ignore"):
                env[n] = computed(n, [env[s] if s in env else tr.known[s] for s in n.srcs])
        except Exception as error:
            scope.placed(error, n)
            raise
        if config.detect_anomaly:
            _check(n, env[n], [env[s] if s in env else tr.known[s] for s in n.srcs])
    tr.known.update((n, v) for n, v in env.items() if n.op not in LEAVES)
    tr.known.update((n, np.array(env[n])) for n in outputs if n.op in LEAVES)  # a gradient may be what the pass began with


def computed(n: Node, operands: list[Any]) -> Any:
    """One operation on arrays, as the compiler understands it: a power with the number 0.5 or -0.5 is a root, as in PyTorch."""
    if n.op is _POWER and n.srcs[1].op is CONST and n.srcs[1].attrs[0] in _ROOTS:
        return reference.rounded(_ROOTS[n.srcs[1].attrs[0]].ref(operands[0]), n.dtype)  # type: ignore[misc]
    return reference.apply(n, operands)


def _check(n: Node, value: Any, operands: list[Any]) -> None:
    if isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isnan(value).any():
        if any(isinstance(a, np.ndarray) and a.dtype.kind == "f" and np.isnan(a).any() for a in operands):
            return
        where = f" in {n.site[0]}" if n.site[0] else ""
        raise RuntimeError(f"Function '{n.op.name}' returned nan values{where}, recorded at {n.site[1]}:{n.site[2]}")
