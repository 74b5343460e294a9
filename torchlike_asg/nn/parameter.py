"""Parameter and Buffer: tensors that a Module registers when they are assigned to one of its attributes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torchlike_asg as torch

from ..absent import asked
from ..asg.declare import VAR
from ..asg.geometry import is_dense as fills
from ..asg.trace import current
from ..facade.core import Tensor, concrete, is_dense, make_parameter
from ..facade.functions.reading import OWN_ATTRIBUTES

__all__ = ["Buffer", "Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy"]


class Parameter(Tensor):
    """A tensor that is a learnable part of a Module.

    Shares the storage of `data` (default: an empty float tensor) but not its history, so it is always a leaf.
    Raises RuntimeError if `requires_grad` is true and `data` is not of a floating-point type.
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Any:
        if data is None:
            data = torch.empty(0)
        elif not isinstance(data, Tensor):
            raise TypeError(f"Parameter(): argument 'data' must be Tensor, not {type(data).__name__}")
        return make_parameter(cls, data, requires_grad) if is_dense(data) else _of_sparse(cls, data, requires_grad)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return "Parameter containing:\n" + super().__repr__()

    __str__ = __repr__

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:  # like PyTorch's, a copy has neither `.grad` nor attributes that were hung on the original
            memo[id(self)] = copied = make_parameter(type(self), _copied(self), self.requires_grad)
            if hasattr(self, "_initialiser"):  # what the viewer tells of it is as true of the copy
                copied._initialiser = self._initialiser
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        attributes = {name: value for name, value in self.__dict__.items() if name not in OWN_ATTRIBUTES}
        if hasattr(self, "_initialiser"):
            attributes["_initialiser"] = self._initialiser
        return _rebuild_parameter, (type(self), self.data, self.requires_grad, attributes)


def _copied(p: Parameter) -> Tensor:
    """``p.data.clone()``. The memory of what nobody writes is copied as it is: a plan for each parameter of a model that is copied, as the
    constructors of transformers copy their layers, would take longer than all else about it.
    """
    f, tr = p._f, current()
    n = p._n
    if n is not None and f is not None and n is f.leaf is f.h and n.op is VAR and p._lens is None and tr.inference is None and not tr.apart:
        cell = f.cell
        here = cell.device.type == "cpu" and cell.writer is None and not (cell.empty or cell.exposed)
        if here and p.geometry == cell.geometry and fills(cell.shape, cell.strides):
            return concrete(cell.buf.copy(), cell.shape, cell.dtype, cell.device, cell.strides)  # type: ignore[no-any-return, union-attr]
    return p.data.clone()


def _of_sparse(cls: type[Parameter], data: Any, requires_grad: bool) -> Any:
    """A sparse tensor that is a parameter: of a class of both."""
    both = _sparse_classes.get((cls, type(data)))
    if both is None:
        names = {
            "__module__": cls.__module__,
            "__init__": lambda self, *args, **kwargs: None,  # which calling the class would call
            "__repr__": lambda self, **_: "Parameter containing:\n" + type(data).__repr__(self),
            "__reduce_ex__": lambda self, protocol: (cls, (self.detach(), self.requires_grad)),
        }
        both = _sparse_classes[cls, type(data)] = type(cls.__name__, (type(data), cls), names)
    out = object.__new__(both)
    out.__dict__.update(data.detach().__dict__)
    return out.requires_grad_(requires_grad)


_sparse_classes: dict[tuple[type, type], type] = {}


def _rebuild_parameter(cls: type[Parameter], data: Any, requires_grad: bool, attributes: dict[str, Any]) -> Any:
    parameter = make_parameter(cls, data, requires_grad)
    for name, value in attributes.items():
        setattr(parameter, name, value)
    return parameter


class _BufferMeta(type(Tensor)):  # type: ignore[misc]
    def __instancecheck__(cls, instance: Any) -> bool:
        if cls is Buffer and isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False):
            return True
        return bool(super().__instancecheck__(instance))


class Buffer(Tensor, metaclass=_BufferMeta):
    """A tensor that belongs to a Module's state without being learnable: ``self.mask = Buffer(mask)``.

    `persistent` says whether it appears in the module's state dict. The result is an ordinary Tensor carrying a mark.
    """

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = torch.empty(0)
        marked = data.detach().requires_grad_(data.requires_grad)
        marked.persistent = persistent
        marked._is_buffer = True
        return marked


_NO_SHAPE = (
    "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in `load_state_dict` when trying to "
    "load an uninitialized parameter into an initialized one. Call `forward` to initialize the parameters before accessing their "
    "attributes."
)


class _Uninitialized:
    """What parameters and buffers of lazy modules share: a dtype, no shape yet, and `materialize`."""

    _becomes: type

    @property
    def shape(self) -> Any:
        raise RuntimeError(_NO_SHAPE)

    def _refuse(self, *args: Any, **kwargs: Any) -> Any:
        raise ValueError(
            f"Attempted to use an uninitialized parameter of type {type(self).__name__}. This error happens when you are using a "
            "`LazyModule`: call `forward` once to initialize the parameters."
        )

    def to(self, *args: Any, **kwargs: Any) -> Any:
        """One of another type or on another device, without a shape as well."""
        known: Any = self
        empty = torch.empty(0, device=known.device, dtype=known.dtype)
        found = empty.to(*args, **kwargs)
        return self if found is empty else type(self)(known.requires_grad, found.device, found.dtype)

    def half(self) -> Any:
        return self.to(torch.float16)

    def float(self) -> Any:
        return self.to(torch.float32)

    def double(self) -> Any:
        return self.to(torch.float64)

    def cpu(self) -> Any:
        return self.to("cpu")

    def materialize(self, shape: Sequence[int], device: Any = None, dtype: Any = None) -> None:
        """Gives the tensor `shape`, uninitialised content and its final class, in place: references held elsewhere see it."""
        data = torch.empty(shape, device=self.device if device is None else device, dtype=dtype or self.dtype)  # type: ignore[attr-defined]
        self.__class__ = self._becomes
        self.data = data

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the parameters before calling "
            "`module.share_memory()`."
        )

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"<{type(self).__name__}>"

    __str__ = __repr__


#: what may be asked of a tensor without a shape; everything else that a tensor does is refused
_ALLOWED = set("char copy_ cuda get_device int is_complex is_floating_point long short size".split())
_OPERATORS = set(
    "__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __floordiv__ __rfloordiv__ __mod__ __pow__ __rpow__ "
    "__matmul__ __rmatmul__ __neg__ __abs__ __and__ __or__ __xor__ __invert__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __len__ __iter__ "
    "__getitem__ __setitem__ __bool__ __int__ __float__ __iadd__ __isub__ __imul__ __itruediv__ __array__".split()
)
for _name, _member in list(vars(Tensor).items()):
    if callable(_member) and (_name in _OPERATORS or not _name.startswith("_")) and _name not in {*_ALLOWED, *vars(_Uninitialized)}:
        setattr(_Uninitialized, _name, _Uninitialized._refuse)


class UninitializedParameter(_Uninitialized, Parameter):
    """A Parameter whose shape is not known yet; a lazy module materialises it at its first call."""

    _becomes = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return make_parameter(cls, torch.empty(0, device=device, dtype=dtype), requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.device, self.dtype)
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad, self.device, self.dtype)


class UninitializedBuffer(_Uninitialized, Tensor):
    """A buffer whose shape is not known yet; a lazy module materialises it at its first call."""

    _becomes = Tensor

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None, persistent: bool = True) -> Any:
        buffer = make_parameter(cls, torch.empty(0, device=device, dtype=dtype), requires_grad)
        buffer.persistent = persistent
        buffer._is_buffer = True
        return buffer

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.device, self.dtype, self.persistent)  # type: ignore[attr-defined]
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return type(self), (self.requires_grad, self.device, self.dtype)  # type: ignore[attr-defined]


def is_lazy(param: Any) -> bool:
    """Whether `param` is a parameter or buffer of a lazy module that has not been called yet."""
    return isinstance(param, _Uninitialized)


def empty_parameter(*shape: Any, device: Any = None, dtype: Any = None, requires_grad: bool = True) -> Parameter:
    """A Parameter of `shape` whose content is yet to be filled, as the constructors of layers need it."""
    parameter: Parameter = Parameter(torch.empty(shape[0] if len(shape) == 1 else shape, device=device, dtype=dtype), requires_grad)
    return parameter


__getattr__ = asked(__name__)
