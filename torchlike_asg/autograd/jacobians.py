"""Whole Jacobians: the sweeps of `derivatives` for all elements at once, by vmap."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from ..asg.batching import batched, example
from ..asg.declare import get
from ..asg.node import Node, const
from ..asg.trace import current
from ..facade.core import Tensor
from ..pytree import TreeSpec, tree_flatten, tree_unflatten
from .derivatives import Argnums, Recorded, chosen
from .levels import differentiating, result
from .vectorize import Mapped, check_randomness

__all__ = ["hessian", "jacfwd", "jacobian_by", "jacrev"]


def _basis(n: Node) -> Node:
    """One-hot tensors of the shape of `n`, one for each of its elements."""
    size = n.numel
    rows = get("reshape")(get("arange")(*_counting(size)), (size, 1))
    columns = get("reshape")(rows, (1, size))
    return get("reshape")(get("cast")(get("eq")(rows, columns), n.dtype), (size, *n.shape))


def _counting(size: int) -> tuple[Any, ...]:
    from ..dtypes import int64

    return const(0, int64), const(1, int64), size, int64


def jacobian_by(
    func: Callable[..., Any],
    argnums: Argnums,
    has_aux: bool,
    chunk_size: int | None,
    name: str,
    forward: bool,
    randomness: str | None = None,
    captures: bool = False,
) -> Callable[..., Any]:
    """The Jacobian of each output by each chosen argument: nested as outputs, then as arguments, with shape (*output, *argument).

    `randomness`: of a vmap over the elements of the arguments, of which each is a direction; None: what is drawn is drawn once.
    `captures`: whether what `func` captures may be written.
    """
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError(f"{name}: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with differentiating() as depth:
            places = chosen(argnums, args)
            directions = _Directions(randomness, depth, tree_flatten(tuple(args[p] for p in places))[0])
            with directions:
                r = Recorded(func, args, kwargs, places, depth, has_aux, f"{name}(f, argnums)(*args)", forward, captures=captures)
            _refuse_complex(name, r)
            table = _columns(r, directions) if forward else _rows(r)
            found = [_argument_parts([result(n, depth) for n in row], r.spec, argnums) for row in table]
        jacobian = tree_unflatten(found, r.out_spec)
        return (jacobian, r.aux) if has_aux else jacobian

    return wrapper


def _refuse_complex(name: str, r: Recorded) -> None:
    for what, tensors in (("inputs", r.given), ("outputs", r.leaves)):
        for i, t in enumerate(tensors):
            if t.dtype.is_complex:
                raise RuntimeError(f"{name}: Expected all {what} to be real but received complex tensor at flattened input idx: {i}")


class _Directions:
    """A vmap over all directions, as far as what is drawn inside is concerned."""

    def __init__(self, randomness: str | None, depth: int, given: Sequence[Any]) -> None:
        self.sizes = [t.shape.numel() for t in given if isinstance(t, Tensor)]
        self.mapped = None if randomness is None else Mapped(sum(self.sizes), randomness, depth)

    def __enter__(self) -> None:
        if self.mapped is not None:
            current().mapped.append(self.mapped)

    def __exit__(self, *_: Any) -> None:
        if self.mapped is not None:
            current().mapped.pop()

    def drawn(self, i: int) -> dict[Node, Node]:
        """What was drawn for each direction of argument `i`."""
        start = sum(self.sizes[:i])
        values = {} if self.mapped is None else self.mapped.values
        return {leaf: get("slice")(whole, 0, start, start + self.sizes[i], 1) for leaf, whole in values.items()}


def _argument_parts(row: list[Tensor], spec: TreeSpec, argnums: Argnums) -> Any:
    parts = tree_unflatten(row, spec)
    return parts[0] if isinstance(argnums, int) else parts


def _rows(r: Recorded) -> list[list[Node]]:
    """Jacobians by one reverse sweep for each output, done for all its elements at once."""
    table = []
    for i, out in enumerate(r.outputs):
        seed = example(out, out.shape, r.depth, i, True)
        seeds = [seed if j == i else get("zeros_of")(o) for j, o in enumerate(r.outputs)]
        table.append(_filled(r.pulled(seeds), seed, out, [(*out.shape, *n.shape) for n in r.inputs]))
    return table


def _columns(r: Recorded, directions: _Directions) -> list[list[Node]]:
    """Jacobians by one forward sweep for each input, done for all its elements at once."""
    columns = []
    for i, x in enumerate(r.inputs):
        tangent = example(x, x.shape, r.depth, i, True)
        tangents = [tangent if j == i else get("zeros_of")(o) for j, o in enumerate(r.inputs)]
        found = _filled(r.pushed(tangents), tangent, x, [(*x.shape, *o.shape) for o in r.outputs], directions.drawn(i))
        columns.append([_last(n, x.ndim) for n in found])
    return [list(row) for row in zip(*columns, strict=True)]


def _last(n: Node, count: int) -> Node:
    """The first `count` dimensions moved behind the others."""
    return n if not count or count == n.ndim else get("permute")(n, *range(count, n.ndim), *range(count))


def _filled(values: list[Node], leaf: Node, like: Node, shapes: list[tuple[int, ...]], drawn: dict[Node, Node] | None = None) -> list[Node]:
    size = like.numel
    whole = batched(values, {leaf: _basis(like), **(drawn or {})}, size)
    reshape, full = get("reshape"), get("full")
    return [full(const(0, v.dtype), shape) if w is None else reshape(w, shape) for v, w, shape in zip(values, whole, shapes, strict=True)]


def jacrev(func: Callable[..., Any], argnums: Argnums = 0, *, has_aux: bool = False, chunk_size: int | None = None,
           _preallocate_and_copy: bool = False) -> Callable[..., Any]:  # fmt: skip
    """A function returning the Jacobian of `func` by reverse mode: best where outputs are few. All rows are one graph."""
    return jacobian_by(func, argnums, has_aux, chunk_size, "jacrev", False)


def jacfwd(func: Callable[..., Any], argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error") -> Callable[..., Any]:
    """A function returning the Jacobian of `func` by forward mode: best where inputs are few.

    `randomness`: whether draws inside are an "error", the "same" for all directions or "different" for each.
    """

    def checked(*args: Any, **kwargs: Any) -> Any:
        check_randomness(randomness)
        return jacobian(*args, **kwargs)

    jacobian = jacobian_by(func, argnums, has_aux, None, "jacfwd", True, randomness)
    return functools.wraps(jacobian)(checked)


def hessian(func: Callable[..., Any], argnums: Argnums = 0) -> Callable[..., Any]:
    """A function returning the second derivatives of `func`: forward mode over reverse mode."""
    return jacfwd(jacrev(func, argnums), argnums)
