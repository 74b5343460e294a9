"""Data loaders that continue in the middle of an epoch."""

import random

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.checkpoint import ResumableLoader
from torchlike_asg.serialization.components import capture_rng, restore_rng
from torchlike_asg.utils.data import DataLoader, Dataset, TensorDataset


class Noisy(Dataset):
    """Draws from all three generators for every item."""

    def __len__(self):
        return 10

    def __getitem__(self, index):
        return index, random.random(), float(np.random.rand()), ours.rand(1).item()


def make(kind, generator):
    own = ours.Generator().manual_seed(5) if generator else None
    if kind == "noisy":
        return DataLoader(Noisy(), batch_size=3, shuffle=True, generator=own)
    return DataLoader(TensorDataset(ours.arange(10)), batch_size=3, shuffle=kind == "shuffled", generator=own)


def plain(batch):
    return [part.tolist() for part in batch]


def seed():
    ours.manual_seed(1)
    random.seed(2)
    np.random.seed(3)


@pytest.mark.parametrize("generator", [False, True])
@pytest.mark.parametrize("kind", ["ordered", "shuffled", "noisy"])
@pytest.mark.parametrize("stop", [0, 1, 2, 3, 4, 5, 7, 8])
def test_continuing_sees_what_an_uninterrupted_run_sees(kind, generator, stop):
    seed()
    loader = ResumableLoader(make(kind, generator))
    expected, saved = [], None
    if stop == 0:
        saved = loader.state_dict(), capture_rng(True, True)
    for _ in range(3):
        for batch in loader:
            expected.append((plain(batch), ours.rand(2).tolist(), random.random()))
            if len(expected) == stop:
                saved = loader.state_dict(), capture_rng(True, True)
    assert saved is not None and loader.epoch == 3

    ours.manual_seed(99)
    random.seed(98)
    resumed = ResumableLoader(make(kind, generator))
    resumed.load_state_dict(saved[0])
    restore_rng(saved[1])
    assert (resumed.epoch, resumed.batch) == (0 if stop == 0 else (stop - 1) // 4, 0 if stop == 0 else (stop - 1) % 4 + 1)
    found = []
    while resumed.epoch < 3:
        for batch in resumed:
            found.append((plain(batch), ours.rand(2).tolist(), random.random()))
    assert found == expected[stop:]


def test_a_wrapped_loader_behaves_as_the_loader_itself():
    seed()
    one = [plain(b) for _ in range(2) for b in make("noisy", False)]
    seed()
    two = [plain(b) for loader in [ResumableLoader(make("noisy", False))] for _ in range(2) for b in loader]
    assert one == two and len(ResumableLoader(make("noisy", False))) == 4


def test_an_epoch_left_early():
    loader = ResumableLoader(make("ordered", False))
    for _ in loader:
        if loader.batch == 2:
            break
    state = loader.state_dict()
    assert (state["epoch"], state["batch"]) == (0, 2)
    again = ResumableLoader(make("ordered", False))
    again.load_state_dict(state)
    assert [plain(b) for b in again] == [[[6, 7, 8]], [[9]]] and again.epoch == 1
    assert [plain(b) for b in loader] == [[[0, 1, 2]], [[3, 4, 5]], [[6, 7, 8]], [[9]]] and loader.epoch == 2
    again.load_state_dict(state)
    again.restart()
    assert again.epoch == 1 and next(iter(again))[0].tolist() == [0, 1, 2]


def test_other_data_is_noticed():
    loader = ResumableLoader(make("ordered", False))
    for _ in loader:
        state = loader.state_dict()
    short = ResumableLoader(DataLoader(TensorDataset(ours.arange(2)), batch_size=3))
    short.load_state_dict(state)
    with pytest.raises(RuntimeError, match="ended before batch 4"):
        next(iter(short))
