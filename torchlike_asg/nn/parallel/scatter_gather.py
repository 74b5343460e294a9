"""``torch.nn.parallel.scatter_gather``, for imports: there is one device to scatter to, so each function raises."""

from __future__ import annotations

from typing import Any

from ...errors import Unsupported, refuses

__all__ = ["gather", "scatter", "scatter_kwargs"]


def _refuse(name: str) -> Any:
    @refuses
    def function(*args: Any, **kwargs: Any) -> Any:
        raise Unsupported(f"torch.nn.parallel.{name}: there are no several devices to spread a batch over")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Raises: see the error."
    return function


gather, scatter, scatter_kwargs = _refuse("gather"), _refuse("scatter"), _refuse("scatter_kwargs")
