"""Reading a device's memory: a copy to a buffer that the host can map, then polls until it is there.

wgpu's own ``read_buffer`` makes a buffer and waits for the device to be idle. Here the buffer is kept, and the C interface is polled
without waiting, which answers sooner; where it cannot be reached, wgpu's own way is taken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .device import Device

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
        return None if self._map is None else self._device.buffer(nbytes, readable=True)

    def staged(self, staging: Any, nbytes: int) -> np.ndarray[Any, Any]:
        """The content of a staging buffer, when the copy to it is done."""
        return self._map.content(staging, -(-nbytes // 4) * 4)[:nbytes]  # type: ignore[no-any-return]

    def read(self, buffer: Any, nbytes: int, offset: int = 0) -> np.ndarray[Any, Any]:
        """Bytes of a buffer, as a new array."""
        d, size = self._device, -(-nbytes // 4) * 4
        if self._map is None:
            return np.frombuffer(d.queue.read_buffer(buffer, offset, size), np.uint8)[:nbytes].copy()
        if size <= SMALL:
            if self._small is None:
                self._small = d.buffer(SMALL, readable=True)
            staging = self._small
        else:
            staging = d.buffer(size, readable=True)
        encoder = d.gpu.create_command_encoder()
        encoder.copy_buffer_to_buffer(buffer, offset, staging, 0, size)
        d.queue.submit([encoder.finish()])
        out: np.ndarray[Any, Any] = self._map.content(staging, size)[:nbytes]
        if staging is not self._small:
            staging.destroy()
        return out
