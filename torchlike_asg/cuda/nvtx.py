"""``torch.cuda.nvtx``: marks for NVIDIA's tools, which CUDA makes. Making one raises, as in PyTorch built without CUDA."""

from __future__ import annotations

from typing import Any

__all__ = ["mark", "range", "range_end", "range_pop", "range_push", "range_start"]
_MISSING = "NVTX functions not installed. Are you sure you have a CUDA build? torch.profiler.record_function marks a stretch anywhere."


def _needs_cuda(name: str) -> Any:
    def refuse(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(_MISSING)

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Raises RuntimeError: there is no CUDA here."
    return refuse


mark, range, range_end, range_pop, range_push, range_start = map(_needs_cuda, __all__)
