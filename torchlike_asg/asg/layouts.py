"""How a result lies in memory where its operation's rule leaves that to its layout."""

from __future__ import annotations

from typing import Any

from .geometry import as_image, channels_last, pointwise_strides, preserved_strides, suggests_channels_last
from .node import Node

#: layouts of results that follow the memory format of images, and for which ranks of them
_IMAGES = {"images": (4, 5), "joined": (4, 5), "planes": (4,), "lines and planes": (3, 4), "lines and images": (3, 4, 5)}


def strides_of(layout: str, shape: Any, srcs: tuple[Node, ...], convolution: bool) -> Any:
    """Strides of a result of some shape in elements; None for row-major order."""
    if layout == "dense":
        return None
    if layout == "preserve":
        return preserved_strides(shape, srcs[0].strides) if tuple(srcs[0].shape) == tuple(shape) else None
    shape = tuple(shape)
    if layout in _IMAGES:
        return _image_strides(layout, shape, srcs, convolution)
    return pointwise_strides(shape, [(tuple(s.shape), s.strides) for s in srcs]) if srcs else None


def _image_strides(layout: str, shape: tuple[int, ...], srcs: tuple[Node, ...], convolution: bool) -> Any:
    """Channels last if the image given lies so (of a convolution, or its weight; of pieces that are joined, all of them)."""
    if len(shape) not in _IMAGES[layout]:
        return None
    given = [as_image(tuple(s.shape), s.strides) for s in (srcs if layout == "joined" else srcs[:2])]
    suggested = [suggests_channels_last(*g) for g in given]
    if convolution:  # lines are made contiguous first
        last = suggested[1] if len(shape) == 3 else any(suggested)
    else:
        last = all(suggested) if layout == "joined" else suggested[0]
    return channels_last(shape) if last else None
