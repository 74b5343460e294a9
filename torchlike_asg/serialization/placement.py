"""The `map_location` argument of `load`: where storages go."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..devices import check, device
from .errors import CorruptFileError
from .storage import Storage

__all__ = ["Place", "placement"]

Place = Callable[[Storage, str], Storage]


def placement(map_location: Any, where: str) -> Place:
    """`map_location` of `load`, in any of its forms, as a function (storage, location) -> storage to use."""
    if map_location is None:
        return lambda storage, location: _restore(storage, location, where)
    if isinstance(map_location, dict):
        return lambda storage, location: _restore(storage, map_location.get(location, location), where)
    if isinstance(map_location, str | device):
        target = check(device(map_location))
        return lambda storage, location: storage.to(target)
    if not callable(map_location):
        raise TypeError(f"map_location must be a device, a string, a dict or a callable, not {type(map_location).__name__}")

    def place(storage: Storage, location: str) -> Storage:
        found = map_location(storage, location)
        if found is None:
            return _restore(storage, location, where)
        if not isinstance(found, Storage):
            raise TypeError(
                f"map_location returned an object of type {type(found).__name__}; return the storage it was given, moved or not, or None"
            )
        return found

    return place


def _restore(storage: Storage, location: Any, where: str) -> Storage:
    """Put a storage where the file says it was."""
    try:
        target = device(location)
    except RuntimeError:
        raise CorruptFileError(f"{where}: a storage is on an unknown device, '{location}'") from None
    try:
        return storage.to(target)
    except (RuntimeError, NotImplementedError) as error:
        raise RuntimeError(
            f"{where}: attempting to deserialize an object on device '{location}', which is not available here ({error}). "
            "To put everything on the CPU, call load with map_location='cpu'."
        ) from error
