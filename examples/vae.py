"""A variational autoencoder of handwritten digits, after Kingma and Welling (2014).

The data are scikit-learn's 8x8 scans, pixels scaled to 0..1, 80 % for training and 20 % for the test. The loss is the negative
evidence lower bound in nats per picture: binary cross-entropy of the reconstruction plus the KL divergence of the code.
The baseline knows every pixel's mean over the training pictures and nothing else.

Expected: on the test pictures the bound is at least 2 nats better than the baseline; codes are used (KL above 2 nats); and
pictures decoded from random codes lie closer to real digits (mean distance to the nearest test picture) than pictures drawn
from the baseline do.
Run: python examples/vae.py (needs scikit-learn)
"""

import argparse

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tqdm import tqdm

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.nn import functional as F
from torchlike_asg.utils.data import DataLoader

CODE = 8


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 128), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(128, CODE), nn.Linear(128, CODE)
        self.decoder = nn.Sequential(nn.Linear(CODE, 128), nn.ReLU(), nn.Linear(128, 64))

    def forward(self, x):
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        code = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
        return self.decoder(code), mean, log_variance


def bound(model, x):
    """The two parts of the negative bound, each in nats per picture: (reconstruction, KL divergence)."""
    logits, mean, log_variance = model(x)
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp()) / len(x)
    return reconstruction, divergence


def nearest(pictures, real):
    """Mean distance of each picture to the nearest real one."""
    return (pictures.unsqueeze(1) - real).norm(dim=2).min(dim=1).values.mean().item()


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help="train on the GPU")
    args = parser.parse_args(argv)
    torch.set_default_device("wgpu" if args.gpu else "cpu")

    torch.manual_seed(args.seed)
    pictures, labels = load_digits(return_X_y=True)
    parts = train_test_split(pictures / 16, test_size=0.2, stratify=labels, random_state=0)
    x, x_test = (torch.tensor(part, dtype=torch.float32) for part in parts)

    model = VAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in (progress := tqdm(range(args.epochs), desc="epochs")):
        for batch in DataLoader(x, batch_size=64, shuffle=True):
            reconstruction, divergence = bound(model, batch)
            optimizer.zero_grad()
            (reconstruction + divergence).backward()
            optimizer.step()
        progress.set_postfix(reconstruction=f"{reconstruction.item():.2f}", kl=f"{divergence.item():.2f}", refresh=False)

    pixel_means = x.mean(dim=0).clamp(1e-3, 1 - 1e-3)
    with torch.no_grad():
        reconstruction, divergence = (part.item() for part in bound(model, x_test))
        baseline = F.binary_cross_entropy(pixel_means.expand_as(x_test), x_test, reduction="sum").item() / len(x_test)
        dreamt = torch.sigmoid(model.decoder(torch.randn(200, CODE)))
        spread = x.std(dim=0)
        drawn = (pixel_means + spread * torch.randn(200, 64)).clamp(0, 1)
        result = {
            "bound": reconstruction + divergence,
            "kl": divergence,
            "baseline": baseline,
            "dreamt_distance": nearest(dreamt, x_test),
            "drawn_distance": nearest(drawn, x_test),
        }
    print(f"negative bound {result['bound']:.2f} nats (KL {divergence:.2f}), baseline {baseline:.2f}")
    print(f"distance to the nearest real digit: dreamt {result['dreamt_distance']:.2f}, drawn {result['drawn_distance']:.2f}")
    return result


if __name__ == "__main__":
    main()
