"""Where PyTorch used to keep its profiler: the names of ``torch.profiler``, loaded when asked for, and what only CUDA has."""

from __future__ import annotations

import importlib
from typing import Any

from ..absent import asked
from ..errors import Unsupported


class emit_nvtx:
    """Cannot be entered: marks for NVIDIA's tools are CUDA's."""

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled

    def __enter__(self) -> emit_nvtx:
        if self.enabled:
            raise Unsupported(f"torch.autograd.profiler.{type(self).__name__}: use torch.profiler.profile")
        return self

    def __exit__(self, *error: object) -> None:
        """Nothing was begun."""


class emit_itt(emit_nvtx):
    """Cannot be entered: marks for Intel's tools are not made."""


_absent = asked(__name__)


def __getattr__(name: str) -> Any:
    if name == "profile":
        return importlib.import_module("torchlike_asg.profiler.legacy").profile
    home = importlib.import_module("torchlike_asg.profiler")
    return getattr(home, name) if name in vars(home) else _absent(name)
