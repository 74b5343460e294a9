"""The constructors of old scripts: ``torch.Tensor(2, 3)``, ``torch.LongTensor([1, 2])``, ``x.new(...)``, and classes of tensors by type."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes, notices
from ..devices import cpu
from ..ops import movement
from ..size import Size
from .core import Tensor, make_parameter
from .families import of_class, view
from .functions.conversion import _LEGACY
from .functions.creation import empty, from_array
from .functions.factory_arguments import device_of
from .functions.python_data import WIDE, as_array
from .memory import tensor_over
from .register import FUNCTIONS, method
from .steps import step
from .storages import UntypedStorage
from .typed_storages import TypedStorage

_COMBINATIONS = (
    "new() received an invalid combination of arguments - got ({}), but expected sizes, a sequence of numbers, a tensor or a storage"
)


def construct(d: dtypes.dtype, args: tuple[Any, ...], device: Any = None, free: bool = False) -> Tensor:
    """The rule of all legacy constructors for element type `d`: nothing gives an empty vector, integers are sizes, a sequence or an
    array is data (converted), a tensor or a storage is shared.

    `free`: a tensor of any type will do. Sizes give what `empty` holds.
    """
    dev = device_of(device)
    if not args:
        return empty(0, dtype=d, device=dev)  # type: ignore[no-any-return]
    first = args[0]
    if len(args) == 1:
        if isinstance(first, Tensor):
            if first.dtype is not d and not free:
                raise TypeError(f"expected a tensor of type {d} (got {first.dtype})")
            return first.detach()  # type: ignore[attr-defined, no-any-return]
        if isinstance(first, (TypedStorage, UntypedStorage)):
            return tensor_over(first, d)
        if isinstance(first, Size):
            return _of_size(first, d, dev)
        if isinstance(first, np.ndarray) and first.shape == () and first.dtype.kind in "iu":
            return _of_size((int(first),), d, dev)
        if not _is_size(first):
            return _of_data(first, d, dev)
    if not all(_is_size(a) for a in args):
        raise TypeError(_COMBINATIONS.format(", ".join(type(a).__name__ for a in args)))
    return _of_size(tuple(int(a) for a in args), d, dev)


def _of_size(shape: tuple[int, ...], d: dtypes.dtype, dev: Any) -> Tensor:
    if any(n < 0 for n in shape):
        raise RuntimeError(f"Trying to create tensor with negative dimension {min(shape)}: {list(shape)}")
    return empty(tuple(shape), dtype=d, device=dev)  # type: ignore[no-any-return]


def _is_size(a: Any) -> bool:
    """Whether an argument is a size: an integer or a 0-d integer tensor, but no bool."""
    if isinstance(a, Tensor):
        return not a.shape and a.dtype.category == dtypes.INTEGER
    return isinstance(a, (int, np.integer)) and not isinstance(a, bool)


def _named_size(size: Any) -> Size:
    """The one argument that the legacy constructors take by name."""
    if not isinstance(size, (tuple, list)):
        raise TypeError(_COMBINATIONS.format(f"size={type(size).__name__}"))
    return Size(size)


def _of_data(values: Any, d: dtypes.dtype, dev: Any) -> Tensor:
    if isinstance(values, str):
        raise TypeError("new(): invalid data type 'str'")
    array = isinstance(values, np.ndarray) and values.shape
    if not (array or (hasattr(type(values), "__getitem__") and hasattr(type(values), "__len__"))) or isinstance(values, (dict, bytes)):
        raise TypeError(f"new(): data must be a sequence (got {type(values).__name__})")
    wide = None if d.category == dtypes.INTEGER and not (isinstance(values, np.ndarray) and values.dtype in WIDE) else d
    a = as_array(values if isinstance(values, (list, tuple, np.ndarray)) else list(values), wide, d)[0]
    if d.category == dtypes.INTEGER and a.size:
        limits = dtypes.iinfo(d)
        if a.max() > limits.max or a.min() < limits.min:
            raise RuntimeError(f"value cannot be converted to type {d.name} without overflow")
        a = np.trunc(a) if a.dtype.kind == "f" else a
    return from_array(np.array(a), d, dev)


# ---------------------------------------------------------------- torch.Tensor(...)
def _new(cls: type, *args: Any, device: Any = None, **named: Any) -> Any:
    """``Tensor(...)``, and subclasses of Tensor that define no ``__new__`` of their own."""
    if named.keys() == {"size"} and not args:
        args = (_named_size(named.pop("size")),)
    if named and cls.__init__ is object.__init__:  # type: ignore[misc]
        raise TypeError(f"{cls.__name__}() got an unexpected keyword argument '{next(iter(named))}'")
    t = construct(dtypes.get_default_dtype(), args, device, free=True)
    return t if cls is Tensor else make_parameter(cls, t, False)


Tensor.__new__ = staticmethod(_new)  # type: ignore[method-assign, assignment]


@method()
def new(self: Tensor, *args: Any, device: Any = None, **named: Any) -> Tensor:
    """The legacy constructor for this tensor's type: sizes, data, a tensor to share, or nothing."""
    if named:
        if args or named.keys() != {"size"}:
            raise TypeError(_COMBINATIONS.format(", ".join([*(type(a).__name__ for a in args), *(f"{n}=" for n in named)])))
        args = (_named_size(named["size"]),)
    return construct(self.dtype, args, device)


def _make_subclass(cls: type, data: Tensor, require_grad: bool = False) -> Any:
    """A tensor of class `cls` over the memory of `data`, as a leaf."""
    return make_parameter(cls, data, require_grad)


Tensor._make_subclass = staticmethod(_make_subclass)  # type: ignore[attr-defined]


@method()
@step("AliasBackward0")
def as_subclass(self: Tensor, cls: type) -> Any:
    """A view of this tensor that is an instance of a subclass of Tensor."""
    return of_class(view(movement.view, self, tuple(self.shape)), cls)


# ---------------------------------------------------------------- torch.FloatTensor and its like
class tensortype(type):
    """The class of FloatTensor, LongTensor, ...: calling one makes a tensor, `isinstance` asks for the element type."""

    dtype: dtypes.dtype
    is_cuda = is_sparse = False

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        return construct(cls.dtype, args, device)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is cls.dtype and instance.device == cpu

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"


LEGACY = {
    name: tensortype(name, (), {"dtype": d, "__module__": "torch", "__doc__": f"Tensors of {d.name}."}) for name, d in _LEGACY.items()
}
FUNCTIONS.update(LEGACY)


def set_default_tensor_type(t: Any, /) -> None:
    """Choose the default floating type by a legacy class or its name (deprecated in PyTorch, too: use `set_default_dtype`)."""
    notices.once(notices.DEFAULT_TENSOR_TYPE)
    if isinstance(t, str):
        name = t.rpartition(".")[2]
        if name not in LEGACY or not t.startswith("torch."):
            raise TypeError(f"invalid type name: {t}")
        t = LEGACY[name]
    if not isinstance(t, tensortype):
        raise TypeError("invalid type object")
    dtypes.set_default_dtype(t.dtype)


FUNCTIONS["set_default_tensor_type"] = set_default_tensor_type
