"""Transforms of samples: normalisation, scaling, encoding, image augmentation. They take tensors and arrays and run on the host."""

from __future__ import annotations

from .base import Compose, Lambda, Transform
from .images import RandomCrop, RandomHorizontalFlip, RandomRotation90, RandomVerticalFlip, ToTensor
from .scalers import MinMaxScaler, StandardScaler
from .values import Clip, Flatten, Log, Normalize, OneHot, RandomNoise

__all__ = [
    "Clip",
    "Compose",
    "Flatten",
    "Lambda",
    "Log",
    "MinMaxScaler",
    "Normalize",
    "OneHot",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomNoise",
    "RandomRotation90",
    "RandomVerticalFlip",
    "StandardScaler",
    "ToTensor",
    "Transform",
]
