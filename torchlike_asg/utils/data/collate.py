"""From a list of samples to a batch: containers are walked, tensors, arrays and numbers of equal place are stacked."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

import torchlike_asg as torch

from . import arrays

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

CollateMap = dict[type | tuple[type, ...], Callable[..., Any]]

_REFUSED = "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"


def default_collate(batch: Sequence[Any]) -> Any:
    """Stack a list of samples of one structure into a batch of that structure, with a new first dimension.

    Tensors and arrays are stacked, ints and floats become int64 and float64 tensors, strings and bytes stay lists; mappings, named
    tuples and sequences are collated element by element (tuples come back as lists, as in PyTorch).

    Raises:
        TypeError: an element is none of these.
        RuntimeError: sequences of unequal length, or tensors of unequal size.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)


def collate(batch: Sequence[Any], *, collate_fn_map: CollateMap | None = None) -> Any:
    """:func:`default_collate` with one's own functions per element type.

    `collate_fn_map` maps a type (or tuple of types) to ``fn(batch, collate_fn_map=...)``; an exact match wins over the first entry, in the
    map's order, that the element is an instance of.
    """
    element = batch[0]
    if collate_fn_map is not None:
        found = collate_fn_map.get(type(element)) or next((fn for kind, fn in collate_fn_map.items() if isinstance(element, kind)), None)
        if found is not None:
            return found(batch, collate_fn_map=collate_fn_map)

    def merge(column: Sequence[Any]) -> Any:
        return collate(column, collate_fn_map=collate_fn_map)

    if isinstance(element, Mapping):
        return _like_mapping(element, {key: merge([sample[key] for sample in batch]) for key in element})
    if _is_namedtuple(element):
        return type(element)(*map(merge, zip(*batch, strict=False)))
    if isinstance(element, Sequence):
        if any(len(sample) != len(element) for sample in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        return _like_sequence(element, [merge(column) for column in zip(*batch, strict=True)])
    raise TypeError(_REFUSED.format(type(element)))


def default_convert(data: Any) -> Any:
    """Turn every NumPy array or number inside `data` into a tensor and leave the rest (what a loader without batching applies)."""
    if isinstance(data, torch.Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if _is_text(data.dtype) else torch.as_tensor(data)
    if isinstance(data, Mapping):
        return _like_mapping(data, {key: default_convert(data[key]) for key in data})
    if _is_namedtuple(data):
        return type(data)(*map(default_convert, data))
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _like_sequence(data, [default_convert(element) for element in data])
    return data


def _is_namedtuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(value, "_fields")


def _is_text(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "SUO"


def _like_mapping(model: Mapping[Any, Any], items: dict[Any, Any]) -> Any:
    """`items` in a mapping of `model`'s type; a plain dict if that type cannot be copied or built from one."""
    try:
        if isinstance(model, MutableMapping):
            result = copy.copy(model)  # keeps what a subclass carries besides its items (a default factory, say)
            result.update(items)
            return result
        return type(model)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def _like_sequence(model: Sequence[Any], items: list[Any]) -> Any:
    """`items` in a sequence of `model`'s type; a list for tuples (PyTorch's rule) and for types that cannot hold them."""
    if isinstance(model, tuple):
        return items
    try:
        if isinstance(model, MutableSequence):
            result = copy.copy(model)
            for position, item in enumerate(items):
                result[position] = item
            return result
        return type(model)(items)  # type: ignore[call-arg]
    except TypeError:
        return items


def collate_tensor_fn(batch: Sequence[torch.Tensor], *, collate_fn_map: CollateMap | None = None) -> torch.Tensor:
    if batch[0].layout is not torch.strided:  # type: ignore[attr-defined]
        raise RuntimeError(
            "Batches of sparse tensors are not currently supported by the default collate_fn; please provide a custom collate_fn to handle "
            "them appropriately."
        )
    return arrays.stack_rows(batch)


def collate_numpy_array_fn(batch: Sequence[np.ndarray[Any, Any]], *, collate_fn_map: CollateMap | None = None) -> Any:
    if _is_text(batch[0].dtype):
        raise TypeError(_REFUSED.format(batch[0].dtype))
    if collate_fn_map is not None and collate_fn_map.get(torch.Tensor) is collate_tensor_fn:
        stacked = arrays.stack_arrays(batch)
        if stacked is not None:
            return stacked
    return collate([torch.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Sequence[np.generic], *, collate_fn_map: CollateMap | None = None) -> torch.Tensor:
    return torch.as_tensor(np.asarray(batch))


def collate_float_fn(batch: Sequence[float], *, collate_fn_map: CollateMap | None = None) -> torch.Tensor:
    return torch.tensor(batch, dtype=torch.float64)


def collate_int_fn(batch: Sequence[int], *, collate_fn_map: CollateMap | None = None) -> torch.Tensor:
    return torch.tensor(batch)


def collate_str_fn(batch: Iterable[Any], *, collate_fn_map: CollateMap | None = None) -> Iterable[Any]:
    return batch


#: What :func:`default_collate` does with each type of element; entries may be added or replaced.
default_collate_fn_map: CollateMap = {
    torch.Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}
