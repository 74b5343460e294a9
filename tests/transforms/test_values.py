from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import torchlike_asg as ours
from torchlike_asg.transforms import Clip, Compose, Flatten, Lambda, Log, Normalize, OneHot, RandomNoise, Transform


def images(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).random(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5)])
def test_normalize_uses_each_channels_own_statistics(shape: tuple[int, ...]) -> None:
    mean, std = [0.1, 0.5, 0.9], [0.5, 0.25, 2.0]
    x = images(*shape)
    want = np.stack([(x[..., c, :, :] - mean[c]) / std[c] for c in range(3)], axis=-3)
    result = Normalize(mean, std)(x)
    np.testing.assert_allclose(result, want, rtol=1e-5, atol=1e-6)
    assert result.dtype == np.float32
    np.testing.assert_allclose(Normalize(mean, std).inverse(result), x, rtol=1e-5, atol=1e-6)


def test_normalize_tensors() -> None:
    x = images(3, 2, 2)
    tensor = ours.tensor(x)
    result = Normalize([0.0, 0.5, 1.0], 2.0)(tensor)
    assert type(result) is ours.Tensor and result.dtype is ours.float32
    np.testing.assert_array_equal(result.numpy(), Normalize([0.0, 0.5, 1.0], 2.0)(x))
    result += 1
    np.testing.assert_array_equal(tensor.numpy(), x)  # the input is not written to
    assert Normalize(0.5, 0.5)(tensor.to(ours.bfloat16)).dtype is ours.bfloat16
    assert Normalize(0.5, 0.5)(tensor.double()).dtype is ours.float64


def test_normalize_presets_and_fit() -> None:
    x = images(10, 3, 4, 4) * np.array([1, 5, 9], np.float32)[:, None, None] + 3
    fitted = Normalize.fit(x)
    np.testing.assert_allclose(fitted.mean, x.mean((0, 2, 3)), rtol=1e-5)
    np.testing.assert_allclose(fitted(x).std((0, 2, 3)), 1, rtol=1e-4)
    assert Normalize.fit(ours.tensor(x), per_channel=False).mean == pytest.approx(x.mean(), rel=1e-5)
    features = images(50, 2) * [1, 100]
    np.testing.assert_allclose(Normalize.fit(features, channel_axis=-1)(features).mean(0), 0, atol=1e-6)
    assert Normalize.imagenet().mean.tolist() == [0.485, 0.456, 0.406] and Normalize.imagenet().std.tolist() == [0.229, 0.224, 0.225]
    assert repr(Normalize(0.5, 0.5)) == "Normalize(mean=0.5, std=0.5)"


def test_normalize_errors() -> None:
    with pytest.raises(ValueError, match="2 channel statistics do not fit"):
        Normalize([0.0, 1.0], 1.0)(images(3, 4, 4))
    with pytest.raises(ValueError, match="no channel axis -3"):
        Normalize([0.0], 1.0)(images(4, 4))
    with pytest.raises(ValueError, match="std must be positive"):
        Normalize(0.0, [1.0, 0.0])
    with pytest.raises(ValueError, match="evaluated to zero after conversion"):
        Normalize(0.0, 1e-60)(images(2, 2))
    with pytest.raises(TypeError, match="floating-point data, got uint8"):
        Normalize(0.0, 1.0)(np.zeros((1, 2, 2), np.uint8))
    with pytest.raises(ValueError, match="one-dimensional"):
        Normalize([[0.0]], 1.0)


def test_noise_is_fresh_and_reproducible() -> None:
    noise, x = RandomNoise(0.5), np.zeros((40, 50), np.float32)
    ours.manual_seed(1)
    first, second = noise(x), noise(x)
    assert (first != second).all()
    ours.manual_seed(1)
    np.testing.assert_array_equal(noise(x), first)
    np.testing.assert_array_equal(noise(ours.tensor(x)).numpy(), second)
    assert first.std() == pytest.approx(0.5, rel=0.05) and first.mean() == pytest.approx(0, abs=0.05)
    ours.manual_seed(1)
    np.testing.assert_allclose(first, 0.5 * ours.randn(40, 50).numpy())
    assert RandomNoise(0.1, mean=3.0)(x).mean() == pytest.approx(3, abs=0.02)
    assert RandomNoise(0.1)(ours.zeros(3, dtype=ours.float64)).dtype is ours.float64


def test_noise_from_an_own_generator() -> None:
    generator = ours.Generator()
    generator.manual_seed(5)
    before = ours.get_rng_state().tolist()
    first = RandomNoise(1.0, generator=generator)(np.zeros(4, np.float32))
    assert ours.get_rng_state().tolist() == before
    generator.manual_seed(5)
    np.testing.assert_array_equal(RandomNoise(1.0, generator=generator)(np.zeros(4, np.float32)), first)
    with pytest.raises(ValueError, match="std must not be negative"):
        RandomNoise(-1.0)


def test_clip() -> None:
    assert Clip(-1, 2)(np.array([-3.0, 0.5, 9.0])).tolist() == [-1, 0.5, 2]
    assert Clip(min=0)(ours.tensor([-3, 4])).tolist() == [0, 4]
    with pytest.raises(ValueError, match="needs min, max or both"):
        Clip()
    with pytest.raises(ValueError, match="min must not exceed max"):
        Clip(2, 1)


def test_log() -> None:
    np.testing.assert_allclose(Log()(np.array([1.0, np.e])), [0, 1], atol=1e-7)
    assert Log(eps=1.0)(ours.tensor([0, 0])).tolist() == [0, 0]  # integers become floating point
    with pytest.raises(ValueError, match="the smallest x is -2"):
        Log()(np.array([1.0, -2.0]))


@given(start=st.integers(0, 2))
def test_flatten_is_row_major_whatever_the_layout(start: int) -> None:
    x = np.asfortranarray(np.arange(24).reshape(2, 3, 4))
    assert Flatten(start)(x).tolist() == np.arange(24).reshape(*(2, 3, 4)[:start], -1).tolist()
    turned = ours.arange(6).reshape(2, 3).t()
    assert Flatten()(turned).tolist() == [0, 3, 1, 4, 2, 5]


def test_flatten_errors() -> None:
    with pytest.raises(ValueError, match="start_axis=2"):
        Flatten(2)(np.zeros((2, 2)))


def test_one_hot() -> None:
    assert OneHot(3)(np.array([2, 0])).tolist() == [[0, 0, 1], [1, 0, 0]]
    result = OneHot(3)(ours.tensor([[1], [2]]))
    assert result.shape == (2, 1, 3) and result.dtype is ours.float32
    assert OneHot(3)(2).tolist() == [0, 0, 1]
    for bad in (3, -1):
        with pytest.raises(ValueError, match=r"must lie in \[0, 3\)"):
            OneHot(3)(np.array([0, bad]))
    with pytest.raises(TypeError, match="integer class indices"):
        OneHot(3)(np.array([1.0]))
    with pytest.raises(ValueError, match="num_classes must be positive"):
        OneHot(0)


def test_compose_and_lambda() -> None:
    both = Compose([Lambda(lambda x: x + 1), Clip(0, 2), Flatten()])
    assert both(np.array([[0, 5]])).tolist() == [1, 2]
    assert repr(both) == "Compose(\n    Lambda()\n    Clip(min=0, max=2)\n    Flatten(start_axis=0)\n)"
    with pytest.raises(TypeError, match="should be callable, got 'int'"):
        Lambda(3)


def test_gradients_are_refused() -> None:
    with pytest.raises(RuntimeError, match=r"not differentiable: pass tensor.detach\(\)"):
        Clip(0, 1)(ours.ones(2, requires_grad=True))


def test_own_transforms() -> None:
    class Reverse(Transform):
        def apply(self, values: Any) -> Any:
            return values[::-1]

    assert Reverse()(ours.tensor([1, 2, 3])).tolist() == [3, 2, 1]
    assert Reverse()([1, 2]).tolist() == [2, 1]
    assert repr(Reverse()) == "Reverse()"
