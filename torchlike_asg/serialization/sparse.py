"""Sparse tensors in files, as PyTorch writes them: places, values, size and whether the places are in order without repetition."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import Unsupported
from ..facade.core import Tensor, is_dense
from ..facade.held import value_of
from .writer import GlobalName, Reduce

__all__ = ["layout", "rebuild_sparse", "reduce_sparse"]

_COO, _CSR = "torch.sparse_coo", "torch.sparse_csr"


def _module(name: str) -> Any:
    """A module of sparse tensors, found by name: they are of a layer above this one."""
    return importlib.import_module(f"..sparse.{name}", __package__)


def reduce_sparse(obj: Any) -> Reduce | None:
    """How a sparse tensor is written; None for anything else. Unsupported for a layout that is not read back."""
    if is_dense(obj):
        return None
    data: tuple[Any, ...]
    if isinstance(obj, _module("coo").SparseTensor):
        data = (obj._indices(), obj._values().detach(), obj.shape, bool(obj.is_coalesced()))
    elif isinstance(obj, _module("csr").CSR):
        data = (obj.crow_indices(), obj.col_indices(), obj.values().detach(), obj.shape)
    else:
        raise Unsupported(f"a tensor of layout {obj.layout} is not written to files: save x.to_sparse(), which is COO, or x.to_dense()")
    kind = Reduce(GlobalName("torch.serialization", "_get_layout"), (str(obj.layout),))
    return Reduce(GlobalName("torch._utils", "_rebuild_sparse_tensor"), (kind, data))


def layout(name: Any) -> Any:
    """The layout of that name in a file, which stays a name: there is one that can be rebuilt."""
    if type(name) is not str:
        raise ValueError("a layout is malformed")
    return name


def rebuild_sparse(where: str, kind: Any, data: Any) -> Any:
    """The sparse tensor of a layout and (places, values, size, whether coalesced), or a CSR matrix, in the file `where`.

    Raises ValueError for places outside it, Unsupported for layouts other than COO and CSR.
    """
    if kind == _CSR:
        return _rebuild_csr(data)
    if kind != _COO:
        raise Unsupported(f"{where} contains a tensor of layout {kind}, which is not here: save it dense, or as sparse COO or CSR")
    if type(data) is not tuple or len(data) not in (3, 4):  # older files do not say whether it is coalesced
        raise ValueError("a sparse tensor is malformed")
    places, values, size, *coalesced = data
    if not isinstance(places, Tensor) or not isinstance(values, Tensor) or places.dtype is not dtypes.int64:
        raise ValueError("a sparse tensor has no places or no values")
    size = tuple(size) if isinstance(size, tuple | list) else ()
    if len(places.shape) != 2 or not values.shape or places.shape[1] != values.shape[0]:
        raise ValueError("a sparse tensor has other places than values")
    rank = places.shape[0]
    if any(type(n) is not int or n < 0 for n in size) or len(size) < rank or size[rank:] != tuple(values.shape[1:]):
        raise ValueError("the size of a sparse tensor does not fit its values")
    at = value_of(places)
    if ((at < 0) | (at >= np.array(size[:rank], np.int64)[:, None])).any():
        raise ValueError("a sparse tensor has places outside it")
    return _module("coo").SparseTensor(places, values, size, bool(coalesced and coalesced[0]))


def _rebuild_csr(data: Any) -> Any:
    """The matrix of (beginnings of rows, columns, values, size)."""
    if type(data) is not tuple or len(data) != 4 or not all(isinstance(t, Tensor) for t in data[:3]):
        raise ValueError("a sparse tensor is malformed")
    try:
        return _module("csr").sparse_csr_tensor(*data)
    except (RuntimeError, IndexError) as error:
        raise ValueError(f"a sparse tensor is malformed: {error}") from None
