"""The tensor of values at places.

It keeps a dense tensor of values, which carries the history, and one of indices. Products gather rows and add them up, so memory stays
proportional to the number of values; anything else asks for `to_dense` first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import torchlike_asg as torch

from ..asg.declare import get
from ..asg.node import Node
from ..errors import Unsupported
from ..facade.core import Tensor, node_of
from ..ops.embedding import embedding_grad

__all__ = ["SparseTensor", "from_lookup", "mm"]

_CASTS = frozenset(("bfloat16", "bool", "byte", "double", "float", "half", "int", "long"))
#: what values and the whole have in common
_OF_VALUES = frozenset(("element_size", "is_complex", "is_floating_point", "is_meta", "is_quantized", "is_signed"))
#: functions of one number that keep zero; PyTorch adds repeated places up first
_KEEP_ZERO = frozenset(
    ("abs", "asin", "asinh", "atan", "atanh", "ceil", "erf", "erfinv", "expm1", "floor", "frac", "isinf", "isnan", "isfinite", "log1p",
     "pow", "relu", "round", "sgn", "sign", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc")
)  # fmt: skip


class SparseTensor:
    """Values (n, ...) at the places `indices` (dimensions, n) of a tensor of that size, zeros elsewhere; repeated places add up."""

    is_sparse = True
    layout = torch.sparse_coo

    def __init__(self, indices: Tensor, values: Tensor, size: Any, coalesced: bool = False, padding: int = -1) -> None:
        """`padding` is an index whose values do not count; they are dropped when somebody looks."""
        self._given, self.shape, self._coalesced, self._padding = (indices, values), torch.Size(size), coalesced, padding

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

    # ------------------------------------------------------------ looking
    @property
    def dtype(self) -> Any:
        return self._given[1].dtype

    @property
    def device(self) -> Any:
        return self._given[1].device

    @property
    def requires_grad(self) -> bool:
        return self._given[1].requires_grad

    @property
    def grad_fn(self) -> Any:
        return self._given[1].grad_fn  # type: ignore[attr-defined]

    @property
    def is_leaf(self) -> bool:
        return self._given[1].is_leaf

    @property
    def is_cuda(self) -> bool:
        return False

    @property
    def itemsize(self) -> int:
        return self._given[1].itemsize  # type: ignore[no-any-return,attr-defined]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def dim(self) -> int:
        return len(self.shape)

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    def sparse_dim(self) -> int:
        return int(self._given[0].shape[0])

    def dense_dim(self) -> int:
        return len(self.shape) - self.sparse_dim()

    def numel(self) -> int:
        return self.shape.numel()

    nelement = numel

    def __len__(self) -> int:
        return int(self.shape[0])

    def is_contiguous(self) -> bool:
        return False

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
        flat = torch.zeros(self._nnz(), dtype=torch.int64)
        for place, n in zip(self._i, self.shape, strict=False):
            flat = flat * n + place
        return flat

    def coalesce(self) -> SparseTensor:
        """The same tensor with every place once, in order."""
        if self._coalesced:
            return self
        places, where = torch.unique(self._flat(), return_inverse=True)
        values = torch.zeros((places.shape[0], *self._v.shape[1:]), dtype=self.dtype).index_add(0, where, self._v)
        rows = []
        for n in reversed(self.shape[: self.sparse_dim()]):
            rows.append(places % n)
            places = places // n
        return SparseTensor(torch.stack(rows[::-1]), values, self.shape, True)

    def to_dense(self, dtype: Any = None) -> Tensor:
        """The dense tensor."""
        lead = self.shape[: self.sparse_dim()].numel() if self.sparse_dim() else 1
        rest = tuple(self.shape[self.sparse_dim() :])
        dense = torch.zeros((lead, *rest), dtype=self.dtype, device=self.device).index_add(0, self._flat(), self._v).view(self.shape)
        return dense if dtype is None else dense.to(dtype)

    def dense_node(self) -> Node:
        """The node of the dense tensor, as the gradient of a lookup: nothing is read, and equal steps give equal nodes."""
        indices, values = self._given
        lead = self.shape[: self.sparse_dim()].numel()
        places = indices[0] if self.sparse_dim() == 1 else self._flat()
        flat: Any = values.reshape(values.shape[0], -1) if values.dim() != 2 else values
        n = embedding_grad(node_of(flat), node_of(places), lead, self._padding, False)
        return n if n.shape == tuple(self.shape) else get("reshape")(n, tuple(self.shape))

    def to_sparse(self, *args: Any) -> SparseTensor:
        return self

    def _map(self, change: Callable[[Any], Any]) -> SparseTensor:
        """The same places with other values."""
        return SparseTensor(self._given[0], change(self._given[1]), self.shape, self._coalesced, self._padding)

    def _set(self, other: SparseTensor) -> SparseTensor:
        """This very tensor, with the content of another."""
        self._given, self._coalesced, self._padding = other._given, other._coalesced, other._padding
        return self

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        return self._map(lambda v: v.to(*args, **kwargs))

    def cpu(self) -> SparseTensor:
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> SparseTensor:
        return self._map(lambda v: v.cuda(*args, **kwargs))

    def clone(self) -> SparseTensor:
        return self._map(lambda v: v.clone())

    def detach(self) -> SparseTensor:
        return self._map(lambda v: v.detach())

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        self._v.requires_grad_(requires_grad)
        return self

    def transpose(self, dim0: int, dim1: int) -> SparseTensor:
        """Two of the sparse dimensions exchanged."""
        order = list(range(self.sparse_dim()))
        order[dim0], order[dim1] = order[dim1], order[dim0]
        size = [self.shape[d] for d in order] + list(self.shape[self.sparse_dim() :])
        return SparseTensor(self._i[order], self._v, size)

    @property
    def mT(self) -> SparseTensor:
        return self.transpose(-2, -1)

    @property
    def T(self) -> SparseTensor:
        return self.t()

    def t(self) -> SparseTensor:
        if self.sparse_dim() > 2 or self.dense_dim():
            raise RuntimeError(
                f"t() expects a tensor with <= 2 sparse and 0 dense dimensions, but got {self.sparse_dim()} sparse and {self.dense_dim()} "
                "dense dimensions"
            )
        return self.transpose(0, 1)

    # ------------------------------------------------------------ arithmetic
    def mm(self, other: Any) -> Any:
        """The product with a dense matrix."""
        return mm(self, other)

    matmul = spmm = __matmul__ = mm

    def __rmatmul__(self, other: Tensor) -> Any:
        return mm(self.t(), other) if other.dim() == 1 else mm(other, self)

    def mv(self, vector: Tensor) -> Tensor:
        return mm(self, vector.unsqueeze(1)).squeeze(1)  # type: ignore[no-any-return]

    def __mul__(self, other: Any) -> SparseTensor:
        if isinstance(other, (Tensor, SparseTensor)) and other.shape != torch.Size(()):
            if other.shape != self.shape:
                raise Unsupported("products of sparse tensors that broadcast are not supported: use to_dense()")
            picked = other.to_dense()[tuple(self._i)]  # type: ignore[union-attr]
            return self._map(lambda v: v * picked)
        return self._map(lambda v: v * other)

    mul = __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SparseTensor:
        return self._map(lambda v: v / other)

    div = __truediv__

    def __neg__(self) -> SparseTensor:
        return self._map(lambda v: -v)

    neg = __neg__

    def mul_(self, other: Any) -> SparseTensor:
        return self._set(self * other)

    def div_(self, other: Any) -> SparseTensor:
        return self._set(self / other)

    def add_(self, other: Any, *, alpha: float = 1) -> SparseTensor:
        return self._set(self.add(other, alpha=alpha))

    def zero_(self) -> SparseTensor:
        """No values any more."""
        return self._set(SparseTensor(self._i[:, :0], self._v[:0], self.shape, True))

    def detach_(self) -> SparseTensor:
        return self._set(self.detach())

    def norm(self, p: Any = 2) -> Tensor:
        return self.coalesce()._v.norm(p)  # type: ignore[attr-defined,no-any-return]

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Tensor):
            raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
        if self.shape != other.shape:
            raise RuntimeError(f"add: expected sizes of 'self' and 'other' to match, but {self.shape} != {other.shape}")
        (i, v), (j, w) = (self._given, other._given) if self._padding == other._padding else (self._settled(), other._settled())
        return SparseTensor(torch.cat([i, j], 1), torch.cat([v, w]), self.shape, padding=self._padding)

    def __radd__(self, other: Any) -> Any:
        return other + self.to_dense()

    def __sub__(self, other: Any) -> Any:
        return self + -other

    def __rsub__(self, other: Any) -> Any:
        return other - self.to_dense()

    def add(self, other: Any, *, alpha: float = 1) -> Any:
        return self + (other if alpha == 1 else other * alpha)

    def sub(self, other: Any, *, alpha: float = 1) -> Any:
        return self.add(other, alpha=-alpha)

    def __getitem__(self, index: Any) -> Any:
        """A slice at an index of the first dimension, or a dense part, where only dense dimensions are left."""
        given = index if isinstance(index, tuple) else (index,)
        if any(not isinstance(i, int) for i in given) or (len(given) < self.sparse_dim() and len(given) > 1):
            raise Unsupported(
                "slices of a sparse tensor are picked by one index, its dense parts by one for each sparse dimension: use to_dense()"
            )
        if len(given) >= self.sparse_dim():
            return self.to_dense()[index]
        row = given[0] + self.shape[0] if given[0] < 0 else given[0]
        if not 0 <= row < self.shape[0]:
            raise IndexError(f"select(): index {given[0]} out of range for tensor of size {list(self.shape)} at dimension 0")
        return self.index_select(0, torch.tensor([row])).sum(0)

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

    def unsqueeze(self, dim: int) -> SparseTensor:
        """The same values with a sparse dimension of length 1 before the sparse dimension `dim`, or after the last one."""
        axis = dim + self.ndim + 1 if dim < 0 else dim
        rows = list(self._i)
        rows.insert(axis if axis == len(rows) else self._sparse_axis(axis), torch.zeros(self._nnz(), dtype=torch.int64))
        return SparseTensor(torch.stack(rows), self._v, [*self.shape[:axis], 1, *self.shape[axis:]], self._coalesced)

    def __getattr__(self, name: str) -> Any:
        if name in _CASTS:
            return lambda: self._map(lambda v: getattr(v, name)())
        if name in _OF_VALUES:
            return getattr(self._given[1], name)
        if name in _KEEP_ZERO:
            return lambda *args: self.coalesce()._map(lambda v: getattr(v, name)(*args))
        raise Unsupported(f"SparseTensor.{name} is not implemented: use to_dense() first")

    def __repr__(self) -> str:
        def block(head: str, t: Tensor) -> str:
            text = repr(t.detach())  # type: ignore[attr-defined]
            return head + re.sub(r", dtype=torch\.\w+\)$", ")", text).replace("\n", "\n" + " " * len(head))

        parts = [f"size={tuple(self.shape)}", f"nnz={self._nnz()}"]
        if self.dtype not in (torch.get_default_dtype(), torch.complex64, torch.int64, torch.bool):
            parts.append(f"dtype=torch.{self.dtype}".replace("torch.torch.", "torch."))
        parts.append("layout=torch.sparse_coo")
        tail = ", ".join(parts)
        if self.grad_fn is not None:
            tail += f",\n       grad_fn=<{type(self.grad_fn).__name__}>"
        elif self.requires_grad:
            tail += ", requires_grad=True"
        return block("tensor(indices=", self._i) + ",\n" + block("       values=", self._v) + f",\n       {tail})"


def from_lookup(values: Tensor, places: Tensor, rows: int, padding: int) -> SparseTensor:
    """The gradient of a table of `rows` rows that was read at `places`; `values` (*places.shape, D) is the gradient of what was read."""
    v: Any = values
    p: Any = places
    return SparseTensor(p.reshape(1, -1), v.reshape(-1, v.shape[-1]), (rows, v.shape[-1]), padding=padding)


def mm(mat1: Any, mat2: Any) -> Any:
    """The product of two matrices, or of a matrix and a vector; sparse if both operands are."""
    if not isinstance(mat1, SparseTensor):
        if isinstance(mat2, SparseTensor):
            return mm(mat2.t(), mat1.mT).mT
        return torch.mm(mat1, mat2)
    if isinstance(mat2, SparseTensor):
        return mm(mat1, mat2.to_dense()).to_sparse()
    if mat1.ndim != 2 or mat1.shape[1] != mat2.shape[0]:
        shapes = ["x".join(map(str, m.shape)) for m in (mat1, mat2)]
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({shapes[0]} and {shapes[1]})")

    if mat2.dim() == 1:
        return mat1.mv(mat2)
    rows, columns = mat1._i
    zeros = torch.zeros(mat1.shape[0], mat2.shape[1], dtype=mat2.dtype)
    return zeros.index_add(0, rows, mat1._v.unsqueeze(1) * mat2.index_select(0, columns))
