"""Attention: kernels for `scaled_dot_product_attention` and its gradient that never hold a queries by keys array."""

from . import backward as backward
from . import forward as forward
