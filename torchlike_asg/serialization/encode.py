"""From objects to pickles and storages: how tensors, dtypes, devices, sizes and modules are written."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np

from ..devices import device
from ..dtypes import dtype
from ..errors import Unsupported
from ..facade.typed_storages import is_storage
from ..size import Size
from .sparse import reduce_sparse
from .storage import STORAGE_NAMES, StridedRecord
from .tensors import is_tensor, record_of, tensor_class_name
from .writer import GlobalName, PersistentId, PickleWriter, Reduce

__all__ = ["Encoder"]

_TENSOR = GlobalName("torch._utils", "_rebuild_tensor_v2")
_META = GlobalName("torch._utils", "_rebuild_meta_tensor_no_storage")
_PARAMETER = GlobalName("torch._utils", "_rebuild_parameter")
_PARAMETER_WITH_STATE = GlobalName("torch._utils", "_rebuild_parameter_with_state")
_WITH_STATE = GlobalName("torch._tensor", "_rebuild_from_type_v2")


class Encoder:
    """Writes one object structure. After `dumps`, `storages` maps each storage key to its bytes (1-D uint8 arrays).

    `legacy`: in the form of storage references that the format before PyTorch 1.6 uses.
    """

    def __init__(self, legacy: bool = False) -> None:
        self.storages: dict[str, np.ndarray[Any, Any]] = {}
        self.counts: dict[str, int] = {}
        self._legacy = legacy
        self._keys: dict[int, str] = {}
        self._alive: list[Any] = []  # identities are addresses: what they belong to must outlive the encoder

    def dumps(self, obj: Any) -> bytes:
        return PickleWriter(self.reduce).dumps(obj)

    def reduce(self, obj: Any) -> Any:
        """What to write in place of `obj`, or None for its own reduction."""
        if is_tensor(obj):
            return self._tensor(obj) or reduce_sparse(obj)
        if isinstance(obj, dtype):
            return GlobalName("torch", obj.name)
        if isinstance(obj, device):
            return Reduce(GlobalName("torch", "device"), (obj.type,) if obj.index is None else (obj.type, obj.index))
        if type(obj) is Size:
            return Reduce(GlobalName("torch", "Size"), (tuple(obj),))
        if isinstance(obj, type):
            return tensor_class_name(obj)
        if is_storage(obj):
            raise Unsupported("torch.save() of a storage: save a tensor over it, torch.tensor([]).set_(storage) for one of floats")
        from .modules import reduce_module

        return reduce_module(obj)

    def _tensor(self, tensor: Any) -> Reduce | None:
        record = record_of(tensor)
        if record is None:
            return None
        if not record.is_parameter:
            plain = self._strided(record, record.requires_grad)
            if not record.attributes:
                return plain
            return Reduce(_WITH_STATE, (plain.function, GlobalName("torch", "Tensor"), plain.arguments, record.attributes))
        data = self._strided(record, False)
        if record.attributes:
            return Reduce(_PARAMETER_WITH_STATE, (data, record.requires_grad, OrderedDict(), record.attributes))
        return Reduce(_PARAMETER, (data, record.requires_grad, OrderedDict()))

    def _strided(self, record: StridedRecord, requires_grad: bool) -> Reduce:
        elements = record.elements
        if elements is None:
            return Reduce(_META, (record.dtype, record.size, record.stride, requires_grad))
        key = self._keys.get(record.identity)
        if key is None:
            key = self._keys[record.identity] = str(len(self._keys))
            self.storages[key] = elements.view(np.uint8)
            self.counts[key] = elements.size
            self._alive.append(record)
        reference = ("storage", GlobalName("torch", STORAGE_NAMES[record.dtype]), key, record.location, elements.size)
        storage = PersistentId((*reference, None) if self._legacy else reference)
        return Reduce(_TENSOR, (storage, record.offset, record.size, record.stride, requires_grad, OrderedDict()))
