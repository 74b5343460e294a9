"""Calls of custom Functions in the graph.

A call is a node over the inputs that want a gradient (the *joint*), and each output one over its value and the joint, so that a backward
pass has the gradients of all outputs before it asks the user's `backward`. Neither computes anything: they are identities. What the forward
pass left is in the trace's ``contexts``, by joint.
"""

from __future__ import annotations

import weakref
from typing import Any, NamedTuple

from ..asg import traces
from ..asg.batching import batched, depends, spread
from ..asg.declare import ARGUMENT, EXAMPLE, INFERENCE_SAVED, LEAF_OF, SNAP, STOP, Meta, Op, get
from ..asg.geometry import broadcast
from ..asg.gradients import dense, history, is_leaf, seeded
from ..asg.node import Node, const
from ..asg.trace import current
from ..facade import texts
from ..facade.backward import grad_mode, held
from ..facade.core import Tensor, is_dense, node_of, wrap
from ..facade.families import family_of, shown_in
from ..facade.functions.creation import zeros
from ..facade.hooks import changed_by
from ..facade.inference import is_inference
from ..facade.register import bare
from ..facade.write import write
from .levels import level
from .pushed import transposed
from .vectorize import Mapped, back_to_front, forgotten, set_aside


class Custom(Op):
    """The operation of a call (``output`` -1) or of one of its outputs."""

    __slots__ = ("output",)

    output: int


_operations: weakref.WeakKeyDictionary[type, dict[int, Custom]] = weakref.WeakKeyDictionary()


def operation(cls: type, output: int) -> Custom:
    """The operation of a Function: one per class and output, so that every iteration meets the same nodes."""
    ops = _operations.setdefault(cls, {})
    if output not in ops:
        vjp, batch = (_vjp_call, _batch_call) if output < 0 else (_vjp_output, _batch_output)
        ops[output] = anonymous(f"{cls.__name__}Backward", vjp, batch, output)
    return ops[output]


def anonymous(name: str, vjp: Any, batch: Any = None, output: int = 0) -> Custom:
    """An operation outside the registry: the identity on its first operand, with a gradient of its own."""
    op = object.__new__(Custom)
    for slot in Op.__slots__:
        setattr(op, slot, None)
    op.name, op.category, op.rule, op.ref, op.vjp = name, "identity", _rule, lambda v, *_: v, vjp
    op.view, op.layout, op.params, op.differentiable, op.multi, op.pure = False, "dense", (), True, False, False
    op.saves, op.table, op.sites, op.doc = None, {}, {}, "op.custom"
    op.batch, op.output = batch or _batch_all, output
    return op


def _rule(v: Node, *rest: Any) -> Meta:
    return v.shape, v.dtype, v.strides, v.offset


def call_of(n: Node) -> Any:
    """What the forward pass left for the joint `n`, in whichever thread it was."""
    found = traces.look_up("contexts", n)
    if found is None:
        raise KeyError(n)
    return found


def _vjp_output(n: Node, g: Node) -> tuple[Any, ...]:
    """An output's gradient is laid down for the call; what flows on to the joint only says that there is one."""
    joint = n.srcs[1]
    given, i = call_of(joint).given, n.op.output  # type: ignore[attr-defined]
    given[i] = get("add")(given[i], g) if i in given else g
    return None, const(0, joint.dtype)


def _vjp_call(n: Node, g: Node) -> tuple[Any, ...]:
    """All outputs' gradients have been laid down: the user's `backward` runs, once."""
    return call_of(n).gradients(n)  # type: ignore[no-any-return]


#: Functions whose `forward` has read so often that its trace is closed at its reads, as that of a solver outside of a Function is
solving: weakref.WeakSet[type] = weakref.WeakSet()
#: Functions whose `backward` has read values
_reading: weakref.WeakSet[type] = weakref.WeakSet()


class Call:
    """One call of `Function.apply`: its context, what its outputs are like, and which inputs want a gradient.

    ``given``   gradients of outputs that a backward pass has laid down
    ``pushed``  the outputs' tangents, by those of the inputs by which they were found
    ``before``  hooks on these (`grad_fn.register_prehook`), ``after`` hooks on what `backward` made of them
    """

    def __init__(self, cls: Any, ctx: Any, args: tuple[Any, ...], outs: list[Any]) -> None:
        self.cls, self.ctx, self.total = cls, ctx, len(args)
        self.tensors = [i for i, a in enumerate(args) if is_dense(a)]
        self.places = [i for i in self.tensors if args[i].requires_grad]
        self.likes = {i: (tuple(args[i].shape), args[i].dtype, args[i].device) for i in self.tensors}
        self.outputs = [(tuple(o.shape), o.dtype, o.device) if isinstance(o, Tensor) else None for o in outs]
        self.given: dict[int, Node] = {}
        self.pushed: dict[tuple[tuple[int, Node], ...], list[Node | None]] = {}
        self.before: dict[int, Any] = {}
        self.after: dict[int, Any] = {}

    def gradients(self, joint: Node) -> tuple[Any, ...]:
        """The inputs' gradients, from those of the outputs."""
        given, self.given = self.given, {}
        if seeded(tuple(given.values())):
            if not self.cls._has_jvp():
                self.cls.jvp(self.ctx)  # which says that there is none
            return transposed(self, joint, given)
        grads: tuple[Any, ...] = tuple([self._of_output(i, like, given) for i, like in enumerate(self.outputs)])
        tr = current()
        flushes = tr.flushes
        with held():  # what the user's code reads or makes a leaf of must not end the trace under the backward pass around it
            found = self._asked(grads)
        if tr.flushes > flushes:
            _reading.add(self.cls)
        return tuple([None if t is None else node_of(t) for t in found])

    @property
    def reads(self) -> bool:
        """Whether the Function's `backward` has read values: then it is not run in the middle of a trace, but by `computed`."""
        return self.cls in _reading or self.cls in solving

    def computed(self, given: dict[int, Tensor]) -> list[Tensor | None]:
        """The inputs' gradients, from computed ones of the outputs, in a trace of its own."""
        grads = [given[i] if i in given else self._of_output(i, like, {}) for i, like in enumerate(self.outputs)]
        return self._asked(tuple(grads))

    def _asked(self, grads: tuple[Any, ...]) -> list[Tensor | None]:
        """What the user's `backward` gives for the inputs that want a gradient."""
        for hook in list(self.before.values()):
            changed = hook(grads)
            if changed is not None:
                grads = changed if isinstance(changed, tuple) else (changed,)
        tr = current()
        running = tr.running
        out = self.cls._backward_of()(self.ctx, *grads)
        tr.running = running  # it may have run a backward pass of its own
        if running is not None and not tr.level and not running[1]:
            self.ctx._release()
        out = self._checked(out)
        if self.after:
            self._run_after(out, grads)
        found = []
        for place in self.places:
            grad, shape = out[place], self.likes[place][0]
            if grad is not None and tuple(grad.shape) != shape and not _fits(tuple(grad.shape), shape):
                raise RuntimeError(
                    f"Function {self.cls.__name__}Backward returned an invalid gradient at index {place} - got {list(grad.shape)} "
                    f"but expected shape compatible with {list(shape)}"
                )
            found.append(grad)
        return found

    def _of_output(self, i: int, like: Any, given: dict[int, Node]) -> Any:
        if i in given:
            g = given[i]  # claimed, so that it is computed for those who keep it; what gradients end at keeps its identity
            return wrap(dense(SNAP(g) if not g.srcs or is_leaf(g) or g.op is ARGUMENT or g.op is EXAMPLE else g))
        if like is None or not self.ctx.materialize_grads:
            return None
        return zeros(like[0], dtype=like[1], device=like[2])

    def _checked(self, out: Any) -> list[Any]:
        """What `backward` returned, an entry for each argument."""
        out = list(out) if isinstance(out, tuple) else [out]
        name = self.cls.__name__
        if len(out) > self.total and all(o is None for o in out[self.total :]):
            out = out[: self.total]
        if len(out) != self.total:
            raise RuntimeError(f"function {name}Backward returned an incorrect number of gradients (expected {self.total}, got {len(out)})")
        for i, grad in enumerate(out):
            if grad is not None and i not in self.tensors:
                raise RuntimeError(
                    f"function {name}Backward returned a gradient different than None at position {i + 1}, but the corresponding forward "
                    "input was not a Variable"
                )
            if grad is not None and not isinstance(grad, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(grad).__name__})")
        return out

    def _run_after(self, out: list[Any], grads: tuple[Any, ...]) -> None:
        inputs = tuple([out[i] if i in self.places else None for i in self.tensors])
        for i, grad in zip(self.tensors, changed_by(self.after, inputs, grads), strict=True):
            out[i] = grad


def _fits(grad: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        return broadcast(grad, shape) == grad
    except RuntimeError:
        return False


# ---------------------------------------------------------------- the forward pass
def connect(cls: Any, ctx: Any, args: tuple[Any, ...], outs: list[Any]) -> list[Any]:
    """The outputs of a forward pass, each with the call as its history."""
    call = Call(cls, ctx, args, outs)
    joint = operation(cls, -1)(*[node_of(args[i]) for i in call.places])
    contexts = current().contexts
    joint = unused(joint, contexts)
    contexts[joint] = call
    inputs = [a for a in args if is_dense(a)]
    made: list[Any] = []
    outputs: dict[int, Tensor] = {}  # by the identity of what `forward` returned
    for i, o in enumerate(outs):
        floats = is_dense(o) and (o.dtype.is_floating_point or o.dtype.is_complex)
        if not floats or any(o is x for x in ctx._non_differentiable):
            made.append(as_new(o, inputs, ctx._dirty))
        elif any(o is x for x in ctx._dirty):
            write(o, lambda v, i=i: operation(cls, i)(v, joint))  # type: ignore[misc]
            made.append(o)
        else:
            n = operation(cls, i)(node_of(o), joint)
            shown = any(o is x or (o._f is not None and x._f is not None and x._f.cell is o._f.cell) for x in inputs)
            t = shown_in(o, n) if shown and not current().level else wrap(n)
            if shown:
                t.__dict__["_within"] = cls.__name__
            if id(o) in outputs:  # the same tensor twice is one output, the last
                made = [t if m is outputs[id(o)] else m for m in made]
            outputs[id(o)] = t
            made.append(t)
    ctx._keep(outputs)
    return made


def as_new(o: Any, inputs: list[Any], dirty: tuple[Any, ...]) -> Any:
    """An output without history: an input that was returned as it is becomes another tensor on the same memory."""
    if is_dense(o) and any(o is x for x in inputs) and not any(o is x for x in dirty):
        with grad_mode(False):
            return o.view_as(o)  # type: ignore[attr-defined]
    return o


def check_dirty(dirty: tuple[Any, ...], outs: list[Any]) -> None:
    """Inputs that were modified in place have to be outputs."""
    if not all(any(o is d for o in outs) for d in dirty):
        raise RuntimeError(
            "Some elements marked as dirty during the forward method were not returned as output. The inputs that are modified inplace "
            "must all be outputs of the Function."
        )


def unused(joint: Node, contexts: dict[Node, Any]) -> Node:
    """An identity of a joint of its own for a call: the same function of the same operands may be called several times."""
    if joint not in contexts:
        return joint
    return next((t for t in joint.twins or () if t not in contexts), None) or joint.twin()


class Kept:
    """A tensor that was saved for `backward`, at the version it had."""

    __slots__ = ("_region", "_value", "_version")

    def __init__(self, t: Any) -> None:
        saving = current().saving
        if t is not None and not is_dense(t):  # its version is not that of its values
            self._region, self._value, self._version = None, t, None
            return
        if t is not None and current().inference is None and is_inference(t):
            raise RuntimeError(INFERENCE_SAVED)
        if saving and t is not None:
            self._region: Any = saving[-1]
            self._value, self._version = self._region.pack(t), 0
        else:
            self._region, self._value, self._version = None, t, None if t is None else family_of(t).counter.version

    def tensor(self) -> Any:
        """The tensor; refused if it was modified since."""
        t = self._value
        if self._region is not None:
            return self._region.unpack(t)
        if self._version is not None and family_of(t).counter.version != self._version:
            raise RuntimeError(texts.overwritten(t.shape))
        return t


# ---------------------------------------------------------------- batches
def _batch_all(n: Node, values: dict[Node, Node], size: int) -> Node:
    return n.op(*[_whole(s, values, size) for s in n.srcs], *n.attrs)


def _whole(n: Node, values: dict[Node, Node], size: int) -> Node:
    return values[n] if n in values else spread(n, size)


def _batch_output(n: Node, values: dict[Node, Node], size: int) -> Node:
    value, joint = n.srcs
    if joint not in values:  # it depends on the example through something that is no argument
        values[joint] = _batch_call(joint, values, size)
    return n.op(_whole(value, values, size), values[joint])


def _batch_call(n: Node, values: dict[Node, Node], size: int) -> Node:
    """The joint of a whole batch. What was saved is among its operands, too: of a history that is replayed, these are what is known."""
    call = call_of(n)
    saved = [s for t in call.ctx._tensors() if (s := node_of(t)) not in n.srcs]
    inner = [s.srcs[0] if not s.op.pure and n in s.srcs else s for s in saved]  # of an output its value
    found = zip(saved, batched(inner, values, size), strict=True)
    further = [(s, w) for s, w in found if w is not None]
    operands = [_whole(s, values, size) for s in n.srcs]
    contexts = current().contexts
    joint = unused(n.op(*operands, *[STOP(w) if w.rg else w for _, w in further]), contexts)
    contexts[joint] = _Batch(call, n, [s for s, _ in further], values, size)
    return joint


class _Batch:
    """A call for each example of a batch: `backward` runs once, on one example, and is rebuilt for all of them."""

    def __init__(self, call: Any, joint: Node, saved: list[Node], values: dict[Node, Node], size: int) -> None:
        self.call, self.joint, self.saved, self.values, self.size = call, joint, saved, values, size
        self.ctx, self.before, self.after = call.ctx, call.before, call.after
        self.given: dict[int, Node] = {}
        self._when = current().index, current().generation

    def gradients(self, joint: Node) -> tuple[Any, ...]:
        tr = current()
        given, self.given = self.given, {}
        values = dict(self.values)
        count = len(self.joint.srcs)
        values.update(zip(self.joint.srcs, joint.srcs, strict=False))
        if (tr.index, tr.generation) != self._when:
            values.update(zip(self.saved, joint.srcs[count:], strict=True))
        earlier, families = set(tr.claims), len(tr.families)
        with level() as depth, forgotten(tr, earlier, families):
            mapped = Mapped(self.size, "different", depth)
            mapped.values = values
            for i, g in given.items():
                self.call.given[i] = mapped.stand_in(g, g.rg and tr.grad, -1 - i)
            tr.mapped.append(mapped)
            try:
                parts = self.call.gradients(self.joint)
            finally:
                tr.mapped.pop()
            wholes = batched([p for p in parts if p is not None], values, self.size)
        rest = iter(wholes)
        found = [None if p is None else spread(p, self.size) if (w := next(rest)) is None else w for p in parts]
        return (*found, *[None] * (len(joint.srcs) - count))


# ---------------------------------------------------------------- a `vmap` of the user's
class VmapInfo(NamedTuple):
    """What a Function's `vmap` is told of the batch."""

    batch_size: int
    randomness: str


def through_vmap(cls: Any, args: tuple[Any, ...]) -> tuple[Any, bool] | None:
    """What the user's `vmap` gives for arguments that stand for one example, and whether that has its history already. None if none of
    them does.

    It has, unless a transform inside of vmap differentiates by something that is known only as one example.
    """
    tr = current()
    mapped = tr.mapped[-1]
    nodes = {i: node_of(a) for i, a in enumerate(args) if is_dense(a)}
    wholes = dict(zip(nodes, batched(list(nodes.values()), mapped.values, mapped.size), strict=True))
    if all(w is None for w in wholes.values()):
        return None
    inside = any((m.op is ARGUMENT and m.attrs[0] > mapped.depth) or (m.op is LEAF_OF and depends([m]))
                 for m in history(tuple(nodes.values())))  # fmt: skip
    in_dims = tuple([None if wholes.get(i) is None else 0 for i in range(len(args))])
    given = [a if wholes.get(i) is None else bare(wholes[i]) for i, a in enumerate(args)]  # type: ignore[arg-type]
    tr.mapped.pop()
    try:
        with set_aside(tr), grad_mode(tr.grad and not inside):
            out, dims = cls.vmap(VmapInfo(mapped.size, mapped.randomness), in_dims, *given)
    finally:
        tr.mapped.append(mapped)
    single = not isinstance(out, tuple)
    outs, places = ((out,), (dims,)) if single else (out, dims if isinstance(dims, tuple) else (dims,) * len(out))
    made = tuple([o if d is None else _one_of(o, d, mapped, tr.grad and not inside) for o, d in zip(outs, places, strict=True)])
    return made[0] if single else made, not inside


def _one_of(o: Tensor, d: int, mapped: Mapped, grad: bool) -> Tensor:
    whole = back_to_front(node_of(o), d % len(o.shape))
    return wrap(mapped.stand_in(whole, whole.rg and grad))
