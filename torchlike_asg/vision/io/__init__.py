"""``torchvision.io``: image files as tensors (C, H, W) of bytes. Pillow reads them."""

from __future__ import annotations

import io
import os
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

import torchlike_asg as torch

from ...errors import Unsupported
from ...facade.held import value_of
from ..pictures import pillow
from ..transforms.conversion import pil_to_tensor

__all__ = ["ImageReadMode", "decode_image", "read_file", "read_image", "write_file", "write_png"]


class ImageReadMode(Enum):
    """Channels to convert to while reading."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


_MODES = {ImageReadMode.GRAY: "L", ImageReadMode.GRAY_ALPHA: "LA", ImageReadMode.RGB: "RGB", ImageReadMode.RGB_ALPHA: "RGBA"}


def read_file(path: str | os.PathLike[str]) -> torch.Tensor:
    """The bytes of a file, uint8 (N,)."""
    return torch.from_numpy(np.frombuffer(Path(path).read_bytes(), np.uint8).copy())


def write_file(filename: str | os.PathLike[str], data: torch.Tensor) -> None:
    """Write bytes, uint8 (N,), to a file."""
    Path(filename).write_bytes(value_of(data).tobytes())


def read_image(path: str | os.PathLike[str], mode: Any = ImageReadMode.UNCHANGED) -> torch.Tensor:
    """An image file as uint8 (C, H, W)."""
    return _decoded(Path(path).read_bytes(), mode)


def decode_image(input: torch.Tensor | str | os.PathLike[str], mode: Any = ImageReadMode.UNCHANGED) -> torch.Tensor:
    """The bytes of an image file, or the file of that name, as uint8 (C, H, W)."""
    return _decoded(value_of(input).tobytes(), mode) if isinstance(input, torch.Tensor) else read_image(input, mode)


def _decoded(content: bytes, mode: Any) -> torch.Tensor:
    mode = ImageReadMode[mode.upper()] if isinstance(mode, str) else mode
    image = pillow("reading an image file").open(io.BytesIO(content))
    wanted = _MODES.get(mode)
    if wanted is None and image.mode == "P":
        wanted = "RGB"  # a tensor of palette numbers would be no image
    return pil_to_tensor(image if wanted is None else image.convert(wanted))


def write_png(input: torch.Tensor, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Write uint8 (C, H, W), of 1 or 3 channels, to a PNG file. `compression_level` is for the signature: the default is used."""
    from ..utils import png

    values = value_of(input)
    if values.dtype != np.uint8 or values.ndim != 3 or values.shape[0] not in (1, 3):
        raise RuntimeError(f"write_png: expected uint8 of 1 or 3 channels (C, H, W), got {values.dtype} {list(values.shape)}")
    Path(filename).write_bytes(png((np.repeat(values, 3, 0) if len(values) == 1 else values).transpose(1, 2, 0)))


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise Unsupported(f"torchvision.io.{name} is not implemented: {', '.join(__all__)} are")
