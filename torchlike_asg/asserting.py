"""``torch._check`` and its like: conditions that raise an error of one kind or another where they do not hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .dtypes import bool_
from .facade.core import Tensor
from .facade.register import named

__all__ = ["NAMES"]

_UNEXPLAINED = "Expected cond to be True, but got False."


def _text(message: Any) -> str:
    if message is None:
        return _UNEXPLAINED
    if not callable(message):
        raise TypeError("message must be a callable")
    return str(message())


def _check_with(error_type: type[Exception], cond: Any, message: Callable[[], str] | None) -> None:
    """Raise `error_type` with what `message()` gives unless `cond`, a bool, is true."""
    if not isinstance(cond, bool):
        found = "a Tensor: use torch._check_tensor_all for those" if isinstance(cond, Tensor) else type(cond)
        raise TypeError(f"cond must be a bool, but got {found}")
    if not cond:
        raise error_type(_text(message))


def _of(name: str, error_type: type[Exception]) -> Any:
    def check(cond: Any, message: Callable[[], str] | None = None) -> None:
        _check_with(error_type, cond, message)

    return named(check, name, f"Raise {error_type.__name__} with what `message()` gives unless `cond` is true.")


def _check_is_size(i: Any, message: Callable[[], str] | None = None, *, max: Any = None) -> None:
    """Raise RuntimeError unless `i` is 0 or more, and `max` or less where there is one."""
    _check_with(RuntimeError, bool(i >= 0), message)
    if max is not None:
        _check_with(RuntimeError, bool(i <= max), message)


def _check_tensor_all_with(error_type: type[Exception], cond: Any, message: Callable[[], str] | None = None) -> None:
    """Raise `error_type` unless all elements of a tensor of bools are true."""
    if not isinstance(cond, Tensor):
        raise TypeError(f"cond must be a tensor, but got {type(cond)}")
    if cond.dtype is not bool_:
        raise TypeError(f"cond tensor must have dtype torch.bool, but got {cond.dtype}")
    _check_with(error_type, bool(cond.all().item()), message)  # type: ignore[attr-defined]


def _check_tensor_all(cond: Any, message: Callable[[], str] | None = None) -> None:
    """Raise RuntimeError unless all elements of a tensor of bools are true."""
    _check_tensor_all_with(RuntimeError, cond, message)


_ERRORS = {
    "_check": RuntimeError,
    "_check_index": IndexError,
    "_check_value": ValueError,
    "_check_type": TypeError,
    "_check_not_implemented": NotImplementedError,
}

#: merged into the package's namespace
NAMES: dict[str, Any] = {
    **{name: _of(name, error_type) for name, error_type in _ERRORS.items()},
    **{f.__name__: f for f in (_check_with, _check_is_size, _check_tensor_all_with, _check_tensor_all)},
}
