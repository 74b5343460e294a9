"""TensorBoard event files: records of protocol-buffer messages, written by hand so that no package is needed for them.

Sources of the format: the message definitions ``event.proto``, ``summary.proto`` and ``tensor.proto`` of TensorBoard, and the
TFRecord framing (length, masked CRC-32C of the length, data, masked CRC-32C of the data).
"""

from __future__ import annotations

import functools
import itertools
import os
import socket
import struct
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["EventFile", "histogram_value", "image_value", "scalar_value", "text_value"]

_numbers = itertools.count()


class EventFile:
    """One growing ``events.out.tfevents.*`` file in a directory."""

    def __init__(self, directory: str | os.PathLike[str], max_queue: int = 10, flush_secs: float = 120, suffix: str = "") -> None:
        Path(directory).mkdir(parents=True, exist_ok=True)
        now = time.time()
        name = f"events.out.tfevents.{int(now)}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}{suffix}"
        self.path = Path(directory) / name
        self._file = open(self.path, "ab")
        self._max_queue, self._flush_secs = max_queue, flush_secs
        self._waiting, self._flushed = 0, now
        self._write(_double(1, now) + _bytes(3, b"brain.Event:2"))
        self.flush()

    def add(self, values: Iterable[bytes], step: int | None, walltime: float | None = None) -> None:
        """Append one event with summary values made by the functions below."""
        summary = b"".join(_bytes(1, value) for value in values)
        event = _double(1, time.time() if walltime is None else walltime)
        event += b"" if step is None else _varint_field(2, int(step))
        self._write(event + _bytes(5, summary))
        self._waiting += 1
        if self._waiting >= self._max_queue or time.time() - self._flushed > self._flush_secs:
            self.flush()

    def _write(self, event: bytes) -> None:
        length = struct.pack("<Q", len(event))
        self._file.write(length + _masked_crc(length) + event + _masked_crc(event))

    def flush(self) -> None:
        """Hand everything to the operating system."""
        self._file.flush()
        self._waiting, self._flushed = 0, time.time()

    def close(self) -> None:
        """Write out what is buffered and close the file; scripts that forget it lose nothing."""
        self._file.close()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()


# ---------------------------------------------------------------- summary values
def scalar_value(tag: str, value: float) -> bytes:
    """A float32."""
    with np.errstate(over="ignore"):  # beyond float32 it is an infinity, as it would be in a tensor
        return _bytes(1, tag.encode()) + _float(2, float(np.float32(value)))


def text_value(tag: str, text: str) -> bytes:
    """Markdown, for TensorBoard's text plugin: a string tensor of shape [1]."""
    string, one = 7, _bytes(2, _varint_field(1, 1))
    tensor = _varint_field(1, string) + _bytes(2, one) + _bytes(8, text.encode())
    metadata = _bytes(1, _bytes(1, b"text"))
    return _bytes(1, tag.encode()) + _bytes(8, tensor) + _bytes(9, metadata)


def image_value(tag: str, pixels: np.ndarray[Any, Any]) -> bytes:
    """uint8 pixels (H, W, C) with 1, 3 or 4 channels, as a PNG."""
    height, width, channels = pixels.shape
    image = b"".join(_varint_field(field, number) for field, number in ((1, height), (2, width), (3, channels)))
    return _bytes(1, tag.encode()) + _bytes(4, image + _bytes(4, _png(pixels)))


def histogram_value(tag: str, values: np.ndarray[Any, Any], bins: Any) -> bytes:
    """Counts of the values in bins (edges, or what `numpy.histogram` takes), without the empty bins at both ends."""
    values = values.astype(np.float64).reshape(-1)
    counts, edges = np.histogram(values, bins)
    filled = np.flatnonzero(counts)
    first, last = (filled[0], filled[-1] + 1) if len(filled) else (0, 0)
    # Each bucket has its upper limit; an empty one in front gives the first bucket its lower limit.
    limits, sizes = edges[first : last + 1], np.concatenate(([0], counts[first:last]))
    figures = (values.min(), values.max(), len(values), values.sum(), np.square(values).sum())
    histogram = b"".join(_double(field, float(figure)) for field, figure in enumerate(figures, 1))
    histogram += _bytes(6, limits.astype("<f8").tobytes()) + _bytes(7, sizes.astype("<f8").tobytes())
    return _bytes(1, tag.encode()) + _bytes(5, histogram)


@functools.cache
def exponential_bins() -> np.ndarray[Any, Any]:
    """TensorFlow's default: edges growing by 10 % from 1e-12 to 1e20, both signs, and 0."""
    positive = 1e-12 * 1.1 ** np.arange(775)
    return np.concatenate((-positive[::-1], [0.0], positive))


def _png(pixels: np.ndarray[Any, Any]) -> bytes:
    height, width, channels = pixels.shape
    color = {1: 0, 3: 2, 4: 6}[channels]
    rows = np.concatenate([np.zeros((height, 1), np.uint8), np.ascontiguousarray(pixels).reshape(height, -1)], axis=1)  # filter 0 per row
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, color, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows.tobytes())),
        (b"IEND", b""),
    )
    framed = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


# ---------------------------------------------------------------- protocol buffers
def _varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _varint_field(field: int, number: int) -> bytes:
    return _varint(field << 3) + _varint(number)


def _double(field: int, number: float) -> bytes:
    return _varint(field << 3 | 1) + struct.pack("<d", number)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _float(field: int, number: float) -> bytes:
    return _varint(field << 3 | 5) + struct.pack("<f", number)


# ---------------------------------------------------------------- CRC-32C
@functools.cache
def _crc_table() -> list[int]:
    table = []
    for index in range(256):
        value = index
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


def crc32c(data: bytes) -> int:
    """The Castagnoli polynomial's checksum."""
    table, crc = _crc_table(), 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _masked_crc(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
