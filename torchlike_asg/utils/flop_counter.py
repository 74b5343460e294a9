"""``torch.utils.flop_counter``, for packages that make a counter whether or not they count: operations are not counted here."""

from __future__ import annotations

from typing import Any, NoReturn

from ..errors import Unsupported, refuses

__all__ = ["FlopCounterMode"]


class FlopCounterMode:
    """A counter that was never entered, and so has counted nothing; the arguments are PyTorch's.

    Entering it raises Unsupported: `torch.profiler` tells of time and bytes, and of what kernels compute as far as that is known.
    """

    def __init__(self, mods: Any = None, depth: int = 2, display: bool = True, custom_mapping: Any = None) -> None:
        self.mods, self.depth, self.display = mods, depth, display

    @refuses
    def __enter__(self) -> NoReturn:
        raise Unsupported("torch.utils.flop_counter.FlopCounterMode: torch.profiler tells of time and bytes; operations are not counted")

    def __exit__(self, *error: object) -> None:
        """Never entered."""

    def get_total_flops(self) -> int:
        """0."""
        return 0

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """No module has an entry."""
        return {}
