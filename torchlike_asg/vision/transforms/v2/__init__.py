"""``torchvision.transforms.v2``, as far as classification needs it: the same transforms for samples of any structure.

A sample may be an image, several arguments, or a tuple, list or dictionary that holds images and other things, which pass through.
PIL images are images; where there are none, the first tensor is. Several images of a sample get the same random numbers. Images are
plain tensors here: there are no boxes or masks that a transform would move along (the transforms of boxes can be imported, and raise when
they are made). Bytes are resampled as in version 1, which may differ from version 2 by one level.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torchlike_asg as torch

from ....errors import Absent, Unsupported
from ...pictures import is_picture, is_tensor_image
from .. import transforms
from ..base import Transform, chance
from . import functional
from .batches import CutMix, MixUp

InterpolationMode, AutoAugmentPolicy = transforms.InterpolationMode, transforms.AutoAugmentPolicy
_SAME = (
    "CenterCrop ColorJitter ConvertImageDtype ElasticTransform FiveCrop GaussianBlur Grayscale LinearTransformation Normalize "
    "PILToTensor Pad RandomAdjustSharpness RandomAffine RandomAutocontrast RandomCrop RandomEqualize RandomErasing RandomGrayscale "
    "RandomHorizontalFlip RandomInvert RandomPerspective RandomPosterize RandomResizedCrop RandomRotation RandomSolarize "
    "RandomVerticalFlip Resize TenCrop ToPILImage ToTensor"
).split()
_AUGMENT = ["AugMix", "AutoAugment", "RandAugment", "TrivialAugmentWide"]

__all__ = [
    "AutoAugmentPolicy",
    "Compose",
    "CutMix",
    "Identity",
    "InterpolationMode",
    "Lambda",
    "MixUp",
    "RGB",
    "RandomApply",
    "RandomChoice",
    "RandomOrder",
    "ToDtype",
    "ToImage",
    "ToPureTensor",
    "Transform",
    "functional",
    *_SAME,
    *_AUGMENT,
]


def apply(change: Callable[[Any], Any], inputs: tuple[Any, ...]) -> Any:
    """The inputs (one of them: itself) with `change` applied to their images."""
    sample = inputs if len(inputs) > 1 else inputs[0]
    images = [leaf for leaf in _leaves(sample) if is_picture(leaf) or _is_array(leaf)]
    if not images:
        images = [leaf for leaf in _leaves(sample) if isinstance(leaf, torch.Tensor)][:1]
    if not images:
        raise TypeError("expected a tensor or a PIL image in the sample, got neither")
    chosen = {id(image) for image in images}
    state = torch.get_rng_state() if len(images) > 1 else None

    def replace(leaf: Any) -> Any:
        if id(leaf) not in chosen:
            return leaf
        if state is not None:
            torch.set_rng_state(state)
        return change(leaf)

    return _mapped(sample, replace)


def _is_array(leaf: Any) -> bool:
    return hasattr(leaf, "__array_interface__") and getattr(leaf, "ndim", 0) >= 2


def _leaves(sample: Any) -> list[Any]:
    if isinstance(sample, Mapping):
        return [leaf for value in sample.values() for leaf in _leaves(value)]
    if isinstance(sample, list | tuple):
        return [leaf for value in sample for leaf in _leaves(value)]
    return [sample]


def _mapped(sample: Any, replace: Callable[[Any], Any]) -> Any:
    if isinstance(sample, Mapping):
        return type(sample)({key: _mapped(value, replace) for key, value in sample.items()})  # type: ignore[call-arg]
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return type(sample)(*(_mapped(value, replace) for value in sample))
    if isinstance(sample, list | tuple):
        return type(sample)(_mapped(value, replace) for value in sample)
    return replace(sample)


#: transform -> the kind of image that it lets pass
_PASSED: dict[str, Callable[[Any], bool]] = {"ConvertImageDtype": is_picture, **dict.fromkeys(("PILToTensor", "ToTensor"), is_tensor_image)}


def _structured(cls: Any) -> Any:
    """The transform of an image as one of samples."""
    single = cls.forward if hasattr(cls, "forward") else cls.__call__
    passed = _PASSED.get(cls.__name__, lambda image: False)

    def change(self: Any, image: Any) -> Any:
        if passed(image):
            return image
        if cls is transforms.RandomErasing and is_picture(image):
            return functional.to_pil_image(single(self, functional.pil_to_tensor(image)), mode=image.mode)
        return single(self, image)

    def forward(self: Any, *inputs: Any) -> Any:
        return apply(lambda image: change(self, image), inputs)

    name = "forward" if hasattr(cls, "forward") else "__call__"
    return type(cls.__name__, (cls,), {name: forward, "__doc__": cls.__doc__, "__module__": __name__})


for _name in (*_SAME, *_AUGMENT):
    globals()[_name] = _structured(getattr(transforms, _name))
for _name in _AUGMENT:
    globals()[_name]._second = True


class RGB(Transform):
    """`functional.grayscale_to_rgb` of images."""

    def forward(self, *inputs: Any) -> Any:
        return apply(functional.grayscale_to_rgb, inputs)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToImage(Transform):
    """A PIL image, or an array (H, W[, C]), as a tensor (C, H, W) of its own type; tensors stay."""

    def forward(self, *inputs: Any) -> Any:
        return apply(functional.to_image, inputs)

    def __repr__(self) -> str:
        return "ToImage()"


class ToDtype(Transform):
    """Images in another type; with `scale` their values fill its range, as `ConvertImageDtype` does."""

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        super().__init__()
        if not isinstance(dtype, torch.dtype):
            raise ValueError(f"dtype must be a torch.dtype: types by kind of data are not supported, got {type(dtype)}")
        self.dtype, self.scale = dtype, scale

    def forward(self, *inputs: Any) -> Any:
        return apply(lambda image: functional.to_dtype(image, self.dtype, self.scale), inputs)

    def __repr__(self) -> str:
        return f"ToDtype(scale={self.scale})"


class Identity(Transform):
    """Nothing is changed."""

    def forward(self, *inputs: Any) -> Any:
        return inputs if len(inputs) > 1 else inputs[0]

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToPureTensor(Identity):
    """Tensors without a kind: all of them are that here."""


class Lambda(Transform):
    """A function of everything of the given `types` in a sample, by default of everything."""

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        self.lambd, self.types = lambd, types or (object,)

    def forward(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        return _mapped(sample, lambda leaf: self.lambd(leaf) if isinstance(leaf, self.types) else leaf)


class _Several(Transform):
    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        super().__init__()
        if not isinstance(transforms, Sequence):
            raise TypeError("Argument transforms should be a sequence of callables")
        self.transforms = transforms

    def _in_turn(self, order: Sequence[int], inputs: tuple[Any, ...]) -> Any:
        outputs = inputs if len(inputs) > 1 else inputs[0]
        for i in order:
            outputs = self.transforms[i](*inputs)
            inputs = outputs if len(inputs) > 1 else (outputs,)
        return outputs

    def __repr__(self) -> str:
        return f"{type(self).__name__}(" + "".join(f"\n      {transform}" for transform in self.transforms) + "\n)"


class Compose(_Several):
    """Transforms one after another."""

    def forward(self, *inputs: Any) -> Any:
        if not self.transforms:
            raise ValueError("Pass at least one transform")
        return self._in_turn(range(len(self.transforms)), inputs)


class RandomApply(_Several):
    """All transforms with probability `p`, or none."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = p

    def forward(self, *inputs: Any) -> Any:
        return self._in_turn(() if chance() >= self.p else range(len(self.transforms)), inputs)


class RandomChoice(_Several):
    """One of the transforms, with chances `p`."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        shares = [1.0] * len(transforms) if p is None else list(p)
        if len(shares) != len(transforms):
            raise ValueError(f"Length of p doesn't match the number of transforms: {len(shares)} != {len(transforms)}")
        self.p = [share / sum(shares) for share in shares]

    def forward(self, *inputs: Any) -> Any:
        return self._in_turn([int(torch.multinomial(torch.tensor(self.p), 1))], inputs)


class RandomOrder(_Several):
    """All transforms, in random order."""

    def forward(self, *inputs: Any) -> Any:
        return self._in_turn(torch.randperm(len(self.transforms)).tolist(), inputs)


#: torchvision's transforms of boxes, masks and videos
_ABSENT = frozenset(
    "ClampBoundingBoxes ClampKeyPoints ConvertBoundingBoxFormat JPEG RandomIoUCrop RandomResize RandomShortestSize RandomZoomOut "
    "SanitizeBoundingBoxes SanitizeKeyPoints ScaleJitter UniformTemporalSubsample".split()
)


@functools.cache
def _absent(name: str) -> Any:
    return type(name, (Absent,), {"__doc__": "Not supported."}, within="torchvision.transforms.v2", instead="use transforms of images")


def __getattr__(name: str) -> Any:
    if name in _ABSENT:
        return _absent(name)
    if name[:1].isupper():
        raise Unsupported(f"torchvision.transforms.v2.{name} is not implemented: {', '.join(n for n in __all__ if n[0].isupper())} are")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
