"""``torchvision.tv_tensors``, for annotations and `isinstance`, which is false: images, masks and boxes are plain tensors here."""

from __future__ import annotations

import enum
from typing import Any, TypeVar

from ..errors import Absent

__all__ = [
    "BoundingBoxFormat",
    "BoundingBoxes",
    "Image",
    "KeyPoints",
    "Mask",
    "TVTensor",
    "Video",
    "is_rotated_bounding_format",
    "set_return_type",
    "wrap",
]

T = TypeVar("T")


class BoundingBoxFormat(enum.Enum):
    """How the numbers of a box are meant."""

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"
    XYWHR = "XYWHR"
    CXCYWHR = "CXCYWHR"
    XYXYXYXY = "XYXYXYXY"


class TVTensor(Absent, within="torchvision.tv_tensors", instead="use a plain tensor, and torchvision.ops for boxes"):
    """A tensor that says what it shows."""


class Image(TVTensor):
    """A tensor that says that it is an image."""


class Video(TVTensor):
    """A tensor that says that it is a video."""


class Mask(TVTensor):
    """A tensor that says that it is a mask."""


class BoundingBoxes(TVTensor):
    """A tensor that says that it holds boxes."""


class KeyPoints(TVTensor):
    """A tensor that says that it holds points."""


def is_rotated_bounding_format(format: Any) -> bool:
    """Whether boxes of a format may be turned."""
    name = format.value if isinstance(format, BoundingBoxFormat) else format
    return name in ("XYWHR", "CXCYWHR", "XYXYXYXY")


def wrap(wrappee: T, *, like: Any, **kwargs: Any) -> T:
    """The tensor itself: `like` has no kind that it could take over."""
    return wrappee


class set_return_type:
    """Accepted, as a call or in a ``with`` block: results are plain tensors either way."""

    def __init__(self, return_type: str) -> None:
        if return_type.lower() not in ("tensor", "tvtensor"):
            raise ValueError(f"return_type must be 'TVTensor' or 'Tensor', but got {return_type}")

    def __enter__(self) -> None:
        """Nothing begins."""

    def __exit__(self, *error: object) -> None:
        """Nothing ends."""
