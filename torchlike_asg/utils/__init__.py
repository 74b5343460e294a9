"""Tools around training: `data` (datasets and loaders), `checkpoint` (recomputation), `tensorboard` (SummaryWriter)."""

from __future__ import annotations

import importlib
from typing import Any

from ..absent import asked
from ..errors import Unsupported
from ..facade.swapping import swap as swap_tensors
from . import data

__all__ = ["checkpoint", "data", "swap_tensors", "tensorboard"]

_MODULES = frozenset(
    "_pytree _python_dispatch backcompat benchmark checkpoint collect_env cpp_extension deterministic dlpack flop_counter hooks "
    "mobile_optimizer model_zoo module_tracker tensorboard weak".split()
)
_INSTEAD = {
    "backend_registration": "the devices that are here: cpu and wgpu",
    "bottleneck": "torch.profiler.profile",
    "bundled_inputs": "torch.save of the inputs",
    "throughput_benchmark": "torch.utils.benchmark.Timer",
}


def set_module(obj: Any, mod: str) -> None:
    """Have an object say that it is defined in the module `mod`."""
    if not isinstance(mod, str):
        raise TypeError("The mod argument should be a string")
    obj.__module__ = mod


_absent = asked(__name__)


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _INSTEAD:
        raise Unsupported(f"torchlike_asg.utils.{name} is not supported: use {_INSTEAD[name]}")
    return _absent(name)
