"""Scaled dot-product attention against PyTorch: masks, causality, scale, grouped heads, dropout, gradients, errors."""

import numpy as np
import pytest

import torchlike_asg as ours

from .compare import same
from .parity import agree, normal, refuses

NAME = "scaled_dot_product_attention"
Q, K, V = normal(2, 3, 5, 8), normal(2, 3, 7, 8), normal(2, 3, 7, 4)
HIDDEN = np.random.default_rng(0).random((5, 7)) > 0.5
HIDDEN[1] = False


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"is_causal": True},
        {"scale": 0.1},
        {"attn_mask": normal(5, 7)},
        {"attn_mask": normal(2, 1, 5, 7)},
        {"attn_mask": HIDDEN},
        {"attn_mask": np.broadcast_to(HIDDEN, (2, 3, 5, 7)).copy()},
    ],
    ids=["plain", "causal", "scale", "added mask", "broadcast mask", "boolean mask", "full mask"],
)
def test_values_and_gradients(arguments):
    agree(NAME, Q, K, V, **arguments)
    agree(NAME, Q[0], K[0], V[0], **({} if arguments.get("attn_mask") is not None and arguments["attn_mask"].ndim == 4 else arguments))


@pytest.mark.parametrize(
    "shapes", [((5, 8), (7, 8), (7, 8)), ((2, 5, 8), (2, 7, 8), (2, 7, 3)), ((1, 1, 1, 2), (1, 1, 1, 2), (1, 1, 1, 2))]
)
def test_shapes(shapes):
    agree(NAME, *[normal(*s, seed=i) for i, s in enumerate(shapes)])


def test_a_query_that_sees_nothing_gets_zeros():
    y = ours.nn.functional.scaled_dot_product_attention(*map(ours.tensor, (Q, K, V)), attn_mask=ours.tensor(HIDDEN))
    assert not y[:, :, 1].any() and y[:, :, 0].any()


def test_causality():
    """A later key changes nothing for an earlier query."""
    f = ours.nn.functional.scaled_dot_product_attention
    changed = K.copy()
    changed[:, :, 4:] += 3
    a = f(*map(ours.tensor, (Q, K, V)), is_causal=True)
    b = f(*map(ours.tensor, (Q, changed, V)), is_causal=True)
    np.testing.assert_array_equal(a[:, :, :4].numpy(), b[:, :, :4].numpy())
    assert not np.allclose(a[:, :, 4].numpy(), b[:, :, 4].numpy())


@pytest.mark.parametrize("causal", [False, True])
def test_grouped_heads(causal):
    agree(NAME, normal(2, 6, 5, 8), K, V, enable_gqa=True, is_causal=causal)
    agree(NAME, normal(2, 6, 5, 8), K, V, enable_gqa=True, attn_mask=normal(5, 7))
    agree(NAME, normal(2, 6, 5, 8), K, V, enable_gqa=True, attn_mask=normal(2, 6, 5, 7))


@pytest.mark.parametrize("arguments", [{}, {"is_causal": True}, {"attn_mask": normal(5, 7)}], ids=["plain", "causal", "mask"])
def test_dropout_follows_pytorch(arguments):
    def seeded(lib):
        lib.manual_seed(3)
        return getattr(lib.nn.functional, NAME)

    agree(seeded, Q, K, V, dropout_p=0.4, **arguments)


def test_second_gradients():
    """Against the same formula from elementary operations."""

    def fused(q, k, v):
        return ours.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)

    def plain(q, k, v):
        scores = q @ k.transpose(-2, -1) / 8**0.5
        hidden = ours.ones(5, 7, dtype=ours.bool).tril().logical_not()
        return scores.masked_fill(hidden, -np.inf).softmax(-1) @ v

    results = []
    for f in (fused, plain):
        leaves = [ours.tensor(a.astype(np.float64), requires_grad=True) for a in (Q, K, V)]
        first = ours.autograd.grad((f(*leaves) ** 2).sum(), leaves, create_graph=True)
        second = ours.autograd.grad(sum((g.sin()).sum() for g in first), leaves)
        results.append([*first, *second])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    same(lambda lib: getattr(lib.nn.functional, NAME)(*[lib.tensor(a).to(getattr(lib, dtype)) for a in (Q, K, V)]), rtol=3e-2, atol=2e-2)


def test_errors():
    refuses(NAME, Q, K, V, attn_mask=HIDDEN, is_causal=True)
    refuses(NAME, Q, K.astype(np.float64), V)
    refuses(NAME, normal(8), K, V)
    refuses(NAME, Q, K, V, attn_mask=np.ones((5, 7), np.int64))
