"""Names of the torch namespace that are no functions of tensors: memory formats, layouts, autocast state."""

from __future__ import annotations

from typing import Any

from . import formats
from .amp.autocast_mode import (
    autocast,
    get_autocast_cpu_dtype,
    get_autocast_dtype,
    get_autocast_gpu_dtype,
    is_autocast_available,
    is_autocast_cache_enabled,
    is_autocast_cpu_enabled,
    is_autocast_enabled,
)

#: merged into the package's namespace
NAMES: dict[str, Any] = {
    **formats.NAMES,
    "autocast": autocast,
    "get_autocast_cpu_dtype": get_autocast_cpu_dtype,
    "get_autocast_dtype": get_autocast_dtype,
    "get_autocast_gpu_dtype": get_autocast_gpu_dtype,
    "is_autocast_available": is_autocast_available,
    "is_autocast_cache_enabled": is_autocast_cache_enabled,
    "is_autocast_cpu_enabled": is_autocast_cpu_enabled,
    "is_autocast_enabled": is_autocast_enabled,
}
