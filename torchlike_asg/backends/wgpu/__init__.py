"""The GPU backend: the same graphs as compute shaders (WGSL) on any GPU that wgpu drives: Vulkan, Metal, Direct3D 12.

``adapters()`` lists what there is; ``is_available()`` never raises; ``use_for_cuda()`` lets scripts that say "cuda" run here.
"""

from __future__ import annotations

from ... import devices
from .adapter import Adapter, is_available
from .adapter import adapters as _adapters

__all__ = ["Adapter", "adapters", "is_available", "use_for_cuda"]


def use_for_cuda(on: bool = True) -> None:
    """Have the device ``"cuda"`` mean ``"wgpu"`` from now on, and `torch.cuda` say that it is available where a GPU is, for scripts that
    are not to be changed; the environment variable ``TORCHLIKE_ASG_CUDA=wgpu`` does the same.
    """
    devices.cuda_means_wgpu[0] = on


def adapters() -> list[Adapter]:
    """All adapters of this machine, the strongest first, software adapters last. ``device="wgpu:1"`` is the second GPU of the list."""
    return _adapters()
