"""The container of PyTorch's files since 1.6: a zip archive of uncompressed records below one folder.

``data.pkl`` holds the object structure, ``data/0``, ``data/1``... the storages, ``byteorder`` and ``version`` a word each.
"""

from __future__ import annotations

import struct
import sys
import zipfile
import zlib
from collections.abc import Iterable
from typing import IO, Any

import numpy as np

from .errors import CorruptFileError

__all__ = ["Archive", "is_archive", "write_archive"]

ALIGNMENT = 64  # of storages in the file, so that they can be used in place when it is mapped into memory
_LOCAL_HEADER = 30
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal content gives equal files


class _Forward:
    """A stream that is only written to, for objects that cannot seek or whose position is not 0."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._write = stream.write
        self.flush = getattr(stream, "flush", lambda: None)

    def write(self, content: Any) -> int:
        self._write(content)
        return len(content)


def write_archive(stream: IO[bytes], root: str, records: Iterable[tuple[str, Any]], forward: bool = False) -> None:
    """Write (name, bytes or 1-D uint8 array) pairs below folder `root`. `forward`: never seek in `stream`."""
    target: Any = _Forward(stream) if forward else stream
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records:
            view = memoryview(content)
            entry = zipfile.ZipInfo(f"{root}/{name}", _EPOCH)
            entry.file_size = view.nbytes
            if name.startswith("data/"):
                long = 20 if view.nbytes * 1.05 > zipfile.ZIP64_LIMIT else 0  # zipfile's own rule for adding 64-bit sizes
                position: Any = archive.fp  # the stream, or zipfile's count of what went into one that cannot tell
                start = position.tell() + _LOCAL_HEADER + len(entry.filename.encode()) + long + 4
                padding = -start % ALIGNMENT
                entry.extra = struct.pack("<2sH", b"FB", padding) + b"Z" * padding
            with archive.open(entry, "w") as record:
                record.write(view)


def is_archive(head: bytes) -> bool:
    return head[:4] == b"PK\x03\x04"


class Archive:
    """Random access to the records of one archive. `where` names the file in messages.

    With `mapped` (the bytes of the whole file) storages are views of it, read by the operating system when first touched and not
    checked; otherwise each is read into memory of its own and checked against its CRC.
    """

    def __init__(self, stream: IO[bytes], where: str, mapped: np.ndarray[Any, Any] | None = None) -> None:
        self.stream, self.where, self.mapped = stream, where, mapped
        try:
            self._zip = zipfile.ZipFile(stream)
        except Exception as error:  # zipfile lets many kinds of exception through when the directory is nonsense
            raise CorruptFileError(f"{where} is truncated or damaged: its zip directory cannot be read ({error})") from error
        self.size = stream.seek(0, 2)
        self._entries = {entry.filename: entry for entry in self._zip.infolist()}
        roots = [name[: -len("data.pkl")] for name in self._entries if name.endswith("/data.pkl")]
        if len(roots) != 1:
            raise CorruptFileError(f"{where} is a zip archive, but not one written by torch.save: it has {len(roots)} data.pkl records")
        self.root = roots[0]
        # set_crc32_options(False) makes PyTorch write 0 for every checksum
        self._checked = any(entry.CRC for entry in self._entries.values())
        order = self.read("byteorder") if "byteorder" in self else b"little"
        if order not in (b"little", b"big"):
            raise CorruptFileError(f"{where} is damaged: unknown byte order {order[:20]!r}")
        self.swapped = order.decode() != sys.byteorder

    def __contains__(self, name: str) -> bool:
        return self.root + name in self._entries

    def read(self, name: str) -> bytes:
        """All bytes of a record."""
        return self._read(name).tobytes()

    def storage(self, key: str, nbytes: int, unit: int) -> np.ndarray[Any, Any]:
        """Storage `key` as a 1-D uint8 array of `nbytes`, numbers of `unit` bytes in the byte order of this machine."""
        entry = self._entry(f"data/{key}")
        if entry.file_size != nbytes:
            raise CorruptFileError(f"{self.where} is damaged: record data/{key} has {entry.file_size} bytes where {nbytes} are expected")
        if self.mapped is not None and entry.compress_type == zipfile.ZIP_STORED:
            start = self._start(entry)
            content = self.mapped[start : start + nbytes]
        else:
            content = self._read(f"data/{key}")
        if self.swapped and unit > 1:
            content = content.view(f"u{unit}").byteswap().view(np.uint8)
        return content

    def _entry(self, name: str) -> zipfile.ZipInfo:
        entry = self._entries.get(self.root + name)
        if entry is None:
            raise CorruptFileError(f"{self.where} is damaged: record {name} is missing")
        return entry

    def _start(self, entry: zipfile.ZipInfo) -> int:
        """Where the content of a stored record begins; checks that all of it is inside the file."""
        self.stream.seek(max(entry.header_offset, 0))
        header = self.stream.read(_LOCAL_HEADER)
        if entry.header_offset < 0 or len(header) != _LOCAL_HEADER or header[:4] != b"PK\x03\x04":
            raise CorruptFileError(f"{self.where} is truncated or damaged: record {entry.filename} does not begin where it should")
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        start: int = entry.header_offset + _LOCAL_HEADER + name_length + extra_length
        if start + entry.file_size > self.size or entry.compress_size != entry.file_size:
            raise CorruptFileError(f"{self.where} is truncated or damaged: record {entry.filename} does not fit")
        return start

    def _read(self, name: str) -> np.ndarray[Any, Any]:
        entry = self._entry(name)
        if entry.flag_bits & 1:
            raise CorruptFileError(f"{self.where}: record {name} is encrypted")
        if entry.compress_type != zipfile.ZIP_STORED:  # an archive packed again by another tool
            try:
                return np.frombuffer(bytearray(self._zip.read(entry)), np.uint8)
            except Exception as error:
                raise CorruptFileError(f"{self.where} is damaged: record {name} cannot be unpacked ({error})") from error
        self.stream.seek(self._start(entry))
        content = np.empty(entry.file_size, np.uint8)
        view, filled = content.data, 0
        while filled < entry.file_size:
            got = self._into(view[filled:])
            if not got:
                raise CorruptFileError(f"{self.where} is truncated: record {name} ends early")
            filled += got
        if self._checked and zlib.crc32(view) != entry.CRC:
            raise CorruptFileError(f"{self.where} is damaged: record {name} does not match its checksum")
        return content

    def _into(self, view: memoryview) -> int:
        readinto: Any = getattr(self.stream, "readinto", None)
        if readinto is not None:
            return int(readinto(view) or 0)
        piece = self.stream.read(len(view))
        view[: len(piece)] = piece
        return len(piece)
