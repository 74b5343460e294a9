"""vmap: a function of one example as a function of a batch. It is recorded once, for the batch it is rebuilt from the graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

from ..asg.batching import batched, dependent, example, spread
from ..asg.declare import get
from ..asg.node import Node
from ..asg.trace import Trace, current
from ..facade.core import Tensor, node_of, wrap
from ..facade.register import bare
from ..facade.write import write
from ..pytree import TreeSpec, broadcast_prefix, tree_flatten, tree_unflatten
from .levels import level


class Mapped:
    """One vmap being recorded: how random numbers are drawn, and what its examples stand for."""

    def __init__(self, size: int, randomness: str, depth: int, outside: Collection[Node] = ()) -> None:
        self.size, self.randomness, self.depth = size, randomness, depth
        self.outside = outside  # what was pending before: values of tensors that know nothing of the batch
        self.values: dict[Node, Node] = {}
        self.moved: set[Node] = set()  # leaves of arguments whose batch is not in front
        self.drawn: list[tuple[Node, list[Node]]] = []

    def stand_in(self, whole: Node, rg: bool, number: int | None = None) -> Node:
        """A leaf for one example of `whole`, which has the batch in front; `number` (negative) tells it from others of its shape."""
        leaf = example(whole, whole.shape[1:], self.depth, len(self.values) if number is None else number, rg)
        self.values[leaf] = whole
        return leaf

    def over(self, t: Tensor, batch: Callable[[Tensor], Tensor]) -> Tensor:
        """One example of what `batch`, which may read values, gives for the whole of `t`. Transforms further out see to their own."""
        tr = current()
        (whole,) = batched([node_of(t)], self.values, self.size)
        tr.mapped.pop()
        try:
            with set_aside(tr):
                found = node_of(batch(wrap(spread(node_of(t), self.size) if whole is None else whole)))
        finally:
            tr.mapped.append(self)
        return wrap(self.stand_in(found, False))

    def apart(self, rows: list[Node]) -> Node:
        """One example of a batch of which each `rows` is what all its examples would be, in turn."""
        picked = [get("select")(w, 0, i) for i, w in enumerate(_spread_all(batched(rows, self.values, self.size), rows, self.size))]
        return self.stand_in(get("stack")(*picked, 0), any(n.rg for n in picked))


def _spread_all(found: list[Node | None], roots: list[Node], size: int) -> list[Node]:
    return [spread(n, size) if w is None else w for n, w in zip(roots, found, strict=True)]


def _places(in_dims: Any, args: tuple[Any, ...], func: Any) -> tuple[list[Any], list[Any], TreeSpec]:
    """(leaves of the arguments, batch dimension or None for each, their structure)."""
    name = getattr(func, "__name__", "f")
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): expected `in_dims` to be int or a (potentially nested) tuple matching the "
            f"structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(f"vmap({name})(<inputs>): got no inputs. A function without inputs cannot be mapped.")
    leaves, spec = tree_flatten(args)
    dims = broadcast_prefix(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): in_dims is not compatible with the structure of `inputs`. in_dims has "
            f"structure {tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    return leaves, [_dimension(t, d, in_dims, name) for t, d in zip(leaves, dims, strict=True)], spec


def _dimension(t: Any, d: Any, in_dims: Any, name: str) -> int | None:
    where = f"vmap({name}, in_dims={in_dims}, ...)(<inputs>): Got in_dim={d} for an input"
    if d is None:
        return None
    if not isinstance(d, int):
        raise ValueError(f"{where} but in_dim must be either an integer dimension or None.")
    if not isinstance(t, Tensor):
        raise ValueError(f"{where} but the input is of type {type(t)}. We cannot vmap over non-Tensor arguments: use None as the in_dim")
    if not -len(t.shape) <= d < len(t.shape):
        raise ValueError(f"{where}, but that input is a Tensor of dimensionality {len(t.shape)} so expected 0 <= in_dim < {len(t.shape)}.")
    return d % len(t.shape)


def _size(leaves: list[Any], dims: list[Any]) -> int:
    sizes = [t.shape[d] for t, d in zip(leaves, dims, strict=True) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if len(set(sizes)) > 1:
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for the mapped dimension"
        )
    return int(sizes[0])


def example_count(func: Any, in_dims: Any, args: Any) -> int:
    """How many examples `func` is to be mapped over."""
    leaves, dims, _ = _places(in_dims, args, func)
    return _size(leaves, dims)


def back_to_front(n: Node, d: int) -> Node:
    """The batch dimension moved from `d` to the front."""
    return n if not d else get("permute")(n, d, *range(d), *range(d + 1, n.ndim))


def _back(n: Node, d: int) -> Node:
    """The batch dimension moved from the front to `d`."""
    d = d % n.ndim
    return n if not d else get("permute")(n, *range(1, d + 1), 0, *range(d + 1, n.ndim))


def check_randomness(randomness: Any) -> None:
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}")


def vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, randomness: str = "error", *, chunk_size: int | None = None
) -> Callable[..., Any]:
    """`func` mapped over a dimension of its arguments.

    `in_dims`: the dimension of every argument (None: the same for all examples), nested as the arguments are. `out_dims`: where the batch
    goes in the outputs. `randomness`: "error", "same" (one draw for all examples) or "different". `chunk_size`: examples at a time.
    """
    check_randomness(randomness)
    if chunk_size is not None and not (chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        leaves, dims, spec = _places(in_dims, args, func)
        size = _size(leaves, dims)
        if chunk_size is None or chunk_size >= size:
            return _mapped(func, leaves, dims, spec, kwargs, size, out_dims, randomness)
        return _in_chunks(func, leaves, dims, spec, kwargs, size, out_dims, randomness, chunk_size)

    return wrapper


def _in_chunks(func: Any, leaves: list[Any], dims: list[Any], spec: TreeSpec, kwargs: Any, size: int, out_dims: Any, randomness: str,
               chunk: int) -> Any:  # fmt: skip
    from .. import cat  # type: ignore[attr-defined]

    parts, out_spec = [], None
    for start in range(0, size, chunk):
        count = min(chunk, size - start)
        rows = [t if d is None else t.narrow(d, start, count) for t, d in zip(leaves, dims, strict=True)]
        found, out_spec = tree_flatten(_mapped(func, rows, dims, spec, kwargs, count, out_dims, randomness))
        parts.append(found)
    assert out_spec is not None
    places = broadcast_prefix(out_dims, out_spec) or [0] * out_spec.num_leaves
    return tree_unflatten([cat(list(column), d) for column, d in zip(zip(*parts, strict=True), places, strict=True)], out_spec)


def _taken(tr: Trace, earlier: Collection[Node] = (), first: int = 0) -> tuple[dict[Node, Any], list[Any]]:
    """Takes what is known only as one example out of what is pending, since nobody can compute it, and gives it.

    `earlier`: nodes that are not asked for their own sake; `first`: from which on families of views are asked.
    """
    hidden = dependent([n for n in tr.claims if n not in earlier])
    claims = {n: tr.claims.pop(n) for n in hidden if n in tr.claims}
    families = [r for r in tr.families[first:] if (f := r()) is not None and f.h in hidden]
    if families:
        taken = set(map(id, families))
        tr.families[first:] = [r for r in tr.families[first:] if id(r) not in taken]
    return claims, families


@contextmanager
def forgotten(tr: Trace, earlier: set[Node], families: int) -> Iterator[None]:
    """Afterwards nothing that is known only as one example is pending, should the function have kept it."""
    try:
        yield
    finally:
        _taken(tr, earlier, families)


@contextmanager
def set_aside(tr: Trace) -> Iterator[None]:
    """Inside, what is known only as one example is not pending: values of whole batches can be read."""
    claims, families = _taken(tr)
    try:
        yield
    finally:
        tr.claims.update(claims)
        tr.families += families


def _mapped(func: Any, leaves: list[Any], dims: list[Any], spec: TreeSpec, kwargs: Any, size: int, out_dims: Any, randomness: str) -> Any:
    tr = current()
    earlier, families = set(tr.claims), len(tr.families)
    with level() as depth, forgotten(tr, earlier, families):
        mapped = Mapped(size, randomness, depth, earlier)
        given = []
        for t, d in zip(leaves, dims, strict=True):
            if d is None:
                given.append(t)
                continue
            whole = back_to_front(node_of(t), d)
            given.append(wrap(mapped.stand_in(whole, whole.rg and tr.grad)))
            if d:
                mapped.moved.add(given[-1]._n)
        before = [None if d is None else g._n for g, d in zip(given, dims, strict=True)]
        tr.mapped.append(mapped)
        try:
            out = func(*tree_unflatten(given, spec), **kwargs)
        finally:
            tr.mapped.pop()
        for t, one, n, d in zip(leaves, given, before, dims, strict=True):
            if n is not None and (now := node_of(one)) is not n:
                _written(t, now, d, mapped)
        found, out_spec = tree_flatten(out)
        name = getattr(func, "__name__", "f")
        if isinstance(out, Tensor) and isinstance(out_dims, tuple) and len(out_dims) == 1:
            (out_dims,) = out_dims
        places = broadcast_prefix(out_dims, out_spec)
        if places is None:
            raise ValueError(
                f"vmap({name}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with the structure of `outputs`. out_dims "
                f"has structure {tree_flatten(out_dims)[1]} but outputs has structure {out_spec}."
            )
        for t, place in zip(found, places, strict=True):
            if not isinstance(t, Tensor) and place is not None:
                raise ValueError(
                    f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(t)}. "
                    "Did you mean to set out_dims= to None for output?"
                )
        return tree_unflatten([_delivered(t, d, mapped, name, out_dims) for t, d in zip(found, places, strict=True)], out_spec)


def _written(t: Tensor, n: Node, d: int, mapped: Mapped) -> None:
    """An argument that the function modified in place: the whole of it gets the new values."""
    (whole,) = batched([n], mapped.values, mapped.size)
    value = _back(spread(n, mapped.size) if whole is None else whole, d)
    write(t, lambda _: value, (bare(value),) if value.rg else ())


def _delivered(t: Any, d: Any, mapped: Mapped, name: str, out_dims: Any) -> Any:
    if not isinstance(t, Tensor):
        return t
    n = node_of(t)
    (whole,) = batched([n], mapped.values, mapped.size)
    if d is None:
        if whole is not None:
            raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
        return t
    if not isinstance(d, int):
        raise ValueError(
            f"vmap({name}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python collection of ints representing where in "
            "the outputs the vmapped dimension should appear."
        )
    if not -n.ndim - 1 <= d <= n.ndim:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n.ndim - 1}, {n.ndim}], but got {d})")
    return wrap(get("contiguous")(_back(spread(n, mapped.size) if whole is None else whole, d)))


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """`func` itself: what it writes in place is recorded as new values anyway."""
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(f"functionalize(f, remove='{remove}'): Valid options: remove='mutations' or remove='mutations_and_views'.")
    return func
