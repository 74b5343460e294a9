"""Between PIL images, arrays (H, W[, C]) and tensors (C, H, W)."""

from __future__ import annotations

from typing import Any

import numpy as np

import torchlike_asg as torch

from ...dtypes import get_default_dtype
from ...facade.held import value_of
from ...facade.hosted import data
from ..pictures import is_picture, pillow

__all__ = ["pil_to_tensor", "to_pil_image", "to_tensor"]

#: array types of the modes whose pixels are no bytes
_WIDE = {"I": np.int32, "I;16": np.int16, "I;16B": np.int16, "I;16L": np.int16, "F": np.float32}
#: mode of an image of one channel, by type
_PLAIN = {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"}
_BY_CHANNELS = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}


def to_tensor(pic: Any) -> torch.Tensor:
    """An image or an array (H, W) or (H, W, C) as a tensor (C, H, W); uint8 is scaled to [0, 1] in the default dtype.

    Raises:
        TypeError: anything else.
        ValueError: an array of another number of dimensions.
    """
    if is_picture(pic):
        planes = _planes(pic)
        if pic.mode == "1":
            planes = planes * np.uint8(255)
    elif isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        planes = pic[None] if pic.ndim == 2 else pic.transpose(2, 0, 1)
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    if planes.dtype == np.uint8:
        default = get_default_dtype()
        return data(planes.astype(default.compute) / default.compute.type(255), default, torch.device("cpu"))
    return torch.from_numpy(np.ascontiguousarray(planes))


def pil_to_tensor(pic: Any) -> torch.Tensor:
    """An image as a tensor (C, H, W) of its own type, unscaled.

    Raises:
        TypeError: not a PIL image.
    """
    if not is_picture(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return torch.from_numpy(_planes(pic).copy())


def _planes(pic: Any) -> np.ndarray[Any, Any]:
    values = np.array(pic, _WIDE.get(pic.mode), copy=True)
    if values.dtype == np.bool_:
        values = values.astype(np.uint8)
    return values[None] if values.ndim == 2 else np.ascontiguousarray(values.transpose(2, 0, 1))


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W) or (H, W), or an array (H, W[, C]), as a PIL image. A floating-point tensor is scaled from [0, 1] to bytes.

    `mode`: Pillow's name of the colour space, for those that several share a number of channels.

    Raises:
        TypeError: neither, or a type of pixels that images do not have.
        ValueError: another number of dimensions, more than 4 channels, or a mode of another number of channels.
    """
    if isinstance(pic, torch.Tensor):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        values = value_of(pic.detach())
        if pic.ndim == 3 and values.shape[0] > 4:
            raise ValueError(f"pic should not have > 4 channels. Got {values.shape[0]} channels.")
        values = values[:, :, None] if pic.ndim == 2 else values.transpose(1, 2, 0)
        if pic.dtype.is_floating_point and mode != "F":
            values = (values * values.dtype.type(255)).astype(np.uint8)
    elif isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        values = pic[:, :, None] if pic.ndim == 2 else pic
        if values.shape[-1] > 4:
            raise ValueError(f"pic should not have > 4 channels. Got {values.shape[-1]} channels.")
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    channels = values.shape[2]
    if channels == 1:
        values, kind = values[:, :, 0], values.dtype.name
        if mode is not None and mode != _PLAIN.get(kind):
            raise ValueError(f"Incorrect mode ({mode}) supplied for input type {values.dtype}. Should be {_PLAIN.get(kind)}")
        mode = _PLAIN.get(kind)
    else:
        permitted = _BY_CHANNELS[channels]
        if mode is not None and mode not in permitted:
            raise ValueError(f"Only modes {list(permitted)} are supported for {channels}D inputs")
        mode = (mode or permitted[0]) if values.dtype == np.uint8 else None
    if mode is None:
        raise TypeError(f"Input type {values.dtype} is not supported")
    return pillow("ToPILImage").fromarray(np.ascontiguousarray(values), mode) if mode in _CHOSEN else _plain_image(values)


_CHOSEN = frozenset(("YCbCr", "HSV", "CMYK", "RGBX"))  # those that Pillow does not infer from the array


def _plain_image(values: np.ndarray[Any, Any]) -> Any:
    array = values.view(np.uint16) if values.dtype == np.int16 else values
    return pillow("ToPILImage").fromarray(np.ascontiguousarray(array))
