"""``torch.storage``: the memory behind tensors. `Tensor.storage` and `Tensor.untyped_storage` make them."""

from __future__ import annotations

from .facade.storages import UntypedStorage
from .facade.typed_storages import TypedStorage

__all__ = ["TypedStorage", "UntypedStorage"]

_StorageBase = UntypedStorage  # the name in PyTorch of what both derive from
_LegacyStorage = TypedStorage
