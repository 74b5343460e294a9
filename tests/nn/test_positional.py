"""Position encodings against their formulas, with offsets, gradients and errors."""

from __future__ import annotations

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn


@pytest.mark.parametrize("d_model", [6, 7, 1])
def test_sinusoidal_formula(d_model):
    encoding = nn.SinusoidalPositionalEncoding(d_model, max_len=9)
    expected = np.empty((9, d_model))
    for p in range(9):
        for i in range(d_model):
            angle = p / 10000 ** (2 * (i // 2) / d_model)
            expected[p, i] = np.sin(angle) if i % 2 == 0 else np.cos(angle)
    np.testing.assert_allclose(encoding.encoding(9).numpy(), expected, 1e-6, 1e-6)
    np.testing.assert_array_equal(encoding.encoding(3, offset=4).numpy(), encoding.encoding(9).numpy()[4:7])
    assert list(encoding.state_dict()) == []


@pytest.mark.parametrize("make", [nn.SinusoidalPositionalEncoding, nn.LearnedPositionalEncoding], ids=["sinusoidal", "learned"])
def test_added_encodings(randn, make):
    encoding = make(4, max_len=8)
    x = randn(2, 5, 4)
    rows = encoding.encoding(5, 2).detach().numpy()
    np.testing.assert_allclose(encoding(ours.from_numpy(x), offset=2).detach().numpy(), x + rows, 1e-6)
    np.testing.assert_allclose(encoding(ours.from_numpy(x[0]), offset=2).detach().numpy(), x[0] + rows, 1e-6)
    sequence_first = make(4, max_len=8, batch_first=False)
    sequence_first.load_state_dict(encoding.state_dict())
    found = sequence_first(ours.from_numpy(x.transpose(1, 0, 2).copy()), offset=2)
    np.testing.assert_allclose(found.detach().numpy(), (x + rows).transpose(1, 0, 2), 1e-6)
    assert encoding(ours.from_numpy(x).double()).dtype == ours.float64
    for offset, length in ((4, 5), (0, 9), (-1, 2)):
        text = "offset must not be negative" if offset < 0 else f"positions {offset} to {offset + length - 1} .* beyond max_len=8"
        with pytest.raises(ValueError, match=text):
            encoding(ours.zeros(1, length, 4), offset=offset)
    with pytest.raises(ValueError, match="size 4, got 3"):
        encoding(ours.zeros(1, 2, 3))
    with pytest.raises(ValueError, match="2D or 3D"):
        encoding(ours.zeros(3))


def test_learned_encoding_is_trained_where_it_was_used():
    encoding = nn.LearnedPositionalEncoding(3, max_len=6)
    assert 0.005 < encoding.weight.std().item() < 0.06
    encoding(ours.zeros(2, 2, 3), offset=1).sum().backward()
    assert encoding.weight.grad.sum(1).tolist() == [0.0, 6.0, 6.0, 0.0, 0.0, 0.0]


def test_dropout_acts_on_the_sum():
    encoding = nn.SinusoidalPositionalEncoding(4, dropout=1.0)
    assert (encoding(ours.ones(1, 3, 4)) == 0).all()
    assert (encoding.eval()(ours.ones(1, 3, 4)) != 0).any()


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_is_a_rotation_by_position(randn, interleaved):
    rotary = nn.RotaryEmbedding(6, max_len=12, interleaved=interleaved)
    x = randn(2, 3, 5, 6)
    pairs = [(2 * i, 2 * i + 1) if interleaved else (i, i + 3) for i in range(3)]
    expected = np.empty_like(x)
    for p in range(5):
        for i, (a, b) in enumerate(pairs):
            angle = (p + 4) / 10000 ** (2 * i / 6)
            expected[..., p, a] = x[..., p, a] * np.cos(angle) - x[..., p, b] * np.sin(angle)
            expected[..., p, b] = x[..., p, a] * np.sin(angle) + x[..., p, b] * np.cos(angle)
    np.testing.assert_allclose(rotary.rotate(ours.from_numpy(x), 4).numpy(), expected, 1e-4, 1e-5)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_scores_depend_on_distance_only(randn, interleaved):
    rotary = nn.RotaryEmbedding(8, max_len=32, interleaved=interleaved)
    q, k = ours.from_numpy(randn(3, 8)), ours.from_numpy(randn(3, 8, seed=1))
    scores = []
    for offset in (0, 7, 29):
        a, b = rotary(q, k, offset)
        scores.append((a @ b.transpose(0, 1)).numpy())
    np.testing.assert_allclose(scores[1], scores[0], 1e-4, 1e-4)
    np.testing.assert_allclose(scores[2], scores[0], 1e-4, 1e-4)
    late, early = rotary(q, k, 5, key_offset=2)
    np.testing.assert_allclose(late.numpy(), rotary.rotate(q, 5).numpy())
    np.testing.assert_allclose(early.numpy(), rotary.rotate(k, 2).numpy())


def test_rotary_gradient_rotates_back(randn):
    rotary = nn.RotaryEmbedding(4, max_len=8)
    x = ours.from_numpy(randn(3, 4)).requires_grad_()
    g = ours.from_numpy(randn(3, 4, seed=1))
    rotary.rotate(x).backward(g)
    np.testing.assert_allclose(rotary.rotate(x.grad).numpy(), g.numpy(), 1e-5, 1e-6)


def test_rotary_errors():
    with pytest.raises(ValueError, match="head_dim must be even, got 5"):
        nn.RotaryEmbedding(5)
    rotary = nn.RotaryEmbedding(4, max_len=8)
    with pytest.raises(ValueError, match="positions 6 to 8"):
        rotary.rotate(ours.zeros(3, 4), 6)
    with pytest.raises(ValueError, match="size 4, got 6"):
        rotary.rotate(ours.zeros(3, 6))


@pytest.mark.parametrize(
    ("heads", "slopes"),
    [
        (1, [2.0**-8]),
        (4, [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8]),
        (6, [2.0**-2, 2.0**-4, 2.0**-6, 2.0**-8, 2.0**-1, 2.0**-3]),
        (3, [2.0**-4, 2.0**-8, 2.0**-2]),
    ],
)
def test_alibi_slopes(heads, slopes):
    np.testing.assert_allclose(nn.ALiBi(heads).slopes.numpy(), slopes, 1e-6)


def test_alibi_bias():
    alibi = nn.ALiBi(2, max_len=8)
    bias = alibi.bias(2, offset=3).numpy()
    expected = -np.abs(np.arange(3, 5)[:, None] - np.arange(5)) * np.array([2.0**-4, 2.0**-8])[:, None, None]
    np.testing.assert_allclose(bias, expected, 1e-6)
    causal = alibi.bias(3, causal=True).numpy()
    assert np.isneginf(causal[:, 0, 1:]).all()
    assert np.isfinite(causal[:, 2]).all()
    np.testing.assert_allclose(alibi(ours.ones(1, 2, 2, 5), offset=3).numpy()[0], 1 + expected, 1e-6)
    with pytest.raises(ValueError, match="max_len=8"):
        alibi.bias(3, offset=6)
    assert nn.ALiBi(2).bias(1, offset=10_000).shape == (2, 1, 10_001)
    with pytest.raises(ValueError, match="made for 2 heads, got 3"):
        alibi.in_attention(ours.zeros(1, 3, 2, 4), ours.zeros(1, 3, 2, 4))


def test_masks():
    assert nn.positional.causal_mask(3).tolist() == [[False, True, True], [False, False, True], [False, False, False]]
    assert nn.positional.causal_mask(1, offset=2).tolist() == [[False, False, False]]
    assert nn.positional.causal_mask(2, 4, 1).tolist() == [[False, False, True, True], [False, False, False, True]]
    assert nn.positional.padding_mask([2, 0, 3]).tolist() == [[False, False, True], [True, True, True], [False] * 3]
    assert nn.positional.padding_mask(ours.tensor([1]), 2).tolist() == [[False, True]]
