"""Differentiation: grad modes, `grad`, `backward`, custom functions, and functional transforms of them."""

from ..absent import asked
from ..facade.hooks import RemovableHandle
from . import graph
from .function import Function, FunctionCtx, once_differentiable
from .grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from .gradients import backward, grad
from .variable import Variable

__all__ = [
    "Function",
    "FunctionCtx",
    "RemovableHandle",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "forward_ad",
    "function",
    "functional",
    "grad",
    "grad_mode",
    "gradcheck",
    "gradgradcheck",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "profiler",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
]

from . import forward_ad, function, functional, grad_mode, profiler, shown  # noqa: F401
from .anomaly import detect_anomaly, set_detect_anomaly
from .check import gradcheck, gradgradcheck

__getattr__ = asked(__name__)
