"""What a run sends to the device: all arguments that come as arrays of the host, in one write."""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...asg.geometry import contiguous
from .calls import ALIGNMENT, extent
from .memory import DeviceArray, put, stored, upload

if TYPE_CHECKING:
    from .bindings import Bindings
    from .device import Device


#: bytes up to which a write is compared with the one before it
COMPARED = 1 << 14


class Uploads:
    """The page for a plan's arguments from the host: each has its place there from the first time that it comes so."""

    def __init__(self, device: Device, arguments: Sequence[tuple[Any, ...]], wide: Container[int]) -> None:
        """`arguments`: (shape, strides, element type) of each; `wide`: see `Lowering`."""
        self._device, self._arguments, self.wide = device, arguments, wide
        self._offsets: dict[int, int] = {}
        self._size = 0
        self._block: Any = None
        self._memory = np.empty(0, np.uint8)
        #: for each argument its place in the memory that is sent, whether numbers can be put there as they are, where it begins, its bytes
        self._targets: dict[int, tuple[np.ndarray[Any, Any], bool, int, int]] = {}
        #: where the last write began, and what it wrote, if that was little
        self._sent = b""
        self.now: list[tuple[int, np.ndarray[Any, Any]]] = []

    def _stored(self, i: int) -> np.dtype[Any]:
        return np.dtype(np.int64) if i in self.wide else stored(self._arguments[i][2])

    def _extent(self, i: int) -> int:
        """Elements from the first to the last of argument `i`, which may be a part of something (a slice of a batch)."""
        shape, strides, _ = self._arguments[i]
        return 0 if 0 in shape else 1 + sum((n - 1) * s for n, s in zip(shape, strides, strict=True))

    def begin(self) -> None:
        self.now.clear()

    def add(self, i: int, a: np.ndarray[Any, Any]) -> None:
        """Have argument `i` sent."""
        if i not in self._offsets:
            self._offsets[i] = self._size
            self._size += -(-extent(self._extent(i) * self._stored(i).itemsize) // ALIGNMENT) * ALIGNMENT
        self.now.append((i, a))

    def moved(self, i: int, a: np.ndarray[Any, Any]) -> DeviceArray:
        """Argument `i` in device memory of its own, which may be overwritten."""
        shape, strides, d = self._arguments[i]
        return upload(self._device, np.broadcast_to(a, shape), strides, d)

    def send(self, bindings: Bindings) -> None:
        """Send what was added (something was), unless it is what was sent the last time."""
        if self._block is None or self._block.nbytes < self._size:
            self._block = self._device.pool.take(self._size, self._in_words())
            self._memory = np.zeros(self._size, np.uint8)
            self._targets.clear()
            self._sent = b""
        buffer, first, end = self._block.buffer, self._size, 0
        bound, targets = bindings.bound, self._targets
        for i, a in self.now:
            found = targets.get(i)
            if found is None:
                found = targets[i] = self._target(i)
            target, plain, at, nbytes = found
            if plain:
                target[...] = a
            else:
                put(target, a, self._arguments[i][2])
            if at < first:
                first = at
            if at + nbytes > end:
                end = at + nbytes
            old = bound.get(i)
            if old is None or old[0] is not buffer or old[1] != at:
                bindings.bind(i, buffer, at, nbytes)
        end = -(-end // 4) * 4
        content = self._memory[first:end]
        if content.nbytes <= COMPARED:  # scripts often send the same numbers again: learning rates, small parameters that never change
            raw = first.to_bytes(8, "little") + content.tobytes()
            if raw == self._sent:
                return
            self._sent = raw
        else:
            self._sent = b""
        self._device.write(buffer, first, content)

    def _in_words(self) -> str:
        shape, _, d = self._arguments[max(self._offsets, key=lambda i: math.prod(self._arguments[i][0]))]
        return f"a step's data, the largest of it a tensor of {list(shape)}, {d.name}"

    def _target(self, i: int) -> tuple[np.ndarray[Any, Any], bool, int, int]:
        """See `_targets`."""
        shape, strides, d = self._arguments[i]
        item, at = self._stored(i), self._offsets[i]
        flat = self._memory[at : at + self._extent(i) * item.itemsize].view(item)
        if tuple(strides) == contiguous(shape) or math.prod(shape) < 2:
            target = flat.reshape(shape)
        else:
            target = np.lib.stride_tricks.as_strided(flat, shape, [s * item.itemsize for s in strides])
        return target, i in self.wide or item == d.compute, at, extent(flat.nbytes)
