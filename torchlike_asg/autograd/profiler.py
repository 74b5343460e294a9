"""Where PyTorch used to keep its profiler: the names of ``torch.profiler``, loaded when asked for."""

from __future__ import annotations

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    return getattr(importlib.import_module("torchlike_asg.profiler"), name)
