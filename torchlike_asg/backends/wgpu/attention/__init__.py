"""Scaled dot-product attention and its gradients as compute shaders.

``composite``  scores in memory, for few of them;  ``flash``  without, block by block;  ``lowering`` which of both
"""

from . import lowering

__all__ = ["lowering"]
