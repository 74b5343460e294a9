"""The training steps that are timed: `make() -> step`, in plain PyTorch style."""

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.nn import functional as F


def _training(model, loss_fn, optimizer, batches):
    count = iter(range(10**9))

    def step():
        x, y = batches[next(count) % len(batches)]
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return step


def tiny_mlp():
    """Four rows through 2-8-1 with SGD: what a step costs when it computes nothing."""
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    return _training(model, F.mse_loss, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), [(torch.randn(4, 2), torch.randn(4, 1))])


def tiny_inference():
    """One row through 64-128-128-10 without gradients: what looking at a prediction costs."""
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)).eval()
    x = torch.randn(1, 64)

    def step():
        with torch.no_grad():
            return model(x).argmax(1)

    return step


def digits_mlp():
    """784-128-64-10, batch 64, Adam."""
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    batches = [(torch.randn(64, 784), torch.randint(0, 10, (64,))) for _ in range(4)]
    return _training(model, F.cross_entropy, torch.optim.Adam(model.parameters()), batches)


def small_cnn():
    """Two convolutions with batch norm and pooling on 16 images of 28x28, SGD."""
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 10),
    )
    batches = [(torch.randn(16, 1, 28, 28), torch.randint(0, 10, (16,))) for _ in range(2)]
    return _training(model, F.cross_entropy, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), batches)


def small_lstm():
    """An LSTM over 12 steps, with gradient clipping."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.rnn, self.head = nn.Embedding(50, 32), nn.LSTM(32, 32), nn.Linear(32, 50)

        def forward(self, x):
            return self.head(self.rnn(self.embedding(x))[0]).flatten(0, 1)

    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    x, y = torch.randint(0, 50, (12, 8)), torch.randint(0, 50, (96,))

    def step():
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        optimizer.step()
        return loss

    return step


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, length, width = x.shape
        q, k, v = (t.view(batch, length, self.heads, width // self.heads).transpose(1, 2) for t in self.qkv(x).split(width, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).contiguous().view(batch, length, width))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.feed_forward = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.feed_forward(self.norm2(x))


class GPT(nn.Module):
    def __init__(self, layers, heads, width, length, vocabulary):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)

    def forward(self, x):
        h = self.tokens(x) + self.places(torch.arange(x.size(1)))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


def gpt(layers=4, heads=4, width=64, length=32, vocabulary=65, batch=8):
    """A character GPT with AdamW."""
    model = GPT(layers, heads, width, length, vocabulary)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    batches = [(torch.randint(0, vocabulary, (batch, length)), torch.randint(0, vocabulary, (batch, length))) for _ in range(2)]
    return _training(model, lambda logits, y: F.cross_entropy(logits.view(-1, vocabulary), y.view(-1)), optimizer, batches)


def recording_gpt():
    """Twelve layers, eight wide: the arithmetic is nothing, so a step is its recording."""
    return gpt(layers=12, heads=2, width=8, length=4, vocabulary=16, batch=2)


WORKLOADS = {f.__name__: f for f in (tiny_mlp, tiny_inference, digits_mlp, small_cnn, small_lstm, gpt)}
