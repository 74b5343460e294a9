"""What a tensor says of itself where PyTorch has devices, layouts and features that are not here, and functions that only ask."""

from __future__ import annotations

import functools
import importlib
from typing import Any, NoReturn

from ... import formats
from ...asg.declare import SNAP
from ...asg.trace import current
from ...dtypes import dtype
from ...errors import Unsupported
from ...ops.promotion import title
from ..claiming import owned
from ..core import Tensor, face, node_of
from ..families import alias, family_of
from ..hooks import leaf_hooks
from ..nodes import root_of
from ..register import FUNCTIONS, function, method, named
from ..steps import step
from ..storage import Counter, Family
from .history import type_of_gradient

for _name in ("is_xpu", "is_mtia", "is_ipu", "is_maia", "is_mkldnn", "is_nested", "is_vulkan", "is_xla", "is_sparse_csr", "volatile"):
    setattr(Tensor, _name, property(lambda self: False, doc="False: there is nothing of the kind here."))
#: built into PyTorch, and here by other means
FUNCTIONS.update(has_lapack=True, has_mkl=False, has_openmp=False, has_spectral=True)
FUNCTIONS.update(legacy_contiguous_format=formats.contiguous_format)


def _name_of(self: Tensor) -> str | None:
    """None: tensors have no names."""
    return None


def _output_nr(self: Tensor) -> int:
    """Which of the results of its step this tensor is."""
    if self.grad_fn is None:
        return 0
    return int(importlib.import_module("torchlike_asg.autograd.graph").get_gradient_edge(self).output_nr)


def _grad_dtype(self: Tensor) -> Any:
    """The type of a leaf's gradient: its own, unless another was asked for; None: any."""
    if not self.is_leaf:
        raise RuntimeError("grad_dtype can only be accessed on leaf tensors.")
    return type_of_gradient(self)


def _set_grad_dtype(self: Tensor, d: Any) -> None:
    if d is not None and not isinstance(d, dtype):
        raise RuntimeError(f"grad_dtype must be a torch.dtype or None, but got {type(d).__name__}")
    if not self.is_leaf:
        raise RuntimeError("grad_dtype can only be set on leaf tensors.")
    kept = self.grad  # type: ignore[attr-defined]
    if kept is not None and d is not None and kept.dtype is not d:
        raise RuntimeError(
            f"Cannot set grad_dtype to '{title(d)}' because there is already a gradient with dtype '{title(kept.dtype).lower()}'. Please "
            "clear the gradient (.grad = None) before changing grad_dtype, or ensure the new grad_dtype matches the existing gradient's "
            "dtype."
        )
    if self._f is not None and self._kind is not None:
        raise Unsupported("grad_dtype of a view is not implemented: use x.clone().detach()")
    leaf_hooks(family_of(self)).grad_dtype = (d,)


Tensor.name, Tensor.output_nr = property(_name_of), property(_output_nr)  # type: ignore[attr-defined]
Tensor.grad_dtype = property(_grad_dtype, _set_grad_dtype)  # type: ignore[attr-defined]


@function()
def is_distributed(input: Tensor) -> bool:
    """False: a tensor is whole."""
    return False


@function(method=False)
def get_device(input: Tensor) -> int:
    """The index of the device; -1 on the CPU."""
    return input.get_device()  # type: ignore[attr-defined, no-any-return]


@method()
def dense_dim(self: Tensor) -> int:
    """The number of dimensions, all of which are dense."""
    return len(self.shape)


@method()
def sparse_dim(self: Tensor) -> int:
    """0: no dimension is sparse."""
    return 0


@method()
def is_coalesced(self: Tensor) -> NoReturn:
    """Raises RuntimeError: only sparse tensors are asked."""
    raise RuntimeError("is_coalesced expected sparse coordinate tensor layout but got Strided")


@method()
def dim_order(self: Tensor, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from the one whose elements are farthest apart to the nearest.

    Raises:
        RuntimeError: `ambiguity_check`, and strides of equal size (or dimensions of size 1) leave several orders; where it is a list of
            memory formats: and not exactly one of them is this tensor's.
        TypeError: `ambiguity_check` is neither.
    """
    listed = ambiguity_check if isinstance(ambiguity_check, list) else None
    if not (all(isinstance(f, formats.memory_format) for f in listed) if listed is not None else isinstance(ambiguity_check, bool)):
        raise TypeError("The ambiguity_check argument must be a bool or a list of memory formats.")
    strides = self.stride()  # type: ignore[attr-defined]
    several = len(set(strides)) < len(strides) or 1 in self.shape
    if ambiguity_check is not False and several and sum([self.is_contiguous(memory_format=f) for f in listed or ()]) != 1:  # type: ignore[attr-defined]
        raise RuntimeError("The tensor does not have unique dim order, or cannot map to exact one of the given memory formats.")
    return tuple(sorted(range(len(strides)), key=lambda d: -strides[d]))


@method()
def const_data_ptr(self: Tensor) -> int:
    """`data_ptr`, for reading."""
    return self.data_ptr()  # type: ignore[attr-defined, no-any-return]


@method()
def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What `Module.load_state_dict` puts in this tensor's place: its values taken from `other`, or `other` itself."""
    return other.detach() if assign else self.copy_(other).detach()  # type: ignore[attr-defined, no-any-return]


# ---------------------------------------------------------------- numbers that PyTorch may trace
def _symbolic(name: str, f: Any, doc: str) -> None:
    named(f, name, doc)
    FUNCTIONS[name] = f


_symbolic("sym_int", lambda a, /: int(a), "A number cut to an integer.")
_symbolic("sym_float", lambda a, /: float(a), "A number as a float.")
_symbolic("sym_not", lambda a, /: not a, "Logical negation.")
_symbolic("sym_sqrt", lambda a, /: float(a) ** 0.5, "The square root of a number.")
_symbolic("sym_sum", lambda args, /: sum(args), "The sum of numbers.")
_symbolic("sym_ite", lambda b, t, f, /: t if b else f, "``t if b else f``.")


def _wider(pick: Any) -> Any:
    def of_two(a: Any, b: Any, /) -> Any:
        both = (float(a), float(b)) if isinstance(a, float) or isinstance(b, float) else (a, b)
        return pick(both)

    return of_two


_symbolic("sym_max", _wider(max), "The larger of two numbers, a float if either is one.")
_symbolic("sym_min", _wider(min), "The smaller of two numbers, a float if either is one.")


def _writable(split: Any) -> Any:
    """PyTorch's versions whose results may be written to without its noticing that they share memory: they do here, and that is noticed."""

    @functools.wraps(split)
    def parts(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        out: tuple[Tensor, ...] = split(*args, **kwargs)
        for v in out:
            if v._kind == "multi":
                v._kind = "view"
        return tuple([_severed(v) if v.requires_grad and current().grad else alias(v, share_counter=False) for v in out])

    return parts


def _severed(v: Tensor) -> Tensor:
    """A view as a result of its own, with the view's history, in the same memory."""
    f = family_of(v)
    g = Family(f.cell, None, Counter())
    g.h = owned(SNAP(root_of(f)), g)
    g.counter.roots.append(g.h)
    g.take_part()
    out: Tensor = face(g, None, 0, None, v.geometry, lens=v._lens)
    node_of(out)
    return out


for _name, _safe, _step in (
    ("unsafe_chunk", "chunk", "UnsafeSplitBackward0"),
    ("unsafe_split", "split", "UnsafeSplitBackward0"),
    ("unsafe_split_with_sizes", "split_with_sizes", "UnsafeSplitWithSizesBackward0"),
):
    FUNCTIONS[_name] = step(_step)(_writable(FUNCTIONS[_safe]))
    setattr(Tensor, _name, FUNCTIONS[_name])
