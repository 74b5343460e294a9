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


@pytest.fixture
def fused():
    ours.config.fused_random = True
    yield
    ours.config.fused_random = False


def _plain(q, k, v, p, mask=None, causal=False):
    """Attention from elementary operations, the mask of dropout an array."""
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    if causal:
        mask = ours.ones(q.shape[-2], k.shape[-2], dtype=ours.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -np.inf) if mask.dtype is ours.bool else scores + mask
    return ours.nn.functional.dropout(scores.softmax(-1), p) @ v


def _with_gradients(f, arrays, **arguments):
    ours.manual_seed(5)
    leaves = [ours.tensor(a, requires_grad=True) for a in arrays]
    y = f(*leaves, **arguments)
    y.sin().sum().backward()
    return [y.detach().numpy(), *[leaf.grad.numpy() for leaf in leaves]]


SEEN = np.random.default_rng(1).random((2, 1, 20, 40)) > 0.4
SEEN[..., 0] = True


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize(
    "arguments", [{}, {"causal": True}, {"mask": SEEN}, {"mask": normal(20, 40)}, {"mask": normal(2, 3, 1, 40)}], ids=str
)
def test_dropout_of_the_counter_based_stream_is_that_of_elementary_operations(fused, arguments, backend, monkeypatch):
    monkeypatch.setattr(ours.config, "backend", backend)
    arrays = normal(2, 3, 20, 8), normal(2, 3, 40, 8, seed=1), normal(2, 3, 40, 4, seed=2)
    arguments = {k: ours.tensor(v) if k == "mask" else v for k, v in arguments.items()}
    f = ours.nn.functional.scaled_dot_product_attention
    names = {"mask": "attn_mask", "causal": "is_causal"}
    got = _with_gradients(f, arrays, dropout_p=0.4, **{names[k]: v for k, v in arguments.items()})
    expected = _with_gradients(_plain, arrays, p=0.4, **arguments)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_dropout_of_the_counter_based_stream_with_grouped_heads(fused):
    arrays = normal(2, 6, 5, 8), normal(2, 3, 7, 8, seed=1), normal(2, 3, 7, 8, seed=2)
    f = ours.nn.functional.scaled_dot_product_attention
    got = _with_gradients(f, arrays, dropout_p=0.4, is_causal=True, enable_gqa=True)
    expected = _with_gradients(lambda q, k, v: _plain(q, k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), 0.4, causal=True), arrays)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_dropout_of_the_counter_based_stream_makes_no_array_of_queries_by_keys(fused):
    q, k, v = [ours.tensor(normal(1, 2, 512, 8, seed=i), requires_grad=True) for i in range(3)]

    def step():
        y = ours.nn.functional.scaled_dot_product_attention(q, k, v, dropout_p=0.1, is_causal=True)
        y.pow(2).sum().backward()
        return q.grad, k.grad, v.grad

    text = str(ours.asg.explain(step, kernels=True)).split("=== compiled")[-1]
    assert "sdpa_dropout[" in text and "sdpa_dropout_grad[" in text
    assert "[1, 2, 512, 512]" not in text


def test_dropout_inside_vmap(fused):
    q, k, v = [ours.tensor(normal(4, 3, 5, 8, seed=i)) for i in range(3)]
    f = ours.nn.functional.scaled_dot_product_attention
    mapped = ours.func.vmap(lambda a, b, c: f(a, b, c, dropout_p=0.5), randomness="different")
    ours.manual_seed(1)
    once, again = mapped(q, k, v), mapped(q, k, v)
    assert once.shape == (4, 3, 5, 8) and not ours.equal(once, again)


def test_dropout_of_everything_and_second_gradients(fused):
    f = ours.nn.functional.scaled_dot_product_attention
    arrays = [a.astype(np.float64) for a in (Q, K, V)]
    assert not f(*map(ours.tensor, arrays), dropout_p=1.0).any()
    results = []
    for g in (lambda q, k, v: f(q, k, v, dropout_p=0.3), lambda q, k, v: _plain(q, k, v, 0.3)):
        ours.manual_seed(8)
        leaves = [ours.tensor(a, requires_grad=True) for a in arrays]
        first = ours.autograd.grad((g(*leaves) ** 2).sum(), leaves, create_graph=True)
        results.append([*first, *ours.autograd.grad(sum(x.sin().sum() for x in first), leaves)])
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-9, atol=1e-10)


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
