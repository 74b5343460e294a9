"""Handwritten digits with a multilayer perceptron.

The data are the 1,797 real 8x8 scans of digits that scikit-learn ships, 80 % of them for training and 20 % for the test,
stratified by class. The model never sees a test picture before the final evaluation.

Expected: test accuracy of at least 96 %.
Run: python examples/digits_mlp.py (needs scikit-learn)
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.utils.data import DataLoader, TensorDataset


def load():
    """The digits as ``(x_train, x_test, y_train, y_test)``: pictures [N, 64] in 0..1, labels [N] in 0..9."""
    x, y = load_digits(return_X_y=True)
    return train_test_split(x / 16, y, test_size=0.2, stratify=y, random_state=0)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help="train on the GPU")
    args = parser.parse_args(argv)
    torch.set_default_device("wgpu" if args.gpu else "cpu")

    torch.manual_seed(args.seed)
    x, x_test, y, y_test = load()
    train = TensorDataset(torch.tensor(x, dtype=torch.float32), torch.tensor(y))
    x_test, y_test = torch.tensor(x_test, dtype=torch.float32), torch.tensor(y_test)

    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    for _ in (progress := tqdm(range(args.epochs), desc="epochs")):
        for pictures, labels in DataLoader(train, batch_size=64, shuffle=True):
            loss = nn.functional.cross_entropy(model(pictures), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        progress.set_postfix(loss=f"{loss.item():.4f}", refresh=False)

    model.eval()
    with torch.no_grad():
        accuracy = (model(x_test).argmax(dim=1) == y_test).float().mean().item()
    print(f"test accuracy {accuracy:.2%} of {len(y_test)} pictures")
    return {"accuracy": accuracy}


if __name__ == "__main__":
    main()
