"""``tensor.grad_fn``: a thin read-only view of the graph, under PyTorch's names."""

from __future__ import annotations

from typing import Any

from ..asg.declare import CONST, IDENTITIES, INPUT, LEAF_OF, VAR
from ..asg.node import Node
from .core import Tensor, node_of
from .history_names import operands, title
from .past import Ended, Past
from .storage import leaf_family


class GradFn:
    """One step of a history: ``name()``, ``next_functions``. Its class is named after the step, as in PyTorch."""

    _node: Node
    _title: str

    def name(self) -> str:
        return self._title

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        n = self._node
        srcs = operands(n)
        if not n.op.pure and len(srcs) == 2 and not srcs[1].op.pure:  # a custom Function's output, then its call
            srcs = srcs[1].srcs
        return tuple((of(s), 0) for s in srcs if s.op is not CONST)

    @property
    def metadata(self) -> dict[str, Any]:
        return {}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self._node):x}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GradFn) and other._node is self._node

    def __hash__(self) -> int:
        return hash(self._node)


_classes: dict[tuple[type, str], type] = {}


def _step(base: type, name: str) -> Any:
    """An instance of a class of that name."""
    key = base, name
    if key not in _classes:
        _classes[key] = type(name.rpartition("::")[2], (base,), {})
    step = object.__new__(_classes[key])
    step._title = name
    return step


class AccumulateGrad(GradFn):
    """The end of a history: gradients accumulate into `variable`."""

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return ()

    @property
    def variable(self) -> Any:
        f = leaf_family(self._node)
        return None if f is None else next((t for r in f.faces if (t := r()) is not None and t._kind is None), None)


class Freed(GradFn):
    """A history that is not in the graph any more; only its name is known."""

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return ()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self):x}>"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def of(n: Node, kind: str | None = None) -> GradFn | None:
    """The step that made `n`, skipping identities; None where no gradient flows."""
    while n.op in IDENTITIES and n.op is not LEAF_OF:
        n = n.srcs[0]
    if not n.rg:
        return None
    ends = n.op in (VAR, LEAF_OF) or (n.op is INPUT and n.attrs[2] == "leaf")
    step: GradFn = _step(AccumulateGrad, "torch::autograd::AccumulateGrad") if ends else _step(GradFn, title(n, kind))
    step._node = n
    return step


def grad_fn(t: Tensor) -> GradFn | None:
    if not t.requires_grad or t.is_leaf:
        return None
    f = t._f
    if f is not None and f.h is None and (isinstance(f.past, Ended) or (isinstance(f.past, Past) and t._kind is None and t._lens is None)):
        return _step(Freed, f.past.name)  # type: ignore[no-any-return]
    found = of(node_of(t), t._kind if f is not None else None)
    return None if isinstance(found, AccumulateGrad) and t._n is not None and t._n.op in (VAR, LEAF_OF) else found


Tensor.grad_fn = property(grad_fn)  # type: ignore[attr-defined]
