"""``torch.contiguous_format``, ``torch.strided`` and their like: names that arguments and attributes take."""

from __future__ import annotations

__all__ = ["layout", "memory_format"]


class _Name:
    """A named constant, printed as PyTorch prints it and compared by identity."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> str:
        return self.name


class memory_format(_Name):
    """How the dimensions of a tensor lie in memory."""

    __slots__ = ()


class layout(_Name):
    """How the elements of a tensor are stored. All tensors here are strided."""

    __slots__ = ()


contiguous_format, preserve_format = memory_format("contiguous_format"), memory_format("preserve_format")
channels_last, channels_last_3d = memory_format("channels_last"), memory_format("channels_last_3d")
strided, sparse_coo, sparse_csr = layout("strided"), layout("sparse_coo"), layout("sparse_csr")
sparse_csc, sparse_bsr, sparse_bsc = layout("sparse_csc"), layout("sparse_bsr"), layout("sparse_bsc")

NAMES = {name: value for name, value in globals().items() if isinstance(value, _Name)} | {"memory_format": memory_format, "layout": layout}
