"""Complex numbers and Fourier transforms on the device: no part of NumPy's, the CPU's numbers, gradients included."""

import warnings

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg import nn
from torchlike_asg.backends.wgpu import fourier
from torchlike_asg.errors import ReferenceWarning

from .harness import device

rng = np.random.default_rng(3)


@pytest.fixture(autouse=True)
def adapter():
    device()
    with warnings.catch_warnings():
        warnings.simplefilter("error", ReferenceWarning)
        yield


def f(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def z(*shape):
    return (f(*shape) + 1j * f(*shape)).astype(np.complex64)


def same(fn, *arrays, rtol=2e-5):
    """``fn`` gives on the GPU what it gives on the CPU, and the gradients of its parts' sums."""

    def run(place):
        tensors = [torch.tensor(a, device=place, requires_grad=True) for a in arrays]
        y = fn(*tensors)
        parts = torch.view_as_real(y) if y.is_complex() else y
        (parts * torch.linspace(0.5, 2, parts.numel(), device=place).reshape(parts.shape)).sum().backward()
        return [t.detach().cpu().numpy() for t in (y, *[t.grad for t in tensors])]

    for got, want in zip(run("wgpu"), run("cpu"), strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        assert np.abs(got - want).max() <= rtol * max(np.abs(want).max(), 1.0)


ELEMENTWISE = {
    "arithmetic": (lambda a, b: (a + b) * a - b / (a * 2), z(3, 4), z(3, 4)),
    "broadcast": (lambda a, b: a * b, z(3, 1), z(4)),
    "real and complex": (lambda a, b: a * b + 1.5j, z(3, 4), f(3, 4)),
    "absolute value": (lambda a: a.abs(), z(5)),
    "angle": (lambda a: torch.angle(a), z(5)),
    "parts": (lambda a: a.real * 2 + a.imag, z(3, 4)),
    "conjugate": (lambda a: a.conj() * a, z(3, 4)),
    "exp": (lambda a: a.exp(), z(6)),
    "log": (lambda a: a.log(), z(6)),
    "sqrt": (lambda a: a.sqrt(), z(6)),
    "polar": (lambda r, t: torch.polar(r.abs() + 1, t), f(6), f(6)),
    "sums": (lambda a: a.sum(0) * 2 + a.mean(), z(3, 4)),
    "views": (lambda a: a.t()[1:].reshape(-1).clone() + a[0, 0], z(3, 4)),
    "joined": (lambda a, b: torch.cat([a, b.flip(0)], 1), z(3, 4), z(3, 2)),
    "chosen": (lambda a, b: torch.where(a.real > 0, a, b), z(7), z(7)),
    "large": (lambda a: (a * a).permute(1, 0).contiguous(), z(300, 256)),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name):
    fn, *arrays = ELEMENTWISE[name]
    same(fn, *arrays)


def test_extreme_sizes():
    big = np.array([3e30 + 4e30j, 3e-30 - 4e-30j, 0], np.complex64)
    x = torch.tensor(big, device="wgpu")
    np.testing.assert_allclose(x.abs().cpu().numpy(), np.abs(big), rtol=1e-6)
    np.testing.assert_allclose((x[:2] / x[:2]).cpu().numpy(), [1, 1], atol=1e-6)


@pytest.mark.parametrize("n", [1, 2, 7, 8, 12, 31, 60, 64, 97, 210, 1024])
def test_transforms_of_any_length(n):
    assert np.prod(fourier.factors(n), dtype=int) == n
    for kind in (np.fft.fft, np.fft.ifft):
        a = z(3, n)
        got = getattr(torch.fft, kind.__name__)(torch.tensor(a, device="wgpu")).cpu().numpy()
        want = kind(a.astype(np.complex128))
        assert np.abs(got - want).max() <= 2e-6 * max(np.abs(want).max(), 1.0)
    x = f(2, n)
    spectrum = torch.fft.rfft(torch.tensor(x, device="wgpu"))
    np.testing.assert_allclose(spectrum.cpu().numpy(), np.fft.rfft(x.astype(np.float64)), atol=2e-5 * n**0.5)
    np.testing.assert_allclose(torch.fft.irfft(spectrum, n).cpu().numpy(), x, atol=1e-5)


TRANSFORMS = {
    "fft2": (lambda a: torch.fft.fft2(a), z(2, 6, 5)),
    "ifftn": (lambda a: torch.fft.ifftn(a, norm="ortho"), z(3, 4, 5)),
    "a middle dimension": (lambda a: torch.fft.fft(a, dim=1), z(3, 8, 5)),
    "rfft2": (lambda a: torch.fft.rfft2(a), f(2, 6, 8)),
    "irfft2": (lambda a: torch.fft.irfft2(a, s=(6, 8)), z(2, 6, 5)),
    "padded": (lambda a: torch.fft.rfft(a, n=16), f(3, 10)),
    "stft": (lambda a: torch.stft(a, 16, 4, window=torch.hann_window(16, device=a.device), return_complex=True), f(2, 64)),
    "fftshift": (lambda a: torch.fft.fftshift(torch.fft.fft(a)), z(9)),
    "convolution": (lambda a, b: torch.fft.irfft(torch.fft.rfft(a) * torch.fft.rfft(b), a.shape[-1]), f(2, 30), f(30)),
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms(name):
    fn, *arrays = TRANSFORMS[name]
    same(fn, *arrays, rtol=1e-4)


def test_rotary_positions_as_complex_numbers_train():
    """The way of many language models: pairs of a head's dimensions turn with the position."""

    def losses(place):
        torch.manual_seed(0)
        project = nn.Linear(8, 8).to(place)
        optimizer = torch.optim.SGD(project.parameters(), lr=0.1)
        angles = torch.outer(torch.arange(6.0, device=place), 1.0 / 10 ** torch.arange(4.0, device=place))
        turn = torch.polar(torch.ones_like(angles), angles)
        x = torch.randn(2, 6, 8).to(place)
        out = []
        for _ in range(3):
            q = torch.view_as_complex(project(x).reshape(2, 6, 4, 2))
            turned = torch.view_as_real(q * turn).flatten(2)
            loss = (turned @ turned.transpose(1, 2)).softmax(-1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            out.append(loss.item())
        return out

    np.testing.assert_allclose(losses("wgpu"), losses("cpu"), rtol=1e-5)
