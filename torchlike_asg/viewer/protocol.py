"""Messages between the training process and the window, and how they become bytes: a JSON header and the raw buffers of arrays. No pickle.

A frame is ``b"ASGV"``, the length of the header (uint32), the header, and the arrays one after the other, each at a multiple of 8 bytes.
A recording (``.asgtrace``) is `MAGIC` and frames, each after its length (uint64). Numbers are little-endian. A field that a reader does
not know is ignored, one that a writer did not send has its default; `VERSION` changes when that is not enough.
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .damage import Damaged

VERSION = 1
MAGIC = b"ASGTRACE1\n"
_FRAME = b"ASGV"
#: element types that may be sent, by NumPy's name of them
_TYPES = {np.dtype(t).str: np.dtype(t) for t in ("<f4", "<f8", "<i2", "<i4", "<i8", "|i1", "|u1", "<u2", "<u4", "<u8", "|b1")}
#: columns of `Stats.values`
STATS = ("mean", "std", "min", "max", "nonfinite", "norm")
#: bins of a histogram
BINS = 32


class ProtocolError(Damaged):
    """Bytes that are no message of this protocol."""


class Message:
    """Base of all messages."""

    kind = ""


_KINDS: dict[str, type[Message]] = {}
_FIELDS: dict[type[Message], tuple[str, ...]] = {}
_json = json.JSONEncoder(ensure_ascii=False, check_circular=False).encode


def _message(cls: type[Any]) -> type[Any]:
    made: type[Any] = dataclass(cls)
    made.kind = cls.__name__.lower()
    _KINDS[made.kind] = made
    _FIELDS[made] = tuple(f.name for f in fields(made))
    return made


def _floats() -> NDArray[Any]:
    return np.zeros(0)


def _ints() -> NDArray[Any]:
    return np.zeros(0, np.int32)


@_message
class Hello(Message):
    """The first message of either side. The window closes the connection if versions differ."""

    version: int = VERSION
    pid: int = 0
    title: str = ""
    lang: str = "en"
    theme: str = "auto"
    #: save a picture of the window there when training ends, and leave
    shot: str = ""


@_message
class Graph(Message):
    """A graph: the columns of a `GraphSnapshot`. ``epoch`` numbers the graphs of a run; other messages name nodes by epoch and index."""

    epoch: int = 0
    columns: dict[str, Any] = field(default_factory=dict)


@_message
class Scalars(Message):
    """Points of one curve: `values` (float64) at `steps`, seen `times` seconds after the start."""

    name: str = "loss"
    steps: NDArray[Any] = field(default_factory=_ints)
    times: NDArray[Any] = field(default_factory=_floats)
    values: NDArray[Any] = field(default_factory=_floats)


@_message
class Stats(Message):
    """Statistics of `nodes`: ``values`` float32 [n, 6], see `STATS`; ``counts`` uint32 [n, BINS] over ``ranges`` float32 [n, 2].

    ``of``: ``"value"``, ``"gradient"``, or ``"update"`` (norm of a parameter's change over its norm, in the column of the norm).
    """

    epoch: int = 0
    step: int = 0
    of: str = "value"
    nodes: NDArray[Any] = field(default_factory=_ints)
    values: NDArray[Any] = field(default_factory=_floats)
    counts: NDArray[Any] = field(default_factory=_ints)
    ranges: NDArray[Any] = field(default_factory=_floats)


@_message
class Timing(Message):
    """Microseconds that kernels took in one step, processor time of all threads together."""

    epoch: int = 0
    step: int = 0
    kernels: NDArray[Any] = field(default_factory=_ints)
    microseconds: NDArray[Any] = field(default_factory=_floats)


@_message
class Event(Message):
    """Something to mark on the curves."""

    step: int = 0
    time: float = 0.0
    text: str = ""


@_message
class Alarm(Message):
    """The first node, in order of execution, that is not finite although what it reads is; -1: only that ``what`` was not."""

    epoch: int = 0
    step: int = 0
    node: int = -1
    what: str = "loss"
    nonfinite: int = 0
    size: int = 0


@_message
class Failure(Message):
    """An operation that could not be recorded, with the graph as far as it goes: ``node`` is the failed operation in it, ``edges`` the
    operands that do not fit; ``key`` names a suggestion in the catalogue (``ui.viewer.fix``), filled from ``fields``."""

    epoch: int = 0
    node: int = -1
    edges: list[int] = field(default_factory=list)
    op: str = ""
    message: str = ""
    module: str = ""
    shapes: list[list[int]] = field(default_factory=list)
    file: str = ""
    line: int = 0
    source: str = ""
    key: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@_message
class Subscribe(Message):
    """What is on screen: statistics of these nodes are wanted, those of `selected` with histograms; ``timing`` of kernels as well."""

    epoch: int = 0
    nodes: NDArray[Any] = field(default_factory=_ints)
    selected: NDArray[Any] = field(default_factory=_ints)
    timing: bool = True
    hz: float = 10.0


@_message
class Ask(Message):
    """The window wants the code of a kernel."""

    epoch: int = 0
    kernel: int = 0


@_message
class Code(Message):
    """A kernel's code: LLVM IR or WGSL."""

    epoch: int = 0
    kernel: int = 0
    language: str = ""
    text: str = ""


@_message
class Bye(Message):
    """Training has ended (``reason``: "done", "error", "closed"), or the window was closed."""

    reason: str = "done"


def encode(message: Message) -> bytes:
    """A message as one frame."""
    arrays: list[NDArray[Any]] = []
    # plain fields are written here, which takes a third of the time that the encoder takes to begin
    content = ",".join([f'"{name}":{_written(getattr(message, name), arrays)}' for name in _FIELDS[type(message)]])
    table = ",".join([f'["{a.dtype.str}",[{",".join(map(str, a.shape))}]]' for a in arrays])
    header = f'{{"kind":"{message.kind}","arrays":[{table}],"fields":{{{content}}}}}'.encode()
    header += b" " * (-(8 + len(header)) % 8)
    parts = [_FRAME, struct.pack("<I", len(header)), header]
    for a in arrays:
        parts += [a.tobytes(), b"\0" * (-a.nbytes % 8)]
    return b"".join(parts)


def _written(value: Any, arrays: list[NDArray[Any]]) -> str:
    """A field's value as JSON; its arrays are added to `arrays`."""
    kind = value.__class__
    if kind is int:
        return str(value)
    if kind is np.ndarray:
        return f'{{"$array":{_added(value, arrays)}}}'
    return _json(_plain(value, arrays))


def _added(value: NDArray[Any], arrays: list[NDArray[Any]]) -> int:
    if value.dtype.str not in _TYPES:
        raise ProtocolError("type", dtype=value.dtype)
    arrays.append(value)
    return len(arrays) - 1


def _plain(value: Any, arrays: list[NDArray[Any]]) -> Any:
    kind = value.__class__
    if kind is int or kind is str or kind is float or kind is bool:
        return value
    if isinstance(value, np.ndarray):
        return {"$array": _added(value, arrays)}
    if isinstance(value, dict):
        return {str(k): _plain(v, arrays) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v, arrays) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def decode(frame: bytes | memoryview) -> Message | None:
    """The message of a frame; None for a kind that this version does not know. Arrays are read-only views of the frame.

    Raises ProtocolError for anything that is not a whole, well-formed frame.
    """
    return _decode(memoryview(frame), 0)[0]


def decode_all(packet: bytes) -> list[Message]:
    """The messages of frames that lie one after the other, as `decode` gives them."""
    data, at, found = memoryview(packet), 0, []
    while at < len(data):
        message, at = _decode(data, at)
        if message is not None:
            found.append(message)
    return found


def _decode(data: memoryview, at: int) -> tuple[Message | None, int]:
    """The message of the frame that begins there, and where it ends."""
    try:
        if bytes(data[at : at + 4]) != _FRAME:
            raise ProtocolError("frame")
        (size,) = struct.unpack_from("<I", data, at + 4)
        if at + 8 + size > len(data):
            raise ProtocolError("cut")
        header = json.loads(bytes(data[at + 8 : at + 8 + size]))
        arrays, at = [], at + 8 + size
        for name, shape in header["arrays"]:
            d = _TYPES[name]
            if any(not isinstance(n, int) or n < 0 for n in shape):
                raise ProtocolError("size")
            count = math.prod(shape)
            if at + count * d.itemsize > len(data):
                raise ProtocolError("cut")
            arrays.append(np.frombuffer(data, d, count, at).reshape(shape))
            at += count * d.itemsize + -count * d.itemsize % 8
        cls = _KINDS.get(header["kind"])
        if cls is None:
            return None, at
        known = _FIELDS[cls]
        return cls(**{k: _restore(v, arrays) for k, v in header["fields"].items() if k in known}), at
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError, struct.error) as error:
        if isinstance(error, ProtocolError):
            raise
        raise ProtocolError("content", error=error) from error


def _restore(value: Any, arrays: list[NDArray[Any]]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"$array"}:
            return arrays[value["$array"]]
        return {k: _restore(v, arrays) for k, v in value.items()}
    return [_restore(v, arrays) for v in value] if isinstance(value, list) else value


def write_frame(file: BinaryIO, frame: bytes) -> None:
    """Append a frame to a recording."""
    file.write(struct.pack("<Q", len(frame)) + frame)


def read_recording(path: str | Path) -> Iterator[Message]:
    """The messages of a recording, in order. A last frame that was cut off (the process was killed) is left out.

    Raises ProtocolError for a file that is no recording, and at the first frame that is damaged.
    """
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise ProtocolError("recording")
        rest = os.fstat(file.fileno()).st_size - len(MAGIC)
        while len(head := file.read(8)) == 8:
            (size,) = struct.unpack("<Q", head)
            rest -= 8 + size
            if rest < 0:
                return
            message = decode(file.read(size))
            if message is not None:
                yield message
