"""Memory on a device: blocks from a pool of buffers, and arrays in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...asg.geometry import contiguous
from ...dtypes import dtype, int64
from ...errors import OutOfMemoryError
from .calls import element, extent
from .half import halved

if TYPE_CHECKING:
    from .device import Device

#: free bytes that a pool keeps for later
KEEP = 1 << 30
_ELEMENT = {"f32": np.dtype(np.float32), "i32": np.dtype(np.int32), "u32": np.dtype(np.uint32), "vec2<f32>": np.dtype(np.complex64)}
_HALF = np.dtype(np.float16)
_INT32, _INT64 = np.iinfo(np.int32), np.iinfo(np.int64)


def stored(d: dtype) -> np.dtype[Any]:
    """The NumPy type of an element in a device's memory."""
    return _HALF if halved(d) else _ELEMENT[element(d)]


class Block:
    """A buffer of its own; it goes back to the pool when nobody refers to it any more."""

    __slots__ = ("buffer", "nbytes", "pool")

    def __init__(self, pool: Pool | Kept, buffer: Any, nbytes: int) -> None:
        self.pool, self.buffer, self.nbytes = pool, buffer, nbytes

    def __del__(self) -> None:
        self.pool.give(self.buffer, self.nbytes)


class Kept:
    """Stands for a pool where a buffer is not to be given to somebody else."""

    @staticmethod
    def give(buffer: Any, nbytes: int) -> None:
        buffer.destroy()


class Pool:
    """A device's buffers, kept by size for the next one who asks. Commands of one queue run in order, so that a buffer may be given to
    somebody else while the device still works on what its last owner ordered.

    ``allocated`` bytes of live blocks, ``reserved`` also those that are kept, ``peak`` and ``peak_reserved`` the most of each;
    ``ever_allocated``, ``ever_reserved``: all that was taken since somebody began to count
    """

    def __init__(self, device: Device) -> None:
        self._device, self._keep = device, KEEP  # its own: at the interpreter's end a module's names are gone before the last block
        self._free: dict[int, list[Any]] = {}
        #: buffers in use: in a cycle of garbage together with its block, a buffer would be closed before the block gives it back
        self._used: dict[int, Any] = {}
        self.allocated = self.reserved = self.peak = self.peak_reserved = self.ever_allocated = self.ever_reserved = 0

    def take(self, nbytes: int, what: str) -> Block:
        """A block of at least that many bytes. OutOfMemoryError if the device has no more; `what` says for whom."""
        size = _rounded(nbytes)
        with self._device.lock:
            free = self._free.get(size)
            buffer = free.pop() if free else None
            if buffer is None:
                buffer = self._make(size, what)
                self.reserved += size
                self.ever_reserved += size
                self.peak_reserved = max(self.peak_reserved, self.reserved)
            self.allocated += size
            self.ever_allocated += size
            self.peak = max(self.peak, self.allocated)
            self._used[id(buffer)] = buffer
            return Block(self, buffer, size)

    def _make(self, size: int, what: str) -> Any:
        limit = self._device.caps.limits.get("max-buffer-size", 256 << 20)
        if size <= limit:
            for attempt in range(2):
                try:
                    return self._device.buffer(size)
                except Exception as error:
                    if not _exhausted(error):
                        from .device import explained

                        raise explained(self._device, error, f"what was to be {what} ({amount(size)})") from error
                    if attempt == 0:
                        self.empty()
        raise OutOfMemoryError(
            f"{self._device.adapter.name} is out of memory: tried to allocate {amount(size)} for {what}; "
            f"{amount(self.allocated)} are in use" + (f", and no buffer may have more than {amount(limit)}" if size > limit else "")
        )

    def give(self, buffer: Any, nbytes: int) -> None:
        with self._device.lock:
            del self._used[id(buffer)]
            self.allocated -= nbytes
            if self.reserved - self.allocated > self._keep:
                self.reserved -= nbytes
                buffer.destroy()
            else:
                self._free.setdefault(nbytes, []).append(buffer)

    def empty(self) -> None:
        """Give the buffers that nobody uses back to the system."""
        with self._device.lock:
            for size, buffers in self._free.items():
                for buffer in buffers:
                    buffer.destroy()
                    self.reserved -= size
            self._free.clear()


def _rounded(nbytes: int) -> int:
    """Sizes that are near each other share buffers: multiples of 256 bytes, of an eighth of the next power of two beyond 64 KiB."""
    step = 256 if nbytes <= 1 << 16 else max(256, 1 << (nbytes.bit_length() - 4))
    return max(-(-nbytes // step) * step, 256)


def _exhausted(error: Exception) -> bool:
    return isinstance(error, MemoryError) or "memory" in str(error).lower()


def amount(nbytes: int) -> str:
    """A number of bytes for a message."""
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if nbytes >= size:
            return f"{nbytes / size:.2f} {unit}"
    return f"{nbytes} bytes"


class _Flags:
    """What of NumPy's flags the facade asks for."""

    __slots__ = ("c_contiguous", "writeable")

    def __init__(self, c_contiguous: bool) -> None:
        self.c_contiguous, self.writeable = c_contiguous, False


_CONTIGUOUS, _STRIDED = _Flags(True), _Flags(False)


class DeviceArray:
    """A value in a device's memory: all of a block, laid out by dense strides (in elements).

    To the facade it is what an array is on the host: it stands in `Trace.known` and in cells, and has ``dtype`` (that of the value as an
    array, NumPy's), ``shape`` and ``flags``. Everything else asks for `numpy`, a copy on the host.
    """

    __slots__ = (
        "__weakref__", "block", "device", "dtype", "element", "flags", "host", "layout", "nbytes", "shape", "size", "staged", "staging",
        "stored",
    )  # fmt: skip

    def __init__(self, device: Device, block: Block, shape: Sequence[int], layout: Sequence[int], d: dtype) -> None:
        self.device, self.block, self.shape, self.layout, self.element = device, block, tuple(shape), normal(shape, layout), d
        self.dtype, self.stored, self.size = d.compute, stored(d), math.prod(self.shape)
        #: bytes in the device's memory
        self.nbytes = self.size * self.stored.itemsize
        self.flags = _CONTIGUOUS if self.layout == contiguous(self.shape) or self.size < 2 else _STRIDED
        #: the values on the host, if somebody asked for them
        self.host: np.ndarray[Any, Any] | None = None
        #: a buffer that the host can read, and whether the plan that computes the value copies it there
        self.staging: Any = None
        self.staged = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The values as an array that is not to be written. Waits for the device."""
        if self.host is None:
            reader = self.device.reader
            try:
                with self.device.lock:
                    if self.staged:
                        found = reader.staged(self.staging, self.nbytes).view(self.stored).astype(self.dtype)  # a copy
                        self.staged = False
                    else:
                        found = reader.read(self.block.buffer, self.nbytes).view(self.stored)
            except Exception as error:
                from .device import explained

                what = f"a tensor of {list(self.shape)}, {self.element.name} ({amount(self.nbytes)})"
                told = explained(self.device, error, what)
                if told is error:
                    raise
                raise told from error
            if found.dtype is self.dtype and self.flags.c_contiguous:
                self.host = found.reshape(self.shape)
            else:
                self.host = restored(found, self.shape, self.layout, self.element)
        return self.host

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray[Any, Any]:
        a = self.numpy()
        return a if dtype is None else a.astype(dtype)

    def copy(self, order: str = "C") -> DeviceArray:
        """The same values in memory of their own."""
        other = empty(self.device, self.shape, self.layout, self.element)
        self.device.copy(self.block.buffer, other.block.buffer, max(self.nbytes, 4))
        return other


def normal(shape: Sequence[int], layout: Sequence[int]) -> tuple[int, ...]:
    """Strides with those of dimensions of one element, which do not matter, as in a row-major array."""
    plain = contiguous(tuple(shape))
    return plain if 0 in shape else tuple([p if n == 1 else s for n, s, p in zip(shape, layout, plain, strict=True)])


def empty(device: Device, shape: Sequence[int], layout: Sequence[int], d: dtype) -> DeviceArray:
    """An array of uninitialised memory."""
    nbytes = math.prod(shape) * stored(d).itemsize
    return DeviceArray(device, device.pool.take(extent(nbytes), f"a tensor of {list(shape)}, {d.name}"), shape, layout, d)


def shared(device: Device, shape: Sequence[int], layout: Sequence[int], d: dtype) -> DeviceArray | None:
    """An array of memory that shaders write and the host reads, which takes no copy between; None where the device has no such memory."""
    nbytes = math.prod(shape) * stored(d).itemsize
    buffer = device.reader.shared(nbytes)
    if buffer is None:
        return None
    out = DeviceArray(device, Block(Kept(), buffer, -(-extent(nbytes) // 4) * 4), shape, layout, d)
    out.staging = buffer
    return out


def restored(raw: np.ndarray[Any, Any], shape: Sequence[int], layout: Sequence[int], d: dtype) -> np.ndarray[Any, Any]:
    """Elements of a device's memory as an array of the element type; `raw` is flat, and given up."""
    if raw.dtype != d.compute:
        raw = raw.astype(d.compute)
    if raw.size < 2 or tuple(layout) == contiguous(shape):
        return raw[: math.prod(shape)].reshape(shape)
    return np.lib.stride_tricks.as_strided(raw, shape, [s * raw.itemsize for s in layout])


def put(target: np.ndarray[Any, Any], a: np.ndarray[Any, Any], d: dtype) -> None:
    """Copy an array to host memory of the form that the device has. OverflowError if an int64 does not fit; the least and the greatest
    int64, which stand for what is beyond all others, become those of 32 bits."""
    if d is int64 and a.size and (int(a.min()) < _INT32.min or int(a.max()) > _INT32.max):
        inside = np.clip(a, _INT32.min, _INT32.max)
        beyond = a[(a != inside) & (a != _INT64.min) & (a != _INT64.max)]
        if not beyond.size:
            np.copyto(target, inside, casting="unsafe")
            return
        raise OverflowError(
            f"a tensor of {list(a.shape)}, int64, has {beyond.flat[0]}, which does not fit into 32 bits: so the wgpu device stores it"
        )
    np.copyto(target, a, casting="unsafe")


def upload(device: Device, a: np.ndarray[Any, Any], layout: Sequence[int], d: dtype) -> DeviceArray:
    """An array's values on a device."""
    out = empty(device, a.shape, layout, d)
    if a.size:
        item = stored(d)
        whole = np.zeros(-(-a.size * item.itemsize // 4) * 4, np.uint8)
        raw = whole[: a.size * item.itemsize].view(item)
        plain = out.flags.c_contiguous
        target = raw.reshape(a.shape) if plain else np.lib.stride_tricks.as_strided(raw, a.shape, [item.itemsize * s for s in layout])
        put(target, a, d)
        device.queue.write_buffer(out.block.buffer, 0, whole)
    return out
