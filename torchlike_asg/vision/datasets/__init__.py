"""``torchvision.datasets``: the small sets that tutorials train on, read from files on disk and checked, and folders of images.

Samples come as PIL images where Pillow is installed, and as arrays (H, W[, C]) of bytes where it is not: `ToTensor` takes both.
"""

from __future__ import annotations

from typing import Any

from ...errors import Unsupported
from .cifar import CIFAR10, CIFAR100
from .emnist import EMNIST
from .fakedata import FakeData
from .folder import DatasetFolder, ImageFolder
from .mnist import KMNIST, MNIST, FashionMNIST
from .stl10 import STL10
from .svhn import SVHN
from .vision import StandardTransform, VisionDataset

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "EMNIST",
    "KMNIST",
    "MNIST",
    "STL10",
    "SVHN",
    "DatasetFolder",
    "FakeData",
    "FashionMNIST",
    "ImageFolder",
    "StandardTransform",
    "VisionDataset",
]


def __getattr__(name: str) -> Any:
    if name[:1].isupper():
        raise Unsupported(
            f"torchvision.datasets.{name} is not implemented: {', '.join(__all__)} are; ImageFolder and DatasetFolder read what others "
            "unpack to"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
