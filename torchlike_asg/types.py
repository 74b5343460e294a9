"""``torch.types``: names for annotations."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import IO, TypeAlias

from ._C import SymBool, SymFloat, SymInt
from .devices import device as _device
from .dtypes import dtype as _dtype  # noqa: F401
from .facade.core import Tensor
from .facade.storages import UntypedStorage
from .facade.typed_storages import TypedStorage
from .size import Size

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number: TypeAlias = int | float | bool
Storage: TypeAlias = TypedStorage | UntypedStorage
Device: TypeAlias = _device | str | int | None
FileLike: TypeAlias = str | os.PathLike[str] | IO[bytes]
IntLikeType: TypeAlias = int | SymInt
FloatLikeType: TypeAlias = float | SymFloat
BoolLikeType: TypeAlias = bool | SymBool
PySymType: TypeAlias = SymInt | SymFloat | SymBool
py_sym_types = (SymInt, SymFloat, SymBool)
_Number = (int, float, bool)
_TensorOrTensors: TypeAlias = Tensor | Sequence[Tensor]
_size: TypeAlias = Size | list[int] | tuple[int, ...]
_int, _float, _bool, _str, _complex, _bytes = builtins.int, builtins.float, builtins.bool, builtins.str, builtins.complex, builtins.bytes
