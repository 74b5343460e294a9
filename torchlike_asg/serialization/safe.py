"""The list of classes and functions that a user lets loaded files refer to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from .errors import RebuildError
from .unpickler import Known

__all__ = ["add_safe_globals", "clear_safe_globals", "get_safe_globals", "safe_globals", "trusted"]

_lock = threading.Lock()
_listed: dict[str, Any] = {}


def full_name(entry: Any) -> tuple[str, Any]:
    """(``module.qualname``, object) of an object or of a pair (object, name)."""
    if isinstance(entry, tuple):
        if len(entry) != 2 or not isinstance(entry[1], str):
            raise ValueError(f"expected a class, a function, or a pair of one and its full name, but got {entry!r}")
        return entry[1], entry[0]
    if not callable(entry) or not hasattr(entry, "__qualname__"):
        raise TypeError(f"expected a class or a function, but got {entry!r}")
    return own_name(entry), entry


def own_name(obj: Any) -> str:
    return f"{getattr(obj, '__module__', '')}.{getattr(obj, '__qualname__', '')}"


def add_safe_globals(safe_globals: Iterable[Any]) -> None:
    """Let files loaded from now on call these classes and functions: you vouch that doing so with any arguments is harmless.

    Each entry is a class or function, or a pair of it and the full name (``"module.Class"``) under which files mention it.
    """
    entries = dict(map(full_name, safe_globals))
    with _lock:
        _listed.update(entries)


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` was given, in its forms."""
    with _lock:
        return [obj if name == own_name(obj) else (obj, name) for name, obj in _listed.items()]


def clear_safe_globals() -> None:
    """Forget everything `add_safe_globals` was given."""
    with _lock:
        _listed.clear()


class safe_globals:
    """``with safe_globals([Class]): load(...)``: the same as `add_safe_globals`, for the block only."""

    def __init__(self, safe_globals: Iterable[Any]) -> None:
        self._entries = list(safe_globals)

    def __enter__(self) -> None:
        with _lock:
            self._before = dict(_listed)
        add_safe_globals(self._entries)

    def __exit__(self, *error: Any) -> None:
        with _lock:
            _listed.clear()
            _listed.update(self._before)


def trusted(name: str, where: str) -> Known | None:
    """The Known for a listed global, or None."""
    with _lock:
        obj = _listed.get(name)
    if obj is None:
        return None
    if not isinstance(obj, type):
        return Known(name, obj, call=_guarded(obj, name, where))
    new = _guarded(obj.__new__, name, where, obj)
    return Known(name, obj, call=_guarded(obj, name, where), new=new, build=_guarded(set_state, name, where), fill=True)


def _guarded(function: Callable[..., Any], name: str, where: str, *first: Any) -> Callable[..., Any]:
    def call(*arguments: Any, **keywords: Any) -> Any:
        try:
            return function(*first, *arguments, **keywords)
        except Exception as error:  # whatever the listed class raises must not pass for a damaged file
            raise RebuildError(f"{where}: rebuilding {name} failed: {type(error).__name__}: {error}") from error

    return call


def set_state(obj: Any, state: Any) -> None:
    """Give `obj` the state that its class's pickling support made."""
    if hasattr(obj, "__setstate__"):
        obj.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        obj.__dict__.update(state)
    for name, value in (slots or {}).items():
        setattr(obj, name, value)
