"""Where computations run (base.py says what a backend is), and the switches of PyTorch's libraries: ``torch.backends.cudnn`` and so on."""

from __future__ import annotations

import importlib
from typing import Any

from ..absent import asked
from . import forks  # noqa: F401  (before the compiler is loaded, see there)

_SWITCHES = frozenset("cuda cudnn cusparselt kleidiai mha mkl mkldnn mps nnpack openmp opt_einsum quantized xnnpack".split())

#: how precise float32 products may be: remembered, without effect
fp32_precision = "none"


_absent = asked(__name__)


def __getattr__(name: str) -> Any:
    if name in _SWITCHES or name == "wgpu":
        return importlib.import_module(f"{__name__}.{name}")
    return _absent(name)
