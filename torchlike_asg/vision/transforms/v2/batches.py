"""Transforms of whole batches: images mixed with their neighbours, and their labels with them.

MixUp: Zhang et al., 2018; CutMix: Yun et al., 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torchlike_asg as torch

from ...pictures import is_picture
from ..base import Transform, integer

__all__ = ["CutMix", "MixUp"]


def _labels_of(inputs: Any) -> Any:
    """The labels of a batch: of (images, labels) the second, of a dictionary what a key that contains "label" holds."""
    if isinstance(inputs, tuple | list) and len(inputs) == 2 and isinstance(inputs[1], torch.Tensor):
        return inputs[1]
    if isinstance(inputs, tuple | list):
        inputs = next((part for part in inputs if isinstance(part, Mapping)), {})
    if isinstance(inputs, Mapping):
        exact = [key for key in inputs if str(key).lower() == "labels"]
        for key in exact or [key for key in inputs if "label" in str(key).lower()]:
            return inputs[key]
    raise ValueError(
        "no labels found: a sample is (images, labels) or holds a dictionary with a key that contains 'label'; for anything else "
        "pass labels_getter, a function from the sample to its labels"
    )


class _Mixing(Transform):
    """Takes ``(images (N, C, H, W), labels)`` or a structure that holds them; shares are drawn from Beta(`alpha`, `alpha`).

    Labels are class indices (N,), for which `num_classes` is needed, or shares of classes (N, classes).
    """

    def __init__(
        self, *, alpha: float = 1.0, num_classes: int | None = None, labels_getter: Callable[[Any], Any] | str = "default"
    ) -> None:
        super().__init__()
        self.alpha, self.num_classes = float(alpha), num_classes
        self._dist = torch.distributions.Beta(torch.tensor([self.alpha]), torch.tensor([self.alpha]))
        self._labels_getter = labels_getter if callable(labels_getter) else _labels_of

    def forward(self, *inputs: Any) -> Any:
        sample = inputs if len(inputs) > 1 else inputs[0]
        leaves, structure = torch.utils._pytree.tree_flatten(sample)
        if any(map(is_picture, leaves)):
            raise ValueError(
                f"{type(self).__name__} mixes tensors of whole batches, not single PIL images: convert them first (v2.PILToTensor)"
            )
        labels = self._labels_getter(sample)
        self._check(labels)
        images = next(leaf for leaf in leaves if isinstance(leaf, torch.Tensor) and leaf is not labels)
        if images.dim() != 4:
            raise ValueError(f"expected images of shape (N, C, H, W), but got {images.dim()} dimensions: {list(images.shape)}")
        if len(images) != len(labels):
            raise ValueError(f"there must be as many labels as images, but the batch has {len(images)} images and {len(labels)} labels")
        mixed, share = self._mixed(images)
        results = {id(images): mixed, id(labels): self._mixed_labels(labels, share)}
        return torch.utils._pytree.tree_unflatten([results.get(id(leaf), leaf) for leaf in leaves], structure)

    def _check(self, labels: Any) -> None:
        if not isinstance(labels, torch.Tensor):
            raise ValueError(f"labels must be a tensor, not {type(labels).__name__}")
        if labels.dim() not in (1, 2):
            raise ValueError(f"labels must be class indices (N,) or shares of classes (N, num_classes), but got shape {list(labels.shape)}")
        if labels.dim() == 2 and self.num_classes is not None and labels.shape[-1] != self.num_classes:
            raise ValueError(f"labels (N, {labels.shape[-1]}) do not fit num_classes={self.num_classes}, which they make unnecessary")
        if labels.dim() == 1 and self.num_classes is None:
            raise ValueError("labels that are class indices need num_classes")

    def _mixed(self, images: Any) -> tuple[Any, float]:
        """The images mixed, and how much of each is its own."""
        raise NotImplementedError

    def _mixed_labels(self, labels: Any, share: float) -> Any:
        if labels.dim() == 1:
            labels = torch.nn.functional.one_hot(labels, self.num_classes or -1)
        return _blend(labels if labels.dtype.is_floating_point else labels.float(), share)


def _blend(x: Any, share: float) -> Any:
    return x.roll(1, 0).mul_(1.0 - share).add_(x.mul(share))


class MixUp(_Mixing):
    """Each image blended with the one before it in the batch."""

    def _mixed(self, images: Any) -> tuple[Any, float]:
        share = float(self._dist.sample(()))
        return _blend(images, share), share


class CutMix(_Mixing):
    """A rectangle of each image replaced by that of the one before it in the batch."""

    def _mixed(self, images: Any) -> tuple[Any, float]:
        share = float(self._dist.sample(()))
        height, width = images.shape[-2:]
        x, y = integer(0, width), integer(0, height)
        reach = 0.5 * math.sqrt(1.0 - share)
        half_width, half_height = int(reach * width), int(reach * height)
        left, right = max(x - half_width, 0), min(x + half_width, width)
        top, bottom = max(y - half_height, 0), min(y + half_height, height)
        mixed = images.clone()
        mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return mixed, 1.0 - (right - left) * (bottom - top) / (width * height)
