"""CheckpointManager: complete, atomic, checked, rotated; a restored run continues bit for bit."""

import json
import os
import random
import subprocess
import sys
import time

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn, optim
from torchlike_asg.checkpoint import CheckpointManager, ResumableLoader
from torchlike_asg.serialization import CorruptFileError, load
from torchlike_asg.utils.data import DataLoader, TensorDataset

torch = pytest.importorskip("torch")


class Odd:
    def state_dict(self):
        return {"f": Odd}

    def load_state_dict(self, state): ...


def small(seed=0):
    ours.manual_seed(seed)
    model = nn.Linear(3, 2)
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 2)


def train(model, optimizer, scheduler, steps=1):
    for _ in range(steps):
        optimizer.zero_grad()
        model(ours.randn(4, 3)).square().mean().backward()
        optimizer.step()
        scheduler.step()


def content(directory):
    return {p.relative_to(directory).as_posix(): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def everything(model, optimizer, scheduler):
    """All state as comparable values."""
    flat = [p.tolist() for p in model.state_dict().values()]
    moments = [[k, v.tolist() if hasattr(v, "tolist") else v] for s in optimizer.state_dict()["state"].values() for k, v in s.items()]
    return flat, moments, scheduler.state_dict(), ours.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()


# -- a whole training run ---------------------------------------------------------------------------------------------


def build(seed):
    ours.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    data = TensorDataset(ours.randn(22, 6), ours.randint(0, 3, (22,)))
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3))
    optimizer = optim.AdamW(model.parameters(), lr=0.05, amsgrad=True)
    schedulers = {"cosine": optim.lr_scheduler.CosineAnnealingLR(optimizer, 20), "step": optim.lr_scheduler.StepLR(optimizer, 7)}
    return data, model, optimizer, schedulers


def run(manager, data, model, optimizer, schedulers, loader, until, save_at=()):
    losses = []
    criterion = nn.CrossEntropyLoss()
    step = loader.epoch * 6 + loader.batch
    while step < until:
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x + 0.01 * random.random() + 0.01 * float(np.random.rand())), y)
            loss.backward()
            optimizer.step()
            for s in schedulers.values():
                s.step()
            losses.append(loss.item())
            step += 1
            if step in save_at:
                manager.save(step, model, optimizer, schedulers, loader=loader, metric=losses[-1], metadata={"note": "x"})
            if step == until:
                break
    return losses, {name: value.tolist() for name, value in model.state_dict().items()}


@pytest.mark.parametrize("stop", [3, 6, 8])
def test_a_restored_run_continues_bit_for_bit(stop, tmp_path):
    data, model, optimizer, schedulers = build(1)
    manager = CheckpointManager(tmp_path)
    losses, weights = run(manager, data, model, optimizer, schedulers, ResumableLoader(DataLoader(data, 4, shuffle=True)), 14, {stop})

    other = build(1)[0]
    _, model, optimizer, schedulers = build(77)
    loader = ResumableLoader(DataLoader(other, 4, shuffle=True))
    found = CheckpointManager(tmp_path).restore(model, optimizer, schedulers, loader=loader)
    assert found.step == stop and found.metadata == {"note": "x"} and found.metric == losses[stop - 1]
    again, weights_again = run(manager, other, model, optimizer, schedulers, loader, 14)
    assert again == losses[stop:] and weights_again == weights


# -- the files ----------------------------------------------------------------------------------------------------------


def test_other_tools_read_the_files(tmp_path):
    from safetensors.torch import load_file

    model, optimizer, scheduler = small()
    train(model, optimizer, scheduler, 2)
    found = CheckpointManager(tmp_path).save(7, model, optimizer, scheduler, metric=ours.tensor(0.5), metadata={"k": [1]})
    assert sorted(os.listdir(tmp_path / "step-7")) == ["manifest.json", "model.safetensors", "state.pt"]
    tensors = load_file(tmp_path / "step-7" / "model.safetensors")
    assert {k: v.tolist() for k, v in tensors.items()} == {k: v.tolist() for k, v in model.state_dict().items()}
    state = torch.load(tmp_path / "step-7" / "state.pt", weights_only=True)
    assert state["optimizer"][""]["type"] == "Adam" and state["optimizer"][""]["state"]["state"][0]["exp_avg"].shape == (2, 3)
    manifest = json.loads((tmp_path / "step-7" / "manifest.json").read_text())
    assert manifest["metric"] == 0.5 and manifest["metadata"] == {"k": [1]} and found.metric == 0.5
    assert {k: v.tolist() for k, v in found.model_tensors().items()} == {k: v.tolist() for k, v in model.state_dict().items()}
    assert found.state()["scheduler"][""]["state"] == scheduler.state_dict()


def test_several_models_and_parts_by_name(tmp_path):
    one, two = nn.Linear(2, 2), nn.Linear(3, 1)
    optimizers = [optim.SGD(one.parameters(), lr=0.1, momentum=0.9), optim.Adam(two.parameters())]
    manager = CheckpointManager(tmp_path)
    manager.save(1, {"g": one, "d": two}, optimizers, extra={"ema": nn.Linear(1, 1)})
    assert {"model-g.safetensors", "model-d.safetensors"} <= set(os.listdir(tmp_path / "step-1"))
    three = nn.Linear(2, 2)
    manager.restore({"g": three})
    assert three.weight.tolist() == one.weight.tolist()
    with pytest.raises(RuntimeError, match="no model 'q'"):
        manager.restore({"q": three})
    with pytest.raises(ValueError, match="name"):
        manager.save(2, {"../x": one})
    with pytest.raises(TypeError, match="state_dict"):
        manager.save(2, {"x": 5})


def test_state_that_is_no_tensor_and_tied_weights(tmp_path):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.count = nn.Linear(2, 2), nn.Linear(2, 2), 0
            self.b.weight = self.a.weight

        def get_extra_state(self):
            return {"count": self.count}

        def set_extra_state(self, state):
            self.count = state["count"]

    model, other = Model(), Model()
    model.count = 5
    manager = CheckpointManager(tmp_path)
    manager.save(1, model)
    manager.restore(other)
    assert other.count == 5 and other.a.weight is other.b.weight and other.a.weight.tolist() == model.a.weight.tolist()


# -- keeping ------------------------------------------------------------------------------------------------------------


def test_the_newest_and_the_best_are_kept_in_numeric_order(tmp_path):
    manager = CheckpointManager(tmp_path, keep=2)
    for step, metric in [(8, 3.0), (9, 1.0), (10, 2.0), (11, float("nan")), (100, None), (99, 2.5)]:
        manager.save(step, metric=metric)
    assert [c.step for c in manager.checkpoints()] == [9, 99, 100]
    assert manager.latest().step == 100 and manager.best().step == 9
    assert sorted(os.listdir(tmp_path)) == ["step-100", "step-9", "step-99"]
    assert manager.restore(which="best").step == 9 and manager.restore(which=99).step == 99 and manager.restore().step == 100
    assert CheckpointManager(tmp_path, mode="max").best().step == 99


def test_the_first_of_equals_is_best_and_all_may_be_kept(tmp_path):
    manager = CheckpointManager(tmp_path, keep=None, mode="max")
    for step in range(12):
        manager.save(step, metric=min(step, 3))
    assert len(manager.checkpoints()) == 12 and manager.best().step == 3


def test_nothing_there(tmp_path):
    manager = CheckpointManager(tmp_path / "none")
    assert manager.latest() is None and manager.best() is None and manager.checkpoints() == []
    for which in ("latest", "best", 5):
        with pytest.raises(FileNotFoundError, match="none"):
            manager.restore(which=which)
    with pytest.raises(ValueError, match="which"):
        manager.restore(which="newest")
    for keywords in ({"keep": 0}, {"keep": 1.5}, {"mode": "least"}):
        with pytest.raises(ValueError):
            CheckpointManager(tmp_path, **keywords)


def test_wrong_arguments_write_nothing(tmp_path):
    manager = CheckpointManager(tmp_path)
    for bad in (-1, 1.5, True):
        with pytest.raises(ValueError, match="step"):
            manager.save(bad)
    with pytest.raises(TypeError):
        manager.save(1, metadata={"x": object()})
    with pytest.raises(TypeError, match="could not be loaded again"):
        manager.save(1, extra=Odd())
    assert os.listdir(tmp_path) == []


def test_saving_a_step_again_replaces_it(tmp_path):
    manager = CheckpointManager(tmp_path, keep=1)
    for number in range(3):
        manager.save(5, metadata={"n": number})
    assert manager.latest().metadata == {"n": 2} and os.listdir(tmp_path) == ["step-5"]


def test_a_crash_between_the_two_renames_loses_nothing(tmp_path, monkeypatch):
    manager = CheckpointManager(tmp_path, keep=1)
    manager.save(5, metadata={"n": 0})
    rename = os.rename

    def fail(source, target):
        if ".saving" in source:
            raise KeyboardInterrupt
        rename(source, target)

    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(KeyboardInterrupt):
        manager.save(5, metadata={"n": 1})
    monkeypatch.undo()
    assert manager.latest().metadata == {"n": 0} and manager.restore().step == 5
    manager.save(5, metadata={"n": 2})
    assert manager.latest().metadata == {"n": 2} and os.listdir(tmp_path) == ["step-5"]


# -- restoring only what fits -------------------------------------------------------------------------------------------


def test_misfits_are_refused_and_change_nothing(tmp_path):
    saved = small()
    train(*saved, 3)
    manager = CheckpointManager(tmp_path)
    manager.save(1, *saved)
    model, optimizer, scheduler = small(5)
    train(model, optimizer, scheduler)
    before = everything(model, optimizer, scheduler)
    wide = nn.Linear(4, 2)
    misfits = [
        ("model has no entries 'bias'", (nn.Linear(3, 2, bias=False), optimizer, scheduler)),
        (
            "no entries 'weight', 'bias' and entries that are not in the file: '0.weight'",
            (nn.Sequential(nn.Linear(3, 2)), optimizer, scheduler),
        ),
        ("'weight'", (wide, optimizer, scheduler)),
        ("float64", (nn.Linear(3, 2).double(), optimizer, scheduler)),
        ("Adam in the file and a SGD", (model, optim.SGD(model.parameters(), lr=1.0), scheduler)),
        ("other shapes", (model, optim.Adam(wide.parameters()), scheduler)),
        ("other shapes", (model, optim.Adam([{"params": [p]} for p in model.parameters()]), scheduler)),
        ("StepLR in the file", (model, optimizer, optim.lr_scheduler.ExponentialLR(optimizer, 0.5))),
    ]
    before = everything(model, optimizer, scheduler)
    for match, parts in misfits:
        with pytest.raises(RuntimeError, match=match) as caught:
            manager.restore(*parts)
        assert str(tmp_path) in str(caught.value) and everything(model, optimizer, scheduler) == before, match
    with pytest.raises(RuntimeError, match="holds no loader"):
        manager.restore(model, loader=ResumableLoader([]))
    assert everything(model, optimizer, scheduler) == before
    manager.restore(model, optimizer, scheduler)
    assert everything(model, optimizer, scheduler)[:3] == everything(*saved)[:3]


def test_a_part_that_fails_late_rolls_everything_back(tmp_path):
    class Late:
        def state_dict(self):
            return {}

        def load_state_dict(self, state):
            raise ValueError("not me")

    saved = small()
    train(*saved, 3)
    manager = CheckpointManager(tmp_path)
    manager.save(1, *saved, extra=Late())
    parts = small(5)
    train(*parts, 2)
    before = everything(*parts)
    with pytest.raises(ValueError, match="not me") as caught:
        manager.restore(*parts, extra=Late())
    assert "while putting back" in caught.value.__notes__[0]
    assert everything(*parts) == before


def test_random_states_can_be_left_alone(tmp_path):
    CheckpointManager(tmp_path / "a", python_rng=False, numpy_rng=False).save(1)
    CheckpointManager(tmp_path / "b").save(1)
    drawn = ours.rand(1).item(), random.random(), np.random.rand()
    before = ours.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist()
    CheckpointManager(tmp_path / "b").restore(rng=False)
    assert before == (ours.get_rng_state().tolist(), random.getstate(), np.random.get_state()[1].tolist())
    CheckpointManager(tmp_path / "a").restore()
    assert before[1:] == (random.getstate(), np.random.get_state()[1].tolist()) and ours.rand(1).item() == drawn[0]
    CheckpointManager(tmp_path / "b").restore()
    assert (ours.rand(1).item(), random.random(), np.random.rand()) == drawn


# -- damage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.safetensors", "state.pt", "manifest.json"])
def test_damage_is_noticed_and_changes_nothing(name, tmp_path):
    parts = small()
    manager = CheckpointManager(tmp_path)
    manager.save(1, *parts)
    train(*parts)
    manager.save(2, *parts)
    train(*parts)
    before = everything(*parts)
    path = tmp_path / "step-2" / name
    whole = path.read_bytes()
    if name != "manifest.json":
        for position in range(0, len(whole), max(1, len(whole) // 40)):
            path.write_bytes(whole[:position] + bytes((whole[position] ^ 1,)) + whole[position + 1 :])
            with pytest.raises(CorruptFileError, match=name):
                manager.restore(*parts)
    for length in (0, 1, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.warns(UserWarning, match=name):
            assert manager.latest().step == 1
    path.unlink()
    if name == "manifest.json":  # without one it does not count as a checkpoint at all
        assert manager.latest().step == 1
    else:
        with pytest.warns(UserWarning, match=name):
            assert manager.latest().step == 1
    assert everything(*parts) == before
    path.write_bytes(whole)
    assert manager.restore(*parts).step == 2


WORKER = """
import sys, itertools
import numpy as np
import torchlike_asg as ours
from torchlike_asg import nn, optim
from torchlike_asg.checkpoint import CheckpointManager
manager = CheckpointManager(sys.argv[1], keep=2)
model = nn.Linear(40, 40)
optimizer = optim.SGD(model.parameters(), lr=0.1)
found = manager.latest()
start = 0
if found:
    manager.restore(model, optimizer)
    start = found.metadata["n"]
    assert model.weight.detach().numpy().min() == model.weight.detach().numpy().max() == start
print("ready", flush=True)
for n in itertools.count(start + 1):
    with ours.no_grad():
        model.weight.fill_(float(n))
    manager.save(n // 2, model, optimizer, metric=-n, metadata={"n": n})
    print(n, flush=True)
"""


def test_a_kill_at_any_moment_leaves_the_last_checkpoint(tmp_path):
    generator = random.Random(7)
    done = 0
    for round_ in range(8):
        process = subprocess.Popen([sys.executable, "-c", WORKER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        reported = [process.stdout.readline() for _ in range(round_ % 4)]  # the more of them, the later it is killed
        time.sleep(generator.uniform(0.0, 0.05))
        process.kill()
        reported += process.stdout.read().split()
        process.wait()
        process.stdout.close()
        done = int(reported[-1]) if reported else done
        found = CheckpointManager(tmp_path).latest()
        if done:
            assert found is not None and found.metadata["n"] >= done
            found.verify()
            assert np.unique(found.model_tensors()["weight"].numpy()).tolist() == [found.metadata["n"]]
            assert load(os.path.join(found.path, "state.pt"))["optimizer"][""]["type"] == "SGD"
            done = found.metadata["n"]
    assert done >= 12  # that many were waited for
    leftovers = [name for name in os.listdir(tmp_path) if name.startswith(".")]
    CheckpointManager(tmp_path, keep=2).save(10**6)
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")], leftovers
