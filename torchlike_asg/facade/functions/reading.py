"""Looking at values: whatever Python observes of a tensor makes it be computed."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ... import dtypes
from ...asg.geometry import gather
from ...asg.trace import current
from ...dtypes import dtype
from ...ops import movement
from .. import texts
from ..backward import backward as _backward
from ..core import Tensor, concrete, face, family_of, unary
from ..exposure import expose
from ..flush import flush, settle, value_of
from ..leaves import require_grad
from ..register import method
from ..resize import resize, set_data
from ..storage import Cell, Counter, Family


@method()
def item(self: Tensor) -> Any:
    """The value of a one-element tensor as a Python number."""
    if self.shape.numel() != 1:
        raise RuntimeError(f"a Tensor with {self.shape.numel()} elements cannot be converted to Scalar")
    return value_of(self).reshape(-1)[0].item()


@method()
def tolist(self: Tensor) -> Any:
    """The values as (nested lists of) Python numbers."""
    return value_of(self).tolist()


@method("numpy")
def numpy_(self: Tensor, *, force: bool = False) -> np.ndarray[Any, Any]:
    """The values as an array that shares this tensor's memory (on the CPU)."""
    if self.requires_grad:
        if not force:
            raise RuntimeError(texts.NUMPY)
        return numpy_(self.detach())  # type: ignore[attr-defined]
    if self.dtype is dtypes.bfloat16:
        raise TypeError("Got unsupported ScalarType BFloat16")
    settle(self)
    f = self._f
    assert f is not None
    fresh = not f.cell.exposed
    if fresh:
        expose(f.cell)
    return gather(f.cell.buf, self.geometry)  # type: ignore[arg-type]


@method()
def __array__(self: Tensor, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
    a = value_of(self) if self.dtype is dtypes.bfloat16 else numpy_(self)
    return a if dtype is None else a.astype(dtype, copy=False)


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


@method()
def __float__(self: Tensor) -> float:
    return float(item(self))


@method()
def __int__(self: Tensor) -> int:
    return int(item(self))


@method()
def __complex__(self: Tensor) -> complex:
    return complex(item(self))


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
    return format(item(self), spec) if not self.shape else object.__format__(self, spec)


@method()
def __contains__(self: Tensor, element: Any) -> bool:
    return bool((self == element).any())


@method()
def __deepcopy__(self: Tensor, memo: dict[int, Any]) -> Tensor:
    if id(self) in memo:
        return memo[id(self)]  # type: ignore[no-any-return]
    if not self.is_leaf:
        raise RuntimeError(texts.DEEPCOPY)
    settle(self)
    old = family_of(self)
    cell = memo.get(id(old.cell))
    if cell is None:  # the whole storage is copied, once per memo; layout and sharing survive, history does not
        cell = memo[id(old.cell)] = Cell(old.cell.shape, old.cell.strides, old.cell.dtype, old.cell.device, old.cell.buf.copy())
    f = Family(cell, None, Counter())
    f.counter.version = 1
    out = memo[id(self)] = face(f, None, 0, None, self.geometry, type(self))
    if self.requires_grad:
        require_grad(out, True, permanent=type(self) is not Tensor)
    out.__dict__.update(copy.deepcopy({k: v for k, v in self.__dict__.items() if k != "_snapshot"}, memo))
    if self.grad is not None:  # type: ignore[attr-defined]
        out.grad = copy.deepcopy(self.grad, memo)  # type: ignore[attr-defined]
    return out  # type: ignore[no-any-return]


@method()
def __copy__(self: Tensor) -> Tensor:
    return face(family_of(self), self._n, self._d, self._kind, self.geometry, type(self))  # type: ignore[no-any-return]


@method()
def __reduce_ex__(self: Tensor, protocol: Any) -> Any:
    return _rebuild, (
        type(self),
        np.array(numpy_(self.detach()) if self.dtype is not dtypes.bfloat16 else value_of(self)),
        self.dtype,
        self.requires_grad,
    )  # type: ignore[attr-defined]


def _rebuild(cls: type, a: np.ndarray[Any, Any], d: dtype, requires_grad: bool) -> Tensor:
    t = concrete(np.ascontiguousarray(dtypes.store(a, d)).reshape(-1), a.shape, d, _cpu(), cls=cls)
    return require_grad(t, True, permanent=cls is not Tensor) if requires_grad else t  # type: ignore[no-any-return]


def _cpu() -> Any:
    from ...devices import cpu

    return cpu


# ---------------------------------------------------------------- history
@method()
def backward(self: Tensor, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None) -> None:
    """Accumulate the gradient of this tensor into its leaves' `.grad`."""
    _backward([self], [gradient], retain_graph, create_graph, [inputs] if isinstance(inputs, Tensor) else inputs)


@method()
def requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Make this leaf want a gradient (or no longer)."""
    return require_grad(self, requires_grad)


def _get_grad(self: Tensor) -> Any:
    f = self._f
    return None if f is None else f.grad if self._kind is None else self.__dict__.get("_grad")


def _set_grad(self: Tensor, g: Any) -> None:
    if g is not None:
        if not isinstance(g, Tensor):
            raise TypeError(f"assigned grad expected to be a Tensor or None but got grad of type {type(g).__name__}")
        if g is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if tuple(g.shape) != tuple(self.shape):
            raise RuntimeError(f"assigned grad has data of a different size ({list(g.shape)}, expected {list(self.shape)})")
        if g.dtype is not self.dtype:
            raise RuntimeError(f"assigned grad has data of a different type ({g.dtype}, expected {self.dtype})")
    elif self._f is None:
        return
    if self._kind is None:
        family_of(self).grad = g
    else:  # a view, whose base has a gradient of its own
        self.__dict__["_grad"] = g


Tensor.grad = property(_get_grad, _set_grad, lambda self: _set_grad(self, None), "The accumulated gradient of a leaf, or None.")  # type: ignore[attr-defined]
Tensor.data = property(
    lambda self: _data(self), lambda self, source: set_data(self, source), doc="The same memory without history or version counting."
)  # type: ignore[attr-defined]


def _data(t: Tensor) -> Tensor:
    from ..core import alias

    return alias(t, share_counter=False)


@method()
def retain_grad(self: Tensor) -> None:
    """Keep this non-leaf tensor's gradient in `.grad`, too."""
    if not self.requires_grad:
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    if self.is_leaf:
        return
    from weakref import ref

    from ..core import node_of

    n = node_of(self)
    family_of(self)
    current().retained[n] = ref(self)


def _retains_grad(t: Tensor) -> bool:
    from weakref import ref

    return t._n is not None and isinstance(current().retained.get(t._n), ref)


Tensor.retains_grad = property(_retains_grad, doc="Whether a non-leaf tensor keeps its gradient, see `retain_grad`.")  # type: ignore[attr-defined]


@method()
def register_hook(self: Tensor, hook: Any) -> Any:
    """Call ``hook(grad)`` whenever this tensor's gradient is computed; what it returns (if anything) replaces the gradient."""
    from ..hooks import add_hook

    return add_hook(self, hook)


@method()
def register_post_accumulate_grad_hook(self: Tensor, hook: Any) -> Any:
    """Call ``hook(tensor)`` after a gradient was accumulated into this leaf."""
    from ..hooks import add_post_hook

    return add_post_hook(self, hook)


Tensor._version = property(lambda self: self._f.counter.version if self._f is not None else 0)  # type: ignore[attr-defined]
Tensor._base = property(lambda self: _base_of(self))  # type: ignore[attr-defined]


def _base_of(t: Tensor) -> Tensor | None:
    if t._f is None or t._kind is None:
        return None
    found = next((b for r in t._f.faces if (b := r()) is not None and b._kind is None), None)
    return found if found is not None else face(t._f, None, 0, None, t._f.cell.geometry)  # type: ignore[no-any-return]


@method()
def _is_view(self: Tensor) -> bool:
    return self._f is not None and self._kind is not None


@method("element_size")
def element_size(self: Tensor) -> int:
    """Bytes of one element."""
    return self.dtype.itemsize


Tensor.itemsize = property(element_size)  # type: ignore[attr-defined]
Tensor.nbytes = property(lambda self: self.shape.numel() * self.dtype.itemsize)  # type: ignore[attr-defined]


@method()
def resize_(self: Tensor, *size: Any, memory_format: Any = None) -> Tensor:
    """Change the shape in place, keeping the storage's elements in order."""
    from .creation import sizes

    return resize(self, sizes(size))


@method()
def resize_as_(self: Tensor, other: Tensor, memory_format: Any = None) -> Tensor:
    """``resize_(other.size())``."""
    return resize(self, tuple(other.shape))


@method()
def share_memory_(self: Tensor) -> Tensor:
    """Not supported: tensors are not shared between processes."""
    from ...errors import Unsupported

    raise Unsupported("share_memory_() is not supported: pass NumPy arrays in multiprocessing.shared_memory between processes instead")


Tensor.is_cpu = property(lambda self: self.device.type == "cpu")  # type: ignore[attr-defined]
Tensor.is_cuda = Tensor.is_sparse = Tensor.is_quantized = Tensor.is_meta = Tensor.is_mps = property(lambda self: False)  # type: ignore[attr-defined]


@method()
def is_floating_point(self: Tensor) -> bool:
    """Whether the type is a floating one."""
    return self.dtype.is_floating_point


@method()
def is_complex(self: Tensor) -> bool:
    """Whether the type is complex."""
    return self.dtype.is_complex


@method()
def is_signed(self: Tensor) -> bool:
    """Whether the type has negative values."""
    return self.dtype.is_signed


@method()
def get_device(self: Tensor) -> int:
    """The device index; -1 on the CPU."""
    return -1 if self.device.type == "cpu" else self.device.index or 0


# ---------------------------------------------------------------- conversion
@method()
def to(
    self: Tensor,
    *args: Any,
    dtype: Any = None,
    device: Any = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """This tensor in another type or on another device: ``to(dtype)``, ``to(device)``, ``to(device, dtype)``, ``to(other)``."""
    from .creation import device_of

    for a in args:
        if isinstance(a, dtypes.dtype):
            dtype = a
        elif isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif isinstance(a, bool):
            copy = copy or (a and args.index(a) == 2)
        elif a is not None:
            device = a
    if device is not None:
        device_of(device)
    if dtype is not None and dtype is not self.dtype:
        return unary(movement.cast, self, dtype)
    return unary(movement.clone, self) if copy else self


def _converter(name: str, d: dtype) -> None:
    def convert(self: Tensor, memory_format: Any = None) -> Tensor:
        return self if self.dtype is d else unary(movement.cast, self, d)

    convert.__name__, convert.__doc__ = name, f"This tensor as {d.name}."
    setattr(Tensor, name, convert)


for _name, _d in (
    ("float", dtypes.float32),
    ("double", dtypes.float64),
    ("half", dtypes.float16),
    ("bfloat16", dtypes.bfloat16),
    ("long", dtypes.int64),
    ("int", dtypes.int32),
    ("short", dtypes.int16),
    ("char", dtypes.int8),
    ("byte", dtypes.uint8),
    ("bool", dtypes.bool_),
    ("cfloat", dtypes.complex64),
    ("cdouble", dtypes.complex128),
):
    _converter(_name, _d)


@method()
def type_as(self: Tensor, other: Tensor) -> Tensor:
    """This tensor in the type of `other`."""
    return to(self, other.dtype)


@method()
def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """This tensor on the CPU."""
    return self


@method()
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """Not available: there is no CUDA here."""
    raise RuntimeError("torchlike_asg is not compiled with CUDA enabled: use .to('cpu') (or 'wgpu' for a GPU through wgpu)")


_LEGACY = {
    "FloatTensor": dtypes.float32,
    "DoubleTensor": dtypes.float64,
    "HalfTensor": dtypes.float16,
    "BFloat16Tensor": dtypes.bfloat16,
    "LongTensor": dtypes.int64,
    "IntTensor": dtypes.int32,
    "ShortTensor": dtypes.int16,
    "CharTensor": dtypes.int8,
    "ByteTensor": dtypes.uint8,
    "BoolTensor": dtypes.bool_,
}


@method("type")
def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The legacy type name, or this tensor converted to a type given as dtype, name or legacy class."""
    if dtype is None:
        return next(f"torch.{n}" for n, d in _LEGACY.items() if d is self.dtype)
    if isinstance(dtype, str):
        dtype = _LEGACY[dtype.rpartition(".")[2]]
    return to(self, getattr(dtype, "dtype", dtype))


def sync() -> None:
    """Compute everything recorded so far in this thread."""
    flush()
