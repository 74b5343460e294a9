"""Making tensors: from data, from NumPy, filled, and like others."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import devices, dtypes
from ...asg import scope
from ...asg.geometry import contiguous, is_contiguous
from ...asg.node import Node, element
from ...asg.trace import current
from ...devices import check, device, refuse
from ...dtypes import dtype
from ...dtypes import dtype as element_type
from ...ops import movement
from ..core import Tensor, concrete, face, node_of, unary, wrap
from ..leaves import require_grad
from ..lifting import changes
from ..register import FUNCTIONS, function, method
from ..storage import Cell, Family
from .python_data import as_array, inferred


def device_of(d: Any, like: Tensor | None = None) -> device:
    """The device argument of a factory function."""
    if d is None:
        return like.device if like is not None else devices.default[0]  # type: ignore[no-any-return]
    return check(device(d))


def sizes(args: tuple[Any, ...], name: str = "size") -> tuple[int, ...]:
    """Size arguments: ``f(2, 3)``, ``f((2, 3))``, ``f([2, 3])``, ``f(torch.Size(...))``."""
    if len(args) == 1 and not isinstance(args[0], (int, np.integer, Tensor)):
        if isinstance(args[0], dict):
            raise TypeError(f"argument '{name}' (position 1) must be tuple of ints, not dict")
        args = tuple(args[0])
    out = tuple([_index(d, name) for d in args])
    return out


def given_sizes(args: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """`sizes`, or the argument ``size=``, which is a sequence."""
    if size is None:
        return sizes(args)
    if args:
        raise TypeError("received an invalid combination of arguments: sizes both by position and as 'size'")
    if isinstance(size, int):
        raise TypeError("argument 'size' must be tuple of ints, not int")
    return sizes((size,))


def _index(d: Any, name: str) -> int:
    if d.__class__ is int:
        return d  # type: ignore[no-any-return]
    if isinstance(d, float) or not hasattr(d, "__index__"):
        raise TypeError(f"argument '{name}' must be tuple of ints, but found element of type {type(d).__name__}")
    return int(d.__index__())


def finish(t: Any, requires_grad: bool) -> Any:
    return require_grad(t, True) if requires_grad else t


def from_array(a: np.ndarray[Any, Any], d: dtype, dev: Any = None) -> Tensor:
    """A new tensor holding the values of an array (copied unless it is fresh)."""
    return concrete(np.ascontiguousarray(dtypes.store(a, d)).reshape(-1), a.shape, d, device("cpu") if dev is None else dev)  # type: ignore[no-any-return]


def tensor(data: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A new leaf tensor with a copy of `data`: a number, nested lists, an array, or a tensor.

    Without `dtype` it is inferred: bool, int64 and the default floating type for Python values, an array's own type for arrays.
    """
    if isinstance(data, Tensor):
        out = data.detach().clone()
        out = out if dtype is None or dtype is out.dtype else out.to(dtype)
        return finish(out, requires_grad)  # type: ignore[no-any-return]
    a, d = as_array(data, dtype)
    return finish(from_array(np.array(a, copy=True) if isinstance(data, np.ndarray) else a, d, device_of(device)), requires_grad)  # type: ignore[no-any-return]


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array's memory: a write on either side is seen on the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    return _over_array(ndarray, dtypes.from_numpy(ndarray.dtype))


def _over_array(ndarray: np.ndarray[Any, Any], d: dtype) -> Tensor:
    """A tensor of type `d` over an array of its storage's type."""
    if any(s < 0 for s in ndarray.strides):
        raise ValueError(
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently supported. "
            "(You can probably work around this by making a copy of your array with array.copy().)"
        )
    if any(s % ndarray.itemsize for s in ndarray.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the memory."
        )
    strides = tuple(s // ndarray.itemsize for s in ndarray.strides)
    extent = 0 if ndarray.size == 0 else 1 + sum((n - 1) * s for n, s in zip(ndarray.shape, strides, strict=True))
    if ndarray.flags.c_contiguous:
        buf, geometry, shape = ndarray.reshape(-1), (ndarray.shape, contiguous(ndarray.shape), 0), ndarray.shape
    else:
        buf = np.lib.stride_tricks.as_strided(ndarray, (extent,), (ndarray.itemsize,))
        geometry, shape = (ndarray.shape, strides, 0), (extent,)
    cell = Cell(shape, contiguous(shape), d, device("cpu"), buf)
    cell.exposed, cell.source = True, ndarray
    return face(Family(cell), None, 0, None, geometry)  # type: ignore[no-any-return]


def as_tensor(data: Any, dtype: dtype | None = None, device: Any = None) -> Tensor:
    """`data` as a tensor, sharing memory and history where that is possible."""
    if isinstance(data, Tensor):
        return data if dtype is None and device is None else data.to(dtype=dtype, device=device)  # type: ignore[no-any-return]
    if isinstance(data, np.ndarray):
        t = from_numpy(data)
        return t if dtype is None and device is None else t.to(dtype=dtype, device=device)  # type: ignore[no-any-return]
    return tensor(data, dtype=dtype, device=device)


def _fill(value: Any, shape: tuple[int, ...], d: dtype, dev: Any, requires_grad: bool) -> Tensor:
    if any(n < 0 for n in shape):
        raise RuntimeError(
            "zeros: Dimension size must be non-negative."
            if value == 0
            else f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}"
        )
    if requires_grad:
        return finish(
            concrete(np.full(math.prod(shape), dtypes.store(np.asarray(value, d.compute), d)[()], d.storage), shape, d, dev), True
        )  # type: ignore[no-any-return]
    return wrap(placed(movement.full(element(value, d), shape), dev))


def placed(n: Node, dev: device) -> Node:
    """A node that is made of literals alone, as one of a device. (A number is of any.)"""
    if n.shape == () and dev.type == "cpu":
        return n
    refuse(dev, n.dtype)
    key = (*n.srcs, *n.attrs, dev)
    found = n.op.table.get(key)
    if found is None:
        found = n.op.table.setdefault(key, Node(n.op, n.srcs, n.attrs, n.shape, n.dtype, device=dev))
    return found


def laid_out(t: Tensor, wanted: Any, strides: Any, requires_grad: bool) -> Tensor:
    """A new tensor in a memory format; with `strides`, those of the tensor it is like, in their order by default."""
    from .layout import format_strides

    given = format_strides(wanted, t.shape, t.geometry[1] if strides is None else strides, "empty")
    return finish(t if t.geometry[1] == given else unary(movement.relayout, t, given), requires_grad)  # type: ignore[no-any-return]


def _factory(name: str, value: Any) -> Any:
    def make(
        *shape: Any,
        size: Any = None,
        out: Tensor | None = None,
        dtype: dtype | None = None,
        layout: Any = None,
        device: Any = None,
        pin_memory: bool = False,
        requires_grad: bool = False,
        memory_format: Any = None,
        names: Any = None,
    ) -> Tensor:
        given, d = given_sizes(shape, size), dtypes.get_default_dtype() if dtype is None else dtype
        if not isinstance(d, element_type):
            raise TypeError(f"{name}(): argument 'dtype' must be torch.dtype, not {type(d).__name__}")
        if memory_format is not None:
            return laid_out(_fill(value, given, d, device_of(device), False), memory_format, None, requires_grad)
        return _fill(value, given, d, device_of(device), requires_grad)

    def like(
        input: Tensor,
        *,
        dtype: dtype | None = None,
        layout: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        memory_format: Any = None,
        pin_memory: bool = False,
    ) -> Tensor:
        d, strides = input.dtype if dtype is None else dtype, input.geometry[1]
        if memory_format is not None or not is_contiguous(input.shape, strides):
            return laid_out(_fill(value, tuple(input.shape), d, device_of(device, input), False), memory_format, strides, requires_grad)
        return _fill(value, tuple(input.shape), d, device_of(device, input), requires_grad)

    def new(
        self: Tensor,
        *shape: Any,
        size: Any = None,
        dtype: dtype | None = None,
        device: Any = None,
        requires_grad: bool = False,
        layout: Any = None,
        pin_memory: bool = False,
    ) -> Tensor:
        return _fill(value, given_sizes(shape, size), self.dtype if dtype is None else dtype, device_of(device, self), requires_grad)

    what = {"zeros": "zeros", "ones": "ones", "empty": "zeros (PyTorch leaves it uninitialised)"}[name]
    make.__qualname__, like.__qualname__, new.__qualname__ = name, f"{name}_like", f"new_{name}"
    make.__name__, make.__doc__ = name, f"A tensor of {what} of the given size; `dtype` defaults to the default floating type."
    like.__name__, like.__doc__ = f"{name}_like", f"A tensor of {what}, of the shape and (by default) type of `input`."
    new.__name__, new.__doc__ = f"new_{name}", f"A tensor of {what}, of this tensor's type."
    function(method=False)(make)
    function(method=False)(like)
    method()(new)
    return make, like


zeros, zeros_like = _factory("zeros", 0)
ones, ones_like = _factory("ones", 1)
empty, empty_like = _factory("empty", 0)


@function(method=False)
def full(
    size: Any,
    fill_value: Any,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of shape `size` filled with `fill_value`; the type follows the value's."""
    shape = sizes((size,) if not isinstance(size, int) else ((size,),))
    return _full(shape, fill_value, dtype, device_of(device), requires_grad)


def _full(shape: tuple[int, ...], value: Any, d: dtype | None, dev: Any, requires_grad: bool = False) -> Tensor:
    if isinstance(value, Tensor):
        n = node_of(value)
        d = n.dtype if d is None else d
        return wrap(movement.full(n if n.dtype is d else movement.cast(n, d), shape))
    d = inferred(np.asarray(value)) if d is None else d
    if value.__class__ in (int, float) and not requires_grad and dev.type == "cpu" and (n := _changing(value, shape, d)) is not None:
        return wrap(n)
    return _fill(value, shape, d, dev, requires_grad)


def _changing(value: Any, shape: tuple[int, ...], d: dtype) -> Node | None:
    """A tensor filled with a number that is another one in every step (``torch.full((n,), step)``): run-time data. None for constants."""
    op, site = movement.full, (shape, d)
    plain = d is dtypes.int64 or d is dtypes.float32 or d is dtypes.float64
    if not plain or (d is dtypes.int64 and value.__class__ is float) or abs(value) > 1e18 or value != value:
        return None
    if site not in op.sites and (element(value, d), shape) in op.table:
        return None
    tr = current()
    if not changes((op.name, *site, scope.place(2)), value, tr, between=True):
        return None
    op.sites[site] = True
    return op(tr.input(np.asarray(value, d.compute), (), (), d, device("cpu")), shape)  # type: ignore[no-any-return]


@function(method=False)
def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of the shape and type of `input`, filled with `fill_value`."""
    made = _full(tuple(input.shape), fill_value, input.dtype if dtype is None else dtype, device_of(device, input))
    return laid_out(made, memory_format, input.geometry[1], requires_grad)


@method()
def new_full(
    self: Tensor,
    size: Any,
    fill_value: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of this one's type, of shape `size`, filled with `fill_value`."""
    return _full(sizes((size,)), fill_value, self.dtype if dtype is None else dtype, device_of(device, self), requires_grad)


@method()
def new_tensor(
    self: Tensor,
    data: Any,
    *,
    dtype: dtype | None = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A new tensor of this one's type with a copy of `data`."""
    return tensor(data, dtype=self.dtype if dtype is None else dtype, device=device or self.device, requires_grad=requires_grad)


@function(method=False)
def eye(
    n: int,
    m: int | None = None,
    *,
    out: Tensor | None = None,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The identity matrix, `n` by `m`."""
    d = dtypes.get_default_dtype() if dtype is None else dtype
    if n < 0:
        raise RuntimeError(f"n must be greater or equal to 0, got {n}")
    if m is not None and m < 0:
        raise RuntimeError(f"m must be greater or equal to 0, got {m}")
    return finish(from_array(np.eye(n, n if m is None else m, dtype=d.compute), d, device_of(device)), requires_grad)  # type: ignore[no-any-return]


@function(method=False)
def scalar_tensor(
    s: Any,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A 0-d tensor of a number."""
    return finish(_fill(s, (), dtypes.get_default_dtype() if dtype is None else dtype, device_of(device), False), requires_grad)  # type: ignore[no-any-return]


@function(method=False)
def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: dtype | None = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of zeros with the given strides (PyTorch leaves it uninitialised)."""
    shape, strides = sizes((size,)), sizes((stride,))
    d = dtypes.get_default_dtype() if dtype is None else dtype
    extent = 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))
    cell = Cell((extent,), (1,), d, device_of(device), np.zeros(extent, d.storage))
    return finish(face(Family(cell), None, 0, None, (shape, strides, 0)), requires_grad)  # type: ignore[no-any-return]


@function(method=False)
def frombuffer(buffer: Any, *, dtype: dtype, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A 1-d tensor over an object that offers the buffer protocol."""
    return finish(_over_array(np.frombuffer(buffer, dtype.storage, count, offset), dtype), requires_grad)  # type: ignore[no-any-return]


for _name in ("tensor", "from_numpy", "as_tensor"):
    FUNCTIONS[_name] = globals()[_name]
