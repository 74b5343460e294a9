"""The tensor of values at places.

It keeps a dense tensor of values, which carries the history, and one of indices. Products gather rows and add them up, so memory stays
proportional to the number of values; anything else asks for `to_dense` first.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torchlike_asg as torch

from ..asg.declare import get
from ..asg.node import Node
from ..errors import Unsupported
from ..facade.core import Tensor, node_of
from ..ops.embedding import embedding_grad
from .arithmetic import Arithmetic, called, mm
from .form import beside, block, suffixed

__all__ = ["SparseTensor", "from_lookup", "mm"]


class SparseTensor(Arithmetic):
    """Values (n, ...) at the places `indices` (dimensions, n) of a tensor of that size, zeros elsewhere; repeated places add up."""

    is_sparse = True
    layout = torch.sparse_coo

    def __init__(self, indices: Tensor, values: Tensor, size: Any, coalesced: bool = False, padding: int = -1) -> None:
        """`padding` is an index whose values do not count; they are dropped when somebody looks."""
        super().__init__(size)
        self._given, self._coalesced, self._padding = (beside(values, indices), values), coalesced, padding

    def _settled(self) -> tuple[Tensor, Tensor]:
        if self._padding >= 0:
            kept = (self._given[0][0] != self._padding).nonzero()[:, 0]
            self._given, self._padding = (self._given[0][:, kept], self._given[1][kept]), -1
        return self._given

    @property
    def _i(self) -> Tensor:
        return self._settled()[0]

    @property
    def _v(self) -> Tensor:
        return self._settled()[1]

    @property
    def _held(self) -> Tensor:
        return self._given[1]

    # ------------------------------------------------------------ looking
    @property
    def grad(self) -> SparseTensor | None:
        """A leaf's gradient: at its places, which are all that count."""
        if "_grad" not in self.__dict__ and self.is_leaf and (g := self._given[1].grad) is not None:  # type: ignore[attr-defined]
            if not self._coalesced:  # a place that is given twice has one gradient, which each of its values has
                places, where = torch.unique(self._flat(), return_inverse=True)
                g = g.new_zeros(len(places), *g.shape[1:]).index_copy(0, where, g)
                return SparseTensor(self._unflat(places), g, self.shape)
            return SparseTensor(self._given[0], g, self.shape)
        return self.__dict__.get("_grad")

    @grad.setter
    def grad(self, g: Any) -> None:
        self._given[1].grad = None  # type: ignore[attr-defined]
        self.__dict__.pop("_grad", None)
        if g is not None:
            self.__dict__["_grad"] = g

    def stride(self, dim: int | None = None) -> Any:
        return (0,) * len(self.shape) if dim is None else 0

    def storage_offset(self) -> int:
        return 0

    def sparse_dim(self) -> int:
        return int(self._given[0].shape[0])

    def dense_dim(self) -> int:
        return len(self.shape) - self.sparse_dim()

    def _nnz(self) -> int:
        return int(self._i.shape[1])

    def _indices(self) -> Tensor:
        return self._i

    def _values(self) -> Tensor:
        return self._v

    def is_coalesced(self) -> bool:
        return self._coalesced

    def indices(self) -> Tensor:
        """The places of a coalesced tensor."""
        self._demand("indices")
        return self._i

    def values(self) -> Tensor:
        """The values of a coalesced tensor."""
        self._demand("values")
        return self._v

    def _demand(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    # ------------------------------------------------------------ changing form
    def _flat(self) -> Tensor:
        flat = torch.zeros(self._nnz(), dtype=torch.int64, device=self.device)
        for place, n in zip(self._i, self.shape, strict=False):
            flat = flat * n + place
        return flat

    def _summed(self) -> SparseTensor:
        return self.coalesce()

    def coalesce(self) -> SparseTensor:
        """The same tensor with every place once, in order."""
        if self._coalesced:
            return self
        places, where = torch.unique(self._flat(), return_inverse=True)
        values = torch.zeros((places.shape[0], *self._v.shape[1:]), dtype=self.dtype, device=self.device).index_add(0, where, self._v)
        return SparseTensor(self._unflat(places), values, self.shape, True)

    def _unflat(self, places: Any) -> Tensor:
        rows = []
        for n in reversed(self.shape[: self.sparse_dim()]):
            rows.append(places % n)
            places = places // n
        return torch.stack(rows[::-1])  # type: ignore[no-any-return]

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        lead = self.shape[: self.sparse_dim()].numel() if self.sparse_dim() else 1
        rest = tuple(self.shape[self.sparse_dim() :])
        dense = torch.zeros((lead, *rest), dtype=self.dtype, device=self.device).index_add(0, self._flat(), self._v).view(self.shape)
        return called(dense, "ToDenseBackward0") if dtype is None else dense.to(dtype)  # type: ignore[no-any-return]

    def dense_node(self) -> Node:
        """The node of the dense tensor, as the gradient of a lookup: nothing is read, and equal steps give equal nodes."""
        indices, values = self._given
        lead = self.shape[: self.sparse_dim()].numel()
        places = indices[0] if self.sparse_dim() == 1 else self._flat()
        flat: Any = values.reshape(values.shape[0], -1) if values.dim() != 2 else values
        n = embedding_grad(node_of(flat), node_of(places), lead, self._padding, False)
        return n if n.shape == tuple(self.shape) else get("reshape")(n, tuple(self.shape))

    def to_sparse(self, sparse_dim: int | None = None, *, layout: Any = None) -> Any:
        if layout is torch.sparse_csr:
            return self.to_sparse_csr()
        if sparse_dim is None or sparse_dim == self.sparse_dim():
            return self
        raise RuntimeError("to_sparse: conversion from Sparse to Sparse with sparse_dim argument !=self.sparse_dim() is not supported")

    to_sparse_coo = to_sparse

    def to_sparse_csr(self, dense_dim: int | None = None) -> Any:
        """The matrix in rows: `csr.CSR`."""
        from .csr import of_coo

        return of_coo(self)

    def _map(self, change: Callable[[Any], Any]) -> SparseTensor:
        """The same places with other values."""
        return SparseTensor(self._given[0], change(self._given[1]), self.shape, self._coalesced, self._padding)

    def _set(self, other: SparseTensor) -> SparseTensor:
        """This very tensor, with the content of another."""
        self._given, self._coalesced, self._padding, self._size = other._given, other._coalesced, other._padding, other._size
        return self

    def permute(self, *dims: Any) -> SparseTensor:
        """Dimensions in another order, the sparse ones before the dense ones."""
        order = [d + self.ndim if d < 0 else d for d in (dims[0] if len(dims) == 1 and not isinstance(dims[0], int) else dims)]
        rank = self.sparse_dim()
        if sorted(order) != list(range(self.ndim)):
            raise RuntimeError(f"permute(sparse_coo): the dimensions {order} are no order of {self.ndim}")
        if sorted(order[:rank]) != list(range(rank)):
            raise RuntimeError("transpose: transposed dimensions must both be sparse or both be dense")
        if order == list(range(self.ndim)):
            return self
        values = self._v.permute(0, *[d - rank + 1 for d in order[rank:]])  # type: ignore[attr-defined]
        return SparseTensor(self._i[order[:rank]], values, [self.shape[d] for d in order])

    def transpose(self, dim0: int, dim1: int) -> SparseTensor:
        """Two dimensions exchanged, both sparse or both dense."""
        order = list(range(self.ndim))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        return self.permute(order)

    swapaxes = swapdims = transpose

    def t(self) -> SparseTensor:
        if self.sparse_dim() > 2 or self.dense_dim():
            raise RuntimeError(
                f"t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got {self.sparse_dim()} sparse and {self.dense_dim()} "
                "dense dimensions"
            )
        return self.transpose(0, 1) if self.ndim == 2 else self

    def t_(self) -> SparseTensor:
        return self._set(self.t())

    def transpose_(self, dim0: int, dim1: int) -> SparseTensor:
        return self._set(self.transpose(dim0, dim1))

    T = property(t)
    mT = property(lambda self: self.transpose(-2, -1))
    H = mH = property(lambda self: self.transpose(-2, -1).conj())

    def adjoint(self) -> SparseTensor:
        return self.mH  # type: ignore[no-any-return]

    def sparse_mask(self, mask: SparseTensor) -> SparseTensor:
        """The values at the places of `mask`."""
        return masked(self.to_dense(), mask)

    def new_zeros(self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> SparseTensor:
        """A sparse tensor without values."""
        shape = size[0] if len(size) == 1 and not isinstance(size[0], int) else size
        return torch.sparse_coo_tensor(size=shape, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad)

    new_empty = new_zeros

    def resize_as_(self, the_template: Any, memory_format: Any = None) -> SparseTensor:
        return self.sparse_resize_(the_template.shape, the_template.sparse_dim(), the_template.dense_dim())

    def sparse_resize_(self, size: Any, sparse_dim: int, dense_dim: int) -> SparseTensor:
        """Another size that holds all places."""
        if sparse_dim != self.sparse_dim() or dense_dim != self.dense_dim():
            raise Unsupported("a sparse tensor keeps its numbers of sparse and dense dimensions: make another with sparse_coo_tensor()")
        if any(n < m for n, m in zip(size, self.shape, strict=True)) and self._nnz():
            raise RuntimeError("shrinking the size of dimensions on a non-empty sparse tensor is not supported")
        rest = tuple(size[sparse_dim:])
        values = self._v if rest == tuple(self.shape[sparse_dim:]) else self._v.new_zeros(self._nnz(), *rest)  # type: ignore[attr-defined]
        if values is not self._v and self._nnz():
            values[(slice(None), *[slice(n) for n in self.shape[sparse_dim:]])] = self._v
        return self._set(SparseTensor(self._i, values, size, self._coalesced))

    def sparse_resize_and_clear_(self, size: Any, sparse_dim: int, dense_dim: int) -> SparseTensor:
        """Another size, and no values."""
        values = self._v.new_zeros(0, *size[sparse_dim:])  # type: ignore[attr-defined]
        return self._set(SparseTensor(torch.zeros((sparse_dim, 0), dtype=torch.int64), values, size, True))

    def _joined(self, other: Any) -> SparseTensor:
        (i, v), (j, w) = (self._given, other._given) if self._padding == other._padding else (self._settled(), other._settled())
        return SparseTensor(torch.cat([i, j], 1), torch.cat([v, w]), self.shape, padding=self._padding)

    # ------------------------------------------------------------ parts and sums
    def select(self, dim: int, index: int) -> Any:
        """The slice at `index` of a dimension; dense where no sparse dimension is left."""
        axis = dim + self.ndim if dim < 0 else dim
        place = index + self.shape[axis] if index < 0 else index
        if not 0 <= place < self.shape[axis]:
            raise IndexError(f"select(): index {index} out of range for tensor of size {list(self.shape)} at dimension {dim}")
        rank = self.sparse_dim()
        size = [n for d, n in enumerate(self.shape) if d != axis]
        if axis >= rank:
            return SparseTensor(self._i, self._v.select(axis - rank + 1, place), size, self._coalesced)  # type: ignore[attr-defined]
        held = (self._i[axis] == place).nonzero()[:, 0]
        values = self._v[held]
        if rank == 1:
            return values.sum(0)
        return SparseTensor(torch.stack([row[held] for d, row in enumerate(self._i) if d != axis]), values, size, self._coalesced)

    def __getitem__(self, index: Any) -> Any:
        """Slices at an index of one dimension after the other."""
        given = list(index) if isinstance(index, tuple) else [index]
        if ... in given:
            at = given.index(...)
            given[at : at + 1] = [slice(None)] * (self.ndim - len(given) + 1)
        if len(given) > self.ndim:
            raise IndexError(f"too many indices for tensor of dimension {self.ndim}")
        out, axis = self, 0
        for i in given:
            if isinstance(i, int) and not isinstance(i, bool):
                out = out.select(axis, i)
            elif i == slice(None):
                axis += 1
            else:
                raise Unsupported("a sparse tensor is indexed by integers and full slices: use index_select() or to_dense()")
        return out

    def unbind(self, dim: int = 0) -> tuple[Any, ...]:
        return tuple([self.select(dim, i) for i in range(self.shape[dim])])

    def __iter__(self) -> Iterator[Any]:
        return iter(self.unbind())

    def sum(self, dim: int | Sequence[int] | None = None, *, dtype: Any = None) -> Any:
        """The sum of everything, or over dimensions: sparse, as long as a sparse dimension is left."""
        if dim is None:
            return self._v.sum(dtype=dtype)  # type: ignore[attr-defined]
        dims = {d + self.ndim if d < 0 else d for d in ((dim,) if isinstance(dim, int) else dim)}
        values = self._v if dtype is None else self._v.to(dtype)  # type: ignore[attr-defined]
        inner = [d - self.sparse_dim() + 1 for d in dims if d >= self.sparse_dim()]
        values = values.sum(inner) if inner else values
        rows = [row for d, row in enumerate(self._i) if d not in dims]
        size = [n for d, n in enumerate(self.shape) if d not in dims]
        return SparseTensor(torch.stack(rows), values, size).coalesce() if rows else values.sum(0)

    def _sparse_axis(self, dim: int) -> int:
        axis = dim + self.ndim if dim < 0 else dim
        if not 0 <= axis < self.sparse_dim():
            raise Unsupported(f"dimension {dim} of this sparse tensor is not a sparse one: use to_dense()")
        return axis

    def index_select(self, dim: int, index: Tensor) -> SparseTensor:
        """The slices of a sparse dimension at the places `index`, in its order."""
        axis = self._sparse_axis(dim)
        picked, held = (index.unsqueeze(1) == self._i[axis].unsqueeze(0)).nonzero().unbind(1)
        rows = [picked if d == axis else row[held] for d, row in enumerate(self._i)]
        size = [len(index) if d == axis else n for d, n in enumerate(self.shape)]
        return SparseTensor(torch.stack(rows), self._v[held], size, self._coalesced and axis == 0)

    def narrow_copy(self, dim: int, start: int, length: int) -> SparseTensor:
        """A copy of `length` slices of dimension `dim` from `start` on."""
        if not 0 <= dim < self.ndim:
            raise RuntimeError(f"Dimension {dim} out of range. Expecting 0 <= dim < {self.ndim}.")
        if not 0 <= start <= start + length <= self.shape[dim]:
            raise RuntimeError(f"Invalid range to narrow. range(start, start+length) must be a subset of range(0, {self.shape[dim]}).")
        size = [length if d == dim else n for d, n in enumerate(self.shape)]
        if dim >= self.sparse_dim():
            values = self._v.narrow_copy(dim - self.sparse_dim() + 1, start, length)
            return SparseTensor(self._i, values, size, self._coalesced)
        within = ((self._i[dim] >= start) & (self._i[dim] < start + length)).nonzero()[:, 0]
        rows = [row[within] - (start if d == dim else 0) for d, row in enumerate(self._i)]
        return SparseTensor(torch.stack(rows), self._v[within], size, self._coalesced)

    def unsqueeze(self, dim: int) -> SparseTensor:
        """The same values with a sparse dimension of length 1 before the sparse dimension `dim`, or after the last one."""
        axis = dim + self.ndim + 1 if dim < 0 else dim
        rows = list(self._i)
        rows.insert(axis if axis == len(rows) else self._sparse_axis(axis), torch.zeros_like(rows[0]))
        return SparseTensor(torch.stack(rows), self._v, [*self.shape[:axis], 1, *self.shape[axis:]], self._coalesced)

    # ------------------------------------------------------------ as an object
    def __copy__(self) -> SparseTensor:
        return self._like(self)  # type: ignore[no-any-return]

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseTensor:
        if id(self) not in memo:
            i, v = (copy.deepcopy(part, memo) for part in self._settled())
            memo[id(self)] = self._like(SparseTensor(i, v, self.shape, self._coalesced))
        return memo[id(self)]  # type: ignore[no-any-return]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return SparseTensor, (*self._settled(), tuple(self.shape), self._coalesced)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return block("tensor(indices=", self._i) + ",\n" + suffixed(block("       values=", self._v), self, True)

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return object.__format__(self, spec)


def masked(dense: Any, mask: SparseTensor) -> SparseTensor:
    """The values of a dense tensor at the places of a sparse one."""
    if dense.shape != mask.shape:
        raise RuntimeError(
            f"sparse_mask(): operands have incompatible sizes; self has size {tuple(dense.shape)} but mask has size {tuple(mask.shape)}"
        )
    return mask._map(lambda v: dense[tuple(mask._i)])


def from_lookup(values: Tensor, places: Tensor, rows: int, padding: int) -> SparseTensor:
    """The gradient of a table of `rows` rows that was read at `places`; `values` (*places.shape, D) is the gradient of what was read."""
    v: Any = values
    p: Any = places
    return SparseTensor(p.reshape(1, -1), v.reshape(-1, v.shape[-1]), (rows, v.shape[-1]), padding=padding)
