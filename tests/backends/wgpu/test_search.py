"""Looking values up, distances and masks at sizes and with values that the registry's samples do not have."""

import re
import warnings

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.errors import ReferenceWarning

from .harness import device

F = torch.nn.functional
rng = np.random.default_rng(9)


@pytest.fixture(autouse=True)
def adapter():
    device()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ReferenceWarning)  # the CPU's
        warnings.filterwarnings("error", "no GPU kernel", ReferenceWarning)
        yield


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def same(fn, *arrays, rtol=1e-5, atol=1e-5):
    def run(place):
        tensors = [torch.tensor(a, device=place, requires_grad=a.dtype == np.float32) for a in arrays]
        y = fn(*tensors)
        if y.requires_grad:
            (y * torch.linspace(0.5, 2, y.numel(), device=place).reshape(y.shape)).sum().backward()
        return [t.detach().cpu().numpy() for t in (y, *[t.grad for t in tensors if t.grad is not None])]

    for got, want in zip(run("wgpu"), run("cpu"), strict=True):
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=rtol, atol=atol)


def test_buckets():
    edges = np.sort(f(100))
    for right in (False, True):
        same(lambda x, e, right=right: torch.bucketize(x.detach(), e.detach(), right=right), np.concatenate([f(1000), edges]), edges)
    lines = np.sort(f(4, 3, 50), -1)
    same(lambda e, x: torch.searchsorted(e.detach(), x.detach()), lines, f(4, 3, 20))
    same(lambda e, x: torch.searchsorted(e, x, out_int32=True), np.arange(0, 40, 2), rng.integers(-5, 50, (7, 9)))
    x = torch.tensor([np.nan, np.inf, -np.inf], device="wgpu")
    assert torch.searchsorted(torch.tensor([0.0, 1.0], device="wgpu"), x).tolist() == [2, 2, 0]


def test_membership():
    same(lambda x, among: torch.isin(x, among), rng.integers(0, 100, (30, 40)), rng.integers(0, 100, (5, 6)).T)
    same(lambda x, among: torch.isin(x.detach(), among.detach()[::2], invert=True), f(30), f(40))


@pytest.mark.parametrize("p", [0.0, 1.0, 1.5, 2.0, 3.0, np.inf])
def test_distances(p):
    if p in (0.0, np.inf):
        same(lambda a, b: torch.cdist(a.detach(), b.detach(), p=p), f(2, 20, 7), f(2, 30, 7), rtol=1e-4)
    else:
        same(lambda a, b: torch.cdist(a, b, p=p), f(2, 20, 7), f(2, 30, 7), rtol=1e-3, atol=1e-4)


def test_distances_of_many_points():
    same(lambda a, b: torch.cdist(a, b), f(60, 5), f(50, 5), rtol=1e-3, atol=1e-3)


def test_masks_fill_in_order():
    mask = rng.random((13, 300)) > 0.4
    same(lambda x, m, v: x.masked_scatter(m, v), f(13, 300), mask, f(13 * 300))
    x, m = torch.zeros(4, device="wgpu"), torch.tensor([True, True, False, True], device="wgpu")
    with pytest.raises(RuntimeError, match=re.escape("Number of elements of source < number of ones in mask (masked_scatter, recorded at")):
        x.masked_scatter(m * (x == 0), torch.ones(2, device="wgpu")).tolist()


def test_nearest_samples():
    for padding in ("zeros", "border", "reflection"):
        same(
            lambda x, g, padding=padding: F.grid_sample(x, g.detach(), mode="nearest", padding_mode=padding, align_corners=False),
            f(2, 3, 6, 7),
            f(2, 5, 4, 2),
        )
