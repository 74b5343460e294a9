"""The GPU backend: the same graphs as compute shaders (WGSL) on any GPU that wgpu drives: Vulkan, Metal, Direct3D 12."""

from __future__ import annotations
