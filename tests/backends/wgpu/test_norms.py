"""Batch normalisation on a GPU: few kernels, PyTorch's numbers."""

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.backends.wgpu.executable import WgpuExecutable

from .harness import device

pytorch = pytest.importorskip("torch")


def step(T, device, x, weight, bias):
    x, weight, bias = (T.tensor(a).to(device).requires_grad_() for a in (x, weight, bias))
    y = T.nn.functional.batch_norm(x * 1.0, None, None, weight, bias, training=True)
    (y.relu() * y).sum().backward()
    return [t.detach().cpu().numpy() for t in (y, x.grad, weight.grad, bias.grad)]


def test_values_and_kernels(monkeypatch):
    device()
    counts = []
    run = WgpuExecutable.run
    monkeypatch.setattr(WgpuExecutable, "run", lambda self, *a: (counts.append(len(self.assembly.steps)), run(self, *a))[1])
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((16, 5, 12, 13)) * 2 + 3, rng.standard_normal(5), rng.standard_normal(5)
    arrays = [a.astype(np.float32) for a in arrays]
    for got, expected in zip(step(torch, "wgpu", *arrays), step(pytorch, "cpu", *arrays), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-4, atol=2e-4 * np.abs(expected).max())
    # the statistics' sums in parts, their totals, the result; both sums in parts and their totals, which are gradients, too; the gradient
    assert sum(counts) <= 8
