"""The sampler that gives each replica of a distributed run its own part of a dataset."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sized

import torchlike_asg as torch

from .sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """Every `num_replicas`-th index, from `rank` on, of the dataset's (shuffled) order.

    The order is padded with its own beginning to a multiple of `num_replicas`, or cut to one if `drop_last`. It is shuffled by a generator
    seeded ``seed + epoch``: call :meth:`set_epoch` before each epoch, or all epochs have the same order.

    Raises:
        RuntimeError: `num_replicas` or `rank` is left out: there is no process group to ask.
        ValueError: `rank` outside [0, num_replicas - 1].
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            raise RuntimeError("Requires distributed package to be available: torchlike_asg has none, so pass num_replicas and rank")
        if not 0 <= rank < num_replicas:
            raise ValueError(f"Invalid rank {rank}, rank should be in the interval [0, {num_replicas - 1}]")
        self.dataset = dataset
        self.num_replicas = num_replicas
        self.rank = rank
        self.epoch = 0
        self.drop_last = drop_last
        self.shuffle = shuffle
        self.seed = seed
        size = len(dataset)
        self.num_samples = size // num_replicas if drop_last else math.ceil(size / num_replicas)
        self.total_size = self.num_samples * num_replicas

    def __iter__(self) -> Iterator[int]:
        size = len(self.dataset)
        order = range(size)
        if self.shuffle:
            generator = torch.Generator()
            generator.manual_seed(self.seed + self.epoch)
            order = torch.randperm(size, generator=generator).tolist()
        return itertools.islice(itertools.cycle(order), self.rank, self.total_size, self.num_replicas)

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the shuffle of `epoch`; the same on every replica."""
        self.epoch = epoch
