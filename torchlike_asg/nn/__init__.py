"""Layers, losses and models: PyTorch's ``torch.nn``."""

from __future__ import annotations

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

_INSTEAD = {
    "AdaptiveLogSoftmaxWithLoss": "nn.CrossEntropyLoss",
    "CrossMapLRN2d": "nn.LocalResponseNorm",
    "NLLLoss2d": "nn.NLLLoss",
}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    instead = f": use {_INSTEAD[name]}" if name in _INSTEAD else ""
    raise Unsupported(f"torchlike_asg.nn.{name} is not implemented{instead}")
