"""Derivatives of functions: reverse mode by a sweep, forward mode by a sweep over a sweep.

With g(u) the gradient of ``f(x) . u``, which is linear in u, the derivative of ``g(u) . v`` by u is the derivative of f along v:
forward mode needs no rules of its own, and every operation with two derivatives has it.
"""

from __future__ import annotations

import functools
import itertools
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from ..asg import gradients
from ..asg.declare import get
from ..asg.node import Node
from ..asg.trace import current
from ..facade import texts
from ..facade.backward import check, grad_mode
from ..facade.captured import Transform, recording
from ..facade.core import Tensor, node_of
from ..facade.functions.creation import zeros_like
from ..facade.write import hand_out
from ..pytree import TreeSpec, tree_flatten, tree_map, tree_unflatten
from .levels import Depth, argument, differentiating, level, result

Argnums = int | tuple[int, ...]


# ---------------------------------------------------------------- arguments
def chosen(argnums: Argnums, args: tuple[Any, ...]) -> list[int]:
    """The positions named, counted from the front."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    positions = [argnums] if isinstance(argnums, int) else list(argnums)
    if not positions:
        raise RuntimeError("argnums must be non-empty")
    for p in positions:
        if not isinstance(p, int):
            raise RuntimeError(f"argnum must be int or tuple of ints, got {type(p).__name__}")
        if not -len(args) <= p < len(args):
            raise RuntimeError(f"Got argnum={p}, but only {len(args)} positional inputs")
    found = [p % len(args) for p in positions]
    if len(set(found)) < len(found):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return found


_LASTING = 1 << 16  # more than a transform has arguments
_lasting: weakref.WeakSet[Recorded] = weakref.WeakSet()


class Recorded:
    """A function recorded on arguments to differentiate by: those arguments' nodes, the leaves of its output and how they are nested."""

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], places: Sequence[int], depth: Depth,
                 has_aux: bool, name: str, forward: bool = False, lasting: bool = False, captures: bool = False) -> None:  # fmt: skip
        given, self.spec = tree_flatten(tuple(args[p] for p in places))
        for t in given:
            if not isinstance(t, Tensor):
                if forward:
                    raise RuntimeError(f"{name}: Expected all inputs to differentiate by to be Tensors, got {type(t).__name__}")
                raise ValueError(f"Thing passed to transform API must be Tensor, got {type(t)}")
            if not (t.dtype.is_floating_point or t.dtype.is_complex):
                if forward:
                    raise ValueError(f"Expected primal to be floating point or complex, but got: {t.dtype}")
                raise RuntimeError(f"only Tensors of floating point dtype can require gradients ({name} got {t.dtype})")
        self.given, self.depth, self.forward = given, depth, forward
        self.first = self._free_index() if lasting else 0
        inputs = [argument(t, depth, self.first + i) for i, t in enumerate(given)]
        self.arguments, self.inputs = inputs, [node_of(t) for t in inputs]
        parts = tree_unflatten(inputs, self.spec)
        changed = list(args)
        for p, value in zip(places, parts, strict=True):
            changed[p] = value
        tr = current()
        tr.forward += forward
        transform = Transform(forward, lambda n: node_of(result(n, depth)), captures)
        transform.arguments += zip(inputs, given, strict=True)
        transform.also_given(tree_flatten(([a for p, a in enumerate(args) if p not in places], kwargs))[0])
        try:
            with grad_mode(True), recording(transform):
                out = func(*changed, **kwargs)
        finally:
            tr.forward -= forward
        self.aux = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise RuntimeError(f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True")
            out, aux = out
            self.aux = tree_map(self._outside, aux)
        self.out = out
        self.leaves, self.out_spec = tree_flatten(out)
        for t in self.leaves:
            if not isinstance(t, Tensor):
                raise RuntimeError(f"{name}: Expected f to return only tensors, got unsupported type {type(t).__name__}")
        self.outputs = [node_of(t) for t in self.leaves]
        written = transform.written()
        stale = tr.stale.copy() if written else tr.stale
        for t in written:  # outside it holds the value, without the history that it has in here: nothing is overwritten
            hand_out(transform.outside(node_of(t)), t)
            tr.stale &= stale
        self.made = tr.index, tr.generation

    def present(self) -> None:
        """What was recorded goes on in the present trace, if reads have ended that one since."""
        tr = current()
        if self.made != (tr.index, tr.generation):
            self.made = tr.index, tr.generation
            with level():  # inside a transform, histories are recorded again whole
                self.inputs, self.outputs = [node_of(t) for t in self.arguments], [node_of(t) for t in self.leaves]

    def _free_index(self) -> int:
        """Where the arguments of a function that outlives its transform begin: they are told from those of others like it, and of
        transforms of the same depth that use it."""
        taken = {r.first for r in _lasting if r.depth == self.depth}
        _lasting.add(self)
        return next(i for i in itertools.count(_LASTING, _LASTING) if i not in taken)

    def _outside(self, x: Any) -> Any:
        return result(node_of(x), self.depth) if isinstance(x, Tensor) else x

    def value(self) -> Any:
        """What the function returned."""
        return tree_unflatten([result(n, self.depth) for n in self.outputs], self.out_spec)

    def pulled(self, seeds: Sequence[Node]) -> list[Node]:
        """The gradients of the inputs for these gradients of the outputs."""
        swept = gradients.sweep(tuple(self.outputs), tuple(seeds), wanted=frozenset(self.inputs)) if self.outputs else None
        if swept is not None and not self.forward:  # tangents go along with the values, also where these are overwritten afterwards
            # nobody enters the histories that arguments and captured tensors have outside: they may be freed
            check(swept.roots, tuple([n for n in swept.savers if not gradients.is_leaf(n)]), current())
        found = [None if swept is None else swept.gradients.get(n) for n in self.inputs]
        return [get("zeros_of")(n) if g is None else g for n, g in zip(self.inputs, found, strict=True)]

    def refuse_independent(self, name: str) -> None:
        """RuntimeError if one of the outputs depends on none of the inputs."""
        if any([set(gradients.history((n,))).isdisjoint(self.inputs) for n in self.outputs]):
            raise RuntimeError(f"{name}: The output of f is independent of the inputs. This is not allowed with strict=True.")

    def pushed(self, tangents: Sequence[Node]) -> list[Node]:
        """The directional derivatives of the outputs: by forward mode, or by reverse mode twice, which asks for no `jvp`."""
        first, step = (-1 - self.first, -1) if self.forward else (len(self.inputs) + self.first, 1)
        seeds = [node_of(argument(zeros_like(t), self.depth, first + step * i)) for i, t in enumerate(self.leaves)]
        pulled = [g for g in zip(self.pulled(seeds), tangents, strict=True) if g[0].rg]
        swept = gradients.sweep(tuple([g for g, _ in pulled]), tuple([v for _, v in pulled])) if pulled else None
        found = [None if swept is None else swept.gradients.get(s) for s in seeds]
        return [get("zeros_of")(n) if g is None else g for n, g in zip(self.outputs, found, strict=True)]


def _shaped(values: list[Node], spec: TreeSpec, depth: Depth, own: Sequence[Node] = ()) -> Any:
    return tree_unflatten([result(n, depth, own) for n in values], spec)


# ---------------------------------------------------------------- gradients of scalars
def grad_and_value(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function returning (gradient of ``func``'s scalar result by the arguments `argnums`, that result), or (gradient, (result, aux))."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with differentiating() as depth:
            places = chosen(argnums, args)
            r = Recorded(func, args, kwargs, places, depth, has_aux, "grad_and_value(f)(*args)")
            if not isinstance(r.out, Tensor):
                raise RuntimeError(
                    "Expected f(*args) to return a Tensor"
                    + (" as its first output" if has_aux else "")
                    + f", got tensor or other of type {type(r.out).__name__}"
                )
            if r.out.shape:
                raise RuntimeError(
                    f"Expected f(*args) to return a scalar Tensor, got tensor with {len(r.out.shape)} dims. "
                    "Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            if r.out.dtype.is_complex:
                raise RuntimeError(texts.REAL_ONLY.format(r.out.dtype))
            parts = _shaped(r.pulled([gradients.ones(r.outputs[0])]), r.spec, depth)
            value = r.value()
        found = parts[0] if isinstance(argnums, int) else parts
        return (found, (value, r.aux)) if has_aux else (found, value)

    return wrapper


def grad(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function returning the gradient of ``func``'s scalar result by the arguments `argnums` (and aux, with `has_aux`)."""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return wrapper


# ---------------------------------------------------------------- products with the Jacobian
def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> Any:
    """(``func(*primals)``, a function from gradients of the outputs to those of the inputs), with `has_aux` also what else it returns."""
    with differentiating() as depth:
        r = Recorded(func, primals, {}, range(len(primals)), depth, has_aux, "vjp(f, *primals)", lasting=True)
        value = r.value()

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given, spec = tree_flatten(cotangents)
        if spec != r.out_spec:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {spec}, primal output: {r.out_spec}"
            )
        for t, o in zip(given, r.leaves, strict=True):
            if tuple(t.shape) != tuple(o.shape):
                raise RuntimeError(f"Mismatch in shape: grad_output has a shape of {t.shape} and output has a shape of {o.shape}.")
            if t.dtype.is_complex is not o.dtype.is_complex:
                raise RuntimeError(texts.ONE_FIELD.format(0, t.dtype, o.dtype))
        tr = current()
        r.present()
        around = Depth(max(depth, tr.level + 1), tr.grad)  # the transforms that call this one are as far out
        with grad_mode(True):
            return _shaped(r.pulled([node_of(t) for t in given]), r.spec, around, r.inputs)

    return (value, pull, r.aux) if has_aux else (value, pull)


def _directions(primals: Any, tangents: Any, name: str) -> list[Tensor]:
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple):
        raise RuntimeError(f"{name}: Expected primals and tangents to be tuples. E.g. it should be valid to call f(*primals).")
    given, spec = tree_flatten(primals)
    if not given:
        raise RuntimeError(f"{name}: Expected primals to contain at least one Tensor.")
    along, other = tree_flatten(tangents)
    if spec != other:
        raise RuntimeError(f"{name}: Expected primals and tangents to have the same python structure. primals: {spec}, tangents: {other}")
    for p, t in zip(given, along, strict=True):
        if tuple(p.shape) != tuple(t.shape):
            raise RuntimeError(f"{name}: Expected primal and tangent to have the same shape, but got {p.shape} and {t.shape}")
    return along


def jvp(func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False) -> Any:
    """(``func(*primals)``, its derivative along `tangents`), with `has_aux` also what else it returns. `strict`: RuntimeError if an output
    depends on none of the inputs."""
    along = _directions(primals, tangents, "jvp(f, primals, tangents)")
    with differentiating() as depth:
        r = Recorded(func, primals, {}, range(len(primals)), depth, has_aux, "jvp(f, primals, tangents)", True)
        if strict:
            r.refuse_independent("jvp(f, primals, tangents, strict=True)")
        found = _shaped(r.pushed([node_of(t) for t in along]), r.out_spec, depth)
        value = r.value()
    return (value, found, r.aux) if has_aux else (value, found)


def linearize(func: Callable[..., Any], *primals: Any) -> Any:
    """(``func(*primals)``, its derivative there as a function of tangents)."""
    with differentiating() as depth:
        r = Recorded(func, primals, {}, range(len(primals)), depth, False, "linearize(f, *primals)", True, True)
        value = r.value()

    def push(*tangents: Any) -> Any:
        along = _directions(primals, tangents, "linearize(f, *primals)[1](*tangents)")
        tr = current()
        r.present()
        around = Depth(max(depth, tr.level + 1), depth.tracked)
        with grad_mode(True):
            return _shaped(r.pushed([node_of(t) for t in along]), r.out_spec, around, r.inputs)

    return value, push


__all__ = ["Argnums", "Recorded", "chosen", "grad", "grad_and_value", "jvp", "linearize", "vjp"]
