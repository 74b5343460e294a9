"""From pickles and storages to objects: which names a file may mention, and what each becomes."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from .. import dtypes
from ..devices import device
from ..dtypes import dtype
from ..errors import Unsupported
from ..size import Size
from .allowed import standard_globals
from .errors import CallerError, UnsafeContentError, refused
from .placement import Place
from .safe import trusted
from .sparse import layout, rebuild_sparse
from .storage import STORAGE_TYPES, Storage
from .tensors import Tensor, make_blank, make_parameter, make_tensor, parameter_class
from .unpickler import Known, Unpickler

__all__ = ["Decoder", "Survey"]

ReadStorage = Callable[[str, int, int], np.ndarray[Any, Any]]

_KINDS_WE_LACK = {
    "torch._utils._rebuild_qtensor": "quantized tensors",
    "torch._utils._rebuild_nested_tensor": "nested tensors",
    "torch._utils._rebuild_wrapper_subclass": "wrapper subclasses of Tensor",
    "torch._utils._rebuild_device_tensor_from_numpy": "XLA tensors",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "XLA tensors",
}
_ELEMENT_TYPES_WE_LACK = re.compile(r"torch\.(q?u?int\d\w*|float\d\w*|complex32|bits\w+|(Q\w+|Float\d\w+|UInt\d+|ComplexHalf)Storage)")


@dataclass(frozen=True, slots=True)
class _StorageType:
    dtype: dtype | None  # None: bytes without a type


@dataclass(slots=True)
class _StorageRef:
    """A storage as a tensor's arguments mention it: `start` and `count` elements of `dtype` in it."""

    storage: Storage
    dtype: dtype | None
    start: int


class Decoder:
    """Reads one object structure. `where` names the file; `read(key, nbytes, unit)` gives a storage's bytes.

    `modules`: also rebuild nn.Module objects whose classes are already imported (see `modules.py`).
    """

    def __init__(self, where: str, read: ReadStorage, place: Place, modules: bool = False) -> None:
        self.where, self._read, self._place, self._modules = where, read, place, modules
        self._storages: dict[str, tuple[Storage, int]] = {}
        functions: dict[str, Callable[..., Any]] = {
            "torch._utils._rebuild_tensor": self._rebuild_tensor,
            "torch._utils._rebuild_tensor_v2": self._rebuild_tensor,
            "torch._utils._rebuild_tensor_v3": self._rebuild_tensor_of_type,
            "torch._utils._rebuild_meta_tensor_no_storage": _rebuild_blank,
            "torch._utils._rebuild_parameter": self._rebuild_parameter,
            "torch._utils._rebuild_parameter_with_state": self._rebuild_parameter,
            "torch._tensor._rebuild_from_type_v2": self._rebuild_with_state,
            "torch.nn.parameter.Parameter": self._rebuild_parameter,
            "torch._utils._rebuild_sparse_tensor": partial(rebuild_sparse, where),
            "torch.serialization._get_layout": layout,
            "torch.Size": _size,
            "torch.device": _device,
        }
        self._torch = {name: Known(name, call=function) for name, function in functions.items()}
        self._torch["torch.Tensor"] = Known("torch.Tensor", Tensor)
        self._torch["torch.nn.parameter.Parameter"].value = parameter_class()

    def loads(self, data: bytes, start: int = 0, encoding: str = "utf-8") -> Any:
        """The object whose pickle begins at `start`; afterwards ``end`` is where the pickle ends."""
        unpickler = Unpickler(data, self.resolve, self.persistent, self.where, encoding)
        try:
            found = unpickler.load(start)
        except CallerError as error:
            assert error.__cause__ is not None
            raise error.__cause__ from None
        self.end = unpickler.end
        return found

    # -- names ------------------------------------------------------------------------------------------------------

    def resolve(self, module: str, name: str) -> Any:
        """What the global ``module.name`` stands for; raises UnsafeContentError for what is not allowed."""
        full = f"{module}.{name}"
        known = standard_globals(module, name) or self._torch.get(full)
        if known is not None:
            return known
        if module in ("torch", "torch.cuda", "torch.storage"):
            if name in STORAGE_TYPES:
                return _StorageType(STORAGE_TYPES[name])
            if name in ("UntypedStorage", "TypedStorage", "_UntypedStorage"):
                return _StorageType(None)
        if module == "torch" and name in dtypes.BY_NAME:
            return dtypes.BY_NAME[name]
        known = trusted(full, self.where)
        if known is not None:
            return known
        if full in _KINDS_WE_LACK:
            raise Unsupported(
                f"{self.where} contains {_KINDS_WE_LACK[full]}, which torchlike_asg does not have: save dense tensors instead"
            )
        if _ELEMENT_TYPES_WE_LACK.fullmatch(full):
            raise Unsupported(
                f"{self.where} contains elements of type {full}, which torchlike_asg does not have: convert tensors before saving them"
            )
        if self._modules:
            from .modules import known_module
            from .objects import known_object

            known = known_module(module, name, self.where) or known_object(module, name)
            if known is not None:
                return known
        raise refused(self.where, full, _hint(module, name, self._modules))

    # -- storages ---------------------------------------------------------------------------------------------------

    def persistent(self, reference: Any) -> Any:
        """The storage that a persistent id names."""
        if type(reference) is tuple and len(reference) > 1 and reference[0] == "module":
            return reference[1]  # before 1.6, classes of modules came with their source text
        key, d, location, count, view = _checked(reference)
        itemsize = 1 if d is None else d.itemsize
        nbytes = count * itemsize
        found = self._storages.get(key)
        if found is None:
            unit = itemsize // 2 if d is not None and d.is_complex else itemsize
            content = self._read(key, nbytes, unit)
            try:
                placed = self._place(Storage(content, location, device("cpu")), location)
            except Exception as error:
                raise CallerError from error
            found = self._storages[key] = (placed, nbytes)
        storage, known_bytes = found
        if known_bytes != nbytes:
            raise ValueError(f"storage {key} is mentioned with {known_bytes} and with {nbytes} bytes")
        start = 0
        if view is not None:
            _, start, length = view
            if type(start) is not int or type(length) is not int or not 0 <= start <= start + length <= count:
                raise ValueError(f"a part of storage {key} lies outside it")
        return _StorageRef(storage, d, start)

    # -- tensors ----------------------------------------------------------------------------------------------------

    def _rebuild_tensor(
        self, ref: Any, offset: Any, size: Any, stride: Any, requires_grad: Any = False, hooks: Any = None, metadata: Any = None
    ) -> Tensor:
        return self._tensor(ref, offset, size, stride, requires_grad, None, metadata)

    def _rebuild_tensor_of_type(
        self, ref: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, hooks: Any, d: Any, metadata: Any = None
    ) -> Tensor:
        if not isinstance(d, dtype):
            raise ValueError("a tensor has no element type")
        return self._tensor(ref, offset, size, stride, requires_grad, d, metadata)

    def _tensor(self, ref: Any, offset: Any, size: Any, stride: Any, requires_grad: Any, d: dtype | None, metadata: Any) -> Tensor:
        if type(ref) is not _StorageRef or not isinstance(size, tuple) or not isinstance(stride, tuple) or type(offset) is not int:
            raise ValueError("a tensor is malformed")
        d = d or ref.dtype
        if d is None or ref.storage.nbytes() % d.itemsize:
            raise ValueError("a tensor's storage does not fit its element type")
        if requires_grad and not (d.is_floating_point or d.is_complex):
            raise ValueError(f"a tensor of {d} requires a gradient")
        if metadata and any(dict(metadata).values()):
            raise Unsupported(
                f"{self.where} contains a lazily conjugated or negated tensor: call resolve_conj() or resolve_neg() before saving it"
            )
        return make_tensor(ref.storage, d, tuple(size), tuple(stride), offset + ref.start, bool(requires_grad))

    def _rebuild_parameter(self, data: Any, requires_grad: Any = True, hooks: Any = None, state: Any = None) -> Any:
        if not isinstance(data, Tensor):
            raise ValueError("a Parameter has no data")
        if requires_grad and not (data.dtype.is_floating_point or data.dtype.is_complex):
            raise ValueError(f"a Parameter of {data.dtype} requires a gradient")
        return _with_attributes(make_parameter(data, bool(requires_grad)), state)

    def _rebuild_with_state(self, function: Any, kind: Any, arguments: Any, state: Any) -> Any:
        if (
            not isinstance(function, Known)
            or function.call is None
            or self._torch.get(function.name) is not function
            or type(arguments) is not tuple
        ):
            raise ValueError("a tensor is rebuilt by something else than PyTorch's functions")
        made = function.call(*arguments)
        if kind is parameter_class() and isinstance(made, Tensor) and not isinstance(made, kind):
            made = make_parameter(made.detach(), made.requires_grad)  # type: ignore[attr-defined]
        elif kind is not Tensor and kind is not parameter_class():
            raise refused(
                self.where, getattr(kind, "__qualname__", repr(kind)), "Subclasses of Tensor are not rebuilt: save plain tensors."
            )
        return _with_attributes(made, state)


class Survey(Decoder):
    """Goes through a pickle without building or reading anything: ``sizes`` of the storages it mentions, in bytes, and ``unsafe``, the
    names of the globals that `load` would refuse."""

    def __init__(self, where: str) -> None:
        super().__init__(where, _no_storage, lambda storage, location: storage)
        self.sizes: dict[str, int] = {}
        self.unsafe: list[str] = []

    def resolve(self, module: str, name: str) -> Any:
        known = standard_globals(module, name)
        if known is not None:
            return known
        try:
            found = super().resolve(module, name)
        except (UnsafeContentError, Unsupported):
            if f"{module}.{name}" not in self.unsafe:
                self.unsafe.append(f"{module}.{name}")
            found = None
        if found is None or isinstance(found, Known):
            return Known(f"{module}.{name}", call=_Anything, new=_Anything, build=lambda obj, state: None, fill=True)
        return found

    def persistent(self, reference: Any) -> Any:
        if type(reference) is not tuple or not reference or reference[0] != "module":
            key, d, _, count, _ = _checked(reference)
            self.sizes[key] = count * (1 if d is None else d.itemsize)
            return _Anything()
        return reference[1]


class _Anything:
    """Stands for any object in a survey."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None: ...

    def extend(self, items: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...


def _no_storage(key: str, nbytes: int, unit: int) -> Any:
    raise AssertionError("a survey reads no storage")


def _checked(reference: Any) -> tuple[str, dtype | None, str, int, Any]:
    """(key, dtype, location, number of elements, part) of a reference to a storage."""
    if type(reference) is not tuple or len(reference) < 5 or reference[0] != "storage":
        raise ValueError("a reference to something else than a storage")
    _, kind, key, location, count, *view = reference  # before 1.6, storages could be parts of others
    if type(kind) is not _StorageType or type(key) is not str or type(location) is not str or type(count) is not int or count < 0:
        raise ValueError("a reference to a storage is malformed")
    return key, kind.dtype, location, count, view[0] if view else None


def _with_attributes(tensor: Any, state: Any) -> Any:
    """Put what a script had hung on a tensor back onto it."""
    if isinstance(state, tuple) and len(state) == 2:
        state = state[0]
    if state:
        if type(state) is not dict or not all(type(name) is str for name in state):
            raise ValueError("the attributes of a tensor are not a dict")
        tensor.__dict__.update(state)
    return tensor


def _rebuild_blank(d: Any, size: Any, stride: Any, requires_grad: Any = False) -> Tensor:
    if not isinstance(d, dtype) or not isinstance(size, tuple) or not isinstance(stride, tuple) or len(size) != len(stride):
        raise ValueError("a tensor is malformed")
    if any(type(n) is not int or n < 0 for n in (*size, *stride)):
        raise ValueError(f"a tensor has size {size}, stride {stride}")
    return make_blank(d, size, stride, bool(requires_grad))


def _size(values: Any = ()) -> Size:
    if not isinstance(values, tuple | list) or any(type(n) is not int for n in values):
        raise ValueError("a torch.Size of something else than ints")
    return Size(values)


def _device(kind: Any, index: Any = None) -> device:
    if type(kind) is not str or not (index is None or type(index) is int):
        raise ValueError("a device is malformed")
    try:
        return device(kind, index)
    except RuntimeError as error:
        raise ValueError(str(error)) from None


def _hint(module: str, name: str, modules: bool) -> str:
    from .modules import looks_like_module

    if not looks_like_module(module, name):
        return ""
    if modules:
        return (
            f"A whole module can only be rebuilt once its class {name} is imported from {module}: do so, or save and load its state_dict()."
        )
    return (
        f"It is the class of a whole module: save model.state_dict() instead; or import {name} and pass weights_only=False, which rebuilds "
        "modules of classes that are already imported, and nothing else."
    )
