"""``torch.distributed.device_mesh``, for annotations: there is one process, and no mesh."""

from __future__ import annotations

from typing import Any

from ..errors import Absent, Unsupported, refuses

__all__ = ["DeviceMesh", "init_device_mesh"]
_SINGLE = "training in several processes is not supported: run the script in one process (without torchrun, RANK and WORLD_SIZE)"


class DeviceMesh(Absent, within="torch.distributed.device_mesh", instead=_SINGLE):
    """The type of meshes; none can be made."""


@refuses
def init_device_mesh(*args: Any, **kwargs: Any) -> Any:
    """Raises: see the error."""
    raise Unsupported(f"torch.distributed.init_device_mesh: {_SINGLE}")
