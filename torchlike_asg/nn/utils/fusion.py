"""Folding a batch normalisation into the layer before it, for inference."""

from __future__ import annotations

import copy
from typing import Any

import torchlike_asg as torch

from ..parameter import Parameter

__all__ = ["fuse_conv_bn_eval", "fuse_conv_bn_weights", "fuse_linear_bn_eval", "fuse_linear_bn_weights"]


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """A convolution equal to `bn` after `conv`, both in eval mode; `transpose` for transposed convolutions."""
    return _fused(conv, bn, lambda *tensors: fuse_conv_bn_weights(*tensors, transpose))


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """A Linear equal to `bn` after `linear`, both in eval mode."""
    if bn.num_features not in (1, linear.out_features):
        raise AssertionError(
            "To fuse, linear.out_features == bn.num_features or bn.num_features == 1, "
            f"got linear.out_features={linear.out_features} and bn.num_features={bn.num_features}"
        )
    return _fused(linear, bn, fuse_linear_bn_weights)


def _fused(layer: Any, bn: Any, fuse: Any) -> Any:
    if layer.training or bn.training:
        raise AssertionError("Fusion only for eval!")
    if bn.running_mean is None or bn.running_var is None:
        raise AssertionError("bn.running_mean and bn.running_var must not be None")
    fused = copy.deepcopy(layer)
    fused.weight, fused.bias = fuse(layer.weight, layer.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias)
    return fused


def fuse_conv_bn_weights(
    conv_w: Any, conv_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any, transpose: bool = False
) -> tuple[Parameter, Parameter]:
    """The weight and bias of a convolution followed by a batch normalisation with these statistics, weight and bias (or None)."""
    shape = [1] * conv_w.dim()
    shape[1 if transpose else 0] = -1
    return _folded(conv_w, conv_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, shape)


def fuse_linear_bn_weights(
    linear_w: Any, linear_b: Any, bn_rm: Any, bn_rv: Any, bn_eps: float, bn_w: Any, bn_b: Any
) -> tuple[Parameter, Parameter]:
    """The weight and bias of a Linear followed by a batch normalisation with these statistics, weight and bias (or None)."""
    return _folded(linear_w, linear_b, bn_rm, bn_rv, bn_eps, bn_w, bn_b, [-1, 1])


def _folded(
    weight: Any, bias: Any, mean: Any, variance: Any, eps: float, bn_weight: Any, bn_bias: Any, shape: list[int]
) -> tuple[Parameter, Parameter]:
    with torch.no_grad():
        scale = (variance + eps).rsqrt()
        scale = scale if bn_weight is None else scale * bn_weight
        shifted = (-mean if bias is None else bias - mean) * scale
        shifted = shifted if bn_bias is None else shifted + bn_bias
        fused_weight = (weight * scale.reshape(shape)).to(weight.dtype)
        fused_bias = shifted.to(weight.dtype if bias is None else bias.dtype)
    return Parameter(fused_weight, weight.requires_grad), Parameter(fused_bias, bias is not None and bias.requires_grad)
