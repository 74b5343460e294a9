"""PyTorch's version string, which compares as a version: ``torch.__version__ >= "2.4"``, ``torch.__version__ >= (2, 4)``."""

from __future__ import annotations

import re
from typing import Any

__all__ = ["TorchVersion"]

_RELEASE = re.compile(r"v?(\d+(?:\.\d+)*)(?:[-_.]?(dev|a|b|c|rc|alpha|beta|pre|preview|post)[-_.]?(\d*))?", re.IGNORECASE)
_STAGES = {"dev": -4, "a": -3, "alpha": -3, "b": -2, "beta": -2, "c": -1, "rc": -1, "pre": -1, "preview": -1, "post": 1}


def _key(version: Any) -> tuple[Any, ...]:
    """(release numbers without trailing zeros, stage, number of the stage, whether a local part follows)."""
    text = ".".join(map(str, version)) if isinstance(version, (tuple, list)) else str(version)
    found = _RELEASE.match(text.strip())
    if found is None:
        raise ValueError(f"Invalid version: {text!r}")
    numbers = [int(n) for n in found[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), _STAGES[found[2].lower()] if found[2] else 0, int(found[3] or 0), "+" in text


class TorchVersion(str):
    """A string that is compared as a version, with strings and with tuples of numbers. What is no version is compared as text."""

    __slots__ = ()

    def _compare(self, other: Any, how: str) -> Any:
        try:
            a, b = _key(self), _key(other)
        except ValueError:
            return getattr(str, how)(self, str(other))
        return getattr(a, how)(b)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, "__lt__")

    def __le__(self, other: Any) -> Any:
        return self._compare(other, "__le__")

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, "__gt__")

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, "__ge__")

    def __eq__(self, other: Any) -> Any:
        return str.__eq__(self, other) or (isinstance(other, (str, tuple, list)) and self._compare(other, "__eq__"))

    def __ne__(self, other: Any) -> Any:
        return not self == other

    __hash__ = str.__hash__
