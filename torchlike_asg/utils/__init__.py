"""Tools around training: `data` (datasets and loaders), `checkpoint` (recomputation), `tensorboard` (SummaryWriter)."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import Unsupported
from . import data

__all__ = ["checkpoint", "data", "tensorboard"]

_ABSENT = frozenset(("benchmark", "bottleneck", "bundled_inputs", "collect_env", "cpp_extension", "mobile_optimizer", "model_zoo"))


def __getattr__(name: str) -> Any:
    if name in ("_pytree", "checkpoint", "dlpack", "flop_counter", "hooks", "tensorboard"):
        return importlib.import_module(f"{__name__}.{name}")
    if name in _ABSENT:
        raise Unsupported(f"torchlike_asg.utils.{name} is not supported")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
