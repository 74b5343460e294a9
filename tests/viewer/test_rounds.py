"""Several optimizers: those of one model take turns in one graph, and those of other models are no part of it."""

import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.nn import functional as F
from torchlike_asg.viewer import attach
from torchlike_asg.viewer.gui.store import Store
from torchlike_asg.viewer.protocol import read_recording
from torchlike_asg.viewer.rounds import ALONE, LONGEST, Rounds


def numbers(handle, path):
    """The curves that were sent, as name -> values, as the window puts them together."""
    handle.save(path)
    store = Store()
    for message in read_recording(path):
        store.apply(message)
    return {name: curve.values.tolist() for name, curve in store.curves.items()}


def watched(model, step, path, times=12):
    """The graph after some steps, the losses that they gave, and the curves."""
    handle = attach(model, window=False)
    losses = []
    for _ in range(times):
        losses.append(step())
        handle._settle()
    graph, curves, trouble = handle._session._snapshot, numbers(handle, path), handle._session.trouble
    handle.detach()
    assert not trouble
    return graph, losses, curves


class Gan(nn.Module):
    def __init__(self):
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 6))
        self.critic = nn.Sequential(nn.Linear(6, 8), nn.LeakyReLU(), nn.Linear(8, 1))


def gan(critic_steps):
    """A model with two parts that learn against each other, and a step of both."""
    model = Gan()
    first = torch.optim.Adam(model.critic.parameters(), lr=1e-3)
    second = torch.optim.Adam(model.generator.parameters(), lr=1e-3)

    def step():
        for _ in range(critic_steps):
            first.zero_grad()
            fake = model.generator(torch.randn(16, 4))
            critic_loss = F.softplus(-model.critic(torch.randn(16, 6))).mean() + F.softplus(model.critic(fake.detach())).mean()
            critic_loss.backward()
            first.step()
        second.zero_grad()
        loss = F.softplus(-model.critic(fake)).mean()
        loss.backward()
        second.step()
        return critic_loss.item(), loss.item()

    return model, step


@pytest.mark.parametrize("critic_steps", [1, 3])
def test_optimizers_that_take_turns_share_one_graph(critic_steps, tmp_path):
    model, step = gan(critic_steps)
    graph, losses, curves = watched(model, step, tmp_path / "run.asgtrace")
    assert int(graph.output.sum()) == 2  # both losses
    update = {graph.text("scope", i) for i in range(len(graph)) if graph.phase[i] == 2}
    assert {"optimizer.generator/0/weight", "optimizer.critic/0/weight"} <= update
    assert not [i for i in range(len(graph)) if graph.text("op", i) == "input" and graph.phase[i] == 0 and not graph.users(i)]
    assert curves["loss 1"][critic_steps - 1 :: critic_steps] == [a for a, _ in losses]
    assert curves["loss 2"] == [b for _, b in losses]


def test_two_optimizers_of_one_loss_have_one_curve_and_one_graph(tmp_path):
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
    weights = torch.optim.SGD([model[0].weight, model[2].weight], lr=1e-2)
    biases = torch.optim.Adam([model[0].bias, model[2].bias], lr=1e-3)

    def step():
        weights.zero_grad()
        biases.zero_grad()
        loss = model(torch.randn(16, 6)).square().mean()
        loss.backward()
        weights.step()
        biases.step()
        return loss.item()

    graph, losses, curves = watched(model, step, tmp_path / "run.asgtrace")
    assert curves["loss"] == losses
    assert not [name for name in curves if name.startswith("loss ")]
    update = [i for i in range(len(graph)) if graph.phase[i] == 2]
    assert {"optimizer.0/weight", "optimizer.0/bias"} <= {graph.text("scope", i) for i in update}
    assert not [i for i in update if graph.text("op", i) == "input"]  # gradients come from the backward half


def test_each_window_is_about_its_own_model(tmp_path):
    models = [nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 1)) for width in (5, 7)]
    optimizers = [torch.optim.SGD(model.parameters(), lr=lr) for model, lr in zip(models, (0.1, 0.2), strict=True)]

    def step():
        losses = []
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.zero_grad()
            loss = model(torch.randn(16, 6)).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    handles = [attach(model, window=False) for model in models]
    losses = []
    for _ in range(12):
        losses.append(step())
        for handle in handles:
            handle._settle()
    for k, (handle, width, lr) in enumerate(zip(handles, (5, 7), (0.1, 0.2), strict=True)):
        graph, curves = handle._session._snapshot, numbers(handle, tmp_path / "run.asgtrace")
        handle.detach()
        assert [graph.shape(i) for i in range(len(graph)) if graph.text("op", i) == "linear"] == [(16, width), (16, 1)]
        assert {graph.text("name", i) for i in range(len(graph)) if graph.text("op", i) == "var" and graph.phase[i] == 0} == {
            "weight",
            "bias",
        }
        assert curves["loss"] == [both[k] for both in losses]
        assert set(curves["lr"]) == {lr}


def test_rounds_end_with_the_optimizer_that_came_last():
    rounds, (a, b, other) = Rounds(), [torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1) for _ in range(3)]
    order = [a, b, a, b, a, a, b]
    assert [rounds.ends(rounds.number(o, 1)) for o in order] == [True, True, False, True, False, False, True]
    assert rounds.several
    alone = [rounds.ends(rounds.number(a, 1)) for _ in range(LONGEST + 3)]  # the other is not used any more
    assert alone == [False] * (LONGEST - 1) + [True] * 4
    model = nn.Linear(2, 2)
    own = torch.optim.SGD(model.parameters(), lr=0.1)
    rounds = Rounds(model)
    assert rounds.number(other, ALONE) == -1
    assert rounds.number(other, ALONE + 1) == 0  # nobody trains the model: what is trained may be of interest
    assert rounds.number(own, ALONE + 2) == 0
    assert rounds.number(other, ALONE + 3) == -1
