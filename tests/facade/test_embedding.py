"""Embeddings, bags of embeddings and one-hot vectors against PyTorch."""

import numpy as np
import pytest

import torchlike_asg as ours

from .compare import same
from .parity import agree, agree_twice, normal, refuses

TABLE = normal(6, 3)
I1, I2 = np.array([1, 2, 4, 5, 4, 3, 2, 5]), np.array([[0, 1, 1], [4, 2, 2]])
OFFSETS = np.array([0, 3, 3, 6])


class TestEmbedding:
    @pytest.mark.parametrize(
        "indices", [I1, I2, np.array(3), np.zeros((0, 2), np.int64), I2.astype(np.int32)], ids=["1d", "2d", "0d", "empty", "int32"]
    )
    def test_values_and_gradients(self, indices):
        agree("embedding", indices, TABLE)
        agree_twice(lambda lib: lambda i, w: lib.nn.functional.embedding(i, w * w), indices, TABLE)

    @pytest.mark.parametrize(
        "arguments", [{"padding_idx": 2}, {"padding_idx": -2}, {"scale_grad_by_freq": True}, {"padding_idx": 4, "scale_grad_by_freq": True}]
    )
    def test_gradients_of_rows(self, arguments):
        agree("embedding", I1, TABLE, **arguments)

    def test_repeated_rows_add_up(self):
        w = ours.tensor(TABLE, requires_grad=True)
        ours.nn.functional.embedding(ours.tensor([1, 1, 1, 5]), w).sum().backward()
        np.testing.assert_array_equal(w.grad.numpy()[:, 0], [0, 3, 0, 0, 0, 1])

    @pytest.mark.parametrize("p", [2.0, 1.0])
    def test_max_norm_rescales_rows_in_use(self, p):
        def run(lib):
            w = lib.tensor(TABLE * 2)
            y = lib.nn.functional.embedding(lib.tensor([1, 4, 4]), w, max_norm=1.0, norm_type=p)
            return y, w

        same(run)

    def test_at_top_level(self):
        same(lambda lib: lib.embedding(lib.tensor(TABLE), lib.tensor(I2)))

    def test_errors(self):
        refuses("embedding", np.array([0, 9]), TABLE)
        refuses("embedding", np.array([-1]), TABLE)
        refuses("embedding", np.array([0.0]), TABLE)
        refuses("embedding", np.array([0]), normal(3))
        with pytest.raises(AssertionError, match="Padding_idx must be within num_embeddings"):
            ours.nn.functional.embedding(ours.tensor([0]), ours.tensor(TABLE), padding_idx=7)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
class TestEmbeddingBag:
    def test_offsets(self, mode):
        agree("embedding_bag", I1, TABLE, OFFSETS, mode=mode)
        agree("embedding_bag", I1, TABLE, np.array([0, 3, 8]), mode=mode, include_last_offset=True)

    def test_rows(self, mode):
        agree("embedding_bag", I2, TABLE, mode=mode)
        agree("embedding_bag", I2.astype(np.int32), TABLE, mode=mode)

    def test_padding(self, mode):
        agree("embedding_bag", I1, TABLE, OFFSETS, mode=mode, padding_idx=4)
        agree("embedding_bag", I2, TABLE, mode=mode, padding_idx=1)
        agree("embedding_bag", np.array([[1, 1], [2, 1]]), TABLE, mode=mode, padding_idx=1)


def test_weighted_bags():
    agree("embedding_bag", I1, TABLE, OFFSETS, mode="sum", per_sample_weights=normal(8))
    agree("embedding_bag", I2, TABLE, mode="sum", per_sample_weights=normal(2, 3))


def test_bag_errors():
    refuses("embedding_bag", I1, TABLE)
    refuses("embedding_bag", I1, TABLE, np.array([1]))
    refuses("embedding_bag", I1, TABLE, np.array([0, 9]))
    refuses("embedding_bag", I2, TABLE, mode="median")
    refuses("embedding_bag", I1, TABLE, OFFSETS, per_sample_weights=normal(3), mode="sum")
    refuses("embedding_bag", np.zeros((1, 1, 1), np.int64), TABLE)
    refuses("embedding_bag", I1, TABLE, OFFSETS, mode="max", scale_grad_by_freq=True)


@pytest.mark.parametrize("options", [{}, {"mode": "sum"}, {"mode": "max"}, {"padding_idx": 0}, {"padding_idx": 0, "mode": "sum"}], ids=str)
@pytest.mark.parametrize("wrong", [-1, 99])
def test_bags_of_what_is_not_in_the_table_are_refused_in_the_same_words(wrong, options):
    said = []
    for T in (pytest.importorskip("torch"), ours):
        with pytest.raises(RuntimeError) as caught:
            T.nn.functional.embedding_bag(T.tensor([[1, wrong]]), T.ones(10, 2), **options)
        said.append(str(caught.value))
    assert said[0] == said[1]


class TestOneHot:
    @pytest.mark.parametrize("indices", [I1, I2, np.array(3)])
    def test_values(self, indices):
        agree("one_hot", indices)
        agree("one_hot", indices, 9)
        agree("one_hot", np.zeros((0, 2), np.int64), 3)

    def test_errors(self):
        refuses("one_hot", np.array([0.0]))
        refuses("one_hot", np.zeros(0, np.int64))
        refuses("one_hot", np.array([-1]))
        refuses("one_hot", np.array([3]), 2)
        refuses("one_hot", np.array([3]), 0)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 1])
@pytest.mark.parametrize("offsets", [[0, 3, 3], [0, 3, 2], [0, 0, 1], [0, 3, 4], [0, 2, 9]])
def test_the_last_of_the_offsets_counts_only_in_sums_and_means_without_padding(mode, padding, offsets):
    if mode != "max" and padding is None and offsets == [0, 0, 1]:
        pytest.skip("the divisor of PyTorch's is that of another bag")

    def run(T):
        table = T.arange(12.0).reshape(4, 3).requires_grad_()
        bags = T.nn.functional.embedding_bag(
            T.tensor([0, 1, 2, 3]), table, T.tensor(offsets), mode=mode, include_last_offset=True, padding_idx=padding
        )
        if mode == "max" or padding is not None:
            bags.sum().backward()  # in the other cases PyTorch leaves rows without values
        return bags, table.grad

    same(run)


def test_weights_of_samples_have_the_type_of_the_table():
    same(
        lambda T: T.nn.functional.embedding_bag(
            T.tensor([[0, 1]]), T.ones(2, 3), mode="sum", per_sample_weights=T.ones(1, 2, dtype=T.float64)
        )
    )
