"""Operations whose result lies in memory as PyTorch's kernels leave it: channels last where the image they are given lies so."""

from __future__ import annotations

from ..asg.declare import REGISTRY
from . import arrange, conv, join, moments, moving, norm, padding, pooling, resize, sort, window  # noqa: F401  (they declare what is named here)

#: results follow the operands' memory format, as ``suggest_memory_format`` reads it
_IMAGES = """
    max_pool max_pool_index batch_norm batch_norm_eval group_norm interpolate pad_constant pad_mirror roll rms_norm
    pad_at mirror_at roll_at
"""
#: results keep the order of the dimensions in memory
_PRESERVED = "flip argsort unstable_order"

for _name in _IMAGES.split():
    REGISTRY[_name].layout = "images"
for _name in ("conv", "adaptive_avg_pool"):
    REGISTRY[_name].layout = "lines and images"
for _name in ("avg_pool", "adaptive_max_pool", "adaptive_max_pool_index", "conv_transpose"):
    REGISTRY[_name].layout = "lines and planes"
REGISTRY["max_unpool"].layout = "planes"  # images of two dimensions alone
REGISTRY["cat"].layout = "joined"
for _name in _PRESERVED.split():
    REGISTRY[_name].layout = "preserve"
