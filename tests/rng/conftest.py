"""Shared by the comparisons: both ways of drawing, and what it means that two streams are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from torchlike_asg import dtypes
from torchlike_asg.rng import Engine, native

SEEDS = (0, 1, 42, 2**31 + 7, 2**32 + 5, 2**40 + 123, -1, -12345)


@pytest.fixture(params=["native", "numpy"])
def way(request: pytest.FixtureRequest) -> Iterator[str]:
    """Runs a test with the compiled kernels and without."""
    before = native.use(request.param == "native")
    try:
        if request.param == "native" and native.kernels(0) is None:
            pytest.skip("nothing can be compiled here")
        yield request.param
    finally:
        native.use(before)


def same_bits(ours: np.ndarray[Any, Any], theirs: Any) -> None:
    """Values of a draw against a torch tensor: type, shape and every bit."""
    reference = theirs.float().numpy() if str(theirs.dtype) == "torch.bfloat16" else theirs.numpy()
    assert ours.dtype == reference.dtype
    assert ours.shape == reference.shape
    if ours.tobytes() != reference.tobytes():
        different = np.flatnonzero(ours.reshape(-1) != reference.reshape(-1))
        raise AssertionError(f"{different.size} of {ours.size} values differ, first at {different[:5]}")


@pytest.fixture
def compare() -> Callable[..., None]:
    """compare(ours, theirs, seeds): ours(engine) and theirs(generator) give the same values and leave the same 5056 state bytes."""
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)

    def check(ours: Callable[[Engine], Any], theirs: Callable[[Any], Any], seeds: tuple[int, ...] = SEEDS) -> None:
        for seed in seeds:
            engine, generator = Engine(seed), torch.Generator().manual_seed(seed)
            same_bits(ours(engine), theirs(generator))
            assert engine.get_state().tobytes() == generator.get_state().numpy().tobytes(), f"state after the draw, seed {seed}"

    return check


@pytest.fixture
def torch_dtype() -> Callable[[dtypes.dtype], Any]:
    torch = pytest.importorskip("torch")
    return lambda dtype: getattr(torch, dtype.name)
