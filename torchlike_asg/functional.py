"""``torch.functional``: where PyTorch keeps those of its functions that are written in Python. They are the torch namespace's own."""

from __future__ import annotations

from typing import Any

from .facade.register import FUNCTIONS

_NAMES = """
    atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod cdist chain_matmul einsum istft lu
    meshgrid norm pca_lowrank split stft
    svd_lowrank tensordot unique unique_consecutive unravel_index
"""
__all__ = [name for name in _NAMES.split() if name in FUNCTIONS]


def __getattr__(name: str) -> Any:
    try:
        return FUNCTIONS[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
