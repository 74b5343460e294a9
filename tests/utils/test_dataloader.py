from __future__ import annotations

import inspect
import random
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.utils import data

from .loader_helpers import Rows, generator, outcome, plain


class Stream(data.IterableDataset):
    def __init__(self, size: int, promised: int | None = None) -> None:
        self.size, self.promised = size, promised

    def __iter__(self) -> Any:
        return iter(range(self.size))

    def __len__(self) -> int:
        return self.size if self.promised is None else self.promised


def test_signature_is_torchs(torch: Any) -> None:
    got, want = inspect.signature(data.DataLoader).parameters, inspect.signature(torch.utils.data.DataLoader).parameters
    assert [(p.name, p.kind, p.default) for p in got.values()] == [(p.name, p.kind, p.default) for p in want.values()]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 4},
        {"batch_size": 4, "drop_last": True},
        {"batch_size": 4, "shuffle": True},
        {"batch_size": 100, "shuffle": True},
        {"batch_size": None},
        {"batch_size": None, "shuffle": True},
        {"batch_sampler": [[0, 1], [5], [2, 2]]},
        {"batch_size": 3, "sampler": [9, 1, 1, 4]},
    ],
)
@pytest.mark.parametrize("own_generator", [False, True])
def test_order_and_draws_are_torchs(torch: Any, options: dict[str, Any], own_generator: bool) -> None:
    def run(package: Any) -> Any:
        own = generator(package, 7) if own_generator else None
        loader = package.utils.data.DataLoader(Rows(13), generator=own, **options)
        passes = [[plain(batch) for batch in loader] for _ in range(3)]
        return len(loader), passes, own and own.get_state().tolist()

    assert outcome(ours, 42, run) == outcome(torch, 42, run)


def test_base_seed_is_drawn_by_iter_and_the_order_by_next(torch: Any) -> None:
    def run(package: Any) -> Any:
        iterator = iter(package.utils.data.DataLoader(Rows(6), shuffle=True))
        between = package.rand(3).tolist()  # shifts the order
        return between, [plain(batch) for batch in iterator]

    assert outcome(ours, 0, run) == outcome(torch, 0, run)


def test_iterators_are_independent() -> None:
    loader = data.DataLoader(Rows(4))
    assert [(a[1].item(), b[1].item()) for a in loader for b in loader] == [(i, j) for i in range(4) for j in range(4)]


def test_tensor_dataset_gives_what_its_samples_collate_to(torch: Any) -> None:
    x, y = np.random.default_rng(0).standard_normal((11, 2, 3)).astype(np.float32), np.arange(11)

    def run(package: Any) -> Any:
        data = package.utils.data
        columns = package.from_numpy(x), package.tensor(y), package.tensor(x).to(package.bfloat16), package.tensor(y) > 3
        dataset = data.TensorDataset(*columns)
        part = data.Subset(data.random_split(dataset, [5, 6])[1], [3, 0, 1])
        loaders = [
            data.DataLoader(dataset, batch_size=4, shuffle=True),
            data.DataLoader(dataset, batch_size=None),
            data.DataLoader(dataset, batch_size=2, sampler=[0, -1, 5]),
            data.DataLoader(part, batch_size=2),
        ]
        return [[plain(batch) for batch in loader] for loader in loaders]

    assert outcome(ours, 1, run) == outcome(torch, 1, run)


def test_tensor_dataset_batches_do_not_share_memory() -> None:
    x = ours.zeros(4, 2)
    batch = next(iter(data.DataLoader(data.TensorDataset(x), batch_size=4)))[0]
    batch += 1
    x[0] = 9
    assert x.tolist() == [[9, 9], [0, 0], [0, 0], [0, 0]] and batch.tolist() == [[1, 1]] * 4


def test_overridden_getitem_is_used() -> None:
    class Doubled(data.TensorDataset):
        def __getitem__(self, index: Any) -> Any:
            return tuple(2 * tensor for tensor in super().__getitem__(index))

    assert next(iter(data.DataLoader(Doubled(ours.arange(3)), batch_size=3)))[0].tolist() == [0, 2, 4]


def test_gradients_reach_a_datasets_tensor() -> None:
    x = ours.ones(3, 2, requires_grad=True)
    (batch,) = next(iter(data.DataLoader(data.TensorDataset(x), batch_size=2)))
    batch.sum().backward()
    assert x.grad.tolist() == [[1, 1], [1, 1], [0, 0]]


def test_getitems_reads_a_batch_at_once() -> None:
    class Batched(Rows):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return [10 * index for index in indices]

    assert [batch.tolist() for batch in data.DataLoader(Batched(3), batch_size=2)] == [[0, 10], [20]]


@pytest.mark.parametrize("batch_size", [None, 1, 4, 5])
@pytest.mark.parametrize("drop_last", [False, True])
def test_streams_are_torchs(torch: Any, batch_size: int | None, drop_last: bool) -> None:
    if batch_size is None and drop_last:
        return

    class TorchStream(torch.utils.data.IterableDataset):
        __init__, __iter__, __len__ = Stream.__init__, Stream.__iter__, Stream.__len__

    got = data.DataLoader(Stream(10), batch_size=batch_size, drop_last=drop_last)
    want = torch.utils.data.DataLoader(TorchStream(10), batch_size=batch_size, drop_last=drop_last)
    assert len(got) == len(want)
    assert [plain(batch) for batch in got] == [plain(batch) for batch in want]


def test_stream_longer_than_promised_warns() -> None:
    loader = data.DataLoader(Stream(3, promised=2), batch_size=None)
    assert len(list(loader)) == 3  # nobody asked for the length
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="reported to be 2"):
        assert len(list(loader)) == 3


def test_custom_collate_fn() -> None:
    assert list(data.DataLoader(Rows(3), batch_size=2, collate_fn=lambda batch: [number for _, number in batch])) == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_workers": -1}, "num_workers option should be non-negative"),
        ({"timeout": -1}, "timeout option should be non-negative"),
        ({"prefetch_factor": 2}, "prefetch_factor option could only be specified in multiprocessing"),
        ({"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
        ({"multiprocessing_context": "fork"}, "can only be used with multi-process loading"),
        ({"num_workers": 1, "multiprocessing_context": "magic"}, "valid start method"),
        ({"shuffle": True, "sampler": [0]}, "sampler option is mutually exclusive with shuffle"),
        ({"batch_sampler": [[0]], "shuffle": True}, "batch_sampler option is mutually exclusive"),
        ({"batch_sampler": [[0]], "batch_size": 2}, "batch_sampler option is mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "batch_size=None option disables auto-batching"),
        ({"batch_size": 0}, "batch_size should be a positive integer"),
    ],
)
def test_argument_errors_are_torchs(torch: Any, options: dict[str, Any], text: str) -> None:
    for package in (ours, torch):
        with pytest.raises(ValueError, match=text):
            package.utils.data.DataLoader(Rows(3), **options)


@pytest.mark.parametrize("options", [{"shuffle": True}, {"sampler": [0]}, {"batch_sampler": [[0]]}])
def test_stream_argument_errors(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="DataLoader with IterableDataset: expected unspecified " + next(iter(options))):
        data.DataLoader(Stream(3), **options)


def test_context_of_wrong_type() -> None:
    with pytest.raises(TypeError, match="valid context object"):
        data.DataLoader(Rows(3), num_workers=1, multiprocessing_context=3)


def test_attributes_are_fixed_after_construction() -> None:
    loader = data.DataLoader(Rows(3))
    for name in ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers"):
        with pytest.raises(ValueError, match=f"{name} attribute should not be set"):
            setattr(loader, name, None)
    loader.collate_fn = len
    assert list(loader) == [1, 1, 1]


def test_pin_memory_is_accepted_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="no accelerator"):
        assert len(list(data.DataLoader(Rows(2), pin_memory=True))) == 2


def test_too_many_workers_warn() -> None:
    with pytest.warns(UserWarning, match="will create 10000 worker processes"):
        data.DataLoader(Rows(2), num_workers=10_000)


def test_dataset_may_draw_from_all_generators(torch: Any) -> None:
    class Noisy(Rows):
        package: Any = ours

        def __getitem__(self, index: int) -> Any:
            return self.package.rand(2), random.random(), np.random.rand()

    class TorchNoisy(Noisy):
        package = torch

    def run(package: Any) -> Any:
        random.seed(3)
        np.random.seed(3)
        dataset = (Noisy if package is ours else TorchNoisy)(5)
        return [plain(batch) for batch in package.utils.data.DataLoader(dataset, batch_size=2, shuffle=True)]

    assert outcome(ours, 3, run) == outcome(torch, 3, run)
