"""Saving and loading: PyTorch's files (``save``, ``load``), and safetensors files (``serialization.safetensors``).

Files are data: nothing they contain is executed. See docs/SAVING.md.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

from . import safetensors
from .atomic import atomic_write
from .errors import CorruptFileError, UnsafeContentError
from .safe import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from .storage import Storage
from .torchfile import get_unsafe_globals_in_checkpoint, load, save

#: what `load` takes as map_location, for annotations
MAP_LOCATION: TypeAlias = Callable[[Any, str], Any] | str | dict[str, str] | None

__all__ = [
    "MAP_LOCATION",
    "CorruptFileError",
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
]
