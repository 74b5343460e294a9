"""Reading samples and joining them into batches, under the name PyTorch keeps it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..fetch import Fetcher, make_fetcher

__all__: list[str] = []


def _MapDatasetFetcher(dataset: Any, auto_collation: bool, collate_fn: Callable[[Any], Any], drop_last: bool) -> Fetcher:
    """What reads a map-style dataset: ``fetch(indices)`` is a batch."""
    return make_fetcher(dataset, auto_collation, collate_fn, drop_last)


_IterableDatasetFetcher = _MapDatasetFetcher
