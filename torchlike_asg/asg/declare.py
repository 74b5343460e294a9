"""What an operation is: one :class:`Op`, declared once, with everything the rest of the package needs to know about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import devices
from ..dtypes import INTEGER
from .geometry import Geometry, preserved_strides
from .layouts import strides_of
from .limits import check_size
from .node import Node, weak

Array = np.ndarray[Any, Any]
#: shape and dtype of a result, optionally its strides, optionally its storage offset
Meta = tuple[Any, ...]
#: gradients for the operands: a node, None (no gradient), or a function giving a node, called only if that operand needs it
Grads = tuple[Any, ...]

REGISTRY: dict[str, Op] = {}
CATEGORIES = (
    "leaf",
    "identity",
    "creation",
    "arithmetic",
    "comparison",
    "logic",
    "activation",
    "reduction",
    "shape",
    "index",
    "linalg",
    "fft",
    "conv",
    "pool",
    "norm",
    "attention",
    "loss",
    "random",
    "sort",
    "cast",
    "embedding",
    "recurrent",
    "gradient",
    "special",
)


@dataclass
class Sample:
    """One set of arguments that every test of an operation runs: operands (arrays) and attributes.

    ``grad`` is False where finite differences cannot be used (kinks, integer operands, discontinuities), or the operands to
    differentiate by where some have no gradient.
    """

    operands: tuple[Any, ...]
    attrs: tuple[Any, ...] = ()
    grad: bool | tuple[int, ...] = True


#: classes of attributes that are no arrays, as nearly all are
_PLAIN = frozenset((int, float, bool, str, tuple, type(None)))


class Op:
    """One operation. Calling it with nodes, then attributes, gives the node: ``add(a, b)``, ``sum_(x, (0,), True)``.

    ``rule(*args) -> (shape, dtype[, strides[, offset]])``   inference; raises with the text the user should see
    ``ref(*arrays, *attrs) -> array``     the NumPy reference, the oracle for every backend. float16 and bfloat16 operands
                                          arrive as float32 and the result is rounded by the caller
    ``vjp(node, g) -> gradients``         nodes in, nodes out, so that gradients have gradients; see `Grads`. Results are summed
                                          over broadcast dimensions and cast to the operand's dtype by the caller
    ``expand(node) -> node``              the same value from other operations: gives gradient and fallback lowering
    ``scalar(e, *values, *attrs)``        the formula of one element, against a handler `e` with the operations of ops/scalar.py
    ``saves(node) -> operands``           what the gradient reads (see saving.py), for PyTorch's version errors; None = nothing
    ``view``                              the result aliases its first operand; ``rule`` then maps a geometry
    ``prepare(*args) -> args``            canonical operands, applied before inference: type promotion inserts casts here
    ``batch(node, operands, size) -> node``  the same for `size` examples at once, see batching.py; None = from the expansion, or one by one
    ``params``                            names of the attributes, for printing
    ``varying``                           those of them, by position, whose meaning is continuous (a slope, a bound): numbers that become
                                          data where they change from step to step, see the facade's scalar lifting
    ``varied(operands, attributes) -> node``  the same value from attributes some of which are 0-d nodes
    ``samples() -> [Sample]``             arguments every test of the registry uses
    ``doc``                               key of its texts in i18n; every name has EN and RU there
    """

    __slots__ = (
        "batch",
        "category",
        "differentiable",
        "doc",
        "expand",
        "layout",
        "multi",
        "name",
        "params",
        "prepare",
        "pure",
        "ref",
        "rule",
        "samples",
        "saves",
        "scalar",
        "sites",
        "table",
        "torch",
        "varied",
        "varying",
        "view",
        "vjp",
    )

    def __init__(
        self,
        name: str,
        category: str,
        rule: Callable[..., Meta] | None = None,
        ref: Callable[..., Any] | None = None,
        *,
        vjp: Callable[[Node, Node], Grads] | None = None,
        expand: Callable[[Node], Node] | None = None,
        scalar: Callable[..., Any] | None = None,
        saves: Callable[[Node], tuple[Node, ...]] | None = None,
        view: bool = False,
        layout: str = "dense",
        prepare: Callable[..., tuple[Any, ...]] | None = None,
        params: tuple[str, ...] = (),
        samples: Callable[[], list[Sample]] | None = None,
        differentiable: bool = True,
        multi: bool = False,
        torch: Callable[..., Any] | None = None,
    ) -> None:
        if category not in CATEGORIES:
            raise ValueError(f"op {name}: unknown category {category}")
        self.name, self.category, self.rule, self.ref = name, category, rule, ref
        self.vjp, self.expand, self.scalar, self.saves, self.view = vjp, expand, scalar, saves, view
        self.layout, self.prepare, self.params, self.samples = layout, prepare, params, samples
        self.differentiable, self.multi, self.torch, self.doc = differentiable, multi, torch, f"op.{name}"
        self.batch: Callable[..., Node] | None = None
        #: False for operations whose gradient is a user's Python function, so that a sweep over them is never reused
        self.pure = True
        #: operands + attributes -> node. Entries are never changed, so readers need no lock.
        self.table: dict[tuple[Any, ...], Node] = {}
        self.varying: tuple[int, ...] = ()
        self.varied: Callable[[tuple[Node, ...], tuple[Any, ...]], Node] | None = None
        #: Python scalars seen beside an operand, see the facade's scalar lifting
        self.sites: dict[Any, Any] = {}
        if name in REGISTRY:
            raise ValueError(f"op {name} is declared twice")
        REGISTRY[name] = self

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def __call__(self, *args: Any) -> Node:
        n = self.table.get(args)
        return n if n is not None else self.make(args)

    def make(self, args: tuple[Any, ...]) -> Node:
        """The miss path: canonical operands, inference, interning."""
        canonical = args
        if self.prepare is not None:
            canonical = self.prepare(*args)
            n = self.table.get(canonical)
            if n is not None:
                return self.table.setdefault(args, n)
        count = 0
        for a in canonical:
            if a.__class__ is not Node:
                break
            count += 1
        srcs, attrs = canonical[:count], canonical[count:]
        for a in attrs:
            if a.__class__ not in _PLAIN and hasattr(a, "__array__") and not isinstance(a, (int, float, complex)):
                # the facade makes numbers of them and calls again
                raise TypeError(f"{self.name}(): an attribute must be a Python number, not {type(a).__name__}")
        device = _device(self, srcs)
        assert self.rule is not None
        meta = self.rule(*canonical)
        shape, d = meta[0], meta[1]
        strides = meta[2] if len(meta) > 2 else strides_of(self.layout, shape, srcs, self.category == "conv")
        if self is TRANSFER:
            device = attrs[0]
        if not self.view:
            check_size(shape, d, device)
        if device is not devices.cpu:
            devices.refuse(device, d)
        rg = self.differentiable and (d.category >= 2 or self.multi) and any(s.rg for s in srcs)
        n = Node(self, srcs, attrs, shape, d, strides, meta[3] if len(meta) > 3 else 0, device, rg)
        if n.saved:
            refuse_saving(n)
        n = self.table.setdefault(canonical, n)  # setdefault: two threads recording one expression get one node
        return n if canonical is args else self.table.setdefault(args, n)

    def again(self, n: Node, srcs: tuple[Node, ...]) -> Node:
        """The operation of node `n` on other operands. Operands of the same kinds give a result of the same kind, without inference."""
        args = (*srcs, *n.attrs)
        found = self.table.get(args)
        if found is not None:
            return found
        if not all(map(_alike, srcs, n.srcs)):
            return self.make(args)
        found = Node(self, srcs, n.attrs, n.shape, n.dtype, n.strides, n.offset, n.device, n.rg)
        return self.table.setdefault(args, found)


def _alike(a: Node, b: Node) -> bool:
    """Whether nothing that inference looks at tells two operands apart."""
    if a is b:
        return True
    return (
        a.dtype is b.dtype
        and a.shape == b.shape
        and a.strides == b.strides
        and a.offset == b.offset
        and a.rg is b.rg
        and a.device is b.device
        and not (a.op.category == "leaf" or b.op.category == "leaf")
    )


#: operations whose integer operands may come from the host, as in PyTorch: those behind ``x[i]``
_INDEXED = frozenset(("index", "index_put", "unindex"))


def _device(op: Op, srcs: tuple[Node, ...]) -> devices.device:
    """The device of an operation's result; RuntimeError for operands of two. Literals are of any, and so are numbers of the host."""
    found: devices.device | None = None
    number = literals = False
    for s in srcs:
        if s.op is CONST or s.op is SCALAR or s.device is devices.free:
            literals = True
        elif found is None:
            found, number = s.device, s.shape == () and s.device is devices.cpu
        elif found is s.device or found == s.device:
            number = number and s.shape == ()
        elif s.device is devices.cpu and (s.shape == () or (op.name in _INDEXED and s.dtype.category <= INTEGER)):
            continue
        elif number:
            found, number = s.device, False
        else:
            raise RuntimeError(
                f"Expected all tensors to be on the same device, but found at least two devices, {found} and {s.device}! ({op.name})"
            )
    if found is None:
        return devices.free if literals else devices.cpu
    return found


# ---------------------------------------------------------------- leaves and identities
CONST = Op("const", "leaf", ref=lambda value, d: np.asarray(value, d.compute), params=("value", "dtype"))
SCALAR = Op("scalar", "leaf", ref=lambda value: np.asarray(value), params=("value",))
#: One permanent leaf per storage: parameter, buffer, optimizer state. Its value is the storage's at the start of the trace.
VAR = Op("var", "leaf", params=("id",))
#: Transient data: attrs are (trace index, slot, flag); slot = order of first use in the trace, so new batches meet the same node.
INPUT = Op("input", "leaf", params=("trace", "slot", "flag"))
#: One example of a batch, while a function is recorded for all of them (batching.py): a shape and a type, never a value.
EXAMPLE = Op("example", "leaf", vjp=lambda n, g: (), params=("level", "index"))


def _same(s: Node, *_: Any) -> Meta:
    return s.shape, s.dtype, s.strides, s.offset


def _preserved(s: Node, *_: Any) -> Meta:
    return s.shape, s.dtype, preserved_strides(tuple(s.shape), s.strides)


def _first(x: Array, *_: Any) -> Array:
    return x


def _pass(n: Node, g: Node) -> Grads:
    return (g,)


def _moved(s: Node, d: devices.device) -> Meta:
    if s.device.type == "meta":
        raise NotImplementedError("Cannot copy out of meta tensor; no data!")
    return s.shape, s.dtype, s.strides, s.offset


def _back(n: Node, g: Node) -> Grads:
    return (TRANSFER(g, n.srcs[0].device),)


def _onward(n: Node, g: Node) -> Grads:
    from .gradients import seeded

    return (g if seeded((g,)) else None,)


#: Identities: they carry history and versions, and vanish in the compiler. `IDENTITIES[op]` is the operand holding the value.
STOP = Op("stop", "identity", _preserved, _first, differentiable=False)  # a value without history: result under no_grad, `.data`
SNAP = Op("snap", "identity", _same, _first, vjp=_pass)  # a kept copy of a value about to be overwritten in place: never stale
DETACH = Op("detach", "identity", _same, _first, view=True, differentiable=False)  # same storage and version counter as its operand
REBIND = Op(
    "rebind", "identity", lambda h, v: (h.shape, h.dtype, h.strides, h.offset), lambda h, v: v, vjp=lambda n, g: (g, None)
)  # value of v, history of h
LEAF_OF = Op(
    "leaf_of", "identity", lambda s, k: (s.shape, s.dtype, s.strides, s.offset), _first, params=("leaf",)
)  # requires_grad_() on a computed value
#: a result under no_grad while forward mode records: tangents flow through it, gradients do not
ONWARD = Op("onward", "identity", _preserved, _first, vjp=_onward)
#: the same of a view
ONWARD_VIEW = Op("onward_view", "identity", _same, _first, vjp=_onward, view=True)
#: a view made under no_grad of what has a history: it is said to require a gradient, and none flows through it
APART = Op("apart", "identity", _same, _first, vjp=lambda n, g: (None,), view=True)
#: a result of `inference_mode`, seen from outside: it has no history and gets none (see `refuse_saving`)
INFERRED = Op("inferred", "identity", _same, _first, differentiable=False)
#: a value on another device; the attribute is that device. No backend computes it: values are moved between plans
TRANSFER: Op = Op("transfer", "identity", _moved, _first, vjp=_back, params=("device",))
#: The argument of a function that is being differentiated, at a level of nesting: gradients are asked for here and flow on to the operand.
ARGUMENT = Op("argument", "identity", _preserved, _first, vjp=_pass, params=("level", "index"))
#: A table whose rows are looked up, with the wish that its gradient be kept as rows (facade/sparse_gradients.py), and that gradient.
SPARSE_GRADIENT: Op = Op("sparse_gradient", "identity", _same, _first, vjp=_pass)
SPARSE_TABLE = Op("sparse_table", "identity", _same, _first, vjp=lambda n, g: (SPARSE_GRADIENT(g),))
IDENTITIES = {
    STOP: 0,
    SNAP: 0,
    DETACH: 0,
    REBIND: 1,
    LEAF_OF: 0,
    ARGUMENT: 0,
    SPARSE_TABLE: 0,
    SPARSE_GRADIENT: 0,
    INFERRED: 0,
    APART: 0,
    ONWARD: 0,
    ONWARD_VIEW: 0,
}
LEAVES = frozenset((CONST, SCALAR, VAR, INPUT, EXAMPLE))


INFERENCE_SAVED = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in computation tracked by "
    "autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or use `torch.no_grad()` "
    "instead of `torch.inference_mode()`."
)


def refuse_saving(n: Node) -> None:
    """RuntimeError if the gradient of a new node would read what was made in inference mode. What the compiler makes of nodes may, and
    where nothing is recorded for differentiation, so may anything.
    """
    for s in n.saved or ():
        while s.op.view:
            s = s.srcs[0]
        if s.op is INFERRED or (s.op is INPUT and s.attrs[2] == "inferred") or (s.owner is not None and _inferred_leaf(s)):
            from .trace import current

            if n.origin == n.serial and current().grad:
                raise RuntimeError(INFERENCE_SAVED)


def _inferred_leaf(n: Node) -> bool:
    owner = n.owner()
    return owner is not None and owner.inferred is True


def get(name: str) -> Op:
    """The declared operation of that name (the layers below ops/ reach it this way)."""
    return REGISTRY[name]


def node(value: Any) -> Node:
    """A node, or a Python number as one."""
    return value if value.__class__ is Node else weak(value)


def declared() -> Iterator[Op]:
    """Every operation with a computation of its own, in order of declaration (no leaves, no identities)."""
    return (op for op in REGISTRY.values() if op.category not in ("leaf", "identity"))


@dataclass
class ViewRule:
    """Helper for view operations: ``geometry(geometry, *attrs) -> geometry`` as a `rule`."""

    geometry: Callable[..., Geometry]
    name: str = field(default="view")

    def __call__(self, s: Node, *attrs: Any) -> Meta:
        shape, strides, offset = self.geometry((tuple(s.shape), s.strides, s.offset), *attrs)
        return shape, s.dtype, strides, offset
