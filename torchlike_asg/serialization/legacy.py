"""The format PyTorch wrote before 1.6: five pickles in a row (magic number, version, machine, object, storage keys), then the storages."""

from __future__ import annotations

import struct
from typing import IO, Any

import numpy as np

from .decode import Decoder, Survey
from .encode import Encoder
from .errors import CorruptFileError
from .placement import Place
from .unpickler import Unpickler
from .writer import PickleWriter

__all__ = ["MAGIC", "is_legacy", "read_legacy", "write_legacy"]

MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001
_MACHINE = {"protocol_version": _VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def write_legacy(stream: IO[bytes], obj: Any) -> None:
    encoder = Encoder(legacy=True)
    pickled = encoder.dumps(obj)
    keys = list(encoder.storages)
    for header in (MAGIC, _VERSION, _MACHINE):
        stream.write(_plain(header))
    stream.write(pickled)
    stream.write(_plain(keys))
    for key in keys:
        stream.write(struct.pack("<q", encoder.counts[key]))
        stream.write(encoder.storages[key].data)


def _plain(obj: Any) -> bytes:
    return PickleWriter(lambda x: None).dumps(obj)


def is_legacy(head: bytes) -> bool:
    """Whether a file that starts with these (at least 15) bytes is of this format."""
    return head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05") and MAGIC.to_bytes(10, "little") in head[:32]


def read_legacy(data: bytes, where: str, place: Place, modules: bool, encoding: str) -> tuple[Any, int]:
    """The object at the start of `data`, and where its file ends."""
    pickled, starts, end = survey_legacy(data, where, Survey(where))  # storages come last, but are needed to rebuild the object

    def read(key: str, nbytes: int, unit: int) -> np.ndarray[Any, Any]:
        if key not in starts:
            raise CorruptFileError(f"{where} is damaged: storage {key} is missing")
        return np.frombuffer(bytearray(data[starts[key] : starts[key] + nbytes]), np.uint8)

    return Decoder(where, read, place, modules).loads(pickled, encoding=encoding), end


def survey_legacy(data: bytes, where: str, survey: Survey) -> tuple[bytes, dict[str, int], int]:
    """(the object's pickle, where each storage begins, where the file ends); tells `survey` what the pickle mentions."""
    reader = _Reader(data, where)
    magic, version = reader.plain(), reader.plain()
    if magic != MAGIC or version != _VERSION:
        raise CorruptFileError(f"{where} is not a file written by torch.save (magic number {magic!r}, version {version!r})")
    reader.plain()  # sizes of C types on the writing machine, of no use
    start = reader.position
    survey.loads(data, start, "latin1")  # decodes any text; nothing of it is kept
    reader.position = survey.end
    return data[start : survey.end], reader.storages(survey.sizes), reader.position


class _Reader:
    """Goes through the parts of a file in order."""

    def __init__(self, data: bytes, where: str) -> None:
        self.data, self.where, self.position = data, where, 0

    def plain(self) -> Any:
        """The next pickle, which mentions no globals."""

        def no(*anything: Any) -> Any:
            raise CorruptFileError(f"{self.where} is damaged: its header is not plain data")

        unpickler = Unpickler(self.data, no, no, self.where)
        found = unpickler.load(self.position)
        self.position = unpickler.end
        return found

    def storages(self, sizes: dict[str, int]) -> dict[str, int]:
        """Where the bytes of each storage begin."""
        keys = self.plain()
        if type(keys) is not list or not all(type(key) is str and key in sizes for key in keys):
            raise CorruptFileError(f"{self.where} is damaged: its list of storages does not match its content")
        starts = {}
        for key in keys:
            starts[key] = self.position + 8  # past the number of elements, which the pickle has told already
            self.position += 8 + sizes[key]
            if self.position > len(self.data):
                raise CorruptFileError(f"{self.where} is truncated: storage {key} ends early")
        return starts
