"""``torch.onnx``: export is not supported."""

from __future__ import annotations

from typing import Any

from .absent import asked
from .errors import Unsupported

__all__ = ["export", "is_in_onnx_export"]

#: a package for importing: places.py has its parts
__path__: list[str] = []


def export(*args: Any, **kwargs: Any) -> Any:
    """Not supported: see the error."""
    raise Unsupported(
        "torch.onnx.export is not supported: save the state_dict and export it from PyTorch, or the graph with torchlike_asg.asg.export"
    )


def is_in_onnx_export() -> bool:
    """False: nothing is being exported."""
    return False


__getattr__ = asked(__name__)
