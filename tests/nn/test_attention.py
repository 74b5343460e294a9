"""MultiheadAttention, the transformer and the feed-forward block beside torch's."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import nn

L, S, N, E, H = 4, 5, 3, 6, 2
OPTIONS = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"add_bias_kv": True, "add_zero_attn": True},
    {"kdim": 5, "vdim": 7, "batch_first": True},
    {"kdim": 5, "vdim": 7, "add_bias_kv": True},
]


def inputs(randn, options, batched=True):
    sizes = (E, options.get("kdim", E), options.get("vdim", E))
    made = []
    for seed, (length, size) in enumerate(zip((L, S, S), sizes, strict=True)):
        shape = (N, length, size) if options.get("batch_first") else (length, N, size)
        made.append(randn(*(shape if batched else (length, size)), seed=seed))
    return made


def masks(n=N):
    """Boolean and additive masks of every accepted form; each leaves every query something to look at."""
    rng = np.random.default_rng(1)
    pad = np.zeros((n, S), bool)
    pad[0, 3:] = True
    square = rng.random((L, S)) < 0.3
    square[:, 0] = False
    cube = rng.random((n * H, L, S)) < 0.3
    cube[:, :, 0] = False

    def added(mask):
        return np.where(mask, -np.inf, 0).astype(np.float32)

    yield {}
    yield {"key_padding_mask": pad}
    yield {"attn_mask": square}
    yield {"attn_mask": cube}
    yield {"attn_mask": cube, "key_padding_mask": pad}
    yield {"attn_mask": added(square) - 0.5, "key_padding_mask": added(pad)}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("need", [{}, {"average_attn_weights": False}, {"need_weights": False}], ids=str)
def test_attention(parity, randn, options, need):
    theirs, mine = parity.make("MultiheadAttention", E, H, **options)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)
    for mask in masks():
        parity.forward(theirs, mine, *inputs(randn, options), **mask, **need)


@pytest.mark.parametrize("options", OPTIONS[:4], ids=str)
def test_self_attention_shares_its_projection(parity, randn, options):
    theirs, mine = parity.make("MultiheadAttention", E, H, **options)

    class Self:
        def __init__(self, layer):
            self.layer, self.parameters, self.named_parameters = layer, layer.parameters, layer.named_parameters

        def __call__(self, x, y):
            return self.layer(x, x, x), self.layer(x, y, y)

    parity.forward(Self(theirs), Self(mine), randn(L, N, E), randn(L, N, E, seed=9))


def test_unbatched(parity, randn):
    theirs, mine = parity.make("MultiheadAttention", E, H)
    for need in (True, False):
        parity.forward(theirs, mine, *inputs(randn, {}, batched=False), need_weights=need)
        mask = next(m for m in masks(1) if "attn_mask" in m and m["attn_mask"].ndim == 3)
        parity.forward(theirs, mine, *inputs(randn, {}, batched=False), need_weights=need, **mask)
        parity.forward(theirs, mine, *inputs(randn, {}, False), need_weights=need, key_padding_mask=np.array([False] * 4 + [True]))


def test_causal_hint(parity, randn):
    theirs, mine = parity.make("MultiheadAttention", E, H)
    x = randn(L, N, E)
    mask = np.triu(np.ones((L, L), bool), 1)
    pad = np.zeros((N, L), bool)
    pad[0, 3] = True
    for need, padding in itertools.product((True, False), (None, pad)):
        parity.forward(theirs, mine, x, x, x, need_weights=need, attn_mask=mask, is_causal=True, key_padding_mask=padding)
    parity.errors(theirs, mine, x, x, x, is_causal=True)


def test_dropout_draws_as_torch_does(parity, randn):
    theirs, mine = parity.make("MultiheadAttention", E, H, dropout=0.4)
    for need in (True, False):
        parity.forward(theirs, mine, *inputs(randn, {}), need_weights=need)
        parity.forward(theirs.eval(), mine.eval(), *inputs(randn, {}), need_weights=need)
        theirs.train(), mine.train()


def test_errors(parity, randn):
    theirs, mine = parity.make("MultiheadAttention", E, H)
    q, k, v = inputs(randn, {})
    for args, kwargs in (
        ((q[0, 0], k, v), {}),
        ((q, k[0], v), {}),
        ((q[0], k, v), {}),
        ((q[..., :4], k, v), {}),
        ((q, k[:2], v), {}),
        ((q, k, v), {"attn_mask": np.zeros((2, 2), bool)}),
        ((q, k, v), {"attn_mask": np.zeros((2, L, S), bool)}),
        ((q, k, v), {"attn_mask": np.zeros(3, bool)}),
        ((q, k, v), {"attn_mask": np.zeros((L, S), np.int64)}),
        ((q, k, v), {"key_padding_mask": np.zeros(3, bool)}),
        ((q, k, v), {"key_padding_mask": np.zeros((N, 2), bool)}),
        ((q[:, 0], k[:, 0], v[:, 0]), {"attn_mask": np.zeros((1, L, S), bool)}),
    ):
        parity.errors(theirs, mine, *args, **kwargs)
    separate = parity.make("MultiheadAttention", E, H, kdim=3)
    parity.errors(*separate, q, k[..., :3], v[:2])


def test_mismatched_mask_types_warn(randn):
    q, k, v = (ours.from_numpy(x) for x in inputs(randn, {}))
    with pytest.warns(UserWarning, match="mismatched key_padding_mask and attn_mask"):
        nn.MultiheadAttention(E, H)(q, k, v, attn_mask=ours.zeros(L, S), key_padding_mask=ours.zeros(N, S, dtype=ours.bool))


def test_functional_form_with_static_keys(parity, randn):
    results = []
    for package in (parity.torch, ours):
        package.manual_seed(0)
        layer = package.nn.MultiheadAttention(E, H)
        q, k, v, static_k, static_v = (
            package.from_numpy(x) for x in (*inputs(randn, {}), randn(N * H, S, E // H, seed=4), randn(N * H, S, E // H, seed=5))
        )
        f = package.nn.functional.multi_head_attention_forward
        fixed = (E, H, layer.in_proj_weight, layer.in_proj_bias, None, None, False, 0.0, layer.out_proj.weight, layer.out_proj.bias)
        results.append((f(q, k, v, *fixed), f(q, k, v, *fixed, static_k=static_k, static_v=static_v, training=False)))
    parity.same(*results)


def test_feed_forward(randn):
    block = nn.FeedForward(4, 8, "gelu", dropout=0.5).eval()
    x = ours.from_numpy(randn(2, 3, 4))
    expected = block.linear2(nn.functional.gelu(block.linear1(x)))
    np.testing.assert_array_equal(block(x).detach().numpy(), expected.detach().numpy())
    assert nn.FeedForward(4).linear1.out_features == 16
    assert list(block.state_dict()) == ["linear1.weight", "linear1.bias", "linear2.weight", "linear2.bias"]
    with pytest.raises(RuntimeError, match="relu/gelu"):
        nn.FeedForward(4, activation="swish")


# --- transformer


@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu"}, {"batch_first": True, "bias": False}], ids=str)
def test_encoder(parity, randn, options):
    theirs, mine = parity.make("TransformerEncoderLayer", E, H, 8, 0.3, **options)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)
    shape = (N, L, E) if options.get("batch_first") else (L, N, E)
    parity.forward(theirs, mine, randn(*shape))
    stacks = []
    for package, layer in ((parity.torch, theirs), (ours, mine)):
        stacks.append(package.nn.TransformerEncoder(layer, 2, package.nn.LayerNorm(E), enable_nested_tensor=False))
    assert repr(stacks[0]) == repr(stacks[1])
    parity.same_state(*stacks)
    causal = np.triu(np.ones((L, L), bool), 1)
    pad = np.zeros((N, L), bool)
    pad[1, 2:] = True
    for masks in ({}, {"mask": causal}, {"src_key_padding_mask": pad}, {"mask": causal, "src_key_padding_mask": pad}):
        parity.forward(*stacks, randn(*shape), **masks)
    parity.forward(*stacks, randn(*shape), mask=causal, is_causal=True)
    for stack in stacks:
        stack.eval()
    parity.forward(*stacks, randn(*shape))


@pytest.mark.parametrize("options", [{}, {"norm_first": True, "activation": "gelu"}, {"batch_first": True}], ids=str)
def test_decoder(parity, randn, options):
    theirs, mine = parity.make("TransformerDecoderLayer", E, H, 8, 0.3, **options)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)
    first = options.get("batch_first")
    tgt, memory = (randn(N, L, E), randn(N, S, E)) if first else (randn(L, N, E), randn(S, N, E))
    causal = np.triu(np.full((L, L), -np.inf, np.float32), 1)
    pad = np.zeros((N, S), np.float32)
    pad[0, 4] = -np.inf
    parity.forward(theirs, mine, tgt, memory)
    stacks = [p.nn.TransformerDecoder(layer, 2) for p, layer in ((parity.torch, theirs), (ours, mine))]
    parity.forward(*stacks, tgt, memory, tgt_mask=causal, memory_key_padding_mask=pad)
    parity.forward(*stacks, tgt, memory, tgt_mask=causal, tgt_is_causal=True)


def test_transformer(parity, randn):
    theirs, mine = parity.make("Transformer", E, H, 2, 1, 8, 0.0)
    assert repr(theirs) == repr(mine)
    parity.same_state(theirs, mine)
    src, tgt = randn(S, N, E), randn(L, N, E)
    mask = parity.torch.nn.Transformer.generate_square_subsequent_mask(L)
    parity.same(mask, nn.Transformer.generate_square_subsequent_mask(L))
    parity.forward(theirs, mine, src, tgt, tgt_mask=mask.numpy())
    parity.forward(theirs, mine, src[:, 0], tgt[:, 0])
    parity.errors(theirs, mine, src, tgt[:, :2])
    parity.errors(theirs, mine, src[..., :4], tgt)


def test_activation_may_be_a_function_or_module(parity, randn):
    for make in (lambda p: p.nn.functional.relu, lambda p: p.nn.GELU()):
        layers = []
        for package in (parity.torch, ours):
            package.manual_seed(0)
            layers.append(package.nn.TransformerEncoderLayer(E, H, 8, activation=make(package)).eval())
        parity.forward(*layers, randn(L, N, E))
    parity.constructor_errors("TransformerEncoderLayer", E, H, activation="swish")


# --- position encodings inside the attention


def plain_attention(layer, x, mask, rotate=None, bias=0.0):
    """Attention of one sequence (L, E) written out in numpy; `rotate(heads (H, L, D))` acts on queries and keys."""
    w, b = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    heads = [(x @ w[i * E : (i + 1) * E].T + b[i * E : (i + 1) * E]).reshape(len(x), H, -1).transpose(1, 0, 2) for i in range(3)]
    q, k, v = heads
    if rotate:
        q, k = rotate(q), rotate(k)
    scores = q @ k.transpose(0, 2, 1) / math.sqrt(q.shape[-1]) + bias + np.where(mask, -np.inf, 0)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    out = (weights @ v).transpose(1, 0, 2).reshape(len(x), E)
    return out @ layer.out_proj.weight.detach().numpy().T + layer.out_proj.bias.detach().numpy()


@pytest.mark.parametrize("need_weights", [True, False])
@pytest.mark.parametrize("batch_first", [True, False])
def test_alibi_in_attention(randn, need_weights, batch_first):
    layer = nn.MultiheadAttention(E, H, batch_first=batch_first, position_encoding=nn.ALiBi(H))
    x = randn(L, E)
    mask = np.triu(np.ones((L, L), bool), 1)
    distance = np.abs(np.arange(L)[:, None] - np.arange(L))
    slopes = np.array([2.0 ** (-8 * (i + 1) / H) for i in range(H)])
    expected = plain_attention(layer, x, mask, bias=-slopes[:, None, None] * distance)
    batch = ours.from_numpy(np.stack([x, x], 0 if batch_first else 1))
    out, _ = layer(batch, batch, batch, attn_mask=ours.from_numpy(mask), need_weights=need_weights, is_causal=True)
    for i in range(2):
        np.testing.assert_allclose((out[i] if batch_first else out[:, i]).detach().numpy(), expected, 1e-4, 1e-5)


@pytest.mark.parametrize("need_weights", [True, False])
def test_rotary_in_attention(randn, need_weights):
    layer = nn.MultiheadAttention(8, H, position_encoding=nn.RotaryEmbedding(4, max_len=16))
    x = ours.from_numpy(randn(L, 8))
    projections = zip(layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3), strict=True)
    q, k, v = (nn.functional.linear(x, w, b).reshape(L, H, 4).transpose(0, 1) for w, b in projections)
    q, k = layer.position_encoding(q, k)
    weights = (q @ k.transpose(1, 2) / 2).softmax(-1)
    expected = layer.out_proj((weights @ v).transpose(0, 1).reshape(L, 8))
    out, found = layer(x, x, x, need_weights=need_weights)
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), 1e-4, 1e-5)
    if need_weights:
        np.testing.assert_allclose(found.detach().numpy(), weights.mean(0).detach().numpy(), 1e-4, 1e-5)


@pytest.mark.parametrize("encoding", [lambda: nn.RotaryEmbedding(4, 16), lambda: nn.ALiBi(H)], ids=["rotary", "alibi"])
def test_decoding_with_an_offset_equals_the_whole_sequence(randn, encoding):
    layer = nn.MultiheadAttention(8, H, batch_first=True, position_encoding=encoding())
    x = ours.from_numpy(randn(2, 6, 8))
    whole, _ = layer(x, x, x, attn_mask=nn.positional.causal_mask(6))
    piece, _ = layer(x[:, 4:], x, x, attn_mask=nn.positional.causal_mask(2, offset=4), offset=4)
    np.testing.assert_allclose(piece.detach().numpy(), whole[:, 4:].detach().numpy(), 1e-4, 1e-5)
    wrong, _ = layer(x[:, 4:], x, x, attn_mask=nn.positional.causal_mask(2, offset=4))
    assert not np.allclose(wrong.detach().numpy(), piece.detach().numpy(), 1e-3)
