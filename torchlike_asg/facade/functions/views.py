"""Views and copies: reshape, transpose, slice, expand, split, ... A view shares its tensor's memory."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

from ... import dtypes, notices
from ...asg.geometry import infer_size, view_strides
from ...ops import movement
from ...ops.reinterpret import reinterpreted
from ..core import Tensor, concrete, face, unary
from ..families import alias, family_of, seen_view, view
from ..leaves import require_grad
from ..lens import lens_over
from ..misfits import combination
from ..register import function, method
from ..steps import note, step
from .factory_arguments import sizes, whole_size
from .slices import diagonal_at, selected, sliced


def wrap_dim(d: int, rank: int) -> int:
    """A dimension number counted from either end."""
    if d.__class__ is not int:
        if d.__class__ is bool:
            raise TypeError("a dimension must be int, not bool")
        d = operator.index(d)
    limit = max(rank, 1)
    if not -limit <= d < limit:
        if not -(1 << 63) <= d < 1 << 63:
            raise ValueError("Overflow when unpacking long long")
        raise IndexError(f"Dimension out of range (expected to be in range of [{-limit}, {limit - 1}], but got {d})")
    return d + rank if d < 0 and rank else d + limit if d < 0 else d


def dims_of(dim: Any, rank: int) -> tuple[int, ...]:
    """One or several dimension numbers, distinct."""
    if isinstance(dim, int) or (not isinstance(dim, (tuple, list)) and getattr(dim, "shape", None) == ()):
        return (wrap_dim(dim, rank),)
    out = tuple([wrap_dim(d, rank) for d in dim])
    for d in out:
        if out.count(d) > 1:
            raise RuntimeError(f"dim {d} appears multiple times in the list of dims")
    return out


@method("view")
def view_(self: Tensor, *shape: Any, size: Any = None, dtype: Any = None) -> Tensor:
    """The same elements with another shape, sharing memory; raises where only a copy could have that shape."""
    if shape and size is None and dtype is None and _integers(shape):
        n = _views.get((self._n, *shape))
        if n is not None:  # seen before
            f = self._f or family_of(self)
            if f.h is not None:
                return seen_view(self, f, n)
        elif -1 in shape:
            t = view(movement.view, self, inferred := infer_size(sizes(shape), self.shape.numel()))
            if (n := _views.get((self._n, *inferred))) is not None:
                _views.setdefault((self._n, *shape), n)  # the next time it is found as it was asked for
            return t
    if size is not None:
        shape = (size,)
    if len(shape) == 1 and isinstance(shape[0], (dtypes.dtype, type)):
        dtype = shape[0]
    if dtype is not None:
        return _view_dtype(self, dtypes.required(dtype, "view", "dtype"))
    if not shape:
        raise combination("view", (), {}, ", but expected (torch.dtype dtype) or (tuple of ints size)")
    return view(movement.view, self, infer_size(sizes(shape, "size"), self.shape.numel()))


_views = movement.view.table


def _integers(shape: tuple[Any, ...]) -> bool:
    """Whether these are sizes that need no conversion: a number that equals an integer is found in a table, too."""
    for d in shape:
        if d.__class__ is not int:
            return False
    return True


def _view_dtype(t: Tensor, d: dtypes.dtype) -> Tensor:
    """The same bytes as elements of another type, without history; the last dimension shrinks or grows where sizes differ."""
    if d is t.dtype:
        return alias(t, share_counter=True)
    lens = t._lens
    if lens is not None and (lens.conj or lens.neg):
        raise RuntimeError(
            f"torch.Tensor.view is not supported for {'conjugate' if lens.conj else 'tensors with negative bit set'} view tensors when "
            "converting to a different dtype."
        )
    f = family_of(t)
    if t.__dict__.pop("_unread", False) and f.h is None and len(f.cell.live()) == 1:  # see `mapped.MappedStorage`
        shape, *_ = reinterpreted(t.geometry, t.dtype, d)
        return concrete(f.cell.buf.view(d.storage), shape, d, t.device)  # type: ignore[no-any-return, union-attr]
    out = alias(t, share_counter=True)
    geometry = reinterpreted(out.geometry, t.dtype, d)
    f = family_of(out)
    return face(f, None, 0, None, geometry, lens=lens_over(f.cell.dtype, d))  # type: ignore[no-any-return]


@function()
def reshape(input: Tensor, *lengths: Any, shape: Any = None) -> Tensor:
    """The same elements with another shape: a view where possible, else a copy."""
    s = infer_size(sizes(lengths if shape is None else (shape,), "shape", "reshape"), input.shape.numel())
    if view_strides(_plain(input), s) is not None:
        return view(movement.view, input, s)
    return unary(movement.reshape, input, s)


def _plain(t: Tensor) -> Any:
    shape, strides, offset = t.geometry
    return tuple(shape), strides, offset


def _check_other(name: str, other: Any) -> None:
    if not isinstance(other, Tensor):
        raise TypeError(f"{name}(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}")


@method()
def view_as(self: Tensor, other: Tensor) -> Tensor:
    """``view(other.size())``."""
    _check_other("view_as", other)
    return view_(self, other.shape)


@method()
def reshape_as(self: Tensor, other: Tensor) -> Tensor:
    """``reshape(other.size())``."""
    _check_other("reshape_as", other)
    return reshape(self, other.shape)  # type: ignore[no-any-return]


@function()
def permute(input: Tensor, *order: Any, dims: Any = None) -> Tensor:
    """A view with the dimensions in another order."""
    p = sizes(order if dims is None else (dims,), "dims", "permute")
    rank = len(input.shape)
    if len(p) != rank:
        raise RuntimeError(
            f"permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired ordering of dimensions i.e. input.dim() = {rank} is not equal to len(dims) = {len(p)}"  # noqa: E501
        )
    p = tuple([wrap_dim(d, rank) for d in p])
    if len(set(p)) != rank:
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    found = view(movement.permute, input, p)
    if found._n is not None and found._n.rg and sum([i != d for i, d in enumerate(p)]) == 2:  # the node may be a transpose's
        note(found, "PermuteBackward0")
    return found  # type: ignore[no-any-return]


@function(aliases=("swapaxes", "swapdims"))
def transpose(input: Tensor, dim0: int, dim1: int) -> Tensor:
    """A view with two dimensions exchanged."""
    rank = len(input.shape)
    if rank == 0:
        wrap_dim(dim0, rank), wrap_dim(dim1, rank)
        return view(movement.view, input, ())
    if dim0 == dim1:
        same = view(movement.permute, input, _pair(rank, dim0, dim1))
        note(same, "TransposeBackward0")
        return same
    return view(
        movement.permute, input, _exchanged(rank, dim0, dim1) if dim0.__class__ is dim1.__class__ is int else _pair(rank, dim0, dim1)
    )


def _pair(rank: int, dim0: int, dim1: int) -> tuple[int, ...]:
    """The order of the dimensions with two of them exchanged."""
    a, b = wrap_dim(dim0, rank), wrap_dim(dim1, rank)
    p = list(range(rank))
    p[a], p[b] = p[b], p[a]
    return tuple(p)


_exchanged = functools.cache(_pair)


@function()
@step("TBackward0")
def t(input: Tensor) -> Tensor:
    """The transpose of a matrix; vectors and scalars as they are."""
    rank = len(input.shape)
    if rank > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {rank}D")
    return transpose(input, 0, 1) if rank == 2 else view(movement.view, input, tuple(input.shape))  # type: ignore[no-any-return]


@step("PermuteBackward0")
def _reversed(self: Tensor) -> Tensor:
    if (rank := len(self.shape)) != 2:
        notices.once(notices.REVERSED if rank else notices.T_OF_SCALAR)
    return permute(self, (*reversed(range(rank)),))  # type: ignore[no-any-return]


Tensor.T = property(_reversed, doc="The tensor with its dimensions reversed.")  # type: ignore[attr-defined]


def _matrices_transposed(self: Tensor) -> Tensor:
    rank = len(self.shape)
    if rank == 1:
        raise RuntimeError("tensor.mT is only supported on matrices or batches of matrices. Got 1-D tensor.")
    return transpose(self, -2, -1) if rank else view(movement.view, self, ())  # type: ignore[no-any-return]


Tensor.mT = property(_matrices_transposed, doc="The last two dimensions exchanged.")  # type: ignore[attr-defined]


@function(aliases=("moveaxis",))
@step("PermuteBackward0")
def movedim(input: Tensor, source: Any, destination: Any) -> Tensor:
    """A view with dimensions moved to new positions, the others keeping their order."""
    rank = len(input.shape)
    src, dst = ([wrap_dim(d, rank) for d in (v if isinstance(v, (tuple, list)) else (v,))] for v in (source, destination))
    if len(src) != len(dst):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(src)} dims) should contain the same number of dims as destination ({list(dst)} dims)"  # noqa: E501
        )
    for name, dims in (("source", src), ("destination", dst)):
        if len(set(dims)) < len(dims):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({dims})")
    if not rank:
        return view(movement.view, input, ())
    order = [-1] * rank
    for s, d in zip(src, dst, strict=True):
        order[d] = s
    rest = iter(i for i in range(rank) if i not in src)
    return view(movement.permute, input, tuple([next(rest) if i < 0 else i for i in order]))


@function()
def unsqueeze(input: Tensor, dim: int) -> Tensor:
    """A view with a dimension of size one inserted at `dim`."""
    return view(movement.unsqueeze, input, (wrap_dim(dim, len(input.shape) + 1),))


@function()
@step(lambda input, dim=None, **_: f"SqueezeBackward{0 if dim is None else 1 if isinstance(dim, int) else 2}")
def squeeze(input: Tensor, dim: Any = None) -> Tensor:
    """A view without the dimensions of size one (all, or those given)."""
    rank = len(input.shape)
    picked = range(rank) if dim is None else sorted(dims_of(dim, rank))
    gone = [d for d in picked if d < rank and input.shape[d] == 1]
    if len(gone) == 1:
        return view(movement.squeeze, input, (gone[0],))
    if not gone:
        return view(movement.permute, input, tuple(range(rank)))
    return view(movement.view, input, tuple([n for i, n in enumerate(input.shape) if i not in gone]))


@function(aliases=("broadcast_to",))
def expand(input: Tensor, *lengths: Any, size: Any = None, implicit: bool = False) -> Tensor:
    """A view with dimensions of size one repeated without copying; -1 keeps a dimension."""
    s = sizes(lengths if size is None else (size,), "size", "expand")
    lead = len(s) - len(input.shape)
    if -1 in s:
        if any(d == -1 for d in s[:lead]):
            raise RuntimeError(f"The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension {s.index(-1)}")
        s = tuple([input.shape[i - lead] if d == -1 else d for i, d in enumerate(s)])
    return view(movement.expand, input, s)


@method()
def expand_as(self: Tensor, other: Tensor) -> Tensor:
    """``expand(other.size())``."""
    _check_other("expand_as", other)
    return expand(self, other.shape)  # type: ignore[no-any-return]


@function()
def select(input: Tensor, dim: int, index: int) -> Tensor:
    """The slice at `index` of dimension `dim`, as a view of one dimension less."""
    rank = len(input.shape)
    if rank == 0:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    d = wrap_dim(dim, rank)
    i, n = int(index), input.shape[d]
    if not -n <= i < n:
        raise IndexError(f"select(): index {i} out of range for tensor of size {list(input.shape)} at dimension {d}")
    return selected(input, d, i + n if i < 0 else i)


@function()
def narrow(input: Tensor, dim: int, start: Any, length: int) -> Tensor:
    """A view of `length` slices of dimension `dim` from `start` on."""
    if not input.shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    d, lo = wrap_dim(dim, len(input.shape)), operator.index(start)
    n = input.shape[d]
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    if not -n <= lo <= n:
        raise IndexError(f"start out of range (expected to be in range of [{-n}, {n}], but got {lo})")
    lo = lo + n if lo < 0 else lo
    if lo + length > n:
        raise RuntimeError(f"start ({lo}) + length ({length}) exceeds dimension size ({n}).")
    return sliced(input, d, lo, lo + length)


@function()
def diagonal(input: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """A view of the diagonal of two dimensions, as a new last dimension."""
    rank = len(input.shape)
    a, b = wrap_dim(dim1, rank), wrap_dim(dim2, rank)
    if a == b:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    return diagonal_at(input, whole_size(offset), a, b)


@method("unfold")
def unfold(self: Tensor, dimension: int, size: int, step: int) -> Tensor:
    """All slices of `size` elements along a dimension, `step` apart, as a new last dimension (a view)."""
    d = wrap_dim(dimension, len(self.shape))
    n = self.shape[d] if self.shape else 1
    if size > n:
        raise RuntimeError(f"maximum size for tensor at dimension {d} is {n} but size is {size}")
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    whole_size(step)
    return view(movement.unfold, self, (d, size, step))


@function()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """The dimensions from `start_dim` to `end_dim` merged into one: a view where possible."""
    rank = len(input.shape)
    a, b = wrap_dim(start_dim, rank), wrap_dim(end_dim, rank)
    if rank == 0:
        return reshape(input, 1)  # type: ignore[no-any-return]
    if a > b:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if a == b:
        return input
    s = tuple(input.shape)
    return reshape(input, *s[:a], math.prod(s[a : b + 1]), *s[b + 1 :])  # type: ignore[no-any-return]


@function()
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Dimension `dim` split into several."""
    d = wrap_dim(dim, len(input.shape))
    s = tuple(input.shape)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    try:
        parts = infer_size(tuple(sizes), s[d])
    except RuntimeError:
        raise RuntimeError(
            f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of dim {d} ({s[d]}) in the input tensor"
        ) from None
    return view_(input, *s[:d], *parts, *s[d + 1 :])


@method()
def detach(self: Tensor) -> Tensor:
    """The same memory without history."""
    return alias(self, share_counter=True)


@method()
def detach_(self: Tensor) -> Tensor:
    """Cut this tensor from its history, in place."""
    if self._f is not None and self._kind is not None:
        raise RuntimeError(
            "Can't detach views in-place. Use detach() instead. If they are gradients that lie side by side in one buffer, zero them with "
            "zero_grad(set_to_none=True)."
        )
    if not self.requires_grad:
        return self
    if self.is_leaf:  # it keeps its gradient
        return require_grad(self, False)
    out = alias(self, share_counter=True)
    self._n, self._f, self._d, self._geo, self._kind = out._n, out._f, out._d if out._n is not None else 0, out.geometry, None
    self._lens = out._lens
    out._f.add(self)  # type: ignore[union-attr]
    return self
