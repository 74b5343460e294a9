"""``x[...]`` and ``x[...] = v``: numbers, slices, ``...`` and None give views; index tensors and masks give copies."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.batching import depends
from ...asg.geometry import view_strides
from ...asg.keeps import KEEPS
from ...asg.trace import current
from ...ops import indexing as ops
from ...ops import movement
from ...ops.formula import title
from ...ops.pointwise import masked_fill, where
from .. import direct, parts_of_data
from ..core import Tensor, node_of, wrap
from ..core import operand as operand_of
from ..families import view
from ..held import value_of
from ..hosted import data, known, operand
from ..register import method
from ..steps import keeping, note, note_write, step
from ..write import write
from .python_data import as_array
from .reading import item
from .slices import check_entry, select_at, slice_of
from .writes import copy_

_NUMBERS = (int, float, bool, complex)
_WRONG_KIND = "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got {})"
_WRONG_TYPE = "tensors used as indices must be long, int, byte or bool tensors"
_INDEX_TYPES = (dtypes.int64, dtypes.int32)
_SEQUENCE = (
    "Using a non-tuple sequence for multidimensional indexing is deprecated and will be changed in pytorch "
    "2.9; use x[tuple(seq)] instead of x[seq]. "
    "In pytorch 2.9 this will be interpreted as tensor index, x[torch.tensor(seq)], which will result "
    "either in an error or a different result"
)
_BYTE = "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead."

#: an index tensor or mask (tensor or array) and the first dimension it applies to
Entry = tuple[int, Any]


# ---------------------------------------------------------------- understanding a subscript
def _entries_of(key: Any) -> tuple[Any, ...]:
    """A subscript as a tuple of its entries."""
    if isinstance(key, tuple):
        return tuple(key)
    if (
        isinstance(key, list)
        and len(key) < 32
        and any(isinstance(k, (list, tuple, range, slice, Tensor, np.ndarray)) or k is None or k is Ellipsis for k in key)
    ):
        warnings.warn(_SEQUENCE, UserWarning, stacklevel=4)
        return tuple(key)
    return (key,)


def _positions(key: Any) -> Any:
    """A list, range or array used as an index: an array of integers, or a mask."""
    if isinstance(key, np.ndarray):
        a = key
    else:
        try:
            a = as_array(list(key), None)[0]
        except ValueError as error:
            if "'str'" not in str(error):
                raise
            raise TypeError("new(): invalid data type 'str'") from None
    return a if a.dtype.kind == "b" or a.dtype == np.uint8 else np.asarray(a, np.int64)


def _is_mask(index: Any) -> bool:
    d = index.dtype
    return d is dtypes.bool_ or d is dtypes.uint8 or d == np.bool_ or d == np.uint8


def _width(k: Any) -> int:
    """How many dimensions of the tensor an entry speaks for."""
    if k is None or k is Ellipsis or k is True or k is False:
        return 0
    if isinstance(k, (Tensor, np.ndarray)) and _is_mask(k):
        return len(k.shape)
    return 1


def _basic(t: Tensor, entries: tuple[Any, ...]) -> tuple[Tensor, list[Entry]]:
    """Apply the basic entries as views; returns the view and the index tensors that remain."""
    prepared = [_positions(k) if isinstance(k, (list, tuple, range)) else k for k in entries]
    rank = len(t.shape)
    spoken = sum([_width(k) for k in prepared])
    if spoken > rank:
        if rank == 0:
            check_entry(prepared[0])
            raise IndexError(
                "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert "
                "a 0-dim tensor to a number"
            )
        raise IndexError(f"too many indices for tensor of dimension {rank}")
    d, found = 0, []
    for k in prepared:
        kind = k.__class__
        if kind is int:
            t = select_at(t, d, k)
        elif kind is slice:
            t = slice_of(t, d, k)
            d += 1
        elif k is None:
            t = view(movement.unsqueeze, t, (d,))
            d += 1
        elif k is Ellipsis:
            d += rank - spoken
        elif isinstance(k, (bool, np.bool_)):
            t = view(movement.unsqueeze, t, (d,))
            found.append((d, np.zeros(int(k), np.int64)))
            d += 1
        elif isinstance(k, (Tensor, np.ndarray)):
            if k.shape or _example(k):
                found.append((d, _checked(k)))
                d += _width(k)
            elif _is_mask(k):
                t = view(movement.unsqueeze, t, (d,))
                whole = k.astype(np.bool_) if isinstance(k, np.ndarray) else k.bool()  # type: ignore[attr-defined]  # a byte says yes or no
                found.append((d, whole.reshape(1)))  # a mask of one element, for the dimension inserted for it
                d += 1
            else:
                t = select_at(t, d, _number(k))
        elif hasattr(kind, "__index__"):
            t = select_at(t, d, int(k.__index__()))
        else:
            raise TypeError("new(): invalid data type 'str'") if kind is str else IndexError(_WRONG_KIND.format(kind.__name__))
    return t, found


def _example(k: Any) -> bool:
    """Whether an index of no dimensions stands for every example of a batch: it has no one value that would select a part."""
    return bool(current().mapped) and k.__class__ is not np.ndarray and not _is_mask(k) and depends((node_of(k),))


def _number(k: Any) -> int:
    if k.dtype.kind not in "iu" if isinstance(k, np.ndarray) else k.dtype.category != dtypes.INTEGER:
        raise IndexError(_WRONG_TYPE)
    values = known(k)
    return int(item(k) if values is None else values)


def _checked(k: Any) -> Any:
    """An index tensor of an accepted type."""
    if isinstance(k, np.ndarray):
        return _positions(k)
    if k.dtype is dtypes.uint8:
        warnings.warn(_BYTE, UserWarning, stacklevel=4)
    elif k.dtype not in _INDEX_TYPES and k.dtype is not dtypes.bool_:
        raise IndexError(_WRONG_TYPE)
    return k


# ---------------------------------------------------------------- index tensors
def _check_mask(t: Tensor, d: int, mask: Any) -> None:
    for i, n in enumerate(mask.shape):
        if n != t.shape[d + i]:
            raise IndexError(
                f"The shape of the mask {list(mask.shape)} at index {i} does not match the shape of the indexed tensor "
                f"{list(t.shape)} at index {d + i}"
            )


def _integers(t: Tensor, found: list[Entry]) -> tuple[tuple[int, ...], list[Any]]:
    """(dimensions, integer index for each): masks become the positions of their true elements, and known indices are checked."""
    dims: list[int] = []
    out: list[Any] = []
    for d, k in found:
        if _is_mask(k):
            _check_mask(t, d, k)
            where_true = np.nonzero(value_of(k) if isinstance(k, Tensor) else k)
            dims += range(d, d + len(where_true))
            out += where_true
        else:
            dims.append(d)
            out.append(k)
    at_hand = [known(k) for k in out]
    ops.key_of(tuple(t.shape), [np.zeros(0, np.int64) if v is None else v for v in at_hand], tuple(dims))
    return tuple(dims), out


def _pick(t: Tensor, found: list[Entry]) -> Tensor:
    """The elements at integer positions, as a new tensor."""
    dims, index = _integers(t, found)
    whole = known(t)
    if whole is not None:
        at_hand = [known(i) for i in index]
        if all(v is not None for v in at_hand):
            strides = ops.layout(tuple(t.shape), t.geometry[1], [_face(i) for i in index], dims)[1]
            return data(whole[ops.key_of(tuple(t.shape), at_hand, dims)], t.dtype, t.device, strides)
    n = node_of(t)
    result = wrap(ops.index(n, *[operand(i) for i in index], dims))
    masks = _masks(found)
    return keeping(result, masks) if masks else result  # type: ignore[no-any-return]


def _masks(found: list[Entry]) -> list[Tensor]:
    return [k for _, k in found if isinstance(k, Tensor) and _is_mask(k)]


def _face(i: Any) -> Any:
    if isinstance(i, np.ndarray):
        return i.shape, tuple([s // i.itemsize for s in i.strides])
    return tuple(i.shape), i.geometry[1]


# ---------------------------------------------------------------- reading
@method()
def __getitem__(self: Tensor, key: Any) -> Tensor:
    kind = key.__class__
    entries = key if kind is tuple else (key,) if kind is int or kind is Tensor else _entries_of(key)
    part = parts_of_data.place(self, entries)
    if part is not None:
        return parts_of_data.seen(self, part)
    if kind is int and self.shape:
        return select_at(self, 0, key)
    t, found = _basic(self, entries)
    if found:
        return _pick(t, found)
    if t is self:
        t = view(movement.permute, self, tuple(range(len(self.shape))))
        note(t, "SliceBackward0" if isinstance(key, slice) else "AliasBackward0")
    return t


# ---------------------------------------------------------------- writing
@method()
def __delitem__(self: Tensor, key: Any) -> None:
    """Raises TypeError: a tensor keeps its elements."""
    raise TypeError("Tensor does not support deleting items")


@method()
def __setitem__(self: Tensor, key: Any, value: Any) -> None:
    if not isinstance(value, Tensor) and not isinstance(value, _NUMBERS):
        kind = type(value)
        name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
        raise TypeError(f"can't assign a {name} to a torch.{_legacy_name(self)}")
    if value.__class__ is int and not -(2**63) <= value < 2**63:
        raise ValueError("Overflow when unpacking long long")
    kind = key.__class__  # alone, True is a plain copy, which converts
    entries = key if kind is tuple else (key,) if kind is Tensor else _entries_of(None if key is True else key)
    if parts_of_data.store(self, entries, value):
        return
    direct.prepare(self, value)
    if key is False:
        return
    part = parts_of_data.place(self, entries)
    t, found = _basic(self, entries) if part is None else (parts_of_data.seen(self, part), [])
    if not found:
        _store(t, value)
    elif len(found) == 1 and _is_mask(found[0][1]) and _put_masked(t, *found[0], value):
        return
    else:
        _put(t, found, value)


def _legacy_name(t: Tensor) -> str:
    return f"{title(t.dtype).removeprefix('Complex') if t.dtype.is_complex else title(t.dtype)}Tensor"


def _store(t: Tensor, value: Any) -> None:
    """Write a view. Leading dimensions of size one that the target lacks are dropped from the value."""
    if isinstance(value, Tensor) and tuple(value.shape) != tuple(t.shape):
        value = _without_leading_ones(value, len(t.shape))
        movement.expand.rule.geometry((tuple(value.shape), (0,) * len(value.shape), 0), *t.shape)  # type: ignore[union-attr]
        if value._f is not None and t._f is not None and value._f.cell is t._f.cell:
            value = view(movement.expand, value, tuple(t.shape))  # rows[:] = rows[0] is allowed, rows[:] = rows[1:] is not
    if direct.assign(t, value):
        return
    copy_(t, value)
    direct.piled(t, value)


def _without_leading_ones(v: Tensor, rank: int) -> Tensor:
    while len(v.shape) > rank and v.shape[0] == 1:
        v = view(movement.select, v, (0, 0))
    return v


def _put_masked(t: Tensor, d: int, mask: Any, value: Any) -> bool:
    """``t[mask] = value`` where the value does not depend on how many elements are true: no need to look at the mask."""
    _check_mask(t, d, mask)
    inner = len(t.shape) - d - len(mask.shape)
    if (not isinstance(value, Tensor) or value.shape.numel() == 1) and mask.dtype in (dtypes.uint8, np.uint8):
        raise RuntimeError("masked_fill_ only supports boolean masks, but got mask with dtype unsigned char")
    if isinstance(value, Tensor):
        value = _without_leading_ones(value, inner)
        if not ops.fits(tuple(value.shape), tuple(t.shape[len(t.shape) - inner :])):
            return False
        if value.shape.numel() != 1 and value.dtype is not t.dtype:
            raise RuntimeError(
                f"Index put requires the source and destination dtypes match, got {title(t.dtype)} for the destination "
                f"and {title(value.dtype)} for the source."
            )
    chosen = known(mask)
    if chosen is not None and direct.assign(t, value, (*(slice(None),) * d, chosen.astype(np.bool_, copy=False))):
        return True
    m = operand(mask)
    m = m if m.dtype is dtypes.bool_ else movement.cast(m, dtypes.bool_)
    if inner:
        wide = (*m.shape, *(1,) * inner)
        m = movement.view(m, *wide) if view_strides(m.geometry, wide) is not None else movement.reshape(m, wide)

    def written(cur: Any) -> Any:
        if not isinstance(value, Tensor):
            return masked_fill(cur, m, operand_of(masked_fill, value, cur))
        v = node_of(value)
        return where(m, v if v.dtype is cur.dtype else movement.cast(v, cur.dtype), cur)

    others = [o for o in (value, mask) if isinstance(o, Tensor)]
    write(t, written, others, partly=True)
    note_write(t, "IndexPutBackward0")
    return True


def _put(t: Tensor, found: list[Entry], value: Any) -> None:
    """``t[indices] = value`` at integer positions."""
    dims, index = _integers(t, found)
    put(t, dims, index, value, False, _masks(found))


@step("PutBackward0")
def put(t: Tensor, dims: tuple[int, ...], index: list[Any], value: Any, accumulate: bool, masks: Any = ()) -> Tensor:
    """Write (or add) `value` at integer positions of `t`; `index` holds one tensor or array for each of `dims`. `masks` are the tensors
    that positions were found from."""
    if isinstance(value, Tensor):
        value = _without_leading_ones(value, len(t.shape) - len(dims) + max([len(i.shape) for i in index]))

    if not accumulate and _put_directly(t, dims, index, value):
        return t

    def written(cur: Any) -> Any:
        v = node_of(value) if isinstance(value, Tensor) else movement._prepare_value(cur, operand_of(ops.index_put, value, cur))[1]
        n = ops.index_put(cur, v, *[operand(i) for i in index], dims, accumulate)
        return KEEPS(n, *map(node_of, masks)) if masks and n.rg else n

    others = [o for o in (value, *index) if isinstance(o, Tensor)]
    return write(t, written, others, partly=not accumulate, apart=True)


def _put_directly(t: Tensor, dims: tuple[int, ...], index: list[Any], value: Any) -> bool:
    """Write data at known positions of data, see `direct`. False where that cannot be done, or is an error."""
    at_hand = [known(i) for i in index]
    if direct.target(t) is None or any(v is None for v in at_hand):
        return False
    shape = tuple(t.shape)
    if isinstance(value, Tensor):
        wanted = ops.layout(shape, shape, [(i.shape, (0,) * i.ndim) for i in at_hand], dims)[0]  # type: ignore[union-attr]
        if value.dtype is not t.dtype or not ops.fits(tuple(value.shape), wanted):
            return False
    return direct.assign(t, value, ops.key_of(shape, at_hand, dims))
