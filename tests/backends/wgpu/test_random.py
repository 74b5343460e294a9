"""Random numbers of a GPU: its own counter-based stream, made where they are used, equal to the CPU's under `config.fused_random`."""

import copy

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.backends.wgpu.uploads import Uploads
from torchlike_asg.nn import functional as F
from torchlike_asg.rng import philox

from .harness import device


@pytest.fixture(autouse=True)
def gpu():
    device()


@pytest.fixture
def fused():
    """Has the CPU take the counter-based stream inside ``with fused():``."""

    class Fused:
        def __enter__(self):
            torch.config.fused_random = True

        def __exit__(self, *_):
            torch.config.fused_random = False

    yield Fused
    torch.config.fused_random = False


DRAWS = {
    "rand": lambda d: torch.rand(5, 7, device=d),
    "randn": lambda d: torch.randn(5, 7, device=d),
    "rand_like": lambda d: torch.rand_like(torch.zeros(3, 9, device=d)),
    "randn_like": lambda d: torch.randn_like(torch.zeros(3, 9, device=d)),
    "transposed": lambda d: torch.randn_like(torch.zeros(3, 9, device=d).t()),
    "float16": lambda d: torch.rand(11, device=d, dtype=torch.float16),
    "uniform_": lambda d: torch.zeros(40, device=d).uniform_(-2, 5),
    "normal_": lambda d: torch.zeros(41, device=d).normal_(3, 0.5),
    "normal_ of a part": lambda d: torch.zeros(6, 7, device=d)[:, 2:4].normal_(),
    "bernoulli_": lambda d: torch.zeros(40, device=d).bernoulli_(0.3),
    "bernoulli": lambda d: torch.bernoulli(torch.linspace(0, 1, 33).to(d)),
    "normal of tensors": lambda d: torch.normal(torch.arange(5.0).to(d), torch.ones(5).to(d)),
    "normal of numbers": lambda d: torch.normal(1.0, 2.0, (4, 4), device=d),
    "dropout": lambda d: F.dropout(torch.ones(50, device=d), 0.4),
    "dropout2d": lambda d: F.dropout2d(torch.ones(3, 4, 2, 2, device=d), 0.4),
}


@pytest.mark.parametrize("name", DRAWS)
def test_the_same_as_the_cpu(fused, name):
    torch.manual_seed(5)
    state = torch.get_rng_state().tolist()
    first, second = DRAWS[name]("wgpu").cpu().numpy(), DRAWS[name]("wgpu").cpu().numpy()
    assert torch.get_rng_state().tolist() == state, "nothing was drawn from the CPU's stream"
    torch.manual_seed(5)
    with fused():
        expected = DRAWS[name]("cpu").numpy(), DRAWS[name]("cpu").numpy()
    for got, wanted in zip((first, second), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)
        if set(np.unique(wanted)) <= {0, 1}:
            np.testing.assert_array_equal(got, wanted)
    assert not np.array_equal(first, second)


@pytest.mark.parametrize("draw", [torch.rand, torch.randn, torch.rand_like, torch.randn_like])
def test_the_stream_is_philox_s(draw):
    torch.manual_seed(8)
    got = draw(torch.zeros(50, device="wgpu")) if "like" in draw.__name__ else draw(50, device="wgpu")
    expected = (philox.normal if "randn" in draw.__name__ else philox.uniform)(8, 0, 50)
    np.testing.assert_allclose(got.cpu().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_a_gpu_has_its_own_generator():
    torch.manual_seed(1)
    expected = torch.rand(3).tolist()
    torch.manual_seed(1)
    torch.rand(100, device="wgpu")
    assert torch.rand(3).tolist() == expected, "what a GPU draws takes nothing from the CPU's stream"
    torch.manual_seed(1)
    first = torch.rand(8, device="wgpu").tolist()
    torch.rand(100)
    torch.manual_seed(1)
    torch.rand(3)
    assert torch.rand(8, device="wgpu").tolist() == first


def test_states():
    torch.manual_seed(3)
    g = torch.Generator(device="wgpu").manual_seed(9)
    first = torch.rand(5, device="wgpu", generator=g).tolist()
    state = g.get_state()
    assert state.dtype is torch.uint8 and state.shape == (16,)
    second = torch.rand(5, device="wgpu", generator=g).tolist()
    assert second != first
    assert torch.rand(5, device="wgpu", generator=g.set_state(state)).tolist() == second
    assert torch.rand(5, device="wgpu", generator=copy.deepcopy(g).manual_seed(9)).tolist() == first
    with pytest.raises(RuntimeError, match="16 bytes"):
        g.set_state(torch.zeros(5056, dtype=torch.uint8))
    before = torch.rand(1, device="wgpu").tolist()
    with torch.random.fork_rng():
        forked = torch.rand(4, device="wgpu").tolist()
    assert torch.rand(4, device="wgpu").tolist() == forked != before * 4


def test_a_generator_of_the_cpu_gives_the_cpu_s_numbers():
    g = torch.Generator().manual_seed(2)
    expected = torch.rand(6, generator=torch.Generator().manual_seed(2)).tolist()
    assert torch.rand(6, device="wgpu", generator=g).tolist() == expected


def test_uniform_numbers_stay_below_the_bound():
    torch.manual_seed(0)
    x = torch.empty(200_000, device="wgpu").uniform_(1000, 1000.001)
    assert x.min().item() >= 1000 and x.max().item() < np.float32(1000.001)


def cnn():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.25), nn.Flatten(),
        nn.Linear(8 * 16, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, 10), nn.LogSoftmax(1),
    )  # fmt: skip


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.mu, self.lv = nn.Linear(36, 20), nn.Linear(20, 4), nn.Linear(20, 4)
        self.fc3, self.fc4 = nn.Linear(4, 20), nn.Linear(20, 36)

    def forward(self, x):
        h = F.relu(self.fc1(x))
        mu, lv = self.mu(h), self.lv(h)
        z = mu + torch.randn_like(lv) * torch.exp(0.5 * lv)
        r = torch.sigmoid(self.fc4(F.relu(self.fc3(z))))
        return F.binary_cross_entropy(r, x, reduction="sum") - 0.5 * torch.sum(1 + lv - mu.pow(2) - lv.exp())


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 4, dropout=0.3, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0].square().mean()


def losses(model, inputs, where, steps=5):
    """Of some steps from the model as it is."""
    model = copy.deepcopy(model).to(where)
    x, y = (t.to(where) if t is not None else None for t in inputs)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    torch.manual_seed(11)
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(x) if y is None else F.nll_loss(model(x), y)
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


@pytest.mark.parametrize("name", ["cnn", "vae", "attention"])
def test_training_under_equal_streams(fused, name):
    torch.manual_seed(0)
    if name == "cnn":
        model, inputs = cnn(), (torch.randn(6, 1, 12, 12), torch.randint(0, 10, (6,)))
    elif name == "vae":
        model, inputs = VAE(), (torch.rand(7, 36), None)
    else:
        model, inputs = Attending(), (torch.randn(2, 6, 16), None)
    got = losses(model, inputs, "wgpu")
    with fused():
        expected = losses(model, inputs, "cpu")
    np.testing.assert_allclose(got, expected, rtol=1e-3)


def test_nothing_random_is_sent(monkeypatch):
    sent = []
    send = Uploads.send
    monkeypatch.setattr(Uploads, "send", lambda self, b: (sent.extend(a.size for _, a in self.now), send(self, b))[1])
    x = torch.ones(64, 64).to("wgpu")
    x.sum().item()
    sent.clear()
    (x + torch.randn_like(x) + F.dropout(x, 0.5) + torch.rand(64, 64, device="wgpu")).sum().item()
    assert len(sent) >= 4 and sum(sent) <= 4096 + 8  # keys and counters, and perhaps x
