"""The first bad value is named in every usual shape of a training loop, and a step's graph is the same whoever reads what in it."""

import math

import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.viewer import attach
from torchlike_asg.viewer.protocol import decode


class Log(nn.Module):
    """``log(|linear(x)| * scale)``: NaN where the scale is negative. Data and weight have one shape."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(6, 4)

    def forward(self, x, scale):
        return torch.log(self.fc(x).abs() * scale)


class Loop:
    """A model with its optimizers, and one step of each shape."""

    def __init__(self, lr):
        torch.manual_seed(0)
        self.model = Log()
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.SGD(self.parameters, lr=lr)
        self.bias = torch.optim.Adam([self.model.fc.bias], lr=lr)
        self.critic = nn.Linear(4, 1)
        self.criticism = torch.optim.Adam(self.critic.parameters(), lr=0.01)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=8.0)

    def loss(self, scale):
        self.optimizer.zero_grad()
        return self.model(torch.randn(4, 6), torch.tensor(scale)).mean()

    def plain(self, scale):
        self.loss(scale).backward()
        self.optimizer.step()

    def read_before_backward(self, scale):
        loss = self.loss(scale)
        loss.item()
        loss.backward()
        self.optimizer.step()

    def read_before_step(self, scale):
        loss = self.loss(scale)
        loss.backward()
        loss.item()
        self.optimizer.step()

    def read_after_step(self, scale):
        loss = self.loss(scale)
        loss.backward()
        self.optimizer.step()
        loss.item()

    def evaluated(self, scale):
        self.read_before_step(scale)
        with torch.no_grad():
            self.model(torch.randn(4, 6), torch.tensor(1.0)).mean().item()

    def function_backward(self, scale):
        loss = self.loss(scale)
        torch.autograd.backward(loss)
        self.optimizer.step()

    def gradient_penalty(self, scale):
        loss = self.loss(scale)
        (g,) = torch.autograd.grad(loss, self.parameters[:1], create_graph=True)
        (loss + 0.01 * g.square().sum()).backward()
        self.optimizer.step()

    def skipped_by_number(self, scale):
        loss = self.loss(scale)
        if math.isfinite(loss.item()):
            loss.backward()
            self.optimizer.step()

    def skipped_by_detached(self, scale):
        loss = self.loss(scale)
        if math.isfinite(float(loss.detach())):
            loss.backward()
            self.optimizer.step()

    def skipped_by_isfinite(self, scale):
        loss = self.loss(scale)
        if torch.isfinite(loss):
            loss.backward()
            self.optimizer.step()

    def skipped_by_isnan_any(self, scale):
        loss = self.loss(scale)
        if not torch.isnan(loss).any():
            loss.backward()
            self.optimizer.step()

    def skipped_after_backward(self, scale):
        loss = self.loss(scale)
        loss.backward()
        if torch.isfinite(loss):
            self.optimizer.step()

    def skipped_by_gradient(self, scale):
        self.loss(scale).backward()
        if nn.utils.clip_grad_norm_(self.parameters, 1.0).isfinite():
            self.optimizer.step()

    def clipped(self, scale):
        self.loss(scale).backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()

    def clipped_and_read(self, scale):
        loss = self.loss(scale)
        loss.backward()
        loss.item()
        nn.utils.clip_grad_norm_(self.parameters, 1.0).item()
        self.optimizer.step()

    def accumulated(self, scale, before=False, after=False):
        self.optimizer.zero_grad()
        for k in range(3):
            loss = self.model(torch.randn(4, 6), torch.tensor(scale if k == 1 else 1.0)).mean() / 3
            if before:
                loss.item()
            loss.backward()
            if after:
                loss.item()
        self.optimizer.step()

    def accumulated_and_read_before(self, scale):
        self.accumulated(scale, before=True)

    def accumulated_and_read_after(self, scale):
        self.accumulated(scale, after=True)

    def scaled(self, scale):
        self.scaler.scale(self.loss(scale)).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def scaled_and_clipped(self, scale):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = self.loss(scale)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        loss.item()

    def two_optimizers(self, scale):
        self.loss(scale).backward()
        self.optimizer.step()
        self.bias.step()

    def two_optimizers_and_read(self, scale):
        loss = self.loss(scale)
        loss.backward()
        loss.item()
        self.optimizer.step()
        self.bias.step()

    def adversaries(self, scale, read=False):
        x = torch.randn(4, 6)
        self.criticism.zero_grad()
        loss = self.critic(self.model(x, torch.tensor(1.0)).detach()).square().mean()
        loss.backward()
        self.criticism.step()
        self.optimizer.zero_grad()
        other = self.critic(self.model(x, torch.tensor(scale))).mean()
        other.backward()
        if read:
            loss.item(), other.item()
        self.optimizer.step()

    def adversaries_and_read(self, scale):
        self.adversaries(scale, read=True)

    def closure(self, scale):
        x = torch.randn(4, 6)

        def evaluate():
            self.optimizer.zero_grad()
            loss = self.model(x, torch.tensor(scale)).mean()
            loss.backward()
            return loss

        self.optimizer.step(evaluate)


SHAPES = [name for name, f in vars(Loop).items() if callable(f) and name not in ("__init__", "loss")]


def watched(name, scales, lr=0.01):
    """(alarms as (operation, what), the graphs) of a loop."""
    loop = Loop(lr)
    handle = attach(loop.model, window=False)
    session = handle._session
    for scale in scales:
        getattr(loop, name)(scale)
        session._governor.credit, session._looked, session._kept_at, session._hunt_again = 9.0, 0.0, 0.0, 0.0
        handle._settle()
    handle._settle()
    graphs = {m.epoch: m.columns for m in map(decode, session.publisher.history._graphs)}
    found = []
    for m in map(decode, session.publisher.history._rest):
        if m.kind == "alarm":
            g = graphs[m.epoch]
            found.append(("" if m.node < 0 else g["texts"][g["op"][m.node]], m.what))
    trouble = session.trouble
    handle.detach()
    assert not trouble
    return found, list(graphs.values())


@pytest.mark.parametrize("shape", SHAPES)
def test_the_first_bad_value_is_named(shape):
    found, _ = watched(shape, [1.0] * 5 + [-1.0] + [1.0] * 2)
    assert found[:2] == [("", "loss"), ("log", "nan")]
    if shape.startswith("skipped") or "scaled" in shape:
        assert len(found) == 2  # what comes after it is well, and nothing to be told


@pytest.mark.parametrize("shape", ["read_before_backward", "read_before_step", "read_after_step", "evaluated", "function_backward"])
def test_the_graph_of_a_step_is_the_same_whoever_reads(shape):
    def seen(name):
        graph = watched(name, [1.0] * 4)[1][-1]
        names = [graph["texts"][k] for k in graph["op"]]
        edges = sorted(zip(graph["src"].tolist(), graph["dst"].tolist(), strict=True))
        return names, [graph["texts"][k] for k in graph["scope"]], graph["phase"].tolist(), edges, (graph["kernel"] >= 0).tolist()

    assert seen(shape) == seen("plain")


@pytest.mark.parametrize("shape", ["plain", "read_before_step", "accumulated_and_read_after"])
def test_an_explosion_is_found_by_training_on(shape):
    """The parameters overflow step by step: the cause is a product, not the damaged parameter."""
    found, _ = watched(shape, [1.0] * 4 + [1e20] * 30, lr=1e19)
    assert found[0] == ("", "loss")
    assert found[1][0] not in ("", "var", "input")


def test_a_metric_that_is_not_finite_is_no_alarm():
    loop = Loop(0.01)
    handle = attach(loop.model, window=False)
    for _ in range(3):
        loop.plain(1.0)
        with torch.no_grad():
            loop.model(torch.randn(4, 6), torch.tensor(-1.0)).mean().item()
        (torch.tensor(1.0) / torch.tensor(0.0)).item()
        bool(torch.tensor(0.0) / torch.tensor(0.0) > 1)
        handle._settle()
    kinds = [m.kind for m in map(decode, handle._session.publisher.history._rest)]
    handle.detach()
    assert "alarm" not in kinds
