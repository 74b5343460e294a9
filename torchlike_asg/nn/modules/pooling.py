"""Pooling layers: maxima, means and p-norms of windows. Inputs are (N, C, ...) or (C, ...)."""

from __future__ import annotations

from typing import Any

from .. import functional as F
from .module import Module
from .utils import _ntuple

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
]


class _MaxPoolNd(Module):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def _pool(self, function: Any, input: Any) -> Any:
        window = (self.kernel_size, self.stride, self.padding, self.dilation)
        return function(input, *window, ceil_mode=self.ceil_mode, return_indices=self.return_indices)

    def extra_repr(self) -> str:
        window = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, dilation={self.dilation}"
        return f"{window}, ceil_mode={self.ceil_mode}"


class MaxPool1d(_MaxPoolNd):
    """Maxima of windows of (N, C, L) or (C, L), also of integers; padding counts as -infinity, and a NaN wins.

    ``L_out = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride + 1)``, rounded up with `ceil_mode`; `stride` is `kernel_size`
    by default. With `return_indices` also the flat position of each maximum (int64), as MaxUnpool takes it. RuntimeError if no window fits,
    or for padding of more than half a window.
    """

    def forward(self, input: Any) -> Any:
        return self._pool(F.max_pool1d, input)


class MaxPool2d(_MaxPoolNd):
    """Maxima of windows of images (N, C, H, W) or (C, H, W); sizes as for MaxPool1d, per dimension, and an int stands for both."""

    def forward(self, input: Any) -> Any:
        return self._pool(F.max_pool2d, input)


class MaxPool3d(_MaxPoolNd):
    """Maxima of windows of volumes (N, C, D, H, W); sizes as for MaxPool1d."""

    def forward(self, input: Any) -> Any:
        return self._pool(F.max_pool3d, input)


class _MaxUnpoolNd(Module):
    _dims: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        per_dim = _ntuple(self._dims)
        self.kernel_size = per_dim(kernel_size)
        self.stride = per_dim(kernel_size if stride is None else stride)
        self.padding = per_dim(padding)

    def _unpool(self, function: Any, input: Any, indices: Any, output_size: Any) -> Any:
        return function(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Puts maxima (N, C, L) back to the positions MaxPool1d found them at; zeros elsewhere. ``forward(x, indices, output_size=None)``;
    RuntimeError for an index outside of the result.
    """

    _dims = 1

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return self._unpool(F.max_unpool1d, input, indices, output_size)


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts maxima back to the positions MaxPool2d found them at; zeros elsewhere."""

    _dims = 2

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return self._unpool(F.max_unpool2d, input, indices, output_size)


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts maxima back to the positions MaxPool3d found them at; zeros elsewhere."""

    _dims = 3

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        return self._unpool(F.max_unpool3d, input, indices, output_size)


class _AvgPoolNd(Module):
    def __init__(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """Means of windows of (N, C, L) or (C, L).

    ``L_out = floor((L + 2 padding - kernel_size) / stride + 1)``, rounded up with `ceil_mode`; `stride` is `kernel_size` by default.
    Padding is zeros; `count_include_pad` says whether they count in the divisor.
    """

    def __init__(
        self, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False, count_include_pad: bool = True
    ) -> None:
        single = _ntuple(1)
        stride = None if stride is None else single(stride)
        super().__init__(single(kernel_size), stride, single(padding), ceil_mode, count_include_pad)

    def forward(self, input: Any) -> Any:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class _AvgPoolWithDivisor(_AvgPoolNd):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def _pool(self, function: Any, input: Any) -> Any:
        window = (self.kernel_size, self.stride, self.padding)
        return function(input, *window, self.ceil_mode, self.count_include_pad, self.divisor_override)


class AvgPool2d(_AvgPoolWithDivisor):
    """Means of windows of images (N, C, H, W) or (C, H, W), or their sums over `divisor_override`; sizes as for AvgPool1d."""

    def forward(self, input: Any) -> Any:
        return self._pool(F.avg_pool2d, input)


class AvgPool3d(_AvgPoolWithDivisor):
    """Means of windows of volumes (N, C, D, H, W), or their sums over `divisor_override`."""

    def forward(self, input: Any) -> Any:
        return self._pool(F.avg_pool3d, input)


class _LPPoolNd(Module):
    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def _pool(self, function: Any, input: Any) -> Any:
        return function(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        window = f"kernel_size={self.kernel_size}, stride={self.stride}, ceil_mode={self.ceil_mode}"
        return f"norm_type={self.norm_type}, {window}"


class LPPool1d(_LPPoolNd):
    """p-norms, ``(sum x^p)^(1/p)`` with p = `norm_type`, of windows of (N, C, L)."""

    def forward(self, input: Any) -> Any:
        return self._pool(F.lp_pool1d, input)


class LPPool2d(_LPPoolNd):
    """p-norms of windows of images (N, C, H, W)."""

    def forward(self, input: Any) -> Any:
        return self._pool(F.lp_pool2d, input)


class LPPool3d(_LPPoolNd):
    """p-norms of windows of volumes (N, C, D, H, W)."""

    def forward(self, input: Any) -> Any:
        return self._pool(F.lp_pool3d, input)


class _AdaptivePoolNd(Module):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePoolNd):
    """Means of as many windows of (N, C, L) or (C, L) as `output_size` says, whatever L is.

    Window i of n covers the elements floor(i L / n) to ceil((i + 1) L / n), so that neighbours may overlap.
    """

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_AdaptivePoolNd):
    """Means of windows of images (N, C, H, W) or (C, H, W), as many as `output_size` says: an int, or a pair with None for "as the input".
    Windows as for AdaptiveAvgPool1d.
    """

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_AdaptivePoolNd):
    """Means of as many windows as `output_size` (an int, or a triple with None for "as the input") says."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_avg_pool3d(input, self.output_size)


class _AdaptiveMaxPoolNd(_AdaptivePoolNd):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maxima of as many windows as `output_size` says; windows as for AdaptiveAvgPool1d."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Maxima of as many windows as `output_size` (an int, or a pair with None for "as the input") says."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maxima of as many windows as `output_size` (an int, or a triple with None for "as the input") says."""

    def forward(self, input: Any) -> Any:
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)
