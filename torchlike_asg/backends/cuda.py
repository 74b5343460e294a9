"""``torch.backends.cuda``: switches that scripts set, remembered and without effect, since there is no CUDA here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from .. import notices
from ..absent import asked

#: ``torch.backends.cuda.matmul.allow_tf32 = True``
matmul = SimpleNamespace(
    allow_tf32=False,
    allow_fp16_reduced_precision_reduction=True,
    allow_bf16_reduced_precision_reduction=True,
    allow_fp16_accumulation=False,
    fp32_precision="none",
)
cufft_plan_cache = SimpleNamespace(size=0, max_size=0, clear=lambda: None)

_kernels = {"flash": True, "mem_efficient": True, "math": True, "cudnn": True}
_library: dict[str, Any] = {"linalg": "default", "blas": "default"}


def is_built() -> bool:
    """False."""
    return False


def flash_sdp_enabled() -> bool:
    """What `enable_flash_sdp` was given."""
    return _kernels["flash"]


def mem_efficient_sdp_enabled() -> bool:
    """What `enable_mem_efficient_sdp` was given."""
    return _kernels["mem_efficient"]


def math_sdp_enabled() -> bool:
    """What `enable_math_sdp` was given."""
    return _kernels["math"]


def cudnn_sdp_enabled() -> bool:
    """What `enable_cudnn_sdp` was given."""
    return _kernels["cudnn"]


def enable_flash_sdp(enabled: bool) -> None:
    """Accepted and remembered; attention here has one implementation."""
    _kernels["flash"] = bool(enabled)


def enable_mem_efficient_sdp(enabled: bool) -> None:
    """Accepted and remembered; attention here has one implementation."""
    _kernels["mem_efficient"] = bool(enabled)


def enable_math_sdp(enabled: bool) -> None:
    """Accepted and remembered; attention here has one implementation."""
    _kernels["math"] = bool(enabled)


def enable_cudnn_sdp(enabled: bool) -> None:
    """Accepted and remembered; attention here has one implementation."""
    _kernels["cudnn"] = bool(enabled)


@contextmanager
def sdp_kernel(
    enable_flash: bool = True, enable_math: bool = True, enable_mem_efficient: bool = True, enable_cudnn: bool = True
) -> Iterator[None]:
    """Set the attention switches inside a ``with`` block."""
    notices.deprecated(
        "`torch.backends.cuda.sdp_kernel()` is deprecated. In the future, this context manager will be removed. "
        "`torch.nn.attention.sdpa_kernel()` is the new one, with another signature.",
        stacklevel=5,
    )
    before = dict(_kernels)
    _kernels.update(flash=enable_flash, math=enable_math, mem_efficient=enable_mem_efficient, cudnn=enable_cudnn)
    try:
        yield
    finally:
        _kernels.update(before)


def preferred_linalg_library(backend: str | None = None) -> str:
    """The library asked for, after setting it if one is given."""
    if backend is not None:
        _library["linalg"] = backend
    return str(_library["linalg"])


def preferred_blas_library(backend: str | None = None) -> str:
    """The library asked for, after setting it if one is given."""
    if backend is not None:
        _library["blas"] = backend
    return str(_library["blas"])


__getattr__ = asked(__name__)
