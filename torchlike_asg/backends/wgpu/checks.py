"""What kernels find wrong with data: an index out of range, a target that is no class.

A kernel cannot raise. It leaves the number of a check, and the value that failed it, in two words of the device; they travel with whatever
the host reads next, and are raised there as the error that the CPU raises at once. A step whose results nobody reads waits for nothing.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...asg.node import Node

if TYPE_CHECKING:
    from .device import Device

#: bytes of a device's flags
SIZE = 8
#: operations whose formulas require something of their data: the error, and its text, with the value that failed
_FORMULAS: dict[str, tuple[type[Exception], str]] = {
    "class_index": (IndexError, "Target {} is out of bounds."),
    "binary_cross_entropy": (RuntimeError, "all elements of input should be between 0 and 1"),
}
_UNKNOWN = RuntimeError, "a value is outside of what the operation takes"
#: operations that take places, with errors as the CPU's; all others raise IndexError
_ROWS = ("embedding", "embedding_grad", "embedding_grad_grad", "index_select")
_LINES = ("gather", "scatter", "scatter_add", "scatter_reduce")


@dataclass(frozen=True)
class Check:
    """An error, its text (``{}`` is the value), and the operation that it is about."""

    error: type[Exception]
    text: str
    where: str
    floating: bool = False


_numbers: dict[Check, int] = {}
_checks: list[Check] = []
_adding = threading.Lock()


def number(check: Check) -> int:
    """The number by which kernels name a check; not 0."""
    found = _numbers.get(check)
    if found is None:
        with _adding:
            _checks.append(check)
            found = _numbers[check] = len(_checks)
    return found


def of_index(op: str, dim: int, size: int, where: str) -> int:
    """The check that an index along dimension `dim`, which has `size` positions, is one of them."""
    if op in _ROWS:
        return number(Check(IndexError, "index out of range in self: {} of " + str(size), where))
    error = RuntimeError if op in _LINES else IndexError
    return number(Check(error, f"index {{}} is out of bounds for dimension {dim} with size {size}", where))


def of_formula(op: str, floating: bool, where: str) -> int:
    """The check that the formula of an operation requires."""
    return number(Check(*_FORMULAS.get(op, _UNKNOWN), where, floating))


def place(nodes: tuple[Node, ...]) -> str:
    """Which operation and line of the program a check is about: of some nodes, the one whose data are looked at."""
    n = next((n for n in nodes if n.op.name in _FORMULAS), nodes[0])
    name = "" if n.op.name in _FORMULAS else f"{n.op.name}, "  # those are parts of what the program says
    return f"{name}recorded at {n.site[1]}:{n.site[2]}"


class Flags:
    """The two words of a device, which exist once a kernel checks something."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.buffer: Any = None

    def bound(self) -> Any:
        """The buffer, for a kernel."""
        if self.buffer is None:
            self.buffer = self._device.buffer(16)
        return self.buffer

    def look(self, raw: np.ndarray[Any, Any]) -> None:
        """Raise the error that a copy of the words (as bytes) tells of. They are cleared, so that it is told once."""
        which = int(raw[:4].view(np.uint32)[0])
        if not which:
            return
        self._device.write(self.buffer, 0, np.zeros(16, np.uint8))
        check = _checks[which - 1]
        value = raw[4:8].view(np.float32 if check.floating else np.int32)[0].item()
        raise check.error(f"{check.text.format(value)} ({check.where})")
