"""Handwritten digits with a convolutional network, and proof that its convolutions learn.

Real 8x8 scans from scikit-learn (80 % training, 20 % test, stratified). The training pictures are shifted by up to one
pixel at random. The same network is then trained again with its convolutions frozen at their random initial values, which
must do worse: a network whose convolution gradients were missing would be that second network.

Expected: test accuracy of at least 98 %; every convolution weight moves by more than 10 % of its norm and receives a
gradient other than zero; with frozen convolutions the error rate is at least doubled.
Run: python examples/digits_cnn.py (needs scikit-learn)
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, padding=1)
        self.norm1, self.norm2 = nn.BatchNorm2d(32), nn.BatchNorm2d(64)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(64 * 2 * 2, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.norm1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.norm2(self.conv2(x))), 2)
        return self.head(self.dropout(x.flatten(1)))


def shifted(pictures):
    """Each picture of the batch [N, 1, 8, 8] moved by -1, 0 or 1 pixels along each axis, the border filled with background."""
    count = len(pictures)
    down, right = torch.randint(0, 3, (2, count, 1, 1))
    rows, columns = down + torch.arange(8).view(8, 1), right + torch.arange(8)
    padded = F.pad(pictures, (1, 1, 1, 1))
    return padded[torch.arange(count).view(-1, 1, 1), 0, rows, columns].unsqueeze(1)


def train(x, y, epochs, seed, freeze=False):
    torch.manual_seed(seed)
    model = Net()
    convolutions = [model.conv1, model.conv2]
    before = [conv.weight.detach().clone() for conv in convolutions]
    if freeze:
        for conv in convolutions:
            conv.requires_grad_(False)
    trained = [p for p in model.parameters() if p.requires_grad]
    batches = len(x) // 64
    optimizer = torch.optim.AdamW(trained, lr=1e-2, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=epochs * batches)
    for _ in (progress := tqdm(range(epochs), desc="frozen convolutions" if freeze else "epochs")):
        for batch in torch.randperm(len(x))[: batches * 64].split(64):
            loss = F.cross_entropy(model(shifted(x[batch])), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        progress.set_postfix(loss=f"{loss.item():.4f}", refresh=False)
    moved = [((c.weight.detach() - old).norm() / old.norm()).item() for c, old in zip(convolutions, before, strict=True)]
    gradients = [0.0 if c.weight.grad is None else c.weight.grad.norm().item() for c in convolutions]
    return model, moved, gradients


def accuracy_of(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(dim=1) == y).float().mean().item()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help="train on the GPU")
    args = parser.parse_args(argv)
    torch.set_default_device("wgpu" if args.gpu else "cpu")

    pictures, labels = load_digits(return_X_y=True)
    parts = train_test_split(pictures.reshape(-1, 1, 8, 8) / 16, labels, test_size=0.2, stratify=labels, random_state=0)
    x, x_test = (torch.tensor(part, dtype=torch.float32) for part in parts[:2])
    y, y_test = (torch.tensor(part) for part in parts[2:])

    model, moved, gradients = train(x, y, args.epochs, args.seed)
    frozen, frozen_moved, _ = train(x, y, args.epochs, args.seed, freeze=True)
    result = {
        "accuracy": accuracy_of(model, x_test, y_test),
        "frozen_accuracy": accuracy_of(frozen, x_test, y_test),
        "moved": moved,
        "frozen_moved": frozen_moved,
        "gradients": gradients,
    }
    print(f"test accuracy {result['accuracy']:.2%}, with frozen convolutions {result['frozen_accuracy']:.2%}")
    print("the convolutions moved by " + ", ".join(f"{m:.0%}" for m in moved) + " of their norm")
    return result


if __name__ == "__main__":
    main()
