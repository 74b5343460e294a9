"""Evenly spaced numbers, and grids made of them, to the last bit: half of a bit decides on which side of a kink a place is."""

import numpy as np
import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="PyTorch fuses products and sums where the processor can"
)
ENDS = [(-1, 1), (0.0001, 0.02), (-3.3, 7.1), (5, -100)]


@pytest.mark.parametrize("kind", ["float32", "float64", "float16", "bfloat16", "int32", "int64", "complex64", "complex128"])
def test_linspace_is_pytorchs_bit_for_bit(kind):
    for first, last in ENDS + ([(1 + 2j, -3.3j)] if "complex" in kind else []):
        for steps in (1, 2, 7, 28, 100, 257):
            got, want = (t.linspace(first, last, steps, dtype=getattr(t, kind)) for t in (ours, torch))
            if kind in ("float16", "bfloat16"):
                got, want = got.float(), want.float()
            assert np.array_equal(got.numpy(), want.numpy()), (first, last, steps)


def test_logspace():
    for first, last in ((0, 1), (-3, 2), (1e-3, -4.7)):
        for base in (10.0, 2.0):
            got, want = (t.logspace(first, last, 33, base, dtype=t.float64) for t in (ours, torch))
            np.testing.assert_allclose(got.numpy(), want.numpy(), rtol=5e-16)  # powers are the mathematical library's


@pytest.mark.parametrize("corners", [True, False])
def test_the_identitys_grid_is_pytorchs_bit_for_bit(corners):
    for kind in ("float32", "float64"):
        for n in (2, 7, 28, 33):
            got, want = (_identity(t, kind, n, corners)[1].detach().numpy() for t in (ours, torch))
            assert np.array_equal(got, want), (kind, n)


@pytest.mark.parametrize("corners", [True, False])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_a_spatial_transformer_starts_with_pytorchs_gradient(corners, padding):
    """The identity reads elements themselves, where the derivative jumps."""
    for kind, near in (("float32", 1e-5), ("float64", 1e-13)):
        for n in (5, 14, 28):
            found = []
            for t in (ours, torch):
                theta, grid = _identity(t, kind, n, corners)
                image = t.tensor(np.random.default_rng(0).random((1, 2, n, n + 1)).astype(kind))
                y = t.nn.functional.grid_sample(image, grid, padding_mode=padding, align_corners=corners)
                (y * y).sum().backward()
                found.append(theta.grad.numpy())
            assert np.abs(found[0] - found[1]).max() <= near * np.abs(found[1]).max(), (kind, n)


def _identity(t, kind, n, corners):
    theta = t.tensor([[[1.0, 0, 0], [0, 1, 0]]], dtype=getattr(t, kind), requires_grad=True)
    return theta, t.nn.functional.affine_grid(theta, (1, 2, n, n + 1), align_corners=corners)
