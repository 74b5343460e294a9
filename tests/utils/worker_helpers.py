"""Shared by the tests of loaders with worker processes: loaders that fork, datasets made in place, the children that a test has started."""

from __future__ import annotations

import gc
import multiprocessing
import os
from typing import Any

import pytest

from torchlike_asg.utils import data

from .loader_helpers import Rows

FORKS = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="datasets of these tests are made inside functions, which needs fork"),
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def no_children_before() -> None:
    gc.collect()
    foreign.clear()
    foreign.update(child.pid for child in multiprocessing.active_children())


foreign: set[int | None] = set()


def children() -> list[Any]:
    """The processes this test started that still run."""
    return [child for child in multiprocessing.active_children() if child.pid not in foreign]


def loader(dataset: Any, num_workers: int = 2, **options: Any) -> data.DataLoader:
    options.setdefault("timeout", 60)  # a deadlock is a failure here, not a hanging test run
    return data.DataLoader(dataset, num_workers=num_workers, multiprocessing_context="fork", **options)


class Mapped(Rows):
    """Rows whose items are made by a function of the index."""

    def __init__(self, size: int, function: Any) -> None:
        super().__init__(size)
        self.function = function

    def __getitem__(self, index: int) -> Any:
        return self.function(index)


class Stream(data.IterableDataset):
    """0 ... size-1, divided among the workers."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __iter__(self) -> Any:
        info = data.get_worker_info()
        return iter(range(self.size)) if info is None else iter(range(info.id, self.size, info.num_workers))
