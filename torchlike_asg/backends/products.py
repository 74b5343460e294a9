"""A product as the kernels see it: a batch of ``c = init + a @ b`` with a stride for each dimension of each operand."""

from __future__ import annotations

from dataclasses import dataclass, replace

from .library import LibraryNode, Shape, View
from .views import merge


@dataclass(unsafe_hash=True)
class Product:
    """``c[..., m, n] = init[..., m, n] + a[..., m, k] @ b[..., k, n]``, strides in elements.

    Each dimension of the batch is (size, step of a, of b, of c, of init). ``transposed``: rows and columns of the result count the
    other way round: the result as a matrix (all dimensions but the last, the last) has its columns along m.
    """

    a: View
    b: View
    c: View
    init: View | None
    m: int
    n: int
    k: int
    a_row: int
    a_k: int
    b_k: int
    b_column: int
    c_row: int
    c_column: int
    init_row: int
    init_column: int
    batch: tuple[tuple[int, int, int, int, int], ...]
    transposed: bool = False

    @property
    def count(self) -> int:
        """Matrices in the batch."""
        total = 1
        for dimension in self.batch:
            total *= dimension[0]
        return total

    @property
    def flops(self) -> int:
        return 2 * self.count * self.m * self.n * self.k

    def swapped(self) -> Product:
        """The same result as the transpose of ``b^T @ a^T``."""
        return Product(
            self.b,
            self.a,
            self.c,
            self.init,
            self.n,
            self.m,
            self.k,
            self.b_column,
            self.b_k,
            self.a_k,
            self.a_row,
            self.c_column,
            self.c_row,
            self.init_column,
            self.init_row,
            tuple((size, b, a, c, init) for size, a, b, c, init in self.batch),
            not self.transposed,
        )


def product(node: LibraryNode) -> Product:
    """The product that a `matmul` or `linear` node is. One-dimensional operands become one row or one column."""
    a, b = node.operands[:2]
    init = node.operands[2] if len(node.operands) > 2 else None
    c = node.result
    if node.op == "linear":  # x @ w^T: the weight's last dimension is k
        b = replace(b, shape=b.shape[::-1], strides=b.strides[::-1])
    column = len(b.shape) == 1
    if column:  # a vector on the right: the rows of a are the result's last dimension, so it counts as a row times a matrix
        a, b = b, replace(a, shape=_swap(a.shape), strides=_swap(a.strides)) if len(a.shape) > 1 else a
    row = len(a.shape) == 1
    if row:
        a = replace(a, shape=(1, *a.shape), strides=(0, *a.strides))
    if len(b.shape) == 1:
        b = replace(b, shape=(*b.shape, 1), strides=(*b.strides, 0))
        c = replace(c, shape=(*c.shape, 1), strides=(*c.strides, 0))
    if row:
        c = replace(c, shape=(*c.shape[:-1], 1, c.shape[-1]), strides=(*c.strides[:-1], 0, c.strides[-1]))
        if init is not None and len(init.shape) > 1:
            init = replace(init, shape=(*init.shape[:-1], 1, init.shape[-1]), strides=(*init.strides[:-1], 0, init.strides[-1]))
    m, n = c.shape[-2:]
    steps = [_steps(v, c.shape)[:-2] for v in (a, b)]
    i_steps = _steps(init, c.shape) if init is not None else (0,) * len(c.shape)
    batch = tuple(zip(c.shape[:-2], steps[0], steps[1], c.strides[:-2], i_steps[:-2], strict=True))
    p = Product(a, b, c, init, m, n, a.shape[-1], *a.strides[-2:], *b.strides[-2:], *c.strides[-2:], *i_steps[-2:], batch)
    return _merged(p)


def _swap(t: Shape) -> Shape:
    return (*t[:-2], t[-1], t[-2])


def _steps(v: View, shape: Shape) -> Shape:
    """The view's steps along the dimensions of `shape` it broadcasts to; for an operand only the batch's are meant."""
    lead = len(shape) - len(v.shape)
    return (0,) * lead + tuple(0 if n == 1 else s for n, s in zip(v.shape, v.strides, strict=True))


def _merged(p: Product) -> Product:
    """Fewer dimensions: of size 1 dropped, neighbours in the batch joined, the innermost joined with the rows where b is shared."""
    batch = [d for d in p.batch if d[0] != 1]
    while batch and batch[-1][2] == 0:
        size, a, _, c, init = batch[-1]
        if p.m != 1 and (a, c, init) != (p.m * p.a_row, p.m * p.c_row, p.m * p.init_row):
            break
        batch.pop()
        rows = (p.a_row, p.c_row, p.init_row) if p.m != 1 else (a, c, init)
        p = replace(p, m=size * p.m, a_row=rows[0], c_row=rows[1], init_row=rows[2])
    joined = merge(*zip(*batch, strict=True)) if batch else []
    return _adjacent(replace(p, batch=tuple(joined)))


def _adjacent(p: Product) -> Product:
    """Dimensions of size 1 counted as adjacent, whatever their stride says."""
    if p.n == 1:
        p = replace(p, b_column=1, c_column=1, init_column=1)
    if p.m == 1:
        p = replace(p, a_row=p.k if p.a_k == 1 else 1, c_row=p.n, init_row=0)
    return replace(p, a_k=1, b_k=p.n) if p.k == 1 else p
