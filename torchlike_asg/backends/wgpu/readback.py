"""Reading a device's memory: a copy to a buffer that the host can map, then polls until it is there.

wgpu's own ``read_buffer`` makes a buffer and waits for the device to be idle. Here the buffer is kept, and the C interface is polled
without waiting, which answers sooner; where it cannot be reached, wgpu's own way is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import SIZE

if TYPE_CHECKING:
    from .device import Device
    from .native import Later

#: (source, offset there, target, offset there, bytes)
Copy = tuple[Any, int, Any, int, int]
#: the feature that lets the host map what shaders write
MAPPABLE = "mappable-primary-buffers"
#: bytes of the buffer for small values; larger ones get one of their own
SMALL = 1 << 16


class Reader:
    """Reads buffers of one device."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self._small: Any = None
        self._map: Any = None
        try:
            from .native import Mapper

            self._map = Mapper(device.gpu)
        except Exception:  # another build of wgpu: its own way
            self._map = None

    def staging(self, nbytes: int) -> Any:
        """A buffer for a value of that size that a plan copies there itself, to be read by `staged`; None where that cannot be."""
        return None if self._map is None else self._device.buffer(_padded(nbytes) + SIZE, readable=True)

    def shared(self, nbytes: int) -> Any:
        """A buffer for a value of that size that shaders write and the host reads, by `staged` too; None where that cannot be."""
        if self._map is None or MAPPABLE not in self._device.caps.features:
            return None
        return self._device.buffer(_padded(nbytes) + SIZE, shared=True)

    def copies(self, source: Any, at: int, target: Any, nbytes: int) -> list[Copy]:
        """What brings a value, and behind it the device's flags, to a staging buffer (which may be where the value lies)."""
        size, flags = _padded(nbytes), self._device.flags.buffer
        found = [] if source is target else [(source, at, target, 0, size)]
        return found if flags is None else [*found, (flags, 0, target, size, SIZE)]

    def staged(self, staging: Any, nbytes: int) -> np.ndarray[Any, Any]:
        """The content of a staging buffer, when the copy to it is done: to be copied by whoever holds the device's lock. Raises what a
        kernel found wrong with its data."""
        size = _padded(nbytes)
        checked = self._device.flags.buffer is not None
        encoder = self._device.encoder
        if encoder is None:
            raw = self._map.content(staging, size + SIZE if checked else size)
        else:
            self._map.compiled = encoder.compiled
            raw = self._map.content(staging, size + SIZE if checked else size, encoder.prepare)
            encoder.landed()
        if checked:
            self._device.flags.look(raw[size:])
        return raw[:nbytes]  # type: ignore[no-any-return]

    def read(self, buffer: Any, nbytes: int, offset: int = 0) -> np.ndarray[Any, Any]:
        """Bytes of a buffer, as a new array. Raises what a kernel found wrong with its data."""
        d, size = self._device, _padded(nbytes)
        if self._map is None:
            if d.flags.buffer is not None:
                d.flags.look(np.frombuffer(d.queue.read_buffer(d.flags.buffer, 0, SIZE), np.uint8))
            return np.frombuffer(d.queue.read_buffer(buffer, offset, size), np.uint8)[:nbytes].copy()
        if size <= SMALL:
            if self._small is None:
                self._small = d.buffer(SMALL + SIZE, readable=True)
            staging = self._small
        else:
            staging = d.buffer(size + SIZE, readable=True)
        encoder = d.gpu.create_command_encoder()
        for copy in self.copies(buffer, offset, staging, nbytes):
            encoder.copy_buffer_to_buffer(*copy)
        d.queue.submit([encoder.finish()])
        try:
            found = self.staged(staging, nbytes)
            return found.copy() if staging is self._small else found
        finally:
            if staging is not self._small:
                staging.destroy()

    def later(self, buffer: Any, nbytes: int) -> Later | None:
        """The first bytes of a buffer as they are when all that was ordered so far is done, to be had without waiting; None where the
        library offers no way to that."""
        if self._map is None:
            return None
        from .native import Later

        d, size = self._device, _padded(nbytes)
        staging = d.buffer(size, readable=True)
        d.copy(buffer, staging, size)
        return Later(d.gpu, staging, size)


def _padded(nbytes: int) -> int:
    return -(-nbytes // 4) * 4
