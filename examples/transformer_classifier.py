"""A transformer that must attend: look up a key in a list of pairs.

A sequence holds six (key, value) tokens with six different keys, then a query token that names one of those keys; the class is the
value stored with it. A token is embedded as the sum of its key's and its value's vectors, so averaging the sequence
forgets which value belongs to which key: without attention the best guess is the commonest of the six. The same
network with its attention replaced by the plain average of the sequence is trained as a control.

Training and test sequences are drawn at random from some 10^11 and no test sequence occurs in training.

Expected: test accuracy of at least 97 % with attention, and below 50 % for the control.
Run: python examples/transformer_classifier.py
"""

import argparse

from tqdm import tqdm

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.nn import functional as F

KEYS, VALUES, PAIRS, WIDTH = 10, 8, 6, 48
NO_VALUE = VALUES  # what the query token carries in place of a value


def sequences(count, generator):
    """Keys and values [count, PAIRS + 1] of each token, the last token being the query, and the class [count]."""
    keys = torch.rand(count, KEYS, generator=generator).argsort(dim=1)[:, :PAIRS]
    values = torch.randint(0, VALUES, (count, PAIRS), generator=generator)
    asked = torch.randint(0, PAIRS, (count, 1), generator=generator)
    keys = torch.cat([keys, keys.gather(1, asked)], dim=1)
    target = values.gather(1, asked).squeeze(1)
    return keys, torch.cat([values, torch.full((count, 1), NO_VALUE)], dim=1), target


class Average(nn.Module):
    """The control: every position receives the mean of the sequence, whatever it holds."""

    def forward(self, x):
        return x.mean(dim=1, keepdim=True).expand_as(x)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Classifier(nn.Module):
    """One pre-norm block; the class is read off the query token."""

    def __init__(self, mixer):
        super().__init__()
        self.key, self.value = nn.Embedding(KEYS, WIDTH), nn.Embedding(VALUES + 1, WIDTH)
        self.mixer = mixer
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.feed_forward = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))
        self.head = nn.Linear(WIDTH, VALUES)

    def forward(self, keys, values):
        x = self.key(keys) + self.value(values)
        x = x + self.mixer(self.norm1(x))
        x = x + self.feed_forward(self.norm2(x))
        return self.head(x[:, -1])


def train(mixer, data, steps, seed):
    torch.manual_seed(seed)
    keys, values, target = data
    model = Classifier(mixer())
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in (progress := tqdm(range(steps), desc=mixer.__name__)):
        batch = torch.randint(0, len(target), (128,))
        loss = F.cross_entropy(model(keys[batch], values[batch]), target[batch])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return model.eval()


def accuracy_of(model, data):
    keys, values, target = data
    with torch.no_grad():
        return (model(keys, values).argmax(dim=1) == target).float().mean().item()


def overlap(train_set, test_set):
    """How many test sequences also occur in the training set."""
    rows = [set(map(tuple, torch.cat([keys, values], dim=1).tolist())) for keys, values, _ in (train_set, test_set)]
    return len(rows[0] & rows[1])


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help="train on the GPU")
    args = parser.parse_args(argv)
    torch.set_default_device("wgpu" if args.gpu else "cpu")

    generator = torch.Generator().manual_seed(args.seed)
    train_set, test_set = sequences(20_000, generator), sequences(2_000, generator)
    result = {
        "overlap": overlap(train_set, test_set),
        "accuracy": accuracy_of(train(Attention, train_set, args.steps, args.seed), test_set),
        "control": accuracy_of(train(Average, train_set, args.steps, args.seed), test_set),
    }
    print(f"test accuracy {result['accuracy']:.1%} with attention, {result['control']:.1%} with the average instead")
    return result


if __name__ == "__main__":
    main()
