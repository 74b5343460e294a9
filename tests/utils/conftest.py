"""Shared by the tests of loaders: the real torch, on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="module")
def torch() -> Iterator[Any]:
    real = pytest.importorskip("torch")
    threads = real.get_num_threads()
    real.set_num_threads(1)
    yield real
    real.set_num_threads(threads)
