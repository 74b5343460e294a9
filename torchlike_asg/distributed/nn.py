"""``torch.distributed.nn``: collective functions with gradients. There is one process, so each raises as those without gradients do."""

from __future__ import annotations

from . import all_gather, all_reduce, all_to_all, all_to_all_single, broadcast, gather, reduce, reduce_scatter, scatter  # type: ignore[attr-defined]

__all__ = ["all_gather", "all_reduce", "all_to_all", "all_to_all_single", "broadcast", "gather", "reduce", "reduce_scatter", "scatter"]

#: a package for importing: places.py has its parts
__path__: list[str] = []
