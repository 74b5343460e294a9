"""What the transform classes share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torchlike_asg as torch

__all__ = ["Chance", "Compose", "Lambda", "Transform", "chance", "interval", "pair", "uniform"]


class Transform(torch.nn.Module):
    """A module without parameters that runs at once: calling it does not count as running a model."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.forward(*args, **kwargs)


class Chance(Transform):
    """Applied with probability `p`: subclasses write ``changed(img)``. `_detail` names a setting that the repr shows too."""

    _detail: str | None = None

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def changed(self, img: Any) -> Any:
        raise NotImplementedError

    def forward(self, img: Any) -> Any:
        return self.changed(img) if chance() < self.p else img

    def __repr__(self) -> str:
        detail = f"{self._detail}={getattr(self, self._detail)}," if self._detail else ""
        return f"{type(self).__name__}({detail}p={self.p})"


class Compose:
    """Transforms one after another; each may be any callable."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return type(self).__name__ + "(" + "".join(f"\n    {transform}" for transform in self.transforms) + "\n)"


class Lambda:
    """A function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def uniform(low: float, high: float) -> float:
    """A random number between the two, drawn as torchvision draws its parameters (one float32 from the default generator)."""
    return float(torch.empty(1).uniform_(low, high).item())


def chance() -> float:
    """A random number in [0, 1), drawn as torchvision decides whether to apply a transform."""
    return float(torch.rand(1).item())


def pair(size: int | Sequence[int], message: str = "Please provide only two dimensions (h, w) for size.") -> tuple[int, int]:
    """(height, width) of one number or two."""
    if isinstance(size, int):
        return size, size
    sizes = tuple(size) * (2 if len(size) == 1 else 1)
    if len(sizes) != 2:
        raise ValueError(message)
    return int(sizes[0]), int(sizes[1])


def interval(value: Any, name: str) -> list[float]:
    """[low, high] in degrees: of one number, minus it to it.

    Raises:
        ValueError: one negative number, or another number of them than two.
    """
    if isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [-float(value), float(value)]
    if len(value) != 2:
        raise ValueError(f"{name} should be a sequence of length 2.")
    return [float(v) for v in value]
