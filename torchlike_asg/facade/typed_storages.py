"""Storages of numbers: ``x.storage()``, and ``FloatStorage`` and its like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import dtypes, notices
from ..devices import device as Device
from .core import Tensor
from .lens import memory
from .memory import elements, over, settled
from .register import FUNCTIONS, method
from .storages import Storage, UntypedStorage, bytes_of, of_buffer, room, within

__all__ = ["STORAGES", "StorageKind", "TypedStorage", "is_storage", "numbers_of"]

#: the types that storages convert to, by the names of the methods
_CONVERSIONS = {
    "float": dtypes.float32, "double": dtypes.float64, "half": dtypes.float16, "bfloat16": dtypes.bfloat16, "int": dtypes.int32,
    "long": dtypes.int64, "short": dtypes.int16, "char": dtypes.int8, "byte": dtypes.uint8, "bool": dtypes.bool_,
    "complex_float": dtypes.complex64, "complex_double": dtypes.complex128,
}  # fmt: skip


class TypedStorage(Storage):
    """The elements of one storage, in memory order (deprecated in PyTorch, too).

    ``TypedStorage(dtype=)`` has none, ``TypedStorage(size, dtype=)`` so many zeros (PyTorch leaves them uninitialised), a sequence is
    converted, and ``wrap_storage=`` takes the memory of an `UntypedStorage`. `dtype` is the default type if not given. ``FloatStorage`` and
    its like are called as this class is, without `dtype`; what they make is of this class.

    Raises:
        RuntimeError: more arguments than fit together, or no `dtype` for a wrapped storage.
        TypeError: an argument of another class.
    """

    dtype: dtypes.dtype

    def __init__(self, *args: Any, wrap_storage: UntypedStorage | None = None, dtype: Any = None, device: Any = None) -> None:
        if len(args) > 1 or (wrap_storage is not None and args):
            raise RuntimeError(_expected("TypedStorage.__init__", "Too many positional arguments"))
        if dtype is not None and not isinstance(dtype, dtypes.dtype):
            raise RuntimeError(f"expected torch.dtype, but got {type(dtype)}")
        if wrap_storage is not None:
            if dtype is None:
                raise RuntimeError(_expected("TypedStorage.__init__", "Argument 'dtype' must be specified"))
            if not isinstance(wrap_storage, UntypedStorage):
                raise TypeError(
                    _expected("TypedStorage.__init__", f"Argument 'wrap_storage' must be UntypedStorage, but got {type(wrap_storage)}")
                )
            owner = over(settled(wrap_storage._owner), dtype)
        else:
            owner = _filled(args, dtypes.get_default_dtype() if dtype is None else dtype, device)
        self._owner, self.dtype, self.device = owner, owner.dtype, owner.device

    @property
    def _buffer(self) -> np.ndarray[Any, Any]:
        return dtypes.load(memory(settled(self._owner), self._owner._lens), self.dtype)

    def untyped(self) -> UntypedStorage:
        """The same memory as bytes."""
        return bytes_of(self._owner)

    def size(self) -> int:
        """The number of elements."""
        return self.nbytes() // self.dtype.itemsize

    __len__ = size

    def element_size(self) -> int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def pickle_storage_type(self) -> str:
        """The name of the class of storages of this type: ``"FloatStorage"``."""
        return next(name for name, kind in STORAGES.items() if kind.dtype is self.dtype)

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """``"torch.FloatStorage"`` and its like; or the elements in another type, which is one of these names, or such a class."""
        if dtype is None:
            return f"torch.{self.pickle_storage_type()}"
        name = dtype if isinstance(dtype, str) else getattr(dtype, "__name__", "")
        kind = STORAGES.get(name.removeprefix("torch."))
        if kind is None:
            raise RuntimeError(f"type(): no type of storages is called {dtype!r}")
        return self._as(kind.dtype)

    def _as(self, d: dtypes.dtype) -> TypedStorage:
        """The elements as type `d`: this storage, if they are."""
        return self if d is self.dtype else numbers_of(elements(self, self.dtype).to(d))

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        return self._buffer.tolist()  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return within(self._buffer, index).item()

    def __setitem__(self, index: Any, value: Any) -> None:
        elements(self, self.dtype)[index] = value

    def fill_(self, value: Any) -> TypedStorage:
        """Set every element."""
        elements(self, self.dtype).fill_(value)
        return self

    def copy_(self, source: TypedStorage, non_blocking: bool | None = None) -> TypedStorage:
        """Take the elements of a storage of this size, converted."""
        if source.size() != self.size():
            raise RuntimeError(f"copy_: a storage of {source.size()} elements does not fit one of {self.size()}")
        elements(self, self.dtype).copy_(elements(source, source.dtype))
        return self

    def clone(self) -> TypedStorage:
        """A copy."""
        return numbers_of(elements(self, self.dtype).clone())

    def to(self, *, device: Any, non_blocking: bool = False) -> TypedStorage:
        """This storage, or a copy on another device."""
        return self if Device(device) == self.device else numbers_of(elements(self, self.dtype).to(device))

    def cpu(self) -> TypedStorage:
        """This storage, or a copy on the CPU."""
        return self.to(device="cpu")

    def resize_(self, size: int) -> None:
        """Not supported: see the error."""
        self.untyped().resize_(size)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TypedStorage) and self.untyped() == other.untyped() and self.dtype is other.dtype

    def __hash__(self) -> int:
        return hash(self.untyped())

    def __repr__(self) -> str:
        lines = "".join([f" {v}\n" for v in self.tolist()])
        return f"{lines}[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size {self.size()}]"

    def __copy__(self) -> TypedStorage:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> TypedStorage:
        return memo.setdefault(id(self), self.clone())

    def __reduce__(self) -> Any:
        return numbers_of, (elements(self, self.dtype).clone(),)

    @classmethod
    def from_buffer(cls, *args: Any, **kwargs: Any) -> TypedStorage:
        """A storage with the numbers of an object that has a buffer, copied.

        Args:
            buffer, byte_order, count, offset: the object; ``"native"``, ``"little"`` or ``"big"``, which bytes need not have; how many
                elements, by default all; the byte at which they begin.
            dtype: their type; ``FloatStorage.from_buffer`` and its like know it.
        """
        known = getattr(cls, "dtype", None)
        return numbers_of(of_buffer(*args, **kwargs) if known is None else of_buffer(*args, dtype=known, **kwargs))

    @classmethod
    def from_file(cls, filename: Any, shared: bool, size: int) -> TypedStorage:
        """The first `size` elements of a file, over its memory if it is `shared`: ``FloatStorage.from_file`` and its like know their type.

        Raises:
            RuntimeError: this class has none; the file cannot be opened, or is shorter and not shared.
        """
        known = getattr(cls, "dtype", None)
        if known is None:
            raise RuntimeError("from_file can only be called on derived classes")
        return numbers_of(FUNCTIONS["from_file"](str(filename), shared, size, dtype=known))


def numbers_of(t: Any) -> TypedStorage:
    """The elements of the storage that a tensor is a view of."""
    made = TypedStorage.__new__(TypedStorage)
    made._owner, made.dtype, made.device = t, t.dtype, t.device
    return made


def _expected(name: str, why: str) -> str:
    return (
        f"{name} received an invalid combination of arguments. Expected nothing, a size, a sequence, or wrap_storage= by itself "
        f"(and dtype= and device= of TypedStorage): {why}"
    )


def _filled(args: tuple[Any, ...], d: dtypes.dtype, device: Any) -> Tensor:
    """A vector of zeros or of the values of a sequence."""
    first = args[0] if args else 0
    if isinstance(first, int):
        return room(first, d, device)
    if isinstance(first, str):
        raise TypeError("new(): invalid data type 'str'")
    if not isinstance(first, Sequence):
        raise TypeError(_expected("TypedStorage.__init__", f"Argument type not recognized: {type(first)}"))
    made: Tensor = FUNCTIONS["tensor"](list(first)).to(dtype=d, device=device)
    if made.dim() != 1:  # type: ignore[attr-defined]
        raise TypeError("a storage is made of a flat sequence of numbers")
    return made


def _conversions() -> None:
    """``float()``, ``long()`` and their like: numbers are converted, and bytes as numbers from 0 to 255."""

    def given(name: str, d: dtypes.dtype) -> None:
        def typed(self: TypedStorage) -> TypedStorage:
            return self._as(d)

        def untyped(self: UntypedStorage) -> TypedStorage:
            return numbers_of(elements(self, dtypes.uint8).to(d))

        for cls, f in ((TypedStorage, typed), (UntypedStorage, untyped)):
            f.__name__, f.__qualname__, f.__doc__ = name, f"{cls.__name__}.{name}", f"The storage as one of {d.name}."
            setattr(cls, name, f)

    for name, d in _CONVERSIONS.items():
        given(name, d)


_conversions()


class StorageKind(type):
    """The class of FloatStorage, LongStorage, ...: calling one makes a TypedStorage, `isinstance` asks for the element type."""

    dtype: dtypes.dtype

    def __call__(cls, *args: Any, wrap_storage: UntypedStorage | None = None, **named: Any) -> TypedStorage:
        for name in named:
            refusal = RuntimeError if name in ("dtype", "device") else TypeError
            raise refusal(_expected(f"{cls}.__new__", f"Keyword argument '{name}' cannot be specified"))
        return TypedStorage(*args, wrap_storage=wrap_storage, dtype=cls.dtype)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype is cls.dtype


def _kind(name: str, d: dtypes.dtype) -> StorageKind:
    return StorageKind(name, (TypedStorage,), {"dtype": d, "__module__": "torch", "__doc__": f"Storages of {d.name}."})


#: ``torch.FloatStorage`` and its like
STORAGES = {
    f"{name}Storage": _kind(f"{name}Storage", d)
    for name, d in {
        "Float": dtypes.float32, "Double": dtypes.float64, "Half": dtypes.float16, "BFloat16": dtypes.bfloat16, "Int": dtypes.int32,
        "Long": dtypes.int64, "Short": dtypes.int16, "Char": dtypes.int8, "Byte": dtypes.uint8, "Bool": dtypes.bool_,
        "ComplexFloat": dtypes.complex64, "ComplexDouble": dtypes.complex128,
    }.items()
}  # fmt: skip


@method()
def storage(self: Tensor) -> TypedStorage:
    """The elements of the storage this tensor is a view of, in memory order."""
    notices.once(notices.TYPED_STORAGE)
    return numbers_of(self)


def is_storage(obj: Any, /) -> bool:
    """Whether an object is a storage."""
    return isinstance(obj, (UntypedStorage, TypedStorage))


FUNCTIONS.update({"is_storage": is_storage, "TypedStorage": TypedStorage, **STORAGES})
