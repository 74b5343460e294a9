"""Where backends keep on disk what the next process can use: compiled code, measurements."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from .. import config

__all__ = ["root_folder"]


def root_folder() -> Path | None:
    """Where the cache lies; None if it is switched off."""
    chosen = config.cache if config.cache is not None else os.environ.get("TORCHLIKE_ASG_CACHE", "")
    if chosen.lower() in ("0", "off"):
        return None
    if chosen:
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        base = "~/Library/Caches"
    elif sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "torchlike_asg"
