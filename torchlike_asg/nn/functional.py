"""torch.nn.functional: the functions behind the layers.

They live in facade/functions, by family. Names of PyTorch's that are not supported raise `Unsupported` when they are looked up.
"""

from __future__ import annotations

import importlib
from typing import Any

from ..errors import Unsupported
from ..facade.functions.activation import (
    celu,
    celu_,
    elu,
    elu_,
    gelu,
    glu,
    hardsigmoid,
    hardswish,
    hardtanh,
    hardtanh_,
    leaky_relu,
    leaky_relu_,
    logsigmoid,
    mish,
    prelu,
    relu,
    relu6,
    relu_,
    rrelu,
    rrelu_,
    selu,
    selu_,
    sigmoid,
    silu,
    softplus,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
    threshold_,
)
from ..facade.functions.adaptive_pooling import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool1d_with_indices,
    adaptive_max_pool2d,
    adaptive_max_pool2d_with_indices,
    adaptive_max_pool3d,
    adaptive_max_pool3d_with_indices,
    fractional_max_pool2d,
    fractional_max_pool2d_with_indices,
    fractional_max_pool3d,
    fractional_max_pool3d_with_indices,
)
from ..facade.functions.attention import scaled_dot_product_attention
from ..facade.functions.conv import conv1d, conv2d, conv3d, conv_tbc, conv_transpose1d, conv_transpose2d, conv_transpose3d
from ..facade.functions.cross_entropy import cross_entropy, linear_cross_entropy, nll_loss
from ..facade.functions.ctc import ctc_loss
from ..facade.functions.dropout import alpha_dropout, dropout, dropout1d, dropout2d, dropout3d, feature_alpha_dropout
from ..facade.functions.embedding import embedding, one_hot
from ..facade.functions.embedding_bag import embedding_bag
from ..facade.functions.fold import channel_shuffle, fold, native_channel_shuffle, pixel_shuffle, pixel_unshuffle, unfold
from ..facade.functions.grouped import grouped_mm
from ..facade.functions.linalg import linear
from ..facade.functions.loss import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    gaussian_nll_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    poisson_nll_loss,
    smooth_l1_loss,
)
from ..facade.functions.margin_loss import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    soft_margin_loss,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)
from ..facade.functions.norm import batch_norm, group_norm, instance_norm, layer_norm, local_response_norm, rms_norm
from ..facade.functions.padding import pad
from ..facade.functions.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool1d_with_indices,
    max_pool2d,
    max_pool2d_with_indices,
    max_pool3d,
    max_pool3d_with_indices,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from ..facade.functions.resize import (
    GRID_SAMPLE_INTERPOLATION_MODES,
    GRID_SAMPLE_PADDING_MODES,
    affine_grid,
    grid_sample,
    interpolate,
    upsample,
    upsample_bilinear,
    upsample_nearest,
)
from ..facade.functions.similarity import bilinear, cosine_similarity, normalize, pairwise_distance, pdist
from ..facade.functions.softmax import gumbel_softmax, log_softmax, softmax, softmin
from ..facade.register import FUNCTIONS as _FUNCTIONS
from .modules._attention_functional import multi_head_attention_forward

hardshrink = _FUNCTIONS["hardshrink"]  # as in the namespace, with an ``out=``

_UNSUPPORTED = {
    **dict.fromkeys(("BroadcastingList1", "BroadcastingList2", "BroadcastingList3"), "annotate with int or tuple[int, ...]"),
    "assert_int_or_pair": "check the argument with isinstance",
    "boolean_dispatch": "call one function or the other",
    "scaled_mm": "scale the operands and use torch.mm",
    "scaled_grouped_mm": "scale the operands and use torch.mm for each group",
    "ScalingType": "8-bit floating-point types are not supported",
    "SwizzleType": "8-bit floating-point types are not supported",
}

__all__ = [
    "GRID_SAMPLE_INTERPOLATION_MODES",
    "GRID_SAMPLE_PADDING_MODES",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool1d_with_indices",
    "adaptive_max_pool2d",
    "adaptive_max_pool2d_with_indices",
    "adaptive_max_pool3d",
    "adaptive_max_pool3d_with_indices",
    "affine_grid",
    "alpha_dropout",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "bilinear",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "celu",
    "celu_",
    "channel_shuffle",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_tbc",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cosine_embedding_loss",
    "cosine_similarity",
    "cross_entropy",
    "ctc_loss",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "elu",
    "elu_",
    "embedding",
    "embedding_bag",
    "feature_alpha_dropout",
    "fold",
    "fractional_max_pool2d",
    "fractional_max_pool2d_with_indices",
    "fractional_max_pool3d",
    "fractional_max_pool3d_with_indices",
    "gaussian_nll_loss",
    "gelu",
    "glu",
    "grid_sample",
    "group_norm",
    "grouped_mm",
    "gumbel_softmax",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "hardtanh_",
    "hinge_embedding_loss",
    "huber_loss",
    "instance_norm",
    "interpolate",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "leaky_relu_",
    "linear",
    "linear_cross_entropy",
    "local_response_norm",
    "log_softmax",
    "logsigmoid",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "margin_ranking_loss",
    "max_pool1d",
    "max_pool1d_with_indices",
    "max_pool2d",
    "max_pool2d_with_indices",
    "max_pool3d",
    "max_pool3d_with_indices",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "mish",
    "mse_loss",
    "multi_head_attention_forward",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "native_channel_shuffle",
    "nll_loss",
    "normalize",
    "one_hot",
    "pad",
    "pairwise_distance",
    "pdist",
    "pixel_shuffle",
    "pixel_unshuffle",
    "poisson_nll_loss",
    "prelu",
    "relu",
    "relu6",
    "relu_",
    "rms_norm",
    "rrelu",
    "rrelu_",
    "scaled_dot_product_attention",
    "selu",
    "selu_",
    "sigmoid",
    "silu",
    "smooth_l1_loss",
    "soft_margin_loss",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
    "threshold_",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
    "unfold",
    "upsample",
    "upsample_bilinear",
    "upsample_nearest",
]


#: names of PyTorch's that layers of others, written after PyTorch's own, take from here -> where they are
_PRIVATE = {
    "_canonical_mask": "nn.modules._attention_functional:private_mask",
    "_get_softmax_dim": "facade.functions.softmax:implicit_dim",
    "_in_projection": "nn.modules._attention_functional:in_projection",
    "_in_projection_packed": "nn.modules._attention_functional:in_projection_packed",
    "_none_or_dtype": "nn.modules._attention_functional:none_or_dtype",
    "_pair": "nn.modules.utils:_pair",
    "_Reduction": "nn._reduction",
    "_single": "nn.modules.utils:_single",
    "_triple": "nn.modules.utils:_triple",
    "_VF": "_VF",
    "grad": "nn.grad",
    "handle_torch_function": "overrides:handle_torch_function",
    "has_torch_function": "overrides:has_torch_function",
    "has_torch_function_unary": "overrides:has_torch_function_unary",
    "has_torch_function_variadic": "overrides:has_torch_function_variadic",
    "Tensor": "facade.core:Tensor",
}


def __getattr__(name: str) -> Any:
    if name in _PRIVATE:
        module, _, found = _PRIVATE[name].partition(":")
        home = importlib.import_module(f"{__name__.partition('.')[0]}.{module}")
        return getattr(home, found) if found else home
    if name in _UNSUPPORTED:
        raise Unsupported(f"torch.nn.functional.{name} is not supported: {_UNSUPPORTED[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
