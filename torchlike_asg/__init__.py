"""torchlike_asg: PyTorch scripts, recorded into a graph you can see, differentiated, optimised and run anywhere.

import torchlike_asg as torch
"""

from __future__ import annotations

import importlib
import math
from typing import Any

from . import _ops as _operators
from . import autograd, config, places
from .autograd.grad_mode import enable_grad, inference_mode, is_grad_enabled, is_inference_mode_enabled, no_grad, set_grad_enabled
from .devices import device
from .dtypes import (
    bfloat16,
    complex32,
    complex64,
    complex128,
    dtype,
    finfo,
    float8_e4m3fn,
    float8_e4m3fnuz,
    float8_e5m2,
    float8_e5m2fnuz,
    float8_e8m0fnu,
    float16,
    float32,
    float64,
    get_default_dtype,
    iinfo,
    int8,
    int16,
    int32,
    int64,
    promote_types,
    qint8,
    qint32,
    quint2x4,
    quint4x2,
    quint8,
    set_default_dtype,
    uint8,
    uint16,
    uint32,
    uint64,
)
from .dtypes import bool_ as bool
from .errors import Unsupported
from .facade import derived as _derived
from .facade import functions as _functions
from .facade.core import Tensor
from .facade.foreach import foreach as _foreach
from .facade.functions.reading import sync
from .facade.generator import Generator, default_generator
from .facade.register import FUNCTIONS as _FUNCTIONS
from .facade.register import publish as _publish
from .namespace import NAMES as _NAMES
from .random import fork_rng, get_rng_state, initial_seed, manual_seed, seed, set_rng_state
from .size import Size
from .torch_version import TorchVersion as _TorchVersion
from .version import __version__ as _version

double, float, half, chalf, cfloat, cdouble = float64, float32, float16, complex32, complex64, complex128
long, int, short = int64, int32, int16
inf, nan, pi, e = math.inf, math.nan, math.pi, math.e
newaxis = None
__version__ = _TorchVersion(_version)
globals().update(_FUNCTIONS)
globals().update(_NAMES)
_publish(_FUNCTIONS | _NAMES, __name__)
_operators.install()
places.install()

#: loaded when first asked for, so that importing the package stays quick
_SUBMODULES = frozenset(
    (
        "_C",
        "__config__",
        "_dynamo",
        "_inductor",
        "_ops",
        "_subclasses",
        "_tensor_str",
        "_utils",
        "accelerator",
        "alias",
        "amp",
        "ao",
        "asg",
        "backends",
        "checkpoint",
        "compiler",
        "cpu",
        "cuda",
        "distributed",
        "distributions",
        "events",
        "export",
        "fft",
        "func",
        "functional",
        "futures",
        "fx",
        "hub",
        "i18n",
        "jit",
        "library",
        "linalg",
        "masked",
        "metrics",
        "mps",
        "multiprocessing",
        "nn",
        "onnx",
        "optim",
        "overrides",
        "profiler",
        "quantization",
        "quasirandom",
        "return_types",
        "rng",
        "serialization",
        "signal",
        "sparse",
        "special",
        "storage",
        "testing",
        "torch_version",
        "transforms",
        "types",
        "utils",
        "viewer",
        "vision",
        "xpu",
    )
)
_ELSEWHERE = {
    "save": "serialization",
    "load": "serialization",
    "install_as_torch": "alias",
    "uninstall_as_torch": "alias",
    "PyTorchFileReader": "_C",
    "Event": "cpu.streams",
    "Future": "futures",
    "Stream": "cpu.streams",
    "ScriptFunction": "jit",
    "ScriptModule": "jit",
    "SymBool": "_C",
    "SymFloat": "_C",
    "SymInt": "_C",
    "from_dlpack": "utils.dlpack",
    "to_dlpack": "utils.dlpack",
    "thread_safe_generator": "random",
    "vmap": "func",
    **dict.fromkeys(("hspmm", "smm", "sparse_coo_tensor", "sparse_csr_tensor", "spmm", "sspaddmm"), "sparse"),
    **dict.fromkeys(("gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"), "nn.recurrent"),
}
_INSTEAD = {
    **dict.fromkeys(("quantize_per_tensor", "quantize_per_channel"), "floating point: there is no quantisation"),
    "eig": "torch.linalg.eig",
    "jagged": "padded tensors",
    "lstsq": "torch.linalg.lstsq, which takes its arguments in the other order",
    "matrix_rank": "torch.linalg.matrix_rank",
    "monitor": "torchlike_asg.events",
    "mtia": "the device 'wgpu'",
    "nested": "padded tensors, or nn.utils.rnn.pack_sequence",
    "package": "torch.save of the state_dict",
    "solve": "torch.linalg.solve, which takes its arguments in the other order",
    "symeig": "torch.linalg.eigh",
}

__all__ = sorted(
    {name for name in globals() if not name.startswith("_") and name not in ("annotations", "importlib", "math", "Any")}
    | {*_ELSEWHERE, "__version__"}
)


def __getattr__(name: str) -> Any:
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _ELSEWHERE:
        return getattr(importlib.import_module(f"{__name__}.{_ELSEWHERE[name]}"), name)
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name.startswith("_foreach_") and (found := _foreach(name.removeprefix("_foreach_"))) is not None:
        return found
    hint = f"use {_INSTEAD[name]}" if name in _INSTEAD else "docs/porting.md lists what is there and what to use instead"
    raise Unsupported(f"torchlike_asg.{name} is not implemented: {hint}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_SUBMODULES})
