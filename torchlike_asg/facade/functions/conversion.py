"""Element types and devices: what a tensor is, and the same values as something else."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import dtypes, formats, notices
from ...asg.declare import TRANSFER
from ...asg.geometry import contiguous, flat, is_dense, preserved_strides, suggests_channels_last
from ...asg.trace import current
from ...devices import cuda_means_wgpu, refuse
from ...devices import device as as_device
from ...dtypes import dtype
from ...errors import CudaMissing
from ...ops import movement
from ..core import Tensor, concrete, unary
from ..held import value_of
from ..hosted import data, known
from ..misfits import combination
from ..register import method, named
from .creation import blank
from .factory_arguments import device_of
from .layout import format_strides, relaid


@method("element_size")
def element_size(self: Tensor) -> int:
    """Bytes of one element."""
    return self.dtype.itemsize


Tensor.itemsize = property(element_size)  # type: ignore[attr-defined]
Tensor.nbytes = property(lambda self: self.shape.numel() * self.dtype.itemsize)  # type: ignore[attr-defined]


Tensor.is_cpu = property(lambda self: self.device.type == "cpu")  # type: ignore[attr-defined]
Tensor.is_cuda = property(lambda self: cuda_means_wgpu[0] and self.device.type == "wgpu")  # type: ignore[attr-defined]
Tensor.is_meta = property(lambda self: self.device.type == "meta")  # type: ignore[attr-defined]
Tensor.is_sparse = Tensor.is_quantized = Tensor.is_mps = property(lambda self: False)  # type: ignore[attr-defined]


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
    """The device index; -1 on the CPU and on the meta device."""
    return -1 if self.device.type in ("cpu", "meta") else self.device.index or 0


def transferred(t: Tensor, target: Any) -> Tensor:
    """A tensor's values on another device: with their history if there is one, else at once (to a GPU: with the next step's data)."""
    refuse(target, t.dtype)
    if t.requires_grad and current().grad:
        return unary(TRANSFER, t, target)
    strides = t.geometry[1]
    if not is_dense(tuple(t.shape), strides):
        strides = contiguous(tuple(t.shape))
    if target.type == "meta":
        return blank(t.shape, t.dtype, target, strides)
    values = value_of(t)
    return concrete(np.array(dtypes.store(flat(values, strides), t.dtype)), t.shape, t.dtype, target, strides)  # type: ignore[no-any-return]


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
    if len(args) > 1 and any([isinstance(a, Tensor) for a in args[1:]]):
        raise combination("to", args, {}, "")
    for a in args:
        if isinstance(a, dtypes.dtype):
            dtype = a
        elif isinstance(a, Tensor):
            dtype, device = a.dtype, a.device
        elif a.__class__ is type and a in dtypes.OF_PYTHON:
            dtype = a
        elif not isinstance(a, bool) and a is not None:
            device = a
    flags = [a for a in args if isinstance(a, bool)]  # non_blocking, copy
    copy = copy or (len(flags) > 1 and flags[1])
    if dtype is not None and not isinstance(dtype, dtypes.dtype):
        dtype = dtypes.required(dtype, "to", "dtype")
    moved = self
    if device is not None:
        target = device_of(device)
        if target is not self.device and target != self.device:
            if dtype is not None and dtype is not self.dtype and self.device.type == "cpu":  # the other device may not have the type
                self, dtype = unary(movement.cast, self, dtype), None
            moved = transferred(self, target)
    self, copy = moved, copy and moved is self
    if dtype is not None and dtype is not self.dtype:
        return relaid(_cast(self, dtype), memory_format)
    if copy:
        shape, strides, _ = self.geometry
        return unary(movement.relayout, self, format_strides(memory_format, shape, strides, "to"), "to")
    if memory_format is None or memory_format is formats.preserve_format:
        return self
    if memory_format is formats.contiguous_format and not suggests_channels_last(tuple(self.shape), self.geometry[1]):
        return self  # what has no other format is taken as it lies
    return relaid(self, memory_format)


_FLOATS = (dtypes.float32, dtypes.float64)


def _cast(t: Tensor, d: dtype) -> Tensor:
    """The values in another type. Data that shares its memory with NumPy becomes floats at once: to be recorded, it would have to be
    copied."""
    if t.dtype.is_complex and not d.is_complex and d is not dtypes.bool_:
        notices.once(notices.COMPLEX_TO_REAL)
    f = t._f
    if f is not None and d in _FLOATS and f.cell.exposed and t.dtype.itemsize >= d.itemsize:
        values = known(t) if t.__class__ is Tensor and not t.dtype.is_complex and t.device.type == "cpu" else None
        if values is not None:
            with np.errstate(all="ignore"):
                return data(values.astype(d.storage), d, t.device, preserved_strides(tuple(t.shape), t.geometry[1]))
    return unary(movement.cast, t, d)


def _converter(name: str, d: dtype) -> None:
    def convert(self: Tensor, *, memory_format: Any = None) -> Tensor:
        if memory_format is not None:
            return to(self, d, memory_format=memory_format)  # type: ignore[no-any-return]
        return self if self.dtype is d else _cast(self, d)

    named(convert, name, f"This tensor as {d.name}.")
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
    if not isinstance(other, Tensor):
        raise TypeError(f"type_as(): argument 'other' (position 1) must be Tensor, not {type(other).__name__}")
    return to(self, other.dtype)


@method()
def cpu(self: Tensor, *, memory_format: Any = None) -> Tensor:
    """This tensor on the CPU."""
    return to(self, device="cpu", memory_format=memory_format)


@method()
def wgpu(self: Tensor, index: int | None = None) -> Tensor:
    """This tensor on a GPU."""
    return to(self, device=as_device("wgpu", index))


@method()
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """This tensor on the GPU, where "cuda" means "wgpu" (backends.wgpu.use_for_cuda); else CudaMissing: there is no CUDA here."""
    if cuda_means_wgpu[0]:
        return to(self, device=as_device("wgpu", device) if device is None or isinstance(device, int) else device)
    raise CudaMissing("Torch not compiled with CUDA enabled: use .to('cpu') (or 'wgpu' for a GPU through wgpu)")


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
        place = "torch.meta" if self.device.type == "meta" else "torch"
        return next(f"{place}.{n}" for n, d in _LEGACY.items() if d is self.dtype)
    if isinstance(dtype, str):
        name = dtype.rpartition(".")[2]
        if name not in _LEGACY:
            raise ValueError(f"invalid type: {dtype!r}")
        if dtype.startswith("torch.cuda."):
            self = cuda(self)
        dtype = _LEGACY[name]
    if not isinstance(dtype, (dtypes.dtype, type)) or isinstance(dtype, Tensor):
        raise TypeError("dtype must be a type, str, or dtype object")
    if dtype is Tensor:  # the class of the default type
        return to(self, dtypes.get_default_dtype())
    if isinstance(dtype, type) and (issubclass(dtype, Tensor) or not hasattr(dtype, "dtype")):
        raise ValueError(f"invalid type: '{dtype.__name__}'")
    return to(self, getattr(dtype, "dtype", dtype))
