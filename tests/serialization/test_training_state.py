"""A training run that began in PyTorch goes on here from its checkpoint, and the other way round."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.serialization import load, save

torch = pytest.importorskip("torch")

OPTIMIZERS = {
    "SGD": {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01},
    "Adam": {"lr": 0.01, "amsgrad": True},
    "AdamW": {"lr": 0.01},
    "RMSprop": {"lr": 0.01, "momentum": 0.5, "centered": True},
    "Adagrad": {"lr": 0.1, "lr_decay": 0.1},
    "Adadelta": {"lr": 1.0},
}
X = np.random.default_rng(0).standard_normal((6, 8, 5)).astype(np.float32)


def build(lib, name):
    lib.manual_seed(3)
    model = lib.nn.Sequential(lib.nn.Linear(5, 4), lib.nn.BatchNorm1d(4), lib.nn.Tanh(), lib.nn.Linear(4, 1))
    return model, getattr(lib.optim, name)(model.parameters(), **OPTIMIZERS[name])


def train(lib, model, optimizer, first, last):
    losses = []
    for x in X[first:last]:
        optimizer.zero_grad()
        loss = (model(lib.from_numpy(x)) - 1.0).pow(2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("start", ["torch", "ours"])
def test_a_run_changes_sides(start, name, tmp_path):
    libraries = {"torch": (torch, torch.save, torch.load), "ours": (ours, save, load)}
    first, write, _ = libraries[start]
    second, _, read = libraries["ours" if start == "torch" else "torch"]
    model, optimizer = build(first, name)
    train(first, model, optimizer, 0, 3)
    write({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "run.pt")
    expected = train(first, model, optimizer, 3, 6)

    model, optimizer = build(second, name)
    state = read(tmp_path / "run.pt")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    assert train(second, model, optimizer, 3, 6) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_run_goes_on_bit_for_bit(name, tmp_path):
    model, optimizer = build(ours, name)
    train(ours, model, optimizer, 0, 3)
    save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "run.pt")
    expected = train(ours, model, optimizer, 3, 6)
    model, optimizer = build(ours, name)
    train(ours, model, optimizer, 5, 6)
    state = load(tmp_path / "run.pt")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    assert train(ours, model, optimizer, 3, 6) == expected


SCHEDULERS = {
    "StepLR": lambda s, o: s.StepLR(o, 2),
    "MultiStepLR": lambda s, o: s.MultiStepLR(o, [1, 4]),
    "ExponentialLR": lambda s, o: s.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda s, o: s.CosineAnnealingLR(o, 8),
    "LambdaLR": lambda s, o: s.LambdaLR(o, lambda epoch: 0.9**epoch),
    "LinearLR": lambda s, o: s.LinearLR(o, total_iters=4),
    "OneCycleLR": lambda s, o: s.OneCycleLR(o, 0.5, 20),
    "ReduceLROnPlateau": lambda s, o: s.ReduceLROnPlateau(o, patience=0),
    "SequentialLR": lambda s, o: s.SequentialLR(o, [s.LinearLR(o, total_iters=2), s.ExponentialLR(o, 0.9)], [2]),
}


def rates(scheduler, optimizer, steps):
    found = []
    for _ in range(steps):
        optimizer.step()
        scheduler.step(*([1.0] if type(scheduler).__name__ == "ReduceLROnPlateau" else []))
        found.append(optimizer.param_groups[0]["lr"])
    return found


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("start", ["torch", "ours"])
@pytest.mark.filterwarnings("ignore")
def test_schedules_change_sides_and_go_on(start, name, tmp_path):
    libraries = {"torch": (torch, torch.save), "ours": (ours, save)}
    first, write = libraries[start]
    parts = []
    for lib in (first, torch, ours):
        optimizer = lib.optim.SGD([lib.nn.Parameter(lib.ones(1))], lr=0.1, momentum=0.9)
        parts.append((SCHEDULERS[name](lib.optim.lr_scheduler, optimizer), optimizer))
    rates(*parts[0], 3)
    write({"scheduler": parts[0][0].state_dict(), "optimizer": parts[0][1].state_dict()}, tmp_path / "s.pt")
    expected = rates(*parts[0], 5)
    for (scheduler, optimizer), read in zip(parts[1:], (torch.load, load), strict=True):
        state = read(tmp_path / "s.pt")
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        assert rates(scheduler, optimizer, 5) == pytest.approx(expected, rel=1e-12)
