"""Linear regression: recover y = 2x + 1 from noisy samples by gradient descent.

The result is checked against the closed-form least-squares solution of the same samples, which gradient descent must
approach, and against fresh samples it has not seen.

Expected: weight and bias within 1e-4 of the least-squares solution, and a mean squared error on the test samples within
20 % of the variance of the noise (0.01), which no model can beat on average.
Run: python examples/linear_regression.py
"""

import argparse

import numpy as np

import torchlike_asg as torch
from torchlike_asg import nn

NOISE = 0.1


def samples(count, generator):
    x = torch.rand(count, 1, generator=generator) * 10 - 5
    return x, 2 * x + 1 + NOISE * torch.randn(count, 1, generator=generator)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--gpu", action="store_true", help="train on the GPU")
    args = parser.parse_args(argv)
    torch.set_default_device("wgpu" if args.gpu else "cpu")

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    x, y = samples(500, generator)
    x_test, y_test = samples(1000, generator)

    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for step in range(args.steps):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}")

    weight, bias = model.weight.item(), model.bias.item()
    exact_weight, exact_bias = np.polyfit(x.flatten().cpu().numpy(), y.flatten().cpu().numpy(), 1)
    with torch.no_grad():
        test_mse = nn.functional.mse_loss(model(x_test), y_test).item()
    print(f"y = {weight:.4f} x + {bias:.4f} (least squares: {exact_weight:.4f} x + {exact_bias:.4f}), test MSE {test_mse:.4f}")
    return {
        "weight": weight,
        "bias": bias,
        "exact_weight": float(exact_weight),
        "exact_bias": float(exact_bias),
        "test_mse": test_mse,
        "noise_variance": NOISE**2,
    }


if __name__ == "__main__":
    main()
