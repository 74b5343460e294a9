"""What an optimizer remembers of one parameter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .. import dtypes
from ..facade.functions.creation import tensor

__all__ = ["Clock", "ParamState", "scalar_dtype", "scalar_tensor"]


def scalar_dtype() -> Any:
    """The type of counts and coefficients in a state: float64 where that is the default type, else float32."""
    return dtypes.float64 if dtypes.get_default_dtype() is dtypes.float64 else dtypes.float32


def scalar_tensor(value: float) -> Any:
    """A count or coefficient as a state holds it."""
    return tensor(value, dtype=scalar_dtype())


class Clock(dict):  # type: ignore[type-arg]
    """The numbers of a state that depend on the count of steps and not on data: ``{"step": 3.0}``.

    One object serves all parameters that step together, so that advancing it costs nothing per parameter.
    """

    #: whether who looks sees a Python number instead of a tensor
    whole = False


class ParamState(dict):  # type: ignore[type-arg]
    """The state of one parameter, by PyTorch's names.

    The step count is a 0-d tensor (an integer in SparseAdam), as in PyTorch, from the moment somebody looks; until then the entry is the
    `Clock` it is kept on.
    """

    def __getitem__(self, key: Any) -> Any:
        value = dict.__getitem__(self, key)
        if value.__class__ is Clock:
            value = int(value[key]) if value.whole else scalar_tensor(value[key])
            dict.__setitem__(self, key, value)
        return value

    def number(self, key: str, default: float) -> float:
        """A step count or coefficient as a number."""
        value = dict.get(self, key)
        if value is None:
            return default
        return float(value[key] if value.__class__ is Clock else value)

    def _shown(self) -> ParamState:
        for key in self.keys():
            self[key]
        return self

    def get(self, key: Any, default: Any = None) -> Any:
        return self[key] if key in self else default

    def pop(self, key: Any, *default: Any) -> Any:
        if key in self:
            self[key]
        return dict.pop(self, key, *default)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def items(self) -> Any:
        return dict.items(self._shown())

    def values(self) -> Any:
        return dict.values(self._shown())

    def __iter__(self) -> Iterator[Any]:  # an overridden iterator keeps `dict(state)` from copying raw entries
        return dict.__iter__(self)

    def copy(self) -> dict[Any, Any]:
        return dict(self.items())

    def __repr__(self) -> str:
        return repr(self.copy())

    def __reduce__(self) -> Any:
        return ParamState, (self.copy(),)
