"""What all sparse tensors have in common: they are Tensors for `isinstance`, and have of a Tensor's names only those that they define."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NoReturn

import torchlike_asg as torch

from ..asg.node import Node
from ..errors import Unsupported
from ..facade.core import Tensor
from ..facade.printing import with_suffixes

__all__ = ["Sparse", "beside", "block", "suffixed"]

#: names of a Tensor that say the same of any tensor, or rest on what a sparse tensor defines
_INHERITED = frozenset(
    ("is_quantized", "is_meta", "is_mps", "is_xpu", "is_mtia", "is_ipu", "is_maia", "is_mkldnn", "is_nested", "is_vulkan", "is_xla",
     "is_sparse_csr", "is_cpu", "volatile")
)  # fmt: skip


_OF_CLASSES = frozenset(
    """__annotations__ __class__ __dict__ __dir__ __doc__ __init_subclass__ __module__ __slots__ __subclasshook__
    __weakref__""".split()
)
#: parts of a dense tensor that functions read
_INNER = frozenset(("_d", "_geo", "_kind", "_lens", "geometry"))
_TAKES_NONE = "this function takes no sparse tensor: use to_dense() first"


class _Absent:
    """A name of Tensor that sparse tensors do not have: `hasattr` sees it as absent."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, t: Any, cls: type) -> Any:
        if t is None:
            return getattr(Tensor, self.name)
        raise Unsupported(_TAKES_NONE if self.name in _INNER else f"a sparse tensor has no {self.name}: use to_dense() first")


def _refusal(name: str) -> Any:
    """What stands for an operator: the interpreter takes one that cannot be looked up for one that does not know the operand."""

    def refuse(self: Any, *args: Any) -> NoReturn:
        raise Unsupported(f"{name} takes no sparse tensor: use to_dense() first")

    return refuse


def beside(values: Any, places: Any) -> Any:
    """Places on the device of the values: they go where those go."""
    return places if places.device == values.device else places.to(values.device)


class Sparse(Tensor):
    """A tensor of values at places. The dense tensor of `values`, which carries the history, is what `_held` says."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init_subclass__(cls) -> None:
        own = set().union(*(vars(c) for c in cls.__mro__ if c not in (Tensor, object)))
        for name in set(dir(Tensor)) - own - _INHERITED:
            if getattr(Tensor, name) is not getattr(object, name, None) and name not in _OF_CLASSES:
                setattr(cls, name, _refusal(name) if name.startswith("__") else _Absent(name))

    # what every operation on dense tensors looks at first
    @property
    def _n(self) -> NoReturn:  # type: ignore[override]
        raise Unsupported(_TAKES_NONE)

    _f = _n  # type: ignore[assignment]

    @property
    def _held(self) -> Tensor:
        raise NotImplementedError

    def _map(self, change: Callable[[Any], Any]) -> Any:
        """The same places with other values."""
        raise NotImplementedError

    def _set(self, other: Any) -> Any:
        """This very tensor, with the content of another of the same form."""
        raise NotImplementedError

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """The dense tensor."""
        raise NotImplementedError

    def dense_node(self) -> Node:
        """The node of the dense tensor."""
        raise NotImplementedError

    # ------------------------------------------------------------ looking
    def __init__(self, size: Any) -> None:
        self._size = torch.Size(size)

    @property
    def shape(self) -> Any:
        return self._size

    @property
    def dtype(self) -> Any:
        return self._held.dtype

    @property
    def device(self) -> Any:
        return self._held.device

    @property
    def requires_grad(self) -> bool:
        return self._held.requires_grad

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        self.requires_grad_(on)

    @property
    def grad_fn(self) -> Any:
        return self._held.grad_fn  # type: ignore[attr-defined]

    @property
    def is_cuda(self) -> bool:
        return self._held.is_cuda  # type: ignore[attr-defined]

    @property
    def is_leaf(self) -> bool:
        return self._held.is_leaf

    @property
    def itemsize(self) -> int:
        return self._held.itemsize  # type: ignore[no-any-return,attr-defined]

    @property
    def ndim(self) -> int:
        return len(self._size)

    @property
    def data(self) -> Any:
        return self._map(lambda v: v.data)

    @data.setter
    def data(self, source: Any) -> None:
        self._set(source.detach())

    output_nr = 0
    retains_grad = False
    name = None
    _base = None

    @property
    def nbytes(self) -> NoReturn:
        raise RuntimeError("nbytes is not defined for sparse tensors: add those of its indices and of its values")

    @property
    def _version(self) -> int:
        return self._held._version  # type: ignore[no-any-return,attr-defined]

    def dim(self) -> int:
        return len(self._size)

    ndimension = dim

    def size(self, dim: int | None = None) -> Any:
        return self._size if dim is None else self._size[dim]

    def numel(self) -> int:
        return self._size.numel()

    nelement = numel

    def __len__(self) -> int:
        return int(self._size[0])

    def __hash__(self) -> int:
        return id(self)

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise RuntimeError("Boolean value of Tensor with more than one value is ambiguous")
        return bool(self.to_dense())

    def item(self) -> Any:
        return self.to_dense().item()  # type: ignore[attr-defined]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        return False

    def _is_view(self) -> bool:
        return False

    def is_pinned(self, device: Any = None) -> bool:
        return False

    def get_device(self) -> int:
        return self._held.get_device()  # type: ignore[no-any-return,attr-defined]

    def element_size(self) -> int:
        return self.itemsize

    def is_complex(self) -> bool:
        return self.dtype.is_complex  # type: ignore[no-any-return]

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point  # type: ignore[no-any-return]

    def is_signed(self) -> bool:
        return self.dtype.is_signed  # type: ignore[no-any-return]

    def is_same_size(self, other: Tensor) -> bool:
        return bool(self.shape == other.shape)

    def is_conj(self) -> bool:
        return False

    def is_neg(self) -> bool:
        return False

    def is_inference(self) -> bool:
        return self._held.is_inference()  # type: ignore[no-any-return,attr-defined]

    def numpy(self, *, force: bool = False) -> NoReturn:
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        self.numpy()

    # ------------------------------------------------------------ the same places
    def to(self, *args: Any, **kwargs: Any) -> Any:
        return self._map(lambda v: v.to(*args, **kwargs))

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        return f"torch.sparse.{self._held.type()[6:]}" if dtype is None else self._map(lambda v: v.type(dtype))  # type: ignore[attr-defined]

    def cpu(self) -> Any:
        return self._map(lambda v: v.cpu())

    def cuda(self, *args: Any, **kwargs: Any) -> Any:
        return self._map(lambda v: v.cuda(*args, **kwargs))

    def clone(self, *, memory_format: Any = None) -> Any:
        return self._map(lambda v: v.clone())

    def detach(self) -> Any:
        return self._map(lambda v: v.detach())

    def detach_(self) -> Any:
        return self._set(self.detach())

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        if requires_grad != self.requires_grad:
            if not self.is_leaf:
                self._held.requires_grad_(requires_grad)  # type: ignore[attr-defined]  # which refuses
            self._set(self._map(lambda v: v.detach().requires_grad_(requires_grad)))
        return self

    def copy_(self, src: Any, non_blocking: bool = False) -> Any:
        """This tensor with the content of another of its layout."""
        if not isinstance(src, Sparse) or src.layout is not self.layout:
            raise RuntimeError("copy_() between dense and sparse Tensors is not implemented! Found self type and src type differ in layout")
        if src.shape != self.shape:
            raise RuntimeError(f"copy_: the sizes {tuple(self.shape)} and {tuple(src.shape)} of two sparse tensors differ")
        return self._set(src.to(dtype=self.dtype, device=self.device))

    def _like(self, made: Any) -> Any:
        """What `made`, of this form, holds in a tensor of this very class: a copy of a parameter is one."""
        out = object.__new__(type(self))
        out.__dict__.update(made.__dict__)
        return out

    def backward(self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None) -> None:
        """Through the values: the gradient is that of the dense tensor."""
        dense = gradient.to_dense() if isinstance(gradient, Sparse) else gradient
        self.to_dense().backward(dense, retain_graph, create_graph, inputs)  # type: ignore[attr-defined]


def block(head: str, t: Tensor) -> str:
    """A dense part in the text of a sparse tensor."""
    text = repr(t.detach())  # type: ignore[attr-defined]
    return head + re.sub(r", dtype=torch\.\w+\)$", ")", text).replace("\n", "\n" + " " * len(head))


def suffixed(start: str, t: Any, apart: bool) -> str:
    """The text of a sparse tensor with what is said of it as a whole; a line that would be too long goes on in the next.

    `apart`: it begins on a new line.
    """
    size = f"size={tuple(t.shape)}"
    parts = [f"nnz={t._nnz()}"]
    if t.dtype not in (torch.get_default_dtype(), torch.complex64, torch.int64, torch.bool):
        parts.append(f"dtype={t.dtype}")
    parts.append(f"layout={t.layout}")
    if t.grad_fn is not None:
        parts.append(f"grad_fn=<{type(t.grad_fn).__name__}>")
    elif t.requires_grad:
        parts.append("requires_grad=True")
    if apart:
        start += f",\n       {size}"
    else:
        parts.insert(0, size)
    return with_suffixes(start, parts, len("tensor("))


for _name in ("bfloat16", "bool", "byte", "cdouble", "cfloat", "char", "double", "float", "half", "int", "long", "short"):

    def _cast(self: Any, *args: Any, _name: str = _name, **kwargs: Any) -> Any:
        return self._map(lambda v: getattr(v, _name)(*args, **kwargs))

    setattr(Sparse, _name, _cast)
