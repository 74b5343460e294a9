"""Layers, losses and models: PyTorch's ``torch.nn``."""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import Unsupported
from . import attention, functional, init, modules, parallel, parameter, positional, utils
from .modules import *  # noqa: F403
from .parallel import DataParallel
from .parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter
from .positional import ALiBi, LearnedPositionalEncoding, RotaryEmbedding, SinusoidalPositionalEncoding

__all__ = [
    "ALiBi",
    "Buffer",
    "DataParallel",
    "LearnedPositionalEncoding",
    "Parameter",
    "RotaryEmbedding",
    "SinusoidalPositionalEncoding",
    "UninitializedBuffer",
    "UninitializedParameter",
    "attention",
    "functional",
    "init",
    "modules",
    "parallel",
    "parameter",
    "positional",
    "utils",
    *modules.__all__,
]

_MODULES = frozenset({"_reduction", "common_types", "grad", "intrinsic", "qat", "quantizable", "quantized"})
#: their names in early versions of PyTorch
_EARLIER = {"Container": "Module", "NLLLoss2d": "NLLLoss"}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _EARLIER:
        return getattr(modules, _EARLIER[name])
    raise Unsupported(f"torchlike_asg.nn.{name} is not implemented: docs/porting.md lists what is there and what to use instead")
