"""Snapshots of the random states that decide what a loader yields, so that a loader can continue in the middle of an epoch."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np

import torchlike_asg as torch

from .dataset import IterableDataset
from .distributed import DistributedSampler
from .sampler import BatchSampler, RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler

__all__ = [
    "capture",
    "capture_process",
    "changed",
    "has_foreign_sampler",
    "private_states",
    "restore",
    "restore_private",
    "restore_process",
]

Snapshot = dict[str, Any]

# Samplers known to draw from generators of this package only: for them Python's and NumPy's states need not be kept.
_OWN = (BatchSampler, DistributedSampler, RandomSampler, SequentialSampler, SubsetRandomSampler, WeightedRandomSampler)


def capture(loader: Any) -> Snapshot:
    """Every state that the order of `loader`'s batches may depend on, as plain containers and tensors."""
    streaming_here = isinstance(loader.dataset, IterableDataset) and loader.num_workers == 0
    return capture_process(with_libraries=streaming_here or has_foreign_sampler(loader)) | {"generators": private_states(loader)}


def has_foreign_sampler(loader: Any) -> bool:
    """Whether a sampler of `loader` is not of this package, so that its draws may come from anywhere."""
    return any(sampler is not None and type(sampler) not in _OWN for _, sampler in _samplers(loader))


def restore(loader: Any, snapshot: Snapshot) -> None:
    """Put back what :func:`capture` saw."""
    restore_process(snapshot)
    restore_private(loader, snapshot["generators"])


def capture_process(with_libraries: bool = True) -> Snapshot:
    """The states of the default generator and, `with_libraries`, of `random` and `numpy.random`."""
    state: Snapshot = {"torch": torch.get_rng_state()}
    if with_libraries:
        version, words, gauss = random.getstate()
        state["python"] = [version, list(words), gauss]
        kind, key, position, has_gauss, cached = np.random.get_state()
        state["numpy"] = [str(kind), np.asarray(key).tolist(), int(position), int(has_gauss), float(cached)]
    return state


def restore_process(state: Snapshot) -> None:
    """Put back what :func:`capture_process` saw."""
    torch.set_rng_state(state["torch"])
    if "python" in state:
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words), gauss))
    if "numpy" in state:
        kind, key, position, has_gauss, cached = state["numpy"]
        np.random.set_state((kind, np.asarray(key, np.uint32), position, has_gauss, cached))


def changed(before: Snapshot, after: Snapshot) -> bool:
    """Whether a generator of the process moved between two snapshots."""
    return any(not torch.equal(before[name], after[name]) if name == "torch" else before[name] != after[name] for name in after)


def private_states(loader: Any) -> dict[str, torch.Tensor]:
    """The states of the generators given to the loader or to its samplers, by where they were found."""
    return {place: generator.get_state() for place, generator in _private_generators(loader).items()}


def restore_private(loader: Any, states: dict[str, torch.Tensor]) -> None:
    """Put back what :func:`private_states` saw. ValueError if the loader's generators are elsewhere now."""
    generators = _private_generators(loader)
    if generators.keys() != states.keys():
        raise ValueError(f"the saved DataLoader state has generators at {sorted(states)}, this DataLoader at {sorted(generators)}")
    for place, generator in generators.items():
        generator.set_state(states[place])


def _samplers(loader: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(loader.dataset, IterableDataset):
        return
    if loader.batch_sampler is not None:
        yield "batch_sampler", loader.batch_sampler
        yield "batch_sampler.sampler", getattr(loader.batch_sampler, "sampler", None)
    else:
        yield "sampler", loader.sampler


def _private_generators(loader: Any) -> dict[str, torch.Generator]:
    found: dict[str, torch.Generator] = {}
    for place, owner in [("loader", loader), *_samplers(loader)]:
        generator = getattr(owner, "generator", None)
        if (
            isinstance(generator, torch.Generator)
            and generator is not torch.default_generator
            and all(generator is not g for g in found.values())
        ):
            found[place] = generator
    return found
