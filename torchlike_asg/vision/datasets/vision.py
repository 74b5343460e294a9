"""What the image data sets share: a root folder, transforms, and how they describe themselves."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ...facade.held import value_of
from ...utils.data import Dataset
from ..pictures import pillow

__all__ = ["SplitDataset", "StandardTransform", "VisionDataset", "as_picture"]

Function = Callable[..., Any]


def as_picture(values: np.ndarray[Any, Any]) -> Any:
    """Bytes (H, W) or (H, W, 3) as a PIL image, or, without Pillow, as they are."""
    try:
        image = pillow("a PIL image")
    except ImportError:
        return values
    return image.fromarray(np.ascontiguousarray(values))


class VisionDataset(Dataset[Any]):
    """Base class: subclasses write ``__getitem__`` and ``__len__``.

    Raises:
        ValueError: both `transforms` (of image and target together) and one of `transform` and `target_transform`.
    """

    _repr_indent = 4

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        transforms: Function | None = None,
        transform: Function | None = None,
        target_transform: Function | None = None,
    ) -> None:
        self.root: Any = os.path.expanduser(root) if isinstance(root, str) else root
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.transform, self.target_transform = transform, target_transform
        if transform is not None or target_transform is not None:
            transforms = StandardTransform(transform, target_transform)
        self.transforms = transforms

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def _transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """The sample after `transform` and `target_transform`, which may be replaced at any time."""
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def extra_repr(self) -> str:
        """One more line, or several, of the repr."""
        return ""

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if self.transforms is not None:
            body += repr(self.transforms).splitlines()
        return "\n".join([f"Dataset {type(self).__name__}", *(" " * self._repr_indent + line for line in body)])


class SplitDataset(VisionDataset):
    """A data set in two halves, read whole from files under its root: `data` holds the images' bytes, `targets` their classes."""

    data: Any
    targets: Any

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Function | None = None,
        target_transform: Function | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        self._open()

    def download(self) -> None:
        """Fetch the files that are not there."""
        raise NotImplementedError

    def _open(self) -> None:
        """Read `data` and `targets` of this half."""
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """(image, class)."""
        row = self.data[index]
        return self._sample(row if isinstance(row, np.ndarray) else value_of(row), int(self.targets[index]))

    def _sample(self, values: np.ndarray[Any, Any], target: int) -> tuple[Any, Any]:
        return self._transformed(as_picture(values), target)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class StandardTransform:
    """A transform of the image and one of the target, as one function of both."""

    def __init__(self, transform: Function | None = None, target_transform: Function | None = None) -> None:
        self.transform, self.target_transform = transform, target_transform

    def __call__(self, image: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            image = self.transform(image)
        return image, target if self.target_transform is None else self.target_transform(target)

    def __repr__(self) -> str:
        body = [type(self).__name__]
        for head, transform in (("Transform: ", self.transform), ("Target transform: ", self.target_transform)):
            if transform is not None:
                first, *rest = repr(transform).splitlines()
                body += [head + first, *(" " * len(head) + line for line in rest)]
        return "\n".join(body)
