from __future__ import annotations

import importlib
import itertools
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.utils import data

from .loader_helpers import Rows, generator, outcome, plain


class Numbers(data.IterableDataset):
    def __init__(self, *values: int) -> None:
        self.values = values

    def __iter__(self) -> Any:
        return iter(self.values)

    def __len__(self) -> int:
        return len(self.values)


def test_dataset_needs_getitem() -> None:
    with pytest.raises(NotImplementedError, match="__getitem__"):
        data.Dataset()[0]


def test_iterable_dataset_needs_iter() -> None:
    with pytest.raises(TypeError, match="abstract"):
        data.IterableDataset()


def test_plus_concatenates() -> None:
    class Three(data.Dataset):
        def __getitem__(self, index: int) -> int:
            return 10 * index

        def __len__(self) -> int:
            return 3

    both = Three() + Three()
    assert isinstance(both, data.ConcatDataset)
    assert [both[i] for i in range(6)] == [0, 10, 20, 0, 10, 20]
    assert list(Numbers(1, 2) + Numbers(3)) == [1, 2, 3]


def test_tensor_dataset() -> None:
    dataset = data.TensorDataset(ours.arange(6).reshape(3, 2), ours.tensor([7, 8, 9]))
    assert len(dataset) == 3
    assert plain(dataset[1]) == ("tuple", [("tensor", "torch.int64", [2, 3]), ("tensor", "torch.int64", 8)])
    assert dataset[1:][1].tolist() == [8, 9]
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        data.TensorDataset(ours.ones(2), ours.ones(3))


def test_stack_dataset_tuples_and_dicts() -> None:
    pairs = data.StackDataset([1, 2, 3], "abc")
    assert pairs[1] == (2, "b")
    assert pairs.__getitems__([2, 0]) == [(3, "c"), (1, "a")]
    named = data.StackDataset(x=[1, 2], y=data.Subset([5, 6, 7], [2, 0]))
    assert named[0] == {"x": 1, "y": 7}
    assert named.__getitems__([1, 0]) == [{"x": 2, "y": 5}, {"x": 1, "y": 7}]
    assert len(named) == 2


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "At least one dataset"),
        (([1],), {"x": [1]}, "both are given"),
        (([1], [1, 2]), {}, "Size mismatch"),
        ((), {"x": [1], "y": []}, "Size mismatch"),
    ],
)
def test_stack_dataset_errors(args: Any, kwargs: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        data.StackDataset(*args, **kwargs)


def test_stack_dataset_checks_batches() -> None:
    class Short:
        def __len__(self) -> int:
            return 3

        def __getitems__(self, indices: list[int]) -> list[int]:
            return indices[1:]

    with pytest.raises(ValueError, match="Expected 2, got 1"):
        data.StackDataset(Short()).__getitems__([0, 1])


def test_concat_dataset() -> None:
    dataset = data.ConcatDataset([[0, 1], [], [2, 3, 4]])
    assert len(dataset) == 5 and dataset.cumulative_sizes == [2, 2, 5]
    assert [dataset[i] for i in range(-5, 5)] == [0, 1, 2, 3, 4] * 2
    with pytest.raises(ValueError, match="absolute value of index"):
        dataset[-6]
    with pytest.raises(IndexError):
        dataset[5]
    with pytest.raises(AssertionError, match="empty iterable"):
        data.ConcatDataset([])
    with pytest.raises(AssertionError, match="does not support IterableDataset"):
        data.ConcatDataset([Numbers(1)])


def test_chain_dataset() -> None:
    chain = data.ChainDataset([Numbers(1, 2), Numbers(), Numbers(3)])
    assert list(chain) == [1, 2, 3] == list(chain)
    assert len(chain) == 3
    with pytest.raises(AssertionError, match="only supports IterableDataset"):
        list(data.ChainDataset([[1, 2]]))


def test_subset() -> None:
    subset = data.Subset("abcdef", [4, 0, 2])
    assert (len(subset), subset[0], subset[-1]) == (3, "e", "c")
    assert subset.__getitems__([2, 1]) == ["c", "a"]
    rows = data.Subset(np.arange(10) * 2, [4, 0, 2])
    assert rows[[0, 2]].tolist() == [8, 4]


def test_subset_subclass_must_override_both() -> None:
    class Half(data.Subset):
        def __getitem__(self, index: Any) -> Any:
            return super().__getitem__(index) / 2

    with pytest.raises(NotImplementedError, match="Half overrides __getitem__ but not __getitems__"):
        Half([1, 2], [0])


@pytest.mark.parametrize("lengths", [[7, 3], [10, 0], [0.5, 0.5], [0.3, 0.3, 0.4], [1 / 3, 1 / 3, 1 / 3], [1.0]])
@pytest.mark.parametrize("private", [False, True])
def test_random_split_is_torchs(torch: Any, lengths: list[Any], private: bool) -> None:
    def split(package: Any) -> Any:
        options = {"generator": generator(package, 11)} if private else {}
        subsets = package.utils.data.random_split(Rows(10), lengths, **options)
        return [subset.indices for subset in subsets], [g.get_state().tolist() for g in options.values()]

    got = outcome(ours, 5, split)
    assert got == outcome(torch, 5, split)
    assert sorted(itertools.chain.from_iterable(got[0][0])) == list(range(10))


def test_random_split_errors() -> None:
    with pytest.raises(ValueError, match="Sum of input lengths"):
        data.random_split(range(10), [3, 3])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        data.random_split(range(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        data.random_split(range(3), [0.9, 0.1])


def test_data_pipes_are_refused_with_advice() -> None:
    with pytest.raises(NotImplementedError, match="write a Dataset"):
        data.DFIterDataPipe  # noqa: B018
    assert not hasattr(data, "DFIterDataPipe") and issubclass(data.IterDataPipe, data.IterableDataset)
    with pytest.raises(AttributeError):
        data.nothing_of_this_name  # noqa: B018


def test_submodules_are_those_of_torch(torch: Any) -> None:
    for module, names in {
        "dataloader": ["DataLoader", "default_collate", "default_convert", "get_worker_info"],
        "dataset": [
            "ChainDataset",
            "ConcatDataset",
            "Dataset",
            "IterableDataset",
            "StackDataset",
            "Subset",
            "TensorDataset",
            "random_split",
        ],
        "sampler": ["BatchSampler", "RandomSampler", "Sampler", "SequentialSampler", "SubsetRandomSampler", "WeightedRandomSampler"],
        "distributed": ["DistributedSampler"],
    }.items():
        for name in names:
            submodule = importlib.import_module(f"torchlike_asg.utils.data.{module}")
            assert getattr(submodule, name).__name__ == getattr(getattr(torch.utils.data, module), name).__name__
