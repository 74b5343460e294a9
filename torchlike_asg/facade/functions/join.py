"""Joining and cutting: cat, stack and their row-, column- and depth-wise forms, blocks, meshes and products."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from ... import dtypes, notices
from ...asg.declare import Op
from ...asg.geometry import broadcast
from ...asg.limits import check_size
from ...ops import join as ops
from ...ops.movement import slice_
from ..core import Tensor, nary
from ..deferred import parts
from ..hosted import indices, joined
from ..misfits import combination
from ..register import FUNCTIONS, function, named
from ..steps import step
from .factory_arguments import whole_size
from .indexing import index_select
from .views import expand, reshape, unsqueeze, wrap_dim


def _tensors(name: str, tensors: Any, empty: str, error: type[Exception] = RuntimeError) -> list[Tensor]:
    if isinstance(tensors, Tensor):
        raise TypeError(f"{name}(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor")
    found = list(tensors)
    for i, t in enumerate(found):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
    if not found:
        raise error(empty)
    return found


# ---------------------------------------------------------------- joining
@function(method=False, aliases=("concat", "concatenate"))
def cat(tensors: Any, dim: int = 0, *, axis: int | None = None, out: Tensor | None = None) -> Tensor:
    """The tensors one after another along `dim`; their other sizes must agree. Types are promoted."""
    ts = _tensors("cat", tensors, "torch.cat(): expected a non-empty list of Tensors", ValueError)
    rank = 1
    for i, t in enumerate(ts):
        if not t.shape:
            raise RuntimeError(f"zero-dimensional tensor (at position {i}) cannot be concatenated")
        if tuple(t.shape) != (0,):
            rank = len(t.shape)
            break
    else:  # of tensors of no elements and no shape, whatever the dimension
        return _join(ops.cat, ts, 0)
    return _join(ops.cat, ts, wrap_dim(dim if axis is None else axis, rank))


@function(method=False)
def stack(tensors: Any, dim: int = 0, *, axis: int | None = None, out: Tensor | None = None) -> Tensor:
    """Tensors of one shape, joined along a new dimension `dim`."""
    ts = _tensors("stack", tensors, "stack expects a non-empty TensorList")
    return _join(ops.stack, ts, wrap_dim(dim if axis is None else axis, len(ts[0].shape) + 1))


def _join(op: Op, ts: list[Tensor], d: int) -> Tensor:
    found = joined(op, ts, d)
    return nary(op, ts, d) if found is None else found


@function(method=False)
def hstack(tensors: Any, *, out: Tensor | None = None) -> Tensor:
    """Joined along dimension 1 (vectors: along their only one)."""
    ts = [atleast_1d(t) for t in _tensors("hstack", tensors, "hstack expects a non-empty TensorList")]
    return cat(ts, 0 if len(ts[0].shape) == 1 else 1)  # type: ignore[no-any-return]


@function(method=False, aliases=("row_stack",))
def vstack(tensors: Any, *, out: Tensor | None = None) -> Tensor:
    """Joined along dimension 0; vectors are rows."""
    return cat([atleast_2d(t) for t in _tensors("vstack", tensors, "vstack expects a non-empty TensorList")], 0)  # type: ignore[no-any-return]


@function(method=False)
def dstack(tensors: Any, *, out: Tensor | None = None) -> Tensor:
    """Joined along dimension 2."""
    return cat([atleast_3d(t) for t in _tensors("dstack", tensors, "dstack expects a non-empty TensorList")], 2)  # type: ignore[no-any-return]


@function(method=False)
def column_stack(tensors: Any, *, out: Tensor | None = None) -> Tensor:
    """Joined along dimension 1; vectors and scalars are columns."""
    ts = _tensors("column_stack", tensors, "column_stack expects a non-empty TensorList")
    return cat([reshape(t, -1, 1) if len(t.shape) <= 1 else t for t in ts], 1)  # type: ignore[no-any-return]


@function(method=False)
def block_diag(*tensors: Tensor) -> Tensor:
    """A matrix with the given matrices (or vectors, as rows) along its diagonal and zeros elsewhere."""
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"block_diag(): argument 'tensors' must be tuple of Tensors, not {type(t).__name__}")
        if len(t.shape) > 2:
            raise RuntimeError(f"torch.block_diag: Input tensors must have 2 or fewer dimensions. Input {i} has {len(t.shape)} dimensions")
    if not tensors:
        from .creation import empty

        return empty(1, 0)  # type: ignore[no-any-return]
    return nary(ops.block_diag, [atleast_2d(t) for t in tensors])


# ---------------------------------------------------------------- cutting
def _cut(input: Tensor, by: Any, d: int) -> tuple[Tensor, ...]:
    """`input` cut before the given positions, or into a number of nearly equal parts, as views that may each be written."""
    n = input.shape[d]
    if isinstance(by, int):
        if by <= 0 or by > n:
            whole_size(by)
        if by <= 0:
            raise RuntimeError(f"number of sections must be larger than 0, got {by}")
        check_size((by,), dtypes.int64, input.device)
        small, larger = divmod(n, by)
        by = [i * small + min(i, larger) for i in range(1, by)]
    bounds = [slice(lo, hi).indices(n) for lo, hi in itertools.pairwise([0, *by, n])]
    return parts(input, slice_, [(d, lo, max(lo, hi), 1) for lo, hi, _ in bounds], "view")


@function()
@step("SliceBackward0", each=True)
def tensor_split(
    input: Tensor, indices_or_sections: Any = None, dim: int = 0, *, indices: Any = None, sections: int | None = None
) -> tuple[Tensor, ...]:
    """Views of consecutive parts: so many (as equal as can be), or cut before the given positions."""
    by = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
    if not input.shape:
        raise RuntimeError("tensor_split expected at least a 1-dimensional tensor, but got a tensor with 0 dims")
    if isinstance(by, Tensor):
        if len(by.shape) > 1 or by.dtype is not dtypes.int64:
            raise RuntimeError(
                "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor of dtype long"
            )
        by = by.tolist()  # type: ignore[attr-defined]
    elif isinstance(by, np.integer):
        by = int(by)
    elif not isinstance(by, (int, tuple, list)) or isinstance(by, bool):
        raise combination("tensor_split", (by,), {}, ", but expected (int sections) or (tuple of ints indices)")
    return _cut(input, by, wrap_dim(dim, len(input.shape)))


def _register_split(name: str, least: int, dim: int) -> None:
    def f(input: Tensor, indices_or_sections: Any = None, *, indices: Any = None, sections: int | None = None) -> tuple[Tensor, ...]:
        by = next((v for v in (indices_or_sections, indices, sections) if v is not None), None)
        if isinstance(by, np.integer) or (isinstance(by, Tensor) and not by.shape and by.dtype.category == dtypes.INTEGER):
            by = int(by)  # type: ignore[call-overload]
        elif isinstance(by, Tensor) or not isinstance(by, (int, tuple, list)):
            raise combination(name, (by,), {}, ", but expected (int sections) or (tuple of ints indices)")
        if len(input.shape) < least:
            raise RuntimeError(
                f"torch.{name} requires a tensor with at least {least} dimension, but got a tensor with {len(input.shape)} dimensions!"
            )
        d = 0 if len(input.shape) == 1 else dim
        if isinstance(by, int) and (by <= 0 or input.shape[d] % by):
            raise RuntimeError(
                f"torch.{name} attempted to split along dimension {d}, but the size of the dimension {input.shape[d]} "
                f"is not divisible by the split_size {by}!"
            )
        return _cut(input, by, d)

    named(f, name, f"Views of parts along dimension {dim}: so many of equal size, or cut before the given positions.")
    function()(step("SliceBackward0", each=True)(f))


_register_split("vsplit", 2, 0)
_register_split("hsplit", 1, 1)
_register_split("dsplit", 3, 2)


# ---------------------------------------------------------------- dimensions
def _each(name: str, raise_rank: Any) -> Any:
    def f(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
            return tuple([raise_rank(t) for t in tensors[0]])
        return raise_rank(tensors[0]) if len(tensors) == 1 else tuple([raise_rank(t) for t in tensors])

    return function(method=False)(named(f, name, f"Views with {name[8:-1]} or more dimensions, of one tensor or of each of several."))


def _view(t: Tensor, least: int) -> Tensor:
    """A view with dimensions of size one added as NumPy adds them: in front, and for rank 3 also at the end."""
    shape = tuple(t.shape)
    if len(shape) >= least:
        return t
    if least == 3:
        return reshape(t, 1, 1, 1) if not shape else unsqueeze(t if len(shape) == 2 else unsqueeze(t, 0), -1)  # type: ignore[no-any-return]
    return unsqueeze(t, 0) if len(shape) == 1 else reshape(t, *(1,) * least)  # type: ignore[no-any-return]


atleast_1d = _each("atleast_1d", lambda t: _view(t, 1))
atleast_2d = _each("atleast_2d", lambda t: _view(t, 2))
atleast_3d = _each("atleast_3d", lambda t: _view(t, 3))


def broadcast_shapes(*shapes: Any) -> Any:
    """The shape that tensors of these shapes broadcast to."""
    from ...size import Size

    listed = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    for s in listed:
        if any(n < 0 for n in s):
            raise RuntimeError(f"Trying to create tensor with negative dimension ({min(s)}): ({min(s)})")
    rank = max((len(s) for s in listed), default=0)
    out = [1] * rank
    for s in listed:
        for i in range(-1, -1 - len(s), -1):
            if s[i] != 1 and out[i] not in (1, s[i]):
                raise RuntimeError(
                    "Shape mismatch: objects cannot be broadcast to a single shape"
                    if len(listed) < 2
                    else f"Attempting to broadcast a dimension of length {s[i]} at {i}! "
                    f"Mismatching argument at index {listed.index(s)} had {s}; but expected shape should be broadcastable to {out}"
                )
            out[i] = s[i] if s[i] != 1 else out[i]
    return Size(out)


FUNCTIONS["broadcast_shapes"] = broadcast_shapes


@function(method=False)
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors expanded to their common shape, as views; those that have it already as they are."""
    ts = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else tensors
    wide = broadcast(*[tuple(t.shape) for t in ts])
    return tuple([t if tuple(t.shape) == tuple(wide) else expand(t, wide) for t in ts])


@function(method=False)
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Coordinate grids of vectors, as expanded views; ``indexing="xy"`` swaps the first two dimensions as NumPy's default does."""
    ts = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)) else list(tensors)
    if not ts:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    if indexing is None:
        notices.once(notices.NO_INDEXING)
    for i, t in enumerate(ts):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
        if len(t.shape) > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t}")
        if t.dtype is not ts[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(ts) > 1
    if swap:
        ts[0], ts[1] = ts[1], ts[0]
    sizes = [t.shape.numel() for t in ts]
    grids = [expand(reshape(t, *[-1 if i == k else 1 for i in range(len(ts))]), *sizes) for k, t in enumerate(ts)]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


@function(method=False)
def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of one element from each vector, as rows (a single vector: itself)."""
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(t).__name__}")
        if len(t.shape) != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]  # type: ignore[no-any-return]
    return stack([reshape(g, -1) for g in meshgrid(*tensors)], 1)  # type: ignore[no-any-return]


@function(method=False)
@step("StackBackward0")
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of `r` elements of a vector, in order, as rows."""
    if len(input.shape) != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    n = input.shape[0]
    if r == 0:
        from .creation import empty

        return empty(0, dtype=input.dtype, device=input.device)  # type: ignore[no-any-return]
    chosen = itertools.combinations_with_replacement(range(n), r) if with_replacement else itertools.combinations(range(n), r)
    count = math.comb(n + r - 1, r) if with_replacement else math.comb(n, r)
    rows = np.fromiter(itertools.chain.from_iterable(chosen), np.int64, count * r)
    return reshape(index_select(input, 0, indices(rows, input.device)), count, r)  # type: ignore[no-any-return]
