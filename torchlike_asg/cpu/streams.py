"""``torch.Stream`` and ``torch.Event``: names of what happens in order anyway. Work can be waited for; moments cannot be recorded."""

from __future__ import annotations

from typing import Any

from ..devices import device as Device
from ..facade.flush import flush

__all__ = ["Event", "Stream"]


def _place(device: Any) -> Any:
    """A device that is here, the CPU by default."""
    place = Device("cpu" if device is None else device)
    if place.type == "cuda":
        raise RuntimeError("PyTorch is not linked with support for cuda devices")
    return place


def _no_events(place: Any) -> RuntimeError:
    return RuntimeError(f"{place.type} backend doesn't support events.")


class _Named:
    """What has a device, by which it is named."""

    device: Any

    @property
    def device_index(self) -> int:
        """The number of the device, -1 if it has none."""
        return -1 if self.device.index is None else int(self.device.index)


class Event(_Named):
    """A moment in a stream of `device`. It has never been recorded: nothing is to be waited for.

    Raises:
        RuntimeError: `device` is not here.
    """

    event_id = 0

    def __init__(self, device: Any = None, *, enable_timing: bool = False, blocking: bool = False, interprocess: bool = False) -> None:
        self.device, self._timed = _place(device), bool(enable_timing)

    def __repr__(self) -> str:
        return f"torch.Event device_type={self.device.type}, device_index={self.device_index}, event_flag={int(self._timed)}, event_id=0"

    def record(self, stream: Any = None) -> None:
        """Refused, as on every device without streams.

        Raises:
            RuntimeError: always.
        """
        raise _no_events(self.device)

    def query(self) -> bool:
        """True: what was asked for before is done when it is looked at."""
        return True

    def wait(self, stream: Any = None) -> None:
        """There is nothing to wait for."""

    def synchronize(self) -> None:
        """There is nothing to wait for."""

    def elapsed_time(self, end_event: Event) -> float:
        """Refused: neither was recorded.

        Raises:
            ValueError: always.
        """
        raise ValueError("Both events must be recorded before calculating elapsed time.")


class Stream(_Named):
    """Work on `device` in order. All streams of a device are one.

    Raises:
        RuntimeError: `device` is not here.
    """

    stream_id = 0

    def __init__(self, device: Any = None, *, priority: int = 0) -> None:
        self.device = _place(device)

    def __repr__(self) -> str:
        return f"torch.Stream device_type={self.device.type}, device_index={self.device_index}, stream_id=0"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stream) and other.device == self.device

    def __hash__(self) -> int:
        return hash(self.device)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        return None

    def query(self) -> bool:
        """True: what was asked for is done when it is looked at."""
        return True

    def synchronize(self) -> None:
        """Compute what is pending."""
        flush()

    def wait_event(self, event: Event) -> None:
        """There is nothing to wait for."""

    def record_event(self, event: Event | None = None) -> Event:
        """Refused, as on every device without streams.

        Raises:
            RuntimeError: always.
        """
        raise _no_events(self.device)

    def wait_stream(self, stream: Stream) -> None:
        """Refused, as on every device without streams.

        Raises:
            RuntimeError: always.
        """
        raise _no_events(self.device)
