"""Custom operations with a Python forward and backward.

Both run while recording: the operations of `forward` are in the graph, and so are those of `backward` when a gradient is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Callable
from typing import Any

from ..asg import trace
from ..asg.declare import Meta, Op
from ..asg.node import Node, const
from ..asg.trace import current
from ..facade.backward import grad_mode, held
from ..facade.core import Tensor, family_of, node_of, wrap
from ..facade.functions.creation import zeros
from ..facade.register import bare


class FunctionCtx:
    """What `forward` leaves for `backward`."""

    def __init__(self) -> None:
        self._saved: tuple[Any, ...] = ()
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []
        self._freed = False

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for `backward`, where they are `saved_tensors`."""
        self._saved = tensors

    save_for_forward = save_for_backward

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        return self._saved

    saved_variables = saved_tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Declare inputs that `forward` modified in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Declare outputs that have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing output gradients reach `backward` as zeros (default) or as None."""
        self.materialize_grads = value


def _rule(v: Node, *rest: Any) -> Meta:
    return v.shape, v.dtype, v.strides, v.offset


def _vjp_output(n: Node, g: Node) -> tuple[Any, ...]:
    """An output's gradient is laid down for the call; what flows on to the call's node only says that there is one."""
    call, index = _context(n)
    call.given[index] = g
    return None, const(0, n.srcs[1].dtype)


def _vjp_call(n: Node, g: Node) -> tuple[Any, ...]:
    """All outputs' gradients have been laid down: the user's `backward` runs, once."""
    return _context(n).gradients()  # type: ignore[no-any-return]


def _context(n: Node) -> Any:
    """What the forward pass left for a node, in whichever thread it was."""
    found = trace.look_up("contexts", n)
    if found is None:
        raise KeyError(n)
    return found


class _Call:
    """One call of `Function.apply`: its context, what its outputs are like, and the inputs that want a gradient."""

    def __init__(self, cls: Any, ctx: FunctionCtx, args: tuple[Any, ...], outs: list[Any]) -> None:
        self.cls, self.ctx, self.total = cls, ctx, len(args)
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor) and a.requires_grad]
        self.tensors = [args[i] for i in self.places]
        self.outputs = [(tuple(o.shape), o.dtype, o.device) if isinstance(o, Tensor) else None for o in outs]
        self.given: dict[int, Node] = {}

    def gradients(self) -> tuple[Any, ...]:
        given, self.given = self.given, {}
        grads = []
        for i, like in enumerate(self.outputs):
            if i in given:
                grads.append(bare(given[i]))
            else:
                grads.append(zeros(*like[0], dtype=like[1], device=like[2]) if like is not None and self.ctx.materialize_grads else None)
        name = self.cls.__name__
        with held():  # what the user's code reads or makes a leaf of must not end the trace under the backward pass around it
            out = self.cls.backward(self.ctx, *grads)
        out = out if isinstance(out, tuple) else (out,)
        if len(out) > self.total and all(o is None for o in out[self.total :]):
            out = out[: self.total]
        if len(out) != self.total:
            raise RuntimeError(f"function {name}Backward returned an incorrect number of gradients (expected {self.total}, got {len(out)})")
        found: list[Any] = []
        for place, t in zip(self.places, self.tensors, strict=True):
            grad = out[place]
            if grad is not None and not isinstance(grad, Tensor):
                raise RuntimeError(f"expected Variable or None (got {type(grad).__name__})")
            if grad is not None and tuple(grad.shape) != tuple(t.shape) and not _fits(tuple(grad.shape), tuple(t.shape)):
                raise RuntimeError(
                    f"Function {name}Backward returned an invalid gradient at index {place} - got {list(grad.shape)} but expected shape compatible with {list(t.shape)}"  # noqa: E501
                )
            found.append(None if grad is None else node_of(grad))
        return tuple(found)


def _fits(grad: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    try:
        from ..asg.geometry import broadcast

        return broadcast(grad, shape) == grad
    except RuntimeError:
        return False


class Function:
    """Subclass with static methods ``forward(ctx, *args)`` (or ``forward(*args)`` and ``setup_context``) and ``backward(ctx, *grads)``; call ``Sub.apply(*args)``."""  # noqa: E501

    generate_vmap_rule = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError(
            f"{type(self)} should not be instantiated. Methods on autograd functions are all static, so you should invoke them on the class itself."  # noqa: E501
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """The result, from tensors and anything else."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Store what `backward` needs, for a `forward` that takes no ctx."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient of each input, or None."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Run `forward` and connect its results to `backward`."""
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple(isinstance(a, Tensor) and a.requires_grad for a in args)
        recording = current().grad and any(ctx.needs_input_grad)
        # where the result has a history, `forward` is a part of an iteration, however often it calls a module or reads: see boundary.py
        with held() if recording else contextlib.nullcontext(), grad_mode(False):
            if cls.setup_context is not Function.setup_context:
                out = cls.forward(*args)
                cls.setup_context(ctx, args, out)
            else:
                out = cls.forward(ctx, *args)
        if not recording:
            return out
        single = not isinstance(out, tuple)
        outs = [out] if single else list(out)
        made = cls._connect(ctx, args, outs)
        return made[0] if single else tuple(made)

    @classmethod
    def _connect(cls, ctx: FunctionCtx, args: tuple[Any, ...], outs: list[Any]) -> list[Any]:
        call = _Call(cls, ctx, args, outs)
        contexts = current().contexts
        joint = _operation(cls, -1)(*[node_of(t) for t in call.tensors])
        if joint in contexts:  # the same function of the same operands, called before: its own history
            joint = joint.twin()
        contexts[joint] = call
        made = []
        replaced: dict[int, Tensor] = {}
        for i, o in enumerate(outs):
            if (
                not isinstance(o, Tensor)
                or any(o is x for x in ctx._non_differentiable)
                or not (o.dtype.is_floating_point or o.dtype.is_complex)
            ):
                made.append(o)
                continue
            n = _operation(cls, i)(node_of(o), joint)
            if any(o is x for x in ctx._dirty):
                f = family_of(o)
                f.h, f.cell.writer = n, current().index
                f.take_part()
                f.invalidate()
                contexts[n] = (call, i)
                made.append(o)
                continue
            t = wrap(n)
            contexts[t._n] = (call, i)  # type: ignore[index]
            replaced[id(o)] = t
            made.append(t)
        ctx._saved = tuple(replaced.get(id(s), s) if isinstance(s, Tensor) else s for s in ctx._saved)
        return made


_operations: weakref.WeakKeyDictionary[type, dict[int, Op]] = weakref.WeakKeyDictionary()


def _operation(cls: type, index: int) -> Op:
    """The operation standing for output `index` of a Function, or for the call itself (-1): one per class, so that every iteration meets the same nodes."""  # noqa: E501
    ops = _operations.setdefault(cls, {})
    if index not in ops:
        ops[index] = _anonymous(f"{cls.__name__}Backward", _vjp_call if index < 0 else _vjp_output)
    return ops[index]


def _anonymous(name: str, vjp: Any) -> Op:
    """An operation outside the registry: the identity on its first operand, with a gradient of its own."""
    op = object.__new__(Op)
    for slot in Op.__slots__:
        setattr(op, slot, None)
    op.name, op.category, op.rule, op.ref, op.vjp = name, "identity", _rule, lambda v, *_: v, vjp
    op.view, op.layout, op.params, op.differentiable, op.multi, op.pure = False, "dense", (), True, False, False
    op.saves, op.table, op.sites, op.doc = (lambda n: ()), {}, {}, "op.custom"
    return op


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator for a `backward` whose result must not be differentiated again."""

    @functools.wraps(fn)
    def wrapped(ctx: Any, *grads: Any) -> Any:
        with grad_mode(False):
            out = fn(ctx, *grads)
        if not (current().grad and any(isinstance(g, Tensor) and g.requires_grad for g in grads)):
            return out
        error = RuntimeError("trying to differentiate twice a function that was marked with @once_differentiable")

        def refuse(n: Node, g: Node) -> tuple[Any, ...]:
            raise error

        sources = [node_of(g) for g in grads if isinstance(g, Tensor)]
        many = isinstance(out, tuple)
        made = tuple(None if o is None else wrap(_anonymous("Error", refuse)(node_of(o), *sources)) for o in (out if many else (out,)))
        return made if many else made[0]

    return wrapped


InplaceFunction = Function
