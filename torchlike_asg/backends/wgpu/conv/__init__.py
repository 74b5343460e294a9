"""Convolutions as compute shaders: implicit products of patches and filters (``lowering``, ``loaders``), and those in many small groups
(``depthwise``). Memory with channels last is the fast case; any strides work.
"""

from .lowering import convolve

__all__ = ["convolve"]
