"""``torch.return_types``: the named tuples that functions return."""

from __future__ import annotations

from typing import Any

from .facade.functions import returns as _returns

_PUBLIC = {"max_": "max", "min_": "min"}
globals().update({_PUBLIC.get(n, n): t for n, t in vars(_returns).items() if isinstance(t, type) and issubclass(t, _returns.Named)})
del globals()["Named"]
all_return_types = [t for n, t in globals().items() if isinstance(t, type)]
__all__ = [t.__name__ for t in all_return_types] + ["all_return_types"]


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
