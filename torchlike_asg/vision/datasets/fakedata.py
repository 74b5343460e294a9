"""Random images and classes, for trying a program without data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torchlike_asg as torch

from ..transforms import functional as F
from .vision import VisionDataset

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """`size` images of normal noise, each the same whenever it is asked for (its index plus `random_offset` is the seed), as PIL images.

    The default generator is left as it was.
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, ...] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[..., Any] | None = None,
        target_transform: Callable[..., Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size, self.num_classes, self.image_size, self.random_offset = size, num_classes, image_size, random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """(image, class).

        Raises:
            IndexError: `index` is not below `size`.
        """
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        state = torch.get_rng_state()
        torch.manual_seed(index + self.random_offset)
        image = torch.randn(*self.image_size)
        target = torch.randint(0, self.num_classes, size=(1,), dtype=torch.long)[0]
        torch.set_rng_state(state)
        return self._transformed(F.to_pil_image(image), target.item() if self.target_transform is None else target)

    def __len__(self) -> int:
        return self.size
