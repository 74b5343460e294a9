"""What goes wrong when files are read: a file that is damaged, and content that will not be rebuilt."""

from __future__ import annotations

import pickle

__all__ = ["CorruptFileError", "UnsafeContentError"]


class CorruptFileError(RuntimeError):
    """A file is truncated, damaged, or not of the format it should be. The message names the file."""


class UnsafeContentError(pickle.UnpicklingError):
    """A file refers to a class or function that reading it would have to call. Nothing of the file was executed."""


class RebuildError(RuntimeError):
    """A class or function that the user has listed as safe raised an exception."""


class CallerError(Exception):
    """Carries an exception of the caller's own `map_location` function past the handling of damaged files, as its cause."""


def refused(where: str, name: str, hint: str = "") -> UnsafeContentError:
    """The error for an unknown global `name` (``module.qualname``) met in `where`."""
    return UnsafeContentError(
        f"Weights only load failed for {where}. Unsupported global: GLOBAL {name} was not an allowed global by default. "
        "Loading never executes what a file contains, so only tensors, containers and plain values are rebuilt. "
        + (hint or f"If the file is yours, save a state_dict() or plain values in place of the object; or, if you trust {name}, call "
        f"torchlike_asg.serialization.add_safe_globals([{name.rpartition('.')[2]}]) before loading.")
    )  # fmt: skip
