"""Whole training steps of layers: torch's own losses from the same seed, and nothing new to record or plan from the third step on."""

from __future__ import annotations

import numpy as np
import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


def recurrent(package, kind):
    class Net(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = getattr(package.nn, kind)(4, 5, num_layers=2, bidirectional=True, dropout=0.2)
            self.head = package.nn.Linear(10, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[0])

    return Net()


def transformer(package):
    class Net(package.nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = package.nn.Embedding(11, 8)
            layer = package.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
            self.encoder = package.nn.TransformerEncoder(layer, 2, package.nn.LayerNorm(8), enable_nested_tensor=False)
            self.mask = package.nn.Transformer.generate_square_subsequent_mask(6)

        def forward(self, x):
            return self.encoder(self.embed(x), mask=self.mask, is_causal=True)

    return Net()


def mlp(package):
    nn = package.nn
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Dropout(0.3), nn.LayerNorm(8), nn.Linear(8, 2))


def convolutions(package):
    nn = package.nn
    body = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(0.3)]
    return nn.Sequential(*body, nn.Flatten(), nn.Linear(64, 3))


def normed(package):
    nn, norms = package.nn, package.nn.utils.parametrizations
    return nn.Sequential(norms.spectral_norm(nn.Linear(4, 6)), nn.Tanh(), norms.weight_norm(nn.Linear(6, 2)))


MODELS = {
    "mlp": (mlp, (5, 4)),
    "cnn": (convolutions, (3, 2, 8, 8)),
    "lstm": (lambda package: recurrent(package, "LSTM"), (6, 3, 4)),
    "gru": (lambda package: recurrent(package, "GRU"), (6, 3, 4)),
    "normed": (normed, (5, 4)),
    "transformer": (transformer, None),
}


def train(package, name, steps):
    build, shape = MODELS[name]
    package.manual_seed(1)
    model = build(package)
    optimizer = package.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses, counts = [], []
    for _ in range(steps):
        x = package.randint(0, 11, (3, 6)) if shape is None else package.randn(*shape)
        optimizer.zero_grad()
        loss = (model(x) - 1).square().mean()
        loss.backward()
        package.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        losses.append(loss.item())
        if package is ours:
            stats = ours.asg.stats()
            counts.append((stats["nodes"], stats["plans"]))
    return losses, counts


@pytest.mark.parametrize("name", MODELS)
def test_the_same_seed_gives_torchs_losses(name):
    np.testing.assert_allclose(train(ours, name, 6)[0], train(torch, name, 6)[0], rtol=2e-4)


@pytest.mark.parametrize("name", MODELS)
def test_steps_are_recorded_and_planned_once(name):
    _, counts = train(ours, name, 7)
    assert len(set(counts[3:])) == 1
