"""``tensor.grad_fn``: a thin read-only view of the graph, under PyTorch's names."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary, ref

from ..asg.declare import APART, IDENTITIES, INPUT, LEAF_OF, VAR
from ..asg.keeps import made
from ..asg.node import Node
from ..asg.trace import current
from ..asg.traces import look_up
from ..dtypes import INTEGER
from ..errors import Unsupported
from ..ops.movement import restride as RESTRIDE
from ..ops.movement import restride_scatter as RESTRIDE_SCATTER
from .core import Tensor, node_of
from .history_names import number, operands, place, title
from .history_parts import Part, edges
from .hooks import RemovableHandle, add_node_hook, add_node_post_hook, attach, keep_on, leaf_hooks, own_node, rejoin
from .owners import leaf_family
from .past import Past
from .pieces import undivided
from .saved_hooks import saved_value
from .saved_values import Ended
from .steps import noted

#: operations to which PyTorch gives a number as a tensor: it counts among the next functions
_TWO_TENSORS = frozenset(("add", "sub", "mul", "div"))


#: PyTorch's names of what a step keeps: which operand it is, -1 = the result
_SAVED = {"_saved_self": 0, "_saved_input": 0, "_saved_other": 1, "_saved_mat2": 1, "_saved_weight": 1, "_saved_result": -1}


class GradFn:
    """One step of a history: ``name()``, ``next_functions``. Its class is named after the step, as in PyTorch."""

    _node: Node
    _title: str
    #: the view that it is the last step of, and its version then
    _view: tuple[Any, int] | None = None

    def name(self) -> str:
        return self._title

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        n = self._node
        parts = edges(n, self._title)
        if parts is not None:
            return _led_to(n, parts, ())
        srcs = operands(n)
        if n.op.name in ("add", "mul") and number(srcs[0]):
            srcs = srcs[::-1]
        constants = n.op.name in _TWO_TENSORS and not number(srcs[0])
        shown = [s for s in srcs if constants or (not number(s) and (s.rg or s.dtype.category > INTEGER))]
        return tuple([(of(s, inner=True), place(s)) for s in shown])

    @property
    def metadata(self) -> dict[str, Any]:
        """A dictionary of one's own."""
        return _metadata.setdefault(self._node, {})

    def __getattr__(self, name: str) -> Any:
        which = _SAVED.get(name)
        n = self._node if which is not None and not isinstance(self, Freed) else None
        if which is not None and n is not None and n.saved is not None:
            kept = n if which < 0 else n.srcs[which] if which < len(n.srcs) else None
            if kept in n.saved:
                return saved_value(n, n.saved.index(kept))
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Call ``fn(grad_inputs, grad_outputs)`` after a backward pass; a tuple that it returns replaces the first."""
        return self._hooked(add_node_post_hook, fn)

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Call ``fn(grad_outputs)`` before a backward pass goes through this step; a tuple that it returns replaces them."""
        return self._hooked(add_node_hook, _of_one(fn))

    def _hooked(self, add: Any, fn: Any) -> RemovableHandle:
        """Have a hook on the step, which a view that lives takes along: it has another node in the next trace."""
        t = None if self._view is None else self._view[0]()
        if t is None or t._f is None or t._f.counter.version != self._view[1]:  # type: ignore[index]
            return add(self._node, fn)  # type: ignore[no-any-return]
        rejoin(t)
        n = own_node(t)
        handle = add(n, fn)
        keep_on(t, n)
        return handle  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self._node):x}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GradFn) and other._node is self._node

    def __hash__(self) -> int:
        return hash(self._node)


#: the step of a node, as long as somebody holds it
_steps: WeakKeyDictionary[Node, Any] = WeakKeyDictionary()
_metadata: WeakKeyDictionary[Node, dict[str, Any]] = WeakKeyDictionary()


def _of_one(fn: Any) -> Any:
    """A hook on a tuple of gradients as one on the only gradient."""

    def hook(g: Tensor) -> Any:
        out = fn((g,))
        return out[0] if isinstance(out, (tuple, list)) else out

    return hook


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

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Call ``fn((), grad_outputs)`` after a gradient was accumulated."""
        return attach(leaf_hooks(leaf_family(self._node)).post, lambda g: fn((), (g,)))

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Call ``fn(grad_outputs)`` before a gradient is accumulated; a tuple that it returns replaces it."""
        return attach(leaf_hooks(leaf_family(self._node)), _of_one(fn))

    @property
    def variable(self) -> Any:
        f = leaf_family(self._node)
        return None if f is None else next((t for r in f.faces if (t := r()) is not None and t._kind is None), None)


class BackwardCFunction(GradFn):
    """A call of a custom Function: its attributes are those of the ``ctx`` of `forward`."""

    @property
    def _call(self) -> Any:
        return look_up("contexts", self._node)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or (call := self._call) is None:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        return getattr(call.ctx, name)

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Call ``fn(grad_inputs, grad_outputs)`` after `backward`; a tuple that it returns replaces the first."""
        return attach(self._call.after, fn)

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Call ``fn(grad_outputs)`` before `backward`; a tuple that it returns replaces them."""
        return attach(self._call.before, fn)


class Inner(GradFn):
    """A step that PyTorch has and this package has not: part of what one operation does (history_parts.py). It can be read, not hooked."""

    _part: Part
    _path: tuple[int, ...]

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return _led_to(self._node, self._part.edges, self._path)

    @property
    def metadata(self) -> dict[str, Any]:
        """A dictionary of one's own."""
        return _metadata.setdefault(self._node, {}).setdefault(f"part {self._path}", {})  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def register_hook(self, fn: Any) -> RemovableHandle:
        raise Unsupported(f"hooks on {self._title} are not supported here, where it is part of one operation: hook the tensor instead")

    register_prehook = register_hook

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self._node) + 16 * (1 + hash(self._path) % 64):x}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Inner) and other._node is self._node and other._path == self._path

    def __hash__(self) -> int:
        return hash((self._node, self._path))


def _led_to(n: Node, parts: tuple[Any, ...], path: tuple[int, ...]) -> tuple[tuple[Any, int], ...]:
    """The steps of what node `n`, or the part of it at `path`, leads to."""
    found: list[tuple[Any, int]] = []
    for i, edge in enumerate(parts):
        if edge.__class__ is Part:
            step = _step(Inner, edge.name)
            step._node, step._part, step._path = n, edge, (*path, i)
            found.append((step, 0))
        else:
            found.append((None, 0) if edge is None else (of(edge, inner=True), place(edge)))
    return tuple(found)


class Freed(GradFn):
    """A history that is not in the graph any more; only its name is known."""

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        return ()

    @property
    def metadata(self) -> dict[str, Any]:
        return self.__dict__.setdefault("_own", {})  # type: ignore[no-any-return]

    def _hooked(self, add: Any, fn: Any) -> RemovableHandle:
        return attach({}, fn)  # no backward pass comes here

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self):x}>"

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


class Closed(GradFn):
    """A step of a history whose trace has ended; it is replayed when somebody asks for more than the name."""

    _tensor: Any
    _past: Past

    @property
    def _node(self) -> Node:  # type: ignore[override]
        tr = current()
        if not tr.held:
            undivided(tr)
        n = self._past.recorded(tr) if self._tensor is None or tr.held else node_of(self._tensor)
        while n.op in IDENTITIES and n.op is not LEAF_OF:
            n = n.srcs[0]
        return n

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at 0x{id(self):x}>"


def of(n: Node, kind: str | None = None, inner: bool = False) -> GradFn | None:
    """The step that made `n`, skipping identities; None where no gradient flows."""
    while True:
        if n.op is APART:
            return None
        if n.op in IDENTITIES and n.op is not LEAF_OF:
            n = n.srcs[0]
        elif n.op is RESTRIDE and (s := n.srcs[0]).op is RESTRIDE_SCATTER and s.srcs[1].op is LEAF_OF and n.attrs[:3] == s.attrs[0]:
            n = s.srcs[1]  # a leaf that shows a part of its storage, or another shape of it
        else:
            break
    if not n.rg:
        return None
    past = look_up("carried", n) if n.op is INPUT and n.attrs[2] == "carried" else None
    if past is not None:
        closed = _step(Closed, past.name)
        closed._tensor, closed._past = None, past
        return closed  # type: ignore[no-any-return]
    if n.op is INPUT and n.attrs[2] == "ended" and (ended := look_up("retained", n)).__class__ is Ended:
        return _step(Freed, ended.name)  # type: ignore[no-any-return]
    custom = not n.op.pure
    if custom and len(n.srcs) == 2 and not n.srcs[1].op.pure:  # an output of the call
        n = n.srcs[1]
    ends = n.op in (VAR, LEAF_OF) or (n.op is INPUT and n.attrs[2] == "leaf")
    known = _steps.get(n)
    step: GradFn | None = None if known is None else known()
    name = "torch::autograd::AccumulateGrad" if ends else _made(n) or _part(n) or title(n, kind)
    if inner and name == "TransposeBackward0" and n.ndim == 2:  # nothing tells how a matrix was transposed: most scripts write .t()
        name = "TBackward0"
    if step is None or step._title != name:
        step = _step(AccumulateGrad if ends else BackwardCFunction if custom else GradFn, name)
        step._node = n
        _steps[n] = ref(step)
    return step


def _made(n: Node) -> str | None:
    """The name of the step that made a view of a leaf, if its node tells no more than its geometry and the view still lives."""
    if n.op is not RESTRIDE or n.srcs[0].op not in (VAR, INPUT, LEAF_OF) or (f := leaf_family(n.srcs[0])) is None:
        return None
    views = [
        t
        for r in f.faces
        if (t := r()) is not None and t._kind is not None and tuple(map(_whole, t.geometry)) == tuple(map(_whole, n.attrs[:3]))
    ]
    return next((name for t in views if (name := t.__dict__.get("_made"))), None)


def _part(n: Node) -> str | None:
    """The name of the function that made a view with others at once, while the view lives: its node tells no more than its place."""
    claim = current().claims.get(n) if n.op.name in ("select", "slice", "window") else None
    t = None if claim is None else claim()
    if not isinstance(t, Tensor) or t._f is None or t._kind is None or not t._kind.startswith("multi"):
        return None
    return noted(t, n) or title(n, t._kind)


def _whole(part: Any) -> Any:
    return tuple(part) if isinstance(part, tuple) else part


def grad_fn(t: Tensor) -> GradFn | None:
    if not t.requires_grad or t.is_leaf:
        return None
    f = t._f
    if f is not None and f.h is None and (isinstance(f.past, Ended) or (isinstance(f.past, Past) and t._kind is None and t._lens is None)):
        step = _step(Freed if isinstance(f.past, Ended) else Closed, t.__dict__.get("_made") or f.past.name)
        if isinstance(step, Closed):
            step._tensor, step._past = t, f.past
        return step  # type: ignore[no-any-return]
    n = node_of(t)
    name = noted(t, n) or (t.__dict__.get("_made") if f is not None and t._kind is not None else None)
    if name is not None:
        step = _step(GradFn, name)
        step._node = made(n)
        return _of_view(step, t)
    found = of(n, t._kind if f is not None else None)
    if isinstance(found, AccumulateGrad) and t._n is not None and t._n.op in (VAR, LEAF_OF):
        return None
    return None if found is None else _of_view(found, t)


def _of_view(step: GradFn, t: Tensor) -> GradFn:
    if t._f is not None and t._kind is not None:
        step._view = ref(t), t._f.counter.version
    return step


Tensor.grad_fn = property(grad_fn)  # type: ignore[attr-defined]
