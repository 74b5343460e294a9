"""The one place of this package that knows how a Tensor is made: from and to strided records of a flat buffer."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from .. import dtypes
from ..asg.declare import INPUT, VAR
from ..asg.geometry import contiguous, flat
from ..asg.trace import lock
from ..backends.meta import NO_DATA
from ..devices import device
from ..dtypes import dtype
from ..facade.core import Tensor, concrete, face
from ..facade.flush import evaluate
from ..facade.functions.reading import OWN_ATTRIBUTES
from ..facade.held import settle
from ..facade.register import FUNCTIONS
from ..facade.storage import Family
from ..ops.reinterpret import bytes_as
from .storage import Storage, StridedRecord, check_extent
from .writer import GlobalName

__all__ = [
    "Tensor",
    "elements_of",
    "is_tensor",
    "make_blank",
    "make_parameter",
    "make_tensor",
    "record_of",
    "stored_array",
    "tensor_class_name",
    "tensor_of_array",
]


def is_tensor(obj: Any) -> bool:
    return isinstance(obj, Tensor)


def parameter_class() -> Any:
    """nn.Parameter, found by name: nn is a layer above this one, and need not be imported yet."""
    return importlib.import_module("..nn.parameter", __package__).Parameter


def tensor_class_name(cls: type) -> GlobalName | None:
    """PyTorch's name of one of the tensor classes."""
    if cls is Tensor:
        return GlobalName("torch", "Tensor")
    return GlobalName("torch.nn.parameter", "Parameter") if cls is parameter_class() else None


def record_of(tensor: Tensor) -> StridedRecord | None:
    """The values and layout of a tensor; None for subclasses that rebuild themselves, such as parameters without a shape yet."""
    is_parameter = type(tensor) is parameter_class()
    if not is_parameter and type(tensor) is not Tensor:
        return None
    lens = tensor._lens
    if lens is not None and (lens.conj or lens.neg):
        return record_of(tensor.detach().resolve_conj().resolve_neg())  # type: ignore[attr-defined]
    settle(tensor)
    family: Any = tensor._f
    cell = family.cell
    shape, strides, offset = tensor.geometry
    elements = None if cell.device.type == "meta" else _current_elements(family)
    return StridedRecord(
        identity=id(cell),
        elements=elements if elements is None or lens is None else bytes_as(elements, lens.dtype),
        dtype=tensor.dtype,
        offset=int(offset),
        size=tuple(map(int, shape)),
        stride=tuple(map(int, strides)),
        requires_grad=bool(tensor.requires_grad),
        is_parameter=is_parameter,
        location=str(cell.device),
        attributes={k: v for k, v in tensor.__dict__.items() if k not in OWN_ATTRIBUTES},
        owner=cell,
    )


def _current_elements(family: Any) -> np.ndarray[Any, Any]:
    """The whole storage as it is now: while the iteration is open, what was written in it is not in the buffer yet."""
    with lock:
        cell, root = family.cell, family.h
        if root is None or root.op in (VAR, INPUT):
            return np.ascontiguousarray(cell.buf)
        return np.ascontiguousarray(dtypes.store(flat(evaluate(root), cell.strides), cell.dtype))


def make_tensor(storage: Storage, d: dtype, size: tuple[int, ...], stride: tuple[int, ...], offset: int, requires_grad: bool) -> Tensor:
    """A tensor over part of `storage`; all tensors made over one storage and dtype share its memory. Offset and strides count elements."""
    cell = storage.cells.get(d)
    if cell is not None:
        check_extent(size, stride, offset, math.prod(cell.shape))
        tensor: Tensor = face(Family(cell), None, 0, None, (size, stride, offset))
    else:
        elements = elements_of(storage.content, d)
        check_extent(size, stride, offset, elements.size)
        if offset == 0 and stride == contiguous(size) and elements.size == int(np.prod(size, dtype=object)):
            tensor = concrete(elements, size, d, storage.device)
            storage.cells[d] = tensor._f.cell  # type: ignore[union-attr]
        else:
            whole = concrete(elements, (elements.size,), d, storage.device)
            storage.cells[d] = cell = whole._f.cell
            tensor = face(Family(cell), None, 0, None, (size, stride, offset))
    tensor._f.counter.version = 1  # type: ignore[union-attr]  # as PyTorch's, whose memory was filled after it was made
    return tensor.requires_grad_() if requires_grad else tensor  # type: ignore[attr-defined]


def make_blank(d: dtype, size: tuple[int, ...], stride: tuple[int, ...], requires_grad: bool) -> Tensor:
    """A tensor on the meta device."""
    return FUNCTIONS["empty_strided"](size, stride, dtype=d, device="meta", requires_grad=requires_grad)  # type: ignore[no-any-return]


def elements_of(content: np.ndarray[Any, Any], d: dtype) -> np.ndarray[Any, Any]:
    """Bytes (uint8) as stored elements of `d`, in place if they are aligned and valid: NumPy relies on booleans being 0 or 1."""
    if d is dtypes.bool_ and content.size and content.max() > 1:
        return np.asarray(content != 0)
    elements = np.asarray(content).view(d.storage)
    return elements if elements.flags.aligned else elements.copy()


def make_parameter(data: Tensor, requires_grad: bool) -> Any:
    return parameter_class()(data, requires_grad)


def stored_array(tensor: Any) -> tuple[np.ndarray[Any, Any], dtype]:
    """(C-contiguous array in stored form, dtype) of a tensor, or of a NumPy array."""
    if not isinstance(tensor, Tensor):
        array = np.asarray(tensor)
        return np.require(array, array.dtype.newbyteorder("="), "C"), dtypes.from_numpy(array.dtype.newbyteorder("="))
    record = record_of(tensor.detach())  # type: ignore[attr-defined]
    assert record is not None
    if record.elements is None:
        raise NotImplementedError(NO_DATA)
    strided = np.lib.stride_tricks.as_strided(
        record.elements[record.offset :], record.size, tuple(s * record.dtype.itemsize for s in record.stride)
    )
    return np.require(strided, requirements="C"), record.dtype


def tensor_of_array(elements: np.ndarray[Any, Any], d: dtype, size: tuple[int, ...], where: Any) -> Tensor:
    """A tensor that takes over a flat array of stored elements."""
    tensor: Tensor = concrete(elements, size, d, device(where))
    return tensor
