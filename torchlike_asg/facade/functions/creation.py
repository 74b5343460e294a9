"""Making tensors: from data, from NumPy, filled, and like others."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import dtypes, notices
from ...asg import scope
from ...asg.geometry import contiguous, is_contiguous, span
from ...asg.limits import check_size
from ...asg.node import Node, element
from ...asg.trace import current
from ...devices import device, refuse
from ...dtypes import dtype
from ...ops import movement
from ..core import Tensor, concrete, face, node_of, unary, wrap
from ..families import family_of
from ..leaves import require_grad
from ..lifting import changes
from ..parsing import constant
from ..register import FUNCTIONS, function, named
from ..storage import Cell, Family
from ..uninitialised import memory, undefined
from .factory_arguments import allocatable, device_of, given_sizes, sequence
from .python_data import WIDE, as_array, forward, inferred

#: classes of most numbers that tensors are filled with
_PLAIN = frozenset((int, float, bool, complex))


def finish(t: Any, requires_grad: bool) -> Any:
    return require_grad(t, True) if requires_grad else t


def from_array(a: np.ndarray[Any, Any], d: dtype, dev: Any = None) -> Tensor:
    """A new tensor holding the values of an array (copied unless it is fresh)."""
    return concrete(np.ascontiguousarray(dtypes.store(a, d)).reshape(-1), a.shape, d, device("cpu") if dev is None else dev)  # type: ignore[no-any-return]


def blank(shape: Any, d: dtype, dev: device, strides: Any = None) -> Tensor:
    """A new tensor on the meta device, laid out by dense `strides`."""
    return concrete(None, shape, d, dev, strides)  # type: ignore[no-any-return]


def of_values(shape: Any, d: dtype, dev: device, make: Callable[[], Any]) -> Tensor:
    """A new tensor holding the array that `make` gives; it is not asked on the meta device, whose tensors have a shape only."""
    if dev.type == "meta":
        return blank(shape, d, dev)
    check_size(shape, d, dev)
    return from_array(make(), d, dev)


def tensor(data: Any, *, dtype: dtype | None = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False) -> Tensor:
    """A new leaf tensor with a copy of `data`: a number, nested lists, an array, or a tensor.

    Without `dtype` it is inferred: bool, int64 and the default floating type for Python values, an array's own type for arrays.
    """
    if isinstance(data, Tensor):
        warnings.warn(
            "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
            "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).",
            stacklevel=notices.script(),
        )
        out = data.detach().clone()
        if (dtype is not None and dtype is not out.dtype) or device is not None:
            out = out.to(dtype=dtype, device=device)
        return finish(out, requires_grad)  # type: ignore[no-any-return]
    if data.__class__ is list and data and isinstance(data[0], np.ndarray):
        notices.once(notices.SLOW_LIST)
    a, d = as_array(data, dtype)
    return finish(from_array(np.array(a, copy=True) if isinstance(data, np.ndarray) else a, d, device_of(device)), requires_grad)  # type: ignore[no-any-return]


def from_numpy(ndarray: np.ndarray[Any, Any]) -> Tensor:
    """A tensor that shares the array's memory: a write on either side is seen on the other."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(ndarray).__name__})")
    if not ndarray.flags.writeable:
        notices.once(notices.READ_ONLY_ARRAY)
    return over_array(ndarray, dtypes.from_numpy(ndarray.dtype))


def over_array(ndarray: np.ndarray[Any, Any], d: dtype) -> Tensor:
    """A tensor of type `d` over an array of its storage's type."""
    forward(ndarray)
    if any(s % ndarray.itemsize for s in ndarray.strides):
        raise ValueError(
            "given numpy array strides not a multiple of the element byte size. Copy the numpy array to reallocate the memory."
        )
    strides = tuple(s // ndarray.itemsize for s in ndarray.strides)
    extent = span((ndarray.shape, strides, 0))
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
    if isinstance(data, np.ndarray) and not (dtype is not None and data.dtype in WIDE):
        t = from_numpy(data)
        return t if dtype is None and device is None else t.to(dtype=dtype, device=device)  # type: ignore[no-any-return]
    return tensor(data, dtype=dtype, device=device)


def _fill(value: Any, shape: tuple[int, ...], d: dtype, dev: Any, requires_grad: bool) -> Tensor:
    allocatable(shape, d, value == 0)
    if dev.type == "meta":
        return finish(blank(shape, d, dev), requires_grad)  # type: ignore[no-any-return]
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
    def number(d: dtype) -> Any:
        return undefined(d) if name == "empty" else value

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
    ) -> Tensor:
        given, d = given_sizes(shape, size), dtypes.get_default_dtype() if dtype is None else dtype
        if name != "empty" and memory_format is not None:
            raise TypeError(f"{name}() got an unexpected keyword argument 'memory_format'")
        if memory_format is not None:
            return laid_out(_fill(number(d), given, d, device_of(device), False), memory_format, None, requires_grad)
        return _fill(number(d), given, d, device_of(device), requires_grad)

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
            return laid_out(_fill(number(d), tuple(input.shape), d, device_of(device, input), False), memory_format, strides, requires_grad)
        return _fill(number(d), tuple(input.shape), d, device_of(device, input), requires_grad)

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
        d = self.dtype if dtype is None else dtype
        return _fill(number(d), given_sizes(shape, size), d, device_of(device, self), requires_grad)

    what = {
        "zeros": "zeros",
        "ones": "ones",
        "empty": "zeros, or what the deterministic mode puts there (PyTorch leaves it uninitialised)",
    }[name]
    named(make, name, f"A tensor of {what} of the given size; `dtype` defaults to the default floating type.")
    named(like, f"{name}_like", f"A tensor of {what}, of the shape and (by default) type of `input`.")
    named(new, f"new_{name}", f"A tensor of {what}, of this tensor's type.")
    function(method=False)(make)
    function(method=False)(like)
    function(namespace=False, name=f"new_{name}")(new)
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
    return _full(sequence(size), fill_value, dtype, device_of(device), requires_grad)


def _full(shape: tuple[int, ...], value: Any, d: dtype | None, dev: Any, requires_grad: bool = False) -> Tensor:
    if isinstance(value, Tensor):
        if not constant(value):
            raise TypeError("full(): argument 'fill_value' (position 2) must be Number, not Tensor")
        n = node_of(value)
        d = n.dtype if d is None else d
        return wrap(movement.full(n if n.dtype is d else movement.cast(n, d), shape))
    if value.__class__ not in _PLAIN and not isinstance(value, (int, float, complex, np.generic)):
        raise TypeError(f"full(): argument 'fill_value' (position 2) must be Number, not {type(value).__name__}")
    if value.__class__ is int and value.bit_length() > 64:
        raise OverflowError("int too big to convert")
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


@function(namespace=False)
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
    return _full(sequence(size), fill_value, self.dtype if dtype is None else dtype, device_of(device, self), requires_grad)


@function(namespace=False)
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
    m = n if m is None else m
    return finish(of_values((n, m), d, device_of(device), lambda: np.eye(n, m, dtype=d.compute)), requires_grad)  # type: ignore[no-any-return]


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
    if isinstance(s, Tensor) and s.requires_grad:
        raise TypeError("scalar_tensor(): argument 's' (position 1) must be Number, not Tensor")
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
    """A tensor with the given strides, of what `empty` holds."""
    shape, strides = sequence(size), sequence(stride, "stride", 2)
    if len(shape) != len(strides):
        raise RuntimeError(f"dimensionality of sizes ({len(shape)}) must match dimensionality of strides ({len(strides)})")
    d = dtypes.get_default_dtype() if dtype is None else dtype
    extent = span((shape, strides, 0))
    dev = device_of(device)
    values = None if dev.type == "meta" else memory(extent, d)
    storage = family_of(concrete(values, (extent,), d, dev))
    return finish(face(storage, None, 0, None, (shape, strides, 0)), requires_grad)  # type: ignore[no-any-return]


@function(method=False)
def frombuffer(buffer: Any, *, dtype: dtype, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A 1-d tensor over an object that offers the buffer protocol."""
    try:
        length = memoryview(buffer).nbytes
    except TypeError:
        raise ValueError("object does not implement Python buffer protocol.") from None
    if not length or not count:
        raise ValueError(f"both buffer length ({length}) and count ({count}) must not be 0")
    if memoryview(buffer).readonly:
        notices.once(notices.READ_ONLY_BUFFER)
    return finish(over_array(np.frombuffer(buffer, dtype.storage, count, offset), dtype), requires_grad)  # type: ignore[no-any-return]


FUNCTIONS["from_numpy"] = from_numpy
function(method=False)(tensor)
function(method=False)(as_tensor)
