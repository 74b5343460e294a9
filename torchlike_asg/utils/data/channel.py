"""Messages between a loader and its worker processes: pickles over a pipe, array contents sent raw beside them."""

from __future__ import annotations

import io
import pickle
import struct
from typing import TYPE_CHECKING, Any

import torchlike_asg as torch

from . import arrays

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

__all__ = ["decode", "encode", "receive", "send"]

_COUNT = struct.Struct("<I")


class _Pickler(pickle.Pickler):
    """Sends a tensor as its array. Graph nodes, hooks and gradients belong to the process that made them and stay there."""

    def reducer_override(self, value: Any) -> Any:
        if type(value) is not torch.Tensor:
            return NotImplemented
        if value.requires_grad and not value.is_leaf:
            raise RuntimeError(
                "A DataLoader worker cannot send a non-leaf tensor that requires grad: autograd does not cross process boundaries. "
                "Return tensor.detach() from the dataset or collate_fn."
            )
        return arrays.from_host, (arrays.to_host(value), value.dtype, value.requires_grad)


def encode(message: Any) -> list[bytes | memoryview]:
    """The parts to send: a header (number and sizes of the buffers, then the pickle) and the buffers."""
    buffers: list[pickle.PickleBuffer] = []
    body = io.BytesIO()
    _Pickler(body, protocol=5, buffer_callback=buffers.append).dump(message)
    raw = [buffer.raw() for buffer in buffers]
    header = _COUNT.pack(len(raw)) + struct.pack(f"<{len(raw)}Q", *(view.nbytes for view in raw))
    return [header + body.getvalue(), *raw]


def decode(header: bytes, buffers: list[bytearray]) -> Any:
    """The message, whose arrays live in `buffers` (and are writable)."""
    return pickle.loads(memoryview(header)[_body_start(header) :], buffers=buffers)


def _body_start(header: bytes) -> int:
    (count,) = _COUNT.unpack_from(header)
    return _COUNT.size + 8 * count


def send(connection: Connection, parts: list[bytes | memoryview]) -> None:
    """Write what :func:`encode` made. OSError when the other end is gone."""
    for part in parts:
        if len(part):
            connection.send_bytes(part)


def receive(connection: Connection) -> Any:
    """Read one message. EOFError or OSError when the other end is gone."""
    header = connection.recv_bytes()
    (count,) = _COUNT.unpack_from(header)
    buffers = [bytearray(size) for size in struct.unpack_from(f"<{count}Q", header, _COUNT.size)]
    for buffer in buffers:
        if buffer:
            connection.recv_bytes_into(buffer)
    return decode(header, buffers)
