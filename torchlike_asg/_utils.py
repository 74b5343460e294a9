"""Helpers of PyTorch's that scripts for several processes import: tensors of one type joined into one, and taken apart again."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torchlike_asg as torch

__all__: list[str] = []


def _element_size(dtype: Any) -> int:
    """Bytes of one element."""
    return dtype.itemsize  # type: ignore[no-any-return]


def _flatten_dense_tensors(tensors: Sequence[Any]) -> Any:
    """The elements of all, as one vector."""
    return torch.cat([t.contiguous().view(-1) for t in tensors]) if len(tensors) != 1 else tensors[0].contiguous().view(-1)


def _unflatten_dense_tensors(flat: Any, tensors: Sequence[Any]) -> tuple[Any, ...]:
    """Views of the parts of a vector, in the shapes of `tensors`."""
    parts = torch.split(flat, [t.numel() for t in tensors])
    return tuple(part.view(t.shape) for part, t in zip(parts, tensors, strict=True))


def _take_tensors(tensors: Iterable[Any], size_limit: int) -> Iterator[list[Any]]:
    """Lists of tensors of one type that take up to `size_limit` bytes together, each list given as soon as it is full."""
    waiting: dict[Any, list[Any]] = {}
    for tensor in tensors:
        held = waiting.setdefault(tensor.dtype, [])
        nbytes = tensor.numel() * tensor.element_size()
        if held and sum(t.numel() * t.element_size() for t in held) + nbytes > size_limit:
            yield held
            held = waiting[tensor.dtype] = []
        held.append(tensor)
    yield from (held for held in waiting.values() if held)


def _get_device_index(device: Any, optional: bool = False, allow_cpu: bool = False) -> int:
    """The number of a device: -1 for the CPU with `allow_cpu`, 0 for none with `optional`.

    Raises:
        ValueError: it has no number.
    """
    if isinstance(device, int):
        return device
    found = None if device is None else torch.device(device)
    if found is not None and found.type == "cpu":
        if not allow_cpu:
            raise ValueError(f"Expected a non cpu device, but got: {device}")
        return -1 if found.index is None else found.index
    if found is not None and found.index is not None:
        return int(found.index)
    if optional:
        return 0
    raise ValueError(f"Expected a torch.device with a specified index or an integer, but got:{device}")


def _get_all_device_indices() -> list[int]:
    """[]: there is no CUDA."""
    return []


def _get_available_device_type() -> None:
    """None: PyTorch's accelerators are not here. `torch.accelerator` tells of ours."""


def _get_device_module(device_type: str) -> Any:
    """The module ``torch.<device_type>``.

    Raises:
        RuntimeError: there is none.
    """
    try:
        return getattr(torch, device_type)
    except AttributeError:
        raise RuntimeError(f"Device '{device_type}' does not have a corresponding module registered as 'torch.{device_type}'.") from None


def _import_dotted_name(name: str) -> Any:
    """The object of a dotted name."""
    module, *rest = name.split(".")
    found: Any = importlib.import_module(module)
    for part in rest:
        found = getattr(found, part)
    return found


def is_compiling() -> bool:
    """False: Python runs."""
    return False


class classproperty:
    """A property of a class, read through it."""

    def __init__(self, func: Callable[[Any], Any]) -> None:
        self.func = func

    def __get__(self, instance: Any, owner: Any) -> Any:
        return self.func(owner)


class ExceptionWrapper:
    """An error on its way to another thread or process: `reraise` raises one of its type, with the text of where it came from."""

    def __init__(self, exc_info: Any = None, where: str = "in background") -> None:
        kind, error, trace = sys.exc_info() if exc_info is None else exc_info
        self.exc_type, self.where = kind, where
        self.exc_msg = "".join(traceback.format_exception(kind, error, trace))

    def reraise(self) -> None:
        """Raise it."""
        message = f"Caught {self.exc_type.__name__} {self.where}.\nOriginal {self.exc_msg}"
        if self.exc_type is KeyError:
            message = repr(message)
        try:
            error = self.exc_type(message)
        except Exception:
            raise RuntimeError(message) from None
        raise error
