"""Which graph is shown of a training loop."""

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.asg import arena
from torchlike_asg.facade.core import node_of
from torchlike_asg.viewer import attach
from torchlike_asg.viewer.snapshot import KINDS

from .models import Tiny, train


def test_a_loss_that_nobody_keeps_is_seen_and_changes_nothing():
    """The script drops the loss at once, so without a viewer it is not even computed."""

    def run(watch):
        torch.manual_seed(4)
        model = Tiny()
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        handle = attach(model, window=False) if watch else None
        for _ in range(12):
            x, y = torch.randn(16, 6), torch.randint(0, 3, (16,))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
        return model, handle

    plain, _ = run(False)
    watched, handle = run(True)
    handle._settle()
    losses = np.concatenate([values for _, _, values in handle._session.publisher.history._curves["loss"]])
    handle.detach()
    assert len(losses) == 12
    assert losses[-1] < losses[0]
    for a, b in zip(plain.parameters(), watched.parameters(), strict=True):
        assert torch.equal(a, b)


def test_evaluations_are_no_part_of_the_step():
    torch.manual_seed(4)
    model = Tiny()
    handle = attach(model, window=False)
    train(model, 3)
    handle._settle()
    before = len(handle._session._snapshot)
    with torch.no_grad():
        for n in (5, 7):
            model(torch.randn(n, 6)).sum().item()
    train(model, 3)
    handle._settle()
    batches = {handle._session._snapshot.shape(i)[0] for i, op in enumerate(handle._session._snapshot.column("op")) if op == "layer_norm"}
    handle.detach()
    assert batches == {16}
    assert len(handle._session._snapshot) <= before


def test_a_smaller_last_batch_is_passed_over_and_a_new_size_is_followed():
    def batch(session):
        graph = session._snapshot
        (norm,) = [i for i in range(len(graph)) if graph.text("op", i) == "layer_norm"]
        return session._nodes[norm].shape[0], graph.shape(norm)[0]

    torch.manual_seed(4)
    model = Tiny()
    handle = attach(model, window=False)
    session = handle._session
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def train_with(*sizes):
        for n in sizes:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(n, 6)), torch.randint(0, 3, (n,))).backward()
            optimizer.step()
            handle._settle()

    try:
        for _ in range(4):
            train_with(16, 16, 16, 16, 5)
            assert batch(session) == (16, 16)
        epoch = session.epoch
        train_with(*[5] * 12)
        assert batch(session) == (5, 5)
        assert session.epoch == epoch + 1
        train_with(*[16] * 12)
        assert batch(session) == (16, 16)
        assert all(session._kernels[k] is not None for k in session._snapshot.kernel.tolist() if k >= 0)
        trouble = session.trouble
    finally:
        handle.detach()
    assert not trouble


def test_places_that_another_model_used_first_stand_in_this_one():
    """Places for data, and what is computed from data alone, are shared by all models: their sites are those of the first."""

    class Flat(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.flatten, self.head = nn.Flatten(), nn.Linear(6, width)

        def forward(self, x):
            return self.head(self.flatten(x * 3))

    class Other(Flat):
        pass

    def graph_of(model):
        handle = attach(model, window=False)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for sizes in (16, 16, 16, 5, 16):
            optimizer.zero_grad()
            model(torch.randn(sizes, 2, 3)).square().mean().backward()
            optimizer.step()
            handle._settle()
        graph, epoch = handle._session._snapshot, handle._session.epoch
        handle.detach()
        assert graph.shape(graph.column("op").index("linear"))[0] == 16 and epoch <= 2, "the batch of 5 is passed over"
        return graph

    torch.manual_seed(4)
    arena.compact(everything=True)
    others = Other(4)
    for _ in range(3):
        others(torch.randn(5, 2, 3)).square().mean().backward()  # the place of the small batch is first seen here
    first = graph_of(Flat(3))
    scopes = [s for s, kind in zip(first.column("scope"), first.kind, strict=True) if KINDS[kind] in ("input", "op")]
    assert not [s for s in scopes if "Other" in s] and "Flat" in scopes
    graph_of(Other(3))


def test_parts_that_are_called_by_themselves_are_parts_of_their_model():
    model = nn.ModuleDict({"generator": nn.Sequential(nn.Linear(3, 4), nn.Tanh()), "judge": nn.Sequential(nn.Linear(4, 1))})
    handles = [attach(model, window=False) for _ in range(2)]
    made = model["judge"](model["generator"](torch.randn(2, 3)))
    assert node_of(made).site[0] == "ModuleDict.judge.0 (Linear)"
    handles[0].detach()
    with pytest.raises(RuntimeError) as caught:
        model["judge"](torch.randn(2, 5))
    assert "in ModuleDict.judge.0 (Linear)" in caught.value.__notes__
    assert node_of(nn.Sequential(nn.ReLU())(torch.randn(2, 7))).site[0] == "Sequential.0 (ReLU)", "another model's"
    handles[1].detach()
    assert node_of(model["judge"](torch.randn(5, 4))).site[0] == "Sequential.0 (Linear)"


class Scaled(nn.Module):
    """A module around another."""

    def __init__(self, inner):
        super().__init__()
        self.module = inner

    def forward(self, x):
        return self.module(x) * 2


def scopes_of(model, loss):
    """(operation, scope) of the forward half of a step, of the model that a window is about."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    handle = attach(model, window=False)
    for _ in range(3):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        handle._settle()
    graph = handle._session._snapshot
    handle.detach()
    return [(graph.text("op", i), graph.text("scope", i)) for i in range(len(graph)) if graph.phase[i] == 0]


def test_a_model_within_a_module_around_it_keeps_its_names():
    model = Tiny()
    around = Scaled(model)
    found = scopes_of(model, lambda: around(torch.randn(4, 6)).square().mean())
    assert ("linear", "Tiny.first") in found
    assert ("var", "Tiny.first") in found
    assert ("mul", "Scaled") in found
    assert not [scope for _, scope in found if scope.startswith("Scaled.")]


def test_another_model_of_the_same_class_has_a_place_of_its_own():
    model, target = Tiny(), Tiny()

    def loss():
        x = torch.randn(4, 6)
        with torch.no_grad():
            wanted = target(x)
        return (model(x) - wanted).square().mean()

    found = scopes_of(model, loss)
    for name in ("Tiny", "Tiny#2"):
        assert [scope for op, scope in found if op == "linear" and scope.startswith(f"{name}.")] == [f"{name}.first", f"{name}.head"]
        assert {scope for op, scope in found if op == "var" and scope.startswith(f"{name}.")} == {
            f"{name}.{part}" for part in ("first", "norm", "head")
        }
