"""Saving and loading: PyTorch's files (``save``, ``load``), and safetensors files (``serialization.safetensors``).

Files are data: nothing they contain is executed. See docs/SAVING.md.
"""

import enum
from collections.abc import Callable
from typing import Any, TypeAlias

from ..absent import asked
from . import safetensors
from .atomic import atomic_write
from .errors import CorruptFileError, UnsafeContentError
from .safe import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from .skipping import skip_data
from .storage import Storage
from .torchfile import get_unsafe_globals_in_checkpoint, load, save

#: what `load` takes as map_location, for annotations
MAP_LOCATION: TypeAlias = Callable[[Any, str], Any] | str | dict[str, str] | None

__all__ = [
    "DEFAULT_PROTOCOL",
    "MAP_LOCATION",
    "CorruptFileError",
    "LoadEndianness",
    "SourceChangeWarning",
    "Storage",
    "UnsafeContentError",
    "add_safe_globals",
    "atomic_write",
    "clear_safe_globals",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "safe_globals",
    "safetensors",
    "save",
    "skip_data",
]

#: the pickle protocol inside PyTorch's files
DEFAULT_PROTOCOL = 2


class LoadEndianness(enum.Enum):
    """Which end of a number comes first in files that do not say so."""

    NATIVE = 1
    LITTLE = 2
    BIG = 3


class SourceChangeWarning(Warning):
    """PyTorch's warning of a class whose code has changed since it was saved, for filters: files hold no code here."""


def get_default_load_endianness() -> LoadEndianness | None:
    """None: files that do not say are read as this machine writes them."""
    return None


def location_tag(storage: Any) -> str:
    """Where a file says that a storage is: the name of its device."""
    return str(storage.device)


def _is_zipfile(f: Any) -> bool:
    """Whether a file object stands at the start of one of PyTorch's zip files; it stands there afterwards."""
    start = f.tell()
    found = bytes(f.read(4)) == b"PK\x03\x04"
    f.seek(start)
    return found


__getattr__ = asked(__name__)
