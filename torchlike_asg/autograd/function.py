"""Custom operations with a Python forward and backward.

Both run while recording: the operations of `forward` are in the graph, and so are those of `backward` when a gradient is asked for.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

from ..asg import trace
from ..asg.node import Node
from ..asg.trace import current
from ..facade import texts
from ..facade.backward import grad_mode
from ..facade.core import Tensor, is_dense, node_of, wrap
from .custom import Kept, anonymous, as_new, check_dirty, connect, solving, through_vmap

__all__ = ["Function", "FunctionCtx", "InplaceFunction", "once_differentiable"]


class FunctionCtx:
    """What `forward` leaves for `backward`. Attributes of one's own are free; they are also those of the result's ``grad_fn``."""

    def __init__(self) -> None:
        self.needs_input_grad: tuple[bool, ...] = ()
        self.materialize_grads = True
        self._to_save: tuple[Any, ...] = ()
        self._for_forward: tuple[Any, ...] = ()
        self._in_jvp = False
        self._kept: list[Kept] | None = None
        self._released = False
        self._non_differentiable: tuple[Tensor, ...] = ()
        self._dirty: tuple[Tensor, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for `backward`, where they are `saved_tensors`. A second call replaces the first."""
        for i, t in enumerate(tensors):
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_backward can only save variables, but argument {i} is of type {type(t).__name__}")
        self._to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors (or None) for `jvp`."""
        for t in tensors:
            if t is not None and not isinstance(t, Tensor):
                raise TypeError(f"save_for_forward expects all arguments to be tensors; you should save non-tensors as attributes on ctx. (got {type(t).__name__})")  # noqa: E501  # fmt: skip
        self._for_forward = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved. RuntimeError if a tensor was modified in place since, or a backward pass has freed them."""
        if self._in_jvp and self._for_forward:
            return self._for_forward
        if self._released:
            raise RuntimeError(texts.TWICE)
        if self._kept is None:
            return self._to_save or self._for_forward
        return tuple([kept.tensor() for kept in self._kept])

    saved_variables = saved_tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Declare inputs that `forward` modified in place. They have to be among its outputs."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Declare outputs that have no gradient."""
        self._non_differentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing output gradients reach `backward` as zeros (default) or as None."""
        self.materialize_grads = value

    # ---------------------------------------------------------------- the call's
    def _keep(self, outputs: dict[int, Tensor]) -> None:
        """The forward pass is over; `outputs` are what became of the tensors that it returned, by their identity."""
        self._kept = [Kept(outputs.get(id(t), t)) for t in self._to_save or self._for_forward]
        self._to_save = ()
        self._for_forward = tuple([outputs.get(id(t), t) for t in self._for_forward])

    @contextlib.contextmanager
    def _pushing(self) -> Iterator[None]:
        """While `jvp` runs, what is saved is what was saved for it."""
        self._in_jvp = True
        try:
            yield
        finally:
            self._in_jvp = False

    def _tensors(self) -> list[Tensor]:
        return [] if self._released else [t for t in self.saved_tensors if isinstance(t, Tensor)]

    def _release(self) -> None:
        """A backward pass that keeps nothing has read what was saved."""
        self._released = bool(self._kept)
        self._kept = []


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
        """Store what `backward` needs, for a `forward` that takes no ctx. `inputs` holds the defaults of arguments not given, too."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradient of each input, or None."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it with backward mode AD."
        )

    #: another name for `backward`
    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangent of each output, from those of the inputs. Without it, forward mode raises NotImplementedError."""
        raise NotImplementedError("You must implement the jvp function for custom autograd.Function to use it with forward mode AD.")

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> Any:
        """(outputs, their batch dimensions) for arguments with the batch at `in_dims`, if what `forward` does cannot be rebuilt for a
        batch, as with NumPy. ``info`` has ``batch_size`` and ``randomness``."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set generate_vmap_rule=True."
        )

    @classmethod
    def _has_jvp(cls) -> bool:
        return cls.jvp is not Function.jvp

    @classmethod
    def _backward_of(cls) -> Callable[..., Any]:
        backward, vjp = cls.backward is not Function.backward, cls.vjp is not Function.vjp
        if backward and vjp:
            raise RuntimeError("Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of them.")  # noqa: E501  # fmt: skip
        return cls.vjp if vjp else cls.backward

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run `forward` and connect its results to `backward`."""
        apart = cls.setup_context is not Function.setup_context
        if apart:
            args, kwargs = _bound(cls.forward, args, kwargs), {}
        tr = current()
        ctx = FunctionCtx()
        ctx.needs_input_grad = tuple([isinstance(a, Tensor) and a.requires_grad for a in args])
        recording = (tr.grad or tr.forward) and any(ctx.needs_input_grad)
        own = through_vmap(cls, args) if tr.mapped and cls.vmap is not Function.vmap else None
        if own is not None and own[1]:
            return own[0]
        with _Forward(cls, tr) if recording and (cls not in solving or tr.level) else contextlib.nullcontext(), grad_mode(False):
            if apart:
                out = cls.forward(*args) if own is None else own[0]
                cls.setup_context(ctx, args, out)
            else:
                out = cls.forward(ctx, *args, **kwargs) if own is None else own[0]
        single = not isinstance(out, tuple)
        outs = [out] if single else list(out)
        if ctx._dirty:
            check_dirty(ctx._dirty, outs)
        if recording:
            outs = connect(cls, ctx, args, outs)
        else:
            inputs = [a for a in args if is_dense(a)]
            outs = [as_new(o, inputs, ctx._dirty) for o in outs]
        return outs[0] if single else tuple(outs)


class _Forward:
    """While `forward` runs. Where the result has a history, it is a part of an iteration, however often it calls a module: see boundary.py.
    One that reads time and again is a loop of its own, whose trace is closed as it would be outside of a Function.
    """

    __slots__ = ("cls", "flushes", "holds", "outer", "tr")

    def __init__(self, cls: type, tr: trace.Trace) -> None:
        self.cls, self.tr = cls, tr

    def __enter__(self) -> None:
        tr = self.tr
        self.holds, self.flushes, self.outer = True, tr.flushes, tr.loop
        tr.held += 1
        tr.loop = self

    def __exit__(self, *exc: object) -> None:
        self.tr.held -= self.holds
        self.tr.loop = self.outer

    def read(self) -> None:
        """Something was read."""
        tr = self.tr
        if self.holds and tr.held == 1 and not tr.level and tr.flushes - self.flushes >= trace.READS:
            solving.add(self.cls)
            tr.held, self.holds = 0, False


@functools.lru_cache(512)
def _signature(forward: Callable[..., Any]) -> tuple[inspect.Signature, int]:
    """A signature, and how many arguments fill it (-1: any number)."""
    found = inspect.signature(forward)
    kinds = [p.kind for p in found.parameters.values()]
    return found, -1 if inspect.Parameter.VAR_POSITIONAL in kinds else len(kinds)


def _bound(forward: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...]:
    """All arguments by their places, with the defaults of those that are not given."""
    signature, count = _signature(forward)
    if not kwargs and len(args) == count:
        return args
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args


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
        made = tuple(None if o is None else wrap(anonymous("Error", refuse)(node_of(o), *sources)) for o in (out if many else (out,)))
        return made if many else made[0]

    return wrapped


InplaceFunction = Function
