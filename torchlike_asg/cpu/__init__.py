"""``torch.cpu``: the CPU by the questions that other devices are asked. Everything runs in order, so streams are only names."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ..absent import asked
from ..facade.flush import flush
from . import amp

__all__ = ["Event", "Stream", "StreamContext", "current_device", "current_stream", "device_count", "is_available", "is_initialized",
           "set_device", "stream", "synchronize", "amp"]  # fmt: skip


class Stream:
    """Something to enter and to wait for, without effect."""

    def __init__(self, priority: int = -1) -> None:
        self.priority = priority

    def wait_stream(self, stream: Any) -> None:
        """Nothing runs elsewhere."""

    def record_event(self) -> None:
        """Nothing is recorded."""

    def wait_event(self, event: Any) -> None:
        """Nothing runs elsewhere."""


class Event:
    """A moment in a `Stream`, without effect."""

    def query(self) -> bool:
        """True: everything asked for before is done when it is looked at."""
        return True

    def record(self, stream: Any = None) -> None:
        """Nothing is recorded."""

    def synchronize(self) -> None:
        """There is nothing to wait for."""

    def wait(self, stream: Any = None) -> None:
        """There is nothing to wait for."""


_default = Stream()


def is_available() -> bool:
    """True."""
    return True


def is_initialized() -> bool:
    """True."""
    return True


def device_count() -> int:
    """One."""
    return 1


def current_device() -> str:
    """``"cpu"``."""
    return "cpu"


def set_device(device: Any) -> None:
    """There is one."""


def synchronize(device: Any = None) -> None:
    """Compute what is pending."""
    flush()


def current_stream(device: Any = None) -> Stream:
    """The only stream."""
    return _default


@contextlib.contextmanager
def stream(stream: Stream) -> Iterator[None]:
    """Inside, work goes where it goes anyway."""
    yield


StreamContext = stream


__getattr__ = asked(__name__)
