"""`flex_attention` and its masks: against attention written out, and tables that PyTorch 2.13 gives."""

import math

import numpy as np
import pytest

import torchlike_asg as torch
from torchlike_asg.nn.attention import SDPBackend, sdpa_kernel
from torchlike_asg.nn.attention.flex_attention import (
    AuxRequest,
    BlockMask,
    and_masks,
    create_block_mask,
    create_mask,
    flex_attention,
    noop_mask,
    or_masks,
)


def causal(b, h, q, kv):
    return q >= kv


@pytest.fixture
def qkv():
    torch.manual_seed(0)
    return [torch.randn(2, 4, 9, 8, requires_grad=True) for _ in range(3)]


def written_out(q, k, v, change):
    """The same by NumPy in float64: (output, logarithms of sums)."""
    q, k, v = (t.detach().numpy().astype(np.float64) for t in (q, k, v))
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = change(q @ k.swapaxes(-2, -1) / math.sqrt(q.shape[-1]))
        weights = np.exp(scores - np.where(np.isneginf(scores.max(-1, keepdims=True)), 0, scores.max(-1, keepdims=True)))
        lse = np.log(np.exp(scores).sum(-1))
        return np.nan_to_num(weights / weights.sum(-1, keepdims=True)) @ v, lse


def close(got, expected):
    np.testing.assert_allclose(got.detach().numpy(), expected, rtol=2e-5, atol=2e-6)


def test_without_functions_it_is_attention(qkv):
    close(flex_attention(*qkv), torch.nn.functional.scaled_dot_product_attention(*qkv).detach().numpy())


def test_a_score_function_reads_tables_by_its_positions(qkv):
    bias = torch.randn(4, 9, 9, requires_grad=True)
    out, lse = flex_attention(*qkv, score_mod=lambda s, b, h, i, j: s + bias[h, i, j], return_lse=True)
    expected, sums = written_out(*qkv, lambda s: s + bias.detach().numpy())
    close(out, expected)
    close(lse, sums)


def test_a_slope_for_each_head(qkv):
    slopes = torch.tensor([0.5, 0.25, 0.125, 0.0625])
    out = flex_attention(*qkv, score_mod=lambda s, b, h, i, j: torch.where(i >= j, s + slopes[h] * (j - i), -float("inf")))
    i, j = np.mgrid[:9, :9]
    close(out, written_out(*qkv, lambda s: np.where(i >= j, s + slopes.numpy()[:, None, None] * (j - i), -np.inf))[0])


def test_gradients_reach_queries_keys_values_and_what_the_function_reads():
    torch.manual_seed(1)
    q, k, v = [torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3)]
    bias = torch.randn(2, dtype=torch.float64, requires_grad=True)
    mask = create_block_mask(causal, None, None, 3, 3)

    def run(q, k, v, bias):
        return flex_attention(q, k, v, score_mod=lambda s, b, h, i, j: s * bias[h], block_mask=mask)

    assert torch.autograd.gradcheck(run, (q, k, v, bias))


def test_documents_and_causality_together(qkv):
    document = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
    mask = create_block_mask(and_masks(causal, lambda b, h, q, kv: document[q] == document[kv]), 2, 4, 9, 9)
    assert mask.shape == (2, 4, 9, 9)
    i, j = np.mgrid[:9, :9]
    close(flex_attention(*qkv, block_mask=mask), written_out(*qkv, lambda s: np.where((i >= j) & (i // 3 == j // 3), s, -np.inf))[0])


def test_a_query_that_sees_no_key_gives_zeros_and_takes_no_gradient(qkv):
    mask = create_block_mask(lambda b, h, q, kv: q > kv, None, None, 9, 9)
    out, aux = flex_attention(*qkv, block_mask=mask, return_aux=AuxRequest(lse=True, max_scores=True))
    assert (out[:, :, 0] == 0).all() and (aux.lse[:, :, 0] == -math.inf).all() and (aux.max_scores[:, :, 0] == -math.inf).all()
    out.sum().backward()
    assert all(torch.isfinite(t.grad).all() for t in qkv) and (qkv[0].grad[:, :, 0] == 0).all()


def test_fewer_heads_of_keys(qkv):
    k, v = torch.randn(2, 2, 9, 8), torch.randn(2, 2, 9, 8)
    out = flex_attention(qkv[0], k, v, enable_gqa=True, scale=0.3)
    same = flex_attention(qkv[0], k.repeat_interleave(2, 1), v.repeat_interleave(2, 1), scale=0.3)
    close(out, same.detach().numpy())


def test_blocks_of_a_causal_mask():
    mask = create_block_mask(causal, None, None, 9, 9, BLOCK_SIZE=4)
    assert mask.kv_num_blocks.tolist() == [[[1, 1, 3]]]
    assert mask.kv_indices.tolist() == [[[[0, 1, 2], [1, 0, 2], [0, 1, 2]]]]
    assert mask.full_kv_num_blocks.tolist() == [[[0, 1, 0]]]
    assert mask.full_kv_indices.tolist() == [[[[0, 1, 2], [0, 1, 2], [0, 1, 2]]]]
    assert mask.to_dense().tolist() == [[[[1, 0, 0], [1, 1, 0], [1, 1, 1]]]]
    assert mask.sparsity() == pytest.approx(-18.519, abs=1e-3)  # blocks reach beyond the 9 by 9 pairs
    assert "shape=(1, 1, 9, 9)" in repr(mask)
    again = BlockMask.from_kv_blocks(mask.kv_num_blocks, mask.kv_indices, mask.full_kv_num_blocks, mask.full_kv_indices, 4, causal, (9, 9))
    assert again.to_dense().tolist() == mask.to_dense().tolist() and again.shape == mask.shape


def test_masks_combine():
    mask = create_mask(or_masks(lambda b, h, q, kv: q == kv, lambda b, h, q, kv: h == kv), 1, 2, 3, 3)
    assert mask.int().tolist() == [[[[1, 0, 0], [1, 1, 0], [1, 0, 1]], [[1, 1, 0], [0, 1, 0], [0, 1, 1]]]]
    assert create_mask(noop_mask, None, None, 2, 2).all()
    assert create_mask(lambda s, b, h, q, kv: s + q, None, None, 2, 2).tolist() == [[[[0.0, 0.0], [1.0, 1.0]]]]


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda q, k, v: (q, k[:, :2], v[:, :2]), ValueError, "same number of heads"),
        (lambda q, k, v: (q[0], k[0], v[0]), NotImplementedError, "4D"),
        (lambda q, k, v: (q, k.double(), v), ValueError, "same dtype"),
    ],
)
def test_what_does_not_fit_is_named(qkv, change, error, text):
    with pytest.raises(error, match=text):
        flex_attention(*change(*qkv))


def test_a_mask_of_other_lengths_is_named(qkv):
    with pytest.raises(ValueError, match="block_mask is for"):
        flex_attention(*qkv, block_mask=create_block_mask(causal, None, None, 5, 9))


def test_a_kernel_is_chosen_by_name_only(qkv):
    with sdpa_kernel([SDPBackend.MATH, SDPBackend.FLASH_ATTENTION]):
        close(torch.nn.functional.scaled_dot_product_attention(*qkv), flex_attention(*qkv).detach().numpy())
    with pytest.raises(AssertionError, match="SDPBackend"), sdpa_kernel("math"):
        pass
