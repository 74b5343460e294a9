"""The interpreter over the NumPy references: the oracle every backend is compared with."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import failed
from .declare import CONST, IDENTITIES, LEAVES
from .node import Node
from .rewrite import topo

Array = np.ndarray[Any, Any]


def constant(n: Node) -> Array:
    """The value of a literal; infinite, if it is beyond the type's range."""
    with np.errstate(over="ignore"):
        return np.asarray(n.attrs[0], n.dtype.compute)


def rounded(value: Any, d: dtypes.dtype) -> Array:
    """A computed value as one of type `d`: float16 and bfloat16 results are rounded, but carried in float32."""
    out = np.asarray(value)
    if out.dtype != d.compute:
        with np.errstate(all="ignore"):
            out = out.astype(d.compute)
    if d.storage != d.compute:
        out = np.asarray(dtypes.load(dtypes.store(out, d), d)).astype(d.compute)
    return out


def apply(n: Node, operands: Sequence[Any]) -> Any:
    """One operation on arrays. What it raises says which recorded node that was for, see `failed`."""
    ref = n.op.ref
    assert ref is not None, n.op.name
    if n.op.category == "identity":
        return operands[IDENTITIES.get(n.op, 0)]
    try:
        out = ref(*[_operand(a) for a in operands], *n.attrs)
    except Exception as error:
        failed(error, n.origin)
        raise
    return out if n.op.multi else rounded(out, n.dtype)


def _operand(a: Any) -> Any:
    return a.astype(np.float32) if isinstance(a, np.ndarray) and a.dtype == np.float16 else a


def evaluate(roots: Sequence[Node], leaf: Callable[[Node], Array], known: dict[Node, Any] | None = None) -> list[Any]:
    """The values of the roots. ``leaf(node)`` gives the data of a Var or Input; `known` holds values computed already."""
    env: dict[Node, Any] = {}
    stop: Container[Node] = known if known is not None else ()
    for n in topo(roots, stop):
        if n.op is CONST:
            env[n] = constant(n)
        elif n.op in LEAVES:
            env[n] = leaf(n)
        else:
            env[n] = apply(n, [env[s] if s in env else known[s] for s in n.srcs])  # type: ignore[index]
    return [env[r] if r in env else known[r] for r in roots]  # type: ignore[index]
