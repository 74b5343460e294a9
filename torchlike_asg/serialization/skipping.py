"""``skip_data``: files and tensors of the right sizes, without their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["blank_storage", "refuse_legacy", "skip_data", "skipping"]

_depth = [0]


class skip_data:
    """Inside, ``torch.save`` writes zeros in place of numbers, for a later pass to fill in, and ``torch.load`` leaves the storages of
    tensors as they are made, which is zero.

    `materialize_fake_tensors` is taken, as there are no fake tensors here.
    """

    def __init__(self, materialize_fake_tensors: bool = False) -> None:
        self.materialize_fake_tensors = materialize_fake_tensors

    def __enter__(self) -> None:
        _depth[0] += 1

    def __exit__(self, *_: Any) -> None:
        _depth[0] -= 1


def skipping() -> bool:
    """Whether `skip_data` is entered."""
    return _depth[0] > 0


def blank_storage(key: str, nbytes: int, unit: int) -> np.ndarray[Any, Any]:
    """The content of a storage that is not read."""
    return np.zeros(nbytes, np.uint8)


def refuse_legacy() -> None:
    """Files of the format before PyTorch 1.6 have no places that could be left out."""
    if skipping():
        raise RuntimeError("Cannot use skip_data=True with _use_new_zipfile_serialization=False")
