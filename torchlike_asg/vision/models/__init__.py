"""``torchvision.models``: classifiers whose weights, names and initial values are torchvision's.

``weights=`` takes a file's name, or the names of torchvision's files (see `weights.py`).
"""

from __future__ import annotations

from typing import Any

from ...errors import Unsupported
from . import alexnet as _alexnet
from . import (
    convnext,
    densenet,
    efficientnet,
    inception,
    mnasnet,
    mobilenetv2,
    mobilenetv3,
    regnet,
    resnet,
    shufflenetv2,
    squeezenet,
    swin_transformer,
    swin_transformer_v2,
    vgg,
    vision_transformer,
)
from . import (
    googlenet as _googlenet,
)
from .convnext import ConvNeXt
from .densenet import DenseNet
from .efficientnet import EfficientNet
from .inception import Inception3, InceptionOutputs
from .mnasnet import MNASNet
from .mobilenetv2 import MobileNetV2
from .mobilenetv3 import MobileNetV3
from .registry import BUILDERS, ENUMERATIONS, get_model, get_model_weights, list_models
from .regnet import RegNet
from .resnet import ResNet
from .shufflenetv2 import ShuffleNetV2
from .squeezenet import SqueezeNet
from .swin_transformer import SwinTransformer
from .vgg import VGG
from .vision_transformer import VisionTransformer
from .weights import Weights, WeightsEnum

AlexNet = _alexnet.AlexNet
GoogLeNet, GoogLeNetOutputs = _googlenet.GoogLeNet, _googlenet.GoogLeNetOutputs
globals().update(BUILDERS)
globals().update(ENUMERATIONS)

__all__ = [
    "AlexNet",
    "ConvNeXt",
    "DenseNet",
    "EfficientNet",
    "GoogLeNet",
    "GoogLeNetOutputs",
    "Inception3",
    "InceptionOutputs",
    "MNASNet",
    "MobileNetV2",
    "MobileNetV3",
    "RegNet",
    "ResNet",
    "ShuffleNetV2",
    "SqueezeNet",
    "SwinTransformer",
    "VGG",
    "VisionTransformer",
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_weights",
    "list_models",
    "convnext",
    "densenet",
    "efficientnet",
    "inception",
    "mnasnet",
    "mobilenetv2",
    "mobilenetv3",
    "regnet",
    "resnet",
    "shufflenetv2",
    "squeezenet",
    "swin_transformer",
    "swin_transformer_v2",
    "vgg",
    "vision_transformer",
    *BUILDERS,
    *ENUMERATIONS,
]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise Unsupported(f"torchvision.models.{name} is not implemented: {', '.join(list_models())} are")
