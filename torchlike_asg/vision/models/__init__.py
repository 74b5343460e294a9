"""``torchvision.models``: classifiers whose weights, names and initial values are torchvision's.

``weights=`` takes a file's name, or the names of torchvision's files (see `weights.py`).
"""

from __future__ import annotations

from typing import Any

from ...errors import Unsupported
from . import alexnet as _alexnet
from . import densenet, efficientnet, inception, mobilenetv2, resnet, squeezenet, vgg, vision_transformer
from .densenet import DenseNet
from .efficientnet import EfficientNet
from .inception import Inception3, InceptionOutputs
from .mobilenetv2 import MobileNetV2
from .registry import BUILDERS, ENUMERATIONS, get_model, get_model_weights, list_models
from .resnet import ResNet
from .squeezenet import SqueezeNet
from .vgg import VGG
from .vision_transformer import VisionTransformer
from .weights import Weights, WeightsEnum

AlexNet = _alexnet.AlexNet
globals().update(BUILDERS)
globals().update(ENUMERATIONS)

__all__ = [
    "AlexNet",
    "DenseNet",
    "EfficientNet",
    "Inception3",
    "InceptionOutputs",
    "MobileNetV2",
    "ResNet",
    "SqueezeNet",
    "VGG",
    "VisionTransformer",
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_weights",
    "list_models",
    "densenet",
    "efficientnet",
    "inception",
    "mobilenetv2",
    "resnet",
    "squeezenet",
    "vgg",
    "vision_transformer",
    *BUILDERS,
    *ENUMERATIONS,
]


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise Unsupported(f"torchvision.models.{name} is not implemented: {', '.join(list_models())} are")
