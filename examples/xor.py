"""XOR: the smallest problem a linear model cannot solve.

A 2-16-1 network learns the four rows of the truth table, once for each of 20 seeds. The table is the whole world of
this problem, so there is no held-out data: the claim is only that training always succeeds.

Expected: every one of the 20 seeds ends with a binary cross-entropy below 1e-3.
Run: python examples/xor.py
"""

import argparse

from tqdm import tqdm

import torchlike_asg as torch
from torchlike_asg import nn


def train(seed, steps):
    """Train one network from scratch; returns its final loss."""
    torch.manual_seed(seed)
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([[0.0], [1.0], [1.0], [0.0]])
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    criterion = nn.BCEWithLogitsLoss()
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    with torch.no_grad():
        return criterion(model(x), y).item()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--gpu", action="store_true", help="train on the GPU")
    args = parser.parse_args(argv)
    torch.set_default_device("wgpu" if args.gpu else "cpu")

    losses = [train(seed, args.steps) for seed in tqdm(range(args.seeds), desc="seeds")]
    print(f"worst loss of {args.seeds} seeds: {max(losses):.2e}")
    return {"losses": losses}


if __name__ == "__main__":
    main()
