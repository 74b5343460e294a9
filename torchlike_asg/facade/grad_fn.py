"""``tensor.grad_fn``: a thin read-only view of the graph, under PyTorch's names."""

from __future__ import annotations

from typing import Any

from ..asg.declare import IDENTITIES, INPUT, LEAF_OF, REBIND, VAR
from ..asg.node import Node
from .core import Tensor, node_of
from .past import Ended, Past
from .storage import leaf_family

_NAMES = {
    "sum": "Sum",
    "mean": "Mean",
    "matmul": "Mm",
    "linear": "Addmm",
    "restride_scatter": "CopySlices",
    "restride": "AsStrided",
    "cast": "ToCopy",
    "reshape": "UnsafeView",
    "neg": "Neg",
    "log_softmax": "LogSoftmax",
    "mse_loss": "MseLoss",
    "conv": "Convolution",
    "layer_norm": "NativeLayerNorm",
}


class GradFn:
    """One step of a history: ``name()``, ``next_functions``."""

    def __init__(self, n: Node) -> None:
        self._node = n

    def name(self) -> str:
        return title(self._node.op.name)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        n = self._node
        srcs = n.srcs[:1] if n.op is REBIND else n.srcs
        if not n.op.pure and len(srcs) == 2 and not srcs[1].op.pure:  # a custom Function's output, then its call
            srcs = srcs[1].srcs
        return tuple((of(s), 0) for s in srcs)

    @property
    def metadata(self) -> dict[str, Any]:
        return {}

    def __repr__(self) -> str:
        return f"<{self.name()} object>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GradFn) and other._node is self._node

    def __hash__(self) -> int:
        return hash(self._node)


class AccumulateGrad(GradFn):
    """The end of a history: gradients accumulate into `variable`."""

    def name(self) -> str:
        return "torch::autograd::AccumulateGrad"

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return ()

    @property
    def variable(self) -> Any:
        f = leaf_family(self._node)
        return None if f is None else next((t for r in f.faces if (t := r()) is not None and t._kind is None), None)

    def __repr__(self) -> str:
        return "<AccumulateGrad object>"


class Freed(GradFn):
    """A history that is not in the graph any more; only its name is known."""

    def __init__(self, op: str) -> None:
        self._op = op

    def name(self) -> str:
        return title(self._op)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def title(op: str) -> str:
    """PyTorch's name for the backward step of an operation."""
    if op.endswith("Backward"):  # a custom Function names itself
        return op
    return (_NAMES.get(op) or "".join(part.capitalize() for part in op.strip("_").split("_"))) + "Backward0"


def of(n: Node) -> GradFn | None:
    """The step that made `n`, skipping identities; None where no gradient flows."""
    while n.op in IDENTITIES and n.op is not LEAF_OF:
        n = n.srcs[0]
    if not n.rg:
        return None
    return AccumulateGrad(n) if n.op in (VAR, LEAF_OF) or (n.op is INPUT and n.attrs[2] == "leaf") else GradFn(n)


def grad_fn(t: Tensor) -> GradFn | None:
    if not t.requires_grad or t.is_leaf:
        return None
    f = t._f
    if f is not None and f.h is None and isinstance(f.past, (Past, Ended)):
        return Freed(f.past.name)
    found = of(node_of(t))
    return None if isinstance(found, AccumulateGrad) and t._n is not None and t._n.op in (VAR, LEAF_OF) else found


Tensor.grad_fn = property(grad_fn)  # type: ignore[attr-defined]
