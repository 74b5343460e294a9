"""Scalers: statistics fitted on training data, then applied to any data, and undone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from ..facade.core import Tensor
from ..facade.held import value_of
from .base import Array, Transform, floating

__all__ = ["MinMaxScaler", "StandardScaler"]


class _Scaler(Transform):
    """``x * scale + shift`` per feature (the last axis), or over all elements with `per_feature=False`.

    :meth:`fit` learns from training data (:meth:`partial_fit` adds more); :meth:`transform`, or a call, applies;
    :meth:`inverse_transform` undoes. Floating-point data keep their dtype, integers become the default dtype. Transforming before
    fitting raises RuntimeError.
    """

    _fitted: tuple[str, ...]  # attributes that make up the learned state

    def __init__(self, per_feature: bool = True) -> None:
        self.per_feature = per_feature
        self.count_ = 0

    def _scale_and_shift(self) -> tuple[Array, Array]:
        raise NotImplementedError

    def _learn(self, rows: Array) -> None:
        raise NotImplementedError

    def fit(self, data: Any) -> Self:
        """Forget what was learned and learn from `data` (samples, ..., features)."""
        self.count_ = 0
        return self.partial_fit(data)

    def partial_fit(self, data: Any) -> Self:
        """Learn from more data, as if all had come at once."""
        values = (value_of(data) if isinstance(data, Tensor) else np.asarray(data)).astype(np.float64)
        rows = values.reshape(-1, values.shape[-1] if self.per_feature and values.ndim else 1)
        if not rows.size:
            raise ValueError(f"{type(self).__name__} cannot be fitted on no data (shape {values.shape})")
        if not np.isfinite(rows).all():
            raise ValueError(f"{type(self).__name__} cannot be fitted on NaN or infinite values")
        if self.count_ and rows.shape[1] != len(getattr(self, self._fitted[0])):
            raise ValueError(f"{type(self).__name__} was fitted on {len(getattr(self, self._fitted[0]))} features, got {rows.shape[1]}")
        self._learn(rows)
        self.count_ += len(rows)
        return self

    def apply(self, values: Array) -> Array:
        scale, shift = self._parameters(values)
        return floating(values) * scale + shift

    def transform(self, data: Any) -> Any:
        """The scaled data."""
        return self(data)

    def fit_transform(self, data: Any) -> Any:
        """:meth:`fit`, then :meth:`transform`, on the same (training) data."""
        return self.fit(data)(data)

    def inverse_transform(self, data: Any) -> Any:
        """The data that :meth:`transform` would turn into these."""
        return _Undo(self)(data)

    def _parameters(self, values: Array) -> tuple[Array, Array]:
        if not self.count_:
            raise RuntimeError(f"this {type(self).__name__} is not fitted: call fit() on the training data first")
        scale, shift = self._scale_and_shift()
        if self.per_feature and (not values.ndim or values.shape[-1] != len(scale)):
            raise ValueError(f"{type(self).__name__} was fitted on {len(scale)} features, got data of shape {values.shape}")
        dtype = floating(values[..., :0] if values.ndim else values).dtype
        return scale.astype(dtype), shift.astype(dtype)

    def state_dict(self) -> dict[str, Any]:
        """What was learned, as lists and numbers."""
        return {name: np.asarray(getattr(self, name)).tolist() for name in ("count_", *self._fitted) if hasattr(self, name)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what :meth:`state_dict` gave."""
        for name, value in state.items():
            if name not in ("count_", *self._fitted):
                raise KeyError(f"{type(self).__name__} has no {name!r}")
            setattr(self, name, value if name == "count_" else np.asarray(value, np.float64))


class _Undo(Transform):
    def __init__(self, scaler: _Scaler) -> None:
        self.scaler = scaler

    def apply(self, values: Array) -> Array:
        scale, shift = self.scaler._parameters(values)
        return (floating(values) - shift) / scale


class MinMaxScaler(_Scaler):
    __doc__ = (
        "Maps the range seen in training to `feature_range`. Values beyond it go beyond, unless `clip`; a constant feature goes to\n"
        "the lower end.\n\n" + (_Scaler.__doc__ or "")
    )
    _fitted = ("data_min_", "data_max_")

    def __init__(self, feature_range: tuple[float, float] = (0.0, 1.0), per_feature: bool = True, clip: bool = False) -> None:
        if not feature_range[0] < feature_range[1]:
            raise ValueError(f"feature_range must be (low, high) with low < high, got {feature_range}")
        self.feature_range, self.clip = feature_range, clip
        super().__init__(per_feature)

    def _learn(self, rows: Array) -> None:
        low, high = rows.min(axis=0), rows.max(axis=0)
        self.data_min_ = np.minimum(self.data_min_, low) if self.count_ else low
        self.data_max_ = np.maximum(self.data_max_, high) if self.count_ else high

    def _scale_and_shift(self) -> tuple[Array, Array]:
        low, high = self.feature_range
        span = self.data_max_ - self.data_min_
        scale = (high - low) / np.where(span == 0, 1.0, span)
        return scale, low - self.data_min_ * scale

    def apply(self, values: Array) -> Array:
        scaled = super().apply(values)
        return np.clip(scaled, *self.feature_range) if self.clip else scaled


class StandardScaler(_Scaler):
    __doc__ = "Subtracts the training mean and divides by the (population) standard deviation, where that is not 0.\n\n" + (
        _Scaler.__doc__ or ""
    )
    _fitted = ("mean_", "var_")

    def __init__(self, with_mean: bool = True, with_std: bool = True, per_feature: bool = True) -> None:
        self.with_mean, self.with_std = with_mean, with_std
        super().__init__(per_feature)

    def _learn(self, rows: Array) -> None:
        mean, variance, count = rows.mean(axis=0), rows.var(axis=0), len(rows)
        if self.count_:  # means and squared deviations of the parts combine (Chan, Golub & LeVeque 1979)
            share = count / (count + self.count_)
            delta = mean - self.mean_
            variance = (1 - share) * self.var_ + share * variance + share * (1 - share) * np.square(delta)
            mean = self.mean_ + share * delta
        self.mean_, self.var_ = mean, variance

    def _scale_and_shift(self) -> tuple[Array, Array]:
        deviation = np.sqrt(self.var_)
        scale = 1 / np.where(deviation == 0, 1.0, deviation) if self.with_std else np.ones_like(self.mean_)
        return scale, -self.mean_ * scale if self.with_mean else np.zeros_like(self.mean_)
