"""``torch.Size``: the shape of a tensor, a tuple of ints with ``numel()``."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["Size"]


def sized(sizes: Any) -> Size:
    """A Size of what is known to be integers."""
    return tuple.__new__(Size, sizes)


def _size(n: Any, place: int) -> int:
    if n.__class__ is not int:
        if not hasattr(n, "__index__"):
            raise TypeError(f"torch.Size() takes an iterable of 'int' (item {place} is '{type(n).__name__}')")
        n = n.__index__()
    if not -(1 << 63) <= n < 1 << 63:
        raise ValueError("Overflow when unpacking long long")
    return n  # type: ignore[no-any-return]


class Size(tuple):  # type: ignore[type-arg]
    """A tuple of dimension sizes; slicing and concatenation give a Size again."""

    __slots__ = ()

    def __new__(cls, sizes: Any = ()) -> Size:
        """Raises TypeError for what is no integer."""
        return tuple.__new__(cls, [_size(n, i) for i, n in enumerate(sizes)])

    def numel(self) -> int:
        """How many elements a tensor of this shape has."""
        return math.prod(self)

    def __repr__(self) -> str:
        return f"torch.Size([{', '.join(map(str, self))}])"

    __str__ = __repr__

    def __getitem__(self, index: Any) -> Any:
        found = tuple.__getitem__(self, index)
        return sized(found) if isinstance(index, slice) else found

    def __add__(self, other: Any) -> Any:
        if not isinstance(other, tuple):
            reflected = getattr(type(other), "__radd__", None)
            found = NotImplemented if reflected is None else reflected(other, self)
            if found is NotImplemented:
                raise TypeError(f"can only concatenate tuple (not {type(other).__name__}) to torch.Size")
            return found
        return Size(tuple.__add__(self, other))

    def __radd__(self, other: Any) -> Any:
        return Size(other + tuple(self)) if isinstance(other, tuple) else NotImplemented

    def __mul__(self, times: Any) -> Size:
        return sized(tuple.__mul__(self, times))

    __rmul__ = __mul__

    def __reduce__(self) -> tuple[Any, ...]:
        return Size, (tuple(self),)
