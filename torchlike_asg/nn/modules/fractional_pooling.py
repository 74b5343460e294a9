"""Max pooling of windows at pseudo-random places, down to any size below the input's (Graham, 2014, "Fractional Max-Pooling")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .. import functional as F
from .module import Module
from .utils import _pair, _triple

__all__ = ["FractionalMaxPool2d", "FractionalMaxPool3d"]


class _FractionalMaxPoolNd(Module):
    _spread: Callable[[Any], tuple[Any, ...]]

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ) -> None:
        super().__init__()
        name, spread = type(self).__name__, type(self)._spread
        if output_size is None and output_ratio is None:
            raise ValueError(f"{name} requires specifying either an output size, or a pooling ratio")
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        self.kernel_size = spread(kernel_size)
        if len(self.kernel_size) == 3 and not all(k > 0 for k in self.kernel_size):
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")
        self.output_size = None if output_size is None else spread(output_size)
        self.output_ratio = None if output_ratio is None else spread(output_ratio)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def _pool(self, function: Any, input: Any) -> Any:
        samples = self._random_samples
        return function(input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, _random_samples=samples)


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Maxima of windows of images (N, C, H, W) or (C, H, W), at places drawn anew in every call.

    Exactly one of `output_size` and `output_ratio` (of the input's size, between 0 and 1) is given. The windows, of `kernel_size`, may
    overlap.
    With `return_indices` also the flat position of each maximum, as MaxUnpool2d takes it.
    """

    _spread = staticmethod(_pair)

    def forward(self, input: Any) -> Any:
        return self._pool(F.fractional_max_pool2d, input)


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Maxima of windows of volumes (N, C, D, H, W) or (C, D, H, W); see FractionalMaxPool2d."""

    _spread = staticmethod(_triple)

    def forward(self, input: Any) -> Any:
        return self._pool(F.fractional_max_pool3d, input)
