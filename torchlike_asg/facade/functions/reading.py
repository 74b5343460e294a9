"""Looking at values: whatever Python observes of a tensor makes it be computed."""

from __future__ import annotations

import copy
import numbers
from typing import Any

import numpy as np

from ... import dtypes, events, notices
from ...asg.geometry import flat, gather, is_dense
from ...asg.trace import lock
from ...devices import device as as_device
from ...dtypes import dtype
from .. import texts
from ..core import Tensor, concrete, face, make_parameter
from ..exposure import expose
from ..families import alias, family_of
from ..flush import evaluate, flush
from ..held import settle, value_of
from ..leaves import require_grad
from ..lens import memory
from ..places import MARK
from ..register import function, method
from ..storage import Cell, Counter, Family
from ..view_steps import DEFERRED

#: what this package itself notes on a tensor; no copy takes it along
OWN_ATTRIBUTES = frozenset(
    (DEFERRED, MARK, *"_asked _lens _made _older _output _parted _shown _snapshot _step _unread _viewed _within".split())
)


@method()
def item(self: Tensor) -> Any:
    """The value of a one-element tensor as a Python number."""
    shape = self.shape
    if shape and shape.numel() != 1:
        raise RuntimeError(f"a Tensor with {shape.numel()} elements cannot be converted to Scalar")
    try:
        value = value_of(self).item()
    except NotImplementedError:  # asking for the device first would cost every read a tenth of a small step
        if self.device.type == "meta":
            raise RuntimeError("Tensor.item() cannot be called on meta tensors") from None
        raise
    if events.doubtful_read is not None and (value.__class__ is bool or value - value):
        events.doubtful_read(self, value)
    if events.listeners and events.wanted(events.ItemRead):
        events.publish(events.ItemRead(self, value))
    return value


@method()
def tolist(self: Tensor) -> Any:
    """The values as (nested lists of) Python numbers."""
    return value_of(self).tolist()


@method("numpy")
def numpy_(self: Tensor, *, force: bool = False) -> np.ndarray[Any, Any]:
    """The values as an array that shares this tensor's memory (on the CPU)."""
    if self.device.type != "cpu" and not force:
        raise TypeError(
            f"can't convert {self.device} device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first."
        )
    if self.requires_grad:
        if not force:
            raise RuntimeError(texts.NUMPY)
        return numpy_(self.detach(), force=True)  # type: ignore[attr-defined]
    if self.device.type != "cpu":
        return value_of(self).copy()
    if self.dtype is dtypes.bfloat16:
        raise TypeError("Got unsupported ScalarType BFloat16")
    lens = self._lens
    if lens is not None and (lens.conj or lens.neg):
        if not force:
            raise RuntimeError(texts.LAZY_NUMPY.format(*("conjugate", "conj") if lens.conj else ("negative", "neg")))
        return value_of(self).copy()
    with lock:
        if not settle(self):
            return value_of(self).copy()  # what another thread has recorded, and has not put into the memory yet
        f = self._f
        assert f is not None
        if not f.cell.exposed:
            expose(f.cell)
        return gather(memory(f.cell, self._lens), self.geometry)


@method()
def __array__(self: Tensor, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
    a = value_of(self) if self.dtype is dtypes.bfloat16 else numpy_(self)
    return a if dtype is None else a.astype(dtype, copy=False)


@method()
def __dlpack__(self: Tensor, **options: Any) -> Any:
    """A capsule with this tensor's memory, for another array library: `numpy.from_dlpack(tensor)` shares it."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    return numpy_(self).__dlpack__(**{name: value for name, value in options.items() if value is not None and name != "stream"})


@method()
def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    """(1, 0): the CPU's memory."""
    if self.device.type != "cpu":
        raise BufferError(f"only tensors in the CPU's memory can be exported, but this one is on {self.device}: use tensor.cpu()")
    return 1, 0


Tensor.__array_priority__ = 1000  # type: ignore[attr-defined]


@method()
def __array_wrap__(self: Tensor, array: np.ndarray[Any, Any], context: Any = None, return_scalar: bool = False) -> Tensor:
    """What a NumPy function made of a tensor is a tensor again."""
    from .creation import from_numpy

    return from_numpy(array.astype(np.uint8) if array.dtype == np.bool_ else array)


def array_of(x: Any) -> np.ndarray[Any, Any]:
    """The values of a tensor (or anything array-like) as an array of one's own."""
    return np.array(value_of(x) if isinstance(x, Tensor) else x)


@method()
def __bool__(self: Tensor) -> bool:
    n = self.shape.numel()
    if n != 1:
        raise RuntimeError(
            "Boolean value of Tensor with no values is ambiguous"
            if n == 0
            else "Boolean value of Tensor with more than one value is ambiguous"
        )
    return bool(item(self))


@function(method=False)
def _assert_async(input: Tensor, assert_msg: str = "Expected Tensor with single nonzero value, but got zero") -> None:
    """RuntimeError with the message unless the one element is not zero. The value is read, as PyTorch reads it on the CPU."""
    if not bool(input.detach()):  # type: ignore[attr-defined]
        raise RuntimeError(assert_msg)


@method()
def __float__(self: Tensor) -> float:
    _notice_scalar(self)
    return float(_real(_only(self), "double"))


def _notice_scalar(t: Tensor) -> None:
    if t.requires_grad:
        notices.once(notices.TO_SCALAR)


def _real(value: Any, kind: str) -> Any:
    """`value`, unless it has an imaginary part: a `kind` of C++ has none."""
    if isinstance(value, complex):
        if value.imag:
            raise RuntimeError(f"value cannot be converted to type {kind} without overflow")
        return value.real
    return value


def _only(t: Tensor) -> Any:
    """The value of a one-element tensor that is converted to a Python number."""
    if t.shape and t.shape.numel() != 1:
        raise ValueError("only one element tensors can be converted to Python scalars")
    return item(t)


@method()
def __int__(self: Tensor) -> int:
    _notice_scalar(self)
    return int(_real(_only(self), "int64_t"))


@method()
def __complex__(self: Tensor) -> complex:
    _notice_scalar(self)
    return complex(_only(self))


@method()
def __index__(self: Tensor) -> int:
    if self.dtype.category > dtypes.INTEGER or self.shape.numel() != 1:
        raise TypeError("only integer tensors of a single element can be converted to an index")
    return int(item(self))


@method()
def __len__(self: Tensor) -> int:
    if not self.shape:
        raise TypeError("len() of a 0-d tensor")
    return self.shape[0]  # type: ignore[no-any-return]


@method()
def __iter__(self: Tensor) -> Any:
    if not self.shape:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))  # type: ignore[attr-defined]


@method()
def __format__(self: Tensor, spec: str) -> str:
    return format(item(self), spec) if not self.shape and self.device.type != "meta" else object.__format__(self, spec)


@method()
def __contains__(self: Tensor, element: Any) -> bool:
    if not isinstance(element, Tensor | numbers.Number):
        raise RuntimeError(f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}.")
    return bool((self == element).any())


@method()
def __deepcopy__(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if id(self) in memo:
        return memo[id(self)]  # type: ignore[no-any-return]
    if not self.is_leaf:
        raise RuntimeError(texts.DEEPCOPY)
    with lock:
        settled = settle(self)
        old = family_of(self)
        cell = memo.get(id(old.cell))
        if cell is None:  # the whole storage is copied, once per memo; layout and sharing survive, history does not
            cell = memo[id(old.cell)] = Cell(old.cell.shape, old.cell.strides, old.cell.dtype, old.cell.device)
            if settled and old.cell.remote:
                cell.take(old.cell.array.copy())  # type: ignore[arg-type]
            elif settled:
                cell.buf = old.cell.buf.copy()
            else:
                cell.take(evaluate(old.h).copy())
    f = Family(cell, None, Counter())
    f.counter.version = 1
    out, lens = face(f, None, 0, None, self.geometry, type(self), self._lens), self._lens
    if lens is not None and (lens.conj or lens.neg):
        out = memo[id(self)] = out.clone()  # the copy holds what the lazy conjugate showed
        return out  # type: ignore[no-any-return]
    memo[id(self)] = out
    if self.requires_grad:
        require_grad(out, True, permanent=type(self) is not Tensor)
    out.__dict__.update(copy.deepcopy({k: v for k, v in self.__dict__.items() if k not in OWN_ATTRIBUTES}, memo))
    if self.grad is not None:  # type: ignore[attr-defined]
        out.grad = copy.deepcopy(self.grad, memo)  # type: ignore[attr-defined]
    return out  # type: ignore[no-any-return]


@method()
def __copy__(self: Tensor) -> Tensor:
    out = alias(self, share_counter=False)
    if self.requires_grad or type(self) is not Tensor:
        out = make_parameter(type(self), out, self.requires_grad)
    out.__dict__.update(_attributes(self))
    return out  # type: ignore[no-any-return]


@method()
def __reduce_ex__(self: Tensor, protocol: Any) -> Any:
    """Elements, the order in which they lie in memory, and what the script hung on the tensor."""
    strides = self.stride()  # type: ignore[attr-defined]
    strides = strides if is_dense(tuple(self.shape), strides) else None
    if self.device.type == "meta":
        return _rebuild_blank, (type(self), tuple(self.shape), self.dtype, self.requires_grad, strides, _attributes(self))
    return _rebuild, (type(self), np.array(value_of(self)), self.dtype, self.requires_grad, self.device, strides, _attributes(self))


def _attributes(t: Tensor) -> dict[str, Any]:
    return {name: value for name, value in t.__dict__.items() if name not in OWN_ATTRIBUTES}


def _rebuild(
    cls: type,
    a: np.ndarray[Any, Any],
    d: dtype,
    requires_grad: bool,
    device: Any = None,
    strides: tuple[int, ...] | None = None,
    attributes: dict[str, Any] | None = None,
) -> Tensor:
    a = np.ascontiguousarray(dtypes.store(a, d)).reshape(a.shape)
    buf = a.reshape(-1) if strides is None else flat(a, strides)
    t = concrete(buf, a.shape, d, _cpu() if device is None else device, strides, cls)
    t._f.counter.version = 1  # as of what was loaded
    if requires_grad:
        t = require_grad(t, True, permanent=cls is not Tensor)
    t.__dict__.update(attributes or {})
    return t  # type: ignore[no-any-return]


def _rebuild_blank(
    cls: type, shape: tuple[int, ...], d: dtype, requires_grad: bool, strides: tuple[int, ...] | None, attributes: dict[str, Any]
) -> Tensor:
    t = concrete(None, shape, d, as_device("meta"), strides, cls)
    if requires_grad:
        t = require_grad(t, True, permanent=cls is not Tensor)
    t.__dict__.update(attributes)
    return t  # type: ignore[no-any-return]


def _cpu() -> Any:
    from ...devices import cpu

    return cpu


def sync() -> None:
    """Compute everything recorded so far in this thread."""
    flush()
