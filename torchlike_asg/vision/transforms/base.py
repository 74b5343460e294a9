"""What the transform classes share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import torchlike_asg as torch

from ...rng import draws

__all__ = ["Chance", "Compose", "Lambda", "Transform", "aspect", "chance", "integer", "interval", "logarithms", "pair", "uniform"]


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


# The parameters of a random transform are drawn from the default generator at once, past the graph: how many draws a sample
# takes depends on what they give, and a pending step must not see that.
def uniform(low: float, high: float) -> float:
    """A random number between the two, drawn as torchvision draws its parameters (``torch.empty(1).uniform_(low, high)``)."""
    return float(draws.uniform(torch.default_generator._engine, (1,), None, torch.get_default_dtype(), low, high)[0])


def chance() -> float:
    """A random number in [0, 1), drawn as torchvision decides whether to apply a transform (``torch.rand(1)``)."""
    return uniform(0.0, 1.0)


def integer(low: int, high: int) -> int:
    """A random integer from `low` up to but not including `high` (``torch.randint(low, high, (1,))``)."""
    return int(draws.randint(torch.default_generator._engine, low, high, (1,), torch.int64)[0])


def aspect(logs: Sequence[float]) -> float:
    """A random ratio of width and height whose logarithm is even between the two, in single precision."""
    return float(np.exp(np.float32(uniform(logs[0], logs[1]))))


def logarithms(ratio: Sequence[float]) -> list[float]:
    """What `aspect` wants of two ratios."""
    return [float(x) for x in np.log(np.asarray(ratio, np.float32))]


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
