"""Sizes beyond all memory are refused where PyTorch would allocate, before anything counts through them."""

import numpy as np
import pytest

import torchlike_asg as torch

F = torch.nn.functional
N = 1 << 50  # more than any machine has memory for
CALLS = {
    "ones": lambda: torch.ones(N),
    "sum of what is never stored": lambda: (torch.ones(1 << 25, 1) * torch.ones(1, 1 << 25)).sum(),
    "arange": lambda: torch.arange(N),
    "rand": lambda: torch.rand(N),
    "bernoulli of an expanded one": lambda: torch.bernoulli(torch.ones(1).expand(N)),
    "repeat": lambda: torch.ones(3).repeat(N),
    "one_hot": lambda: F.one_hot(torch.tensor([N])),
    "pad": lambda: F.pad(torch.ones(2), (0, N)),
    "vander": lambda: torch.linalg.vander(torch.ones(3, 3), N=N),
    "tril_indices": lambda: torch.tril_indices(1 << 30, 1 << 30),
    "linspace": lambda: torch.linspace(0, 1, N),
    "fft": lambda: torch.fft.fft(torch.ones(3), n=N),
    "mvlgamma": lambda: torch.mvlgamma(torch.ones(3) * 9, N),
    "tensor_split": lambda: torch.ones(3).tensor_split(N),
    "a layer": lambda: torch.nn.Linear(1 << 30, 1 << 20),
}


@pytest.mark.parametrize("name", CALLS)
def test_huge_results_are_refused(name):
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator: can't allocate memory"):
        CALLS[name]()


def test_what_needs_no_memory_is_fine():
    assert torch.ones(1).expand(N).shape == (N,)
    assert torch.ones(N, device="meta").sum().shape == ()
    assert torch.ones(1 << 14, 1).mul(torch.ones(1, 1 << 12)).sum().item() == 1 << 26
    assert np.prod(torch.zeros(0, N).shape) == 0
