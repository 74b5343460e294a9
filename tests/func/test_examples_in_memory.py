"""Strides, views of the storage and the order of random numbers inside vmap, wherever the mapped dimension is; against PyTorch."""

import numpy as np
import pytest

import torchlike_asg as ours

theirs = pytest.importorskip("torch")

BATCHES = {
    "contiguous": lambda T: T.arange(24.0).reshape(2, 3, 4),
    "transposed": lambda T: T.arange(24.0).reshape(4, 3, 2).transpose(0, 2),
    "spaced": lambda T: T.arange(48.0).reshape(2, 3, 8)[:, :, ::2],
    "from the middle": lambda T: T.arange(30.0)[6:].reshape(2, 3, 4),
}
SHOWN = {
    "itself": lambda T, x: x,
    "clone": lambda T, x: x.clone(),
    "contiguous": lambda T, x: x.contiguous(),
    "laid out anew": lambda T, x: x.clone(memory_format=T.contiguous_format),
    "multiple": lambda T, x: x * 2,
    "transposed": lambda T, x: x.T,
    "row": lambda T, x: x[0],
    "unsqueezed": lambda T, x: x.unsqueeze(0),
    "sum": lambda T, x: x.sum(0),
    "view of the storage": lambda T, x: x.contiguous().as_strided((2, 2), (1, 2)),
}
DRAWN = {
    "rand_like": lambda T, x: T.rand_like(x),
    "randn_like of the transpose": lambda T, x: T.randn_like(x.T),
    "randint_like": lambda T, x: T.randint_like(x, 9),
    "normal_": lambda T, x: x.clone().normal_(),
    "uniform_ of an argument": lambda T, x: x.contiguous().uniform_(),
    "bernoulli_": lambda T, x: x.clone().bernoulli_(0.4),
    "bernoulli": lambda T, x: T.bernoulli(x / 60),
    "normal": lambda T, x: T.normal(x, 1.0),
    "multinomial": lambda T, x: T.multinomial(x.reshape(-1) + 1, 2),
    "dropout": lambda T, x: T.nn.functional.dropout(x, 0.5),
}


@pytest.mark.parametrize("d", [0, 1, 2])
@pytest.mark.parametrize("batch", BATCHES)
def test_layouts(batch, d):
    found = []
    for T in (ours, theirs):
        seen = {}

        def look(x, T=T, seen=seen):
            for name, f in SHOWN.items():
                y = f(T, x)
                seen[name] = (tuple(y.stride()), y.storage_offset() if name in ("itself", "row") else 0, y.is_contiguous())
            return x.sum()

        T.vmap(look, in_dims=d)(BATCHES[batch](T))
        found.append(seen)
    assert found[0] == found[1]


@pytest.mark.parametrize("randomness", ["different", "same"])
@pytest.mark.parametrize("name", DRAWN)
def test_random_numbers(name, randomness):
    for batch in ("contiguous", "transposed", "spaced"):
        for d in range(3):
            found = []
            for T in (ours, theirs):
                T.manual_seed(2)
                try:
                    found.append(T.vmap(lambda x, T=T: DRAWN[name](T, x), in_dims=d, randomness=randomness)(BATCHES[batch](T)).tolist())
                except RuntimeError as error:
                    found.append(str(error))
            if isinstance(found[1], str):
                assert found[1].startswith(found[0])
            else:
                np.testing.assert_allclose(*found, rtol=1e-5)


@pytest.mark.parametrize("d", [0, 1, 2])
def test_views_of_the_storage(d):
    """They are PyTorch's, or refused where examples share a piece of memory."""

    def f(x):
        return x.as_strided((2,), (2,))

    for batch in BATCHES:
        try:
            found = ours.vmap(f, in_dims=d)(BATCHES[batch](ours)).tolist()
        except NotImplementedError as error:
            assert d or batch != "contiguous"
            assert "scattered" in str(error)
        else:
            assert found == theirs.vmap(f, in_dims=d)(BATCHES[batch](theirs)).tolist()


def test_gumbel_noise_wants_the_batch_in_front():
    x = ours.arange(6.0).reshape(2, 3)
    with pytest.raises(NotImplementedError, match="movedim"):
        ours.vmap(lambda r: ours.nn.functional.gumbel_softmax(r, dim=0), in_dims=1, randomness="different")(x)


def test_nested_maps():
    found = []
    for T in (ours, theirs):
        T.manual_seed(0)
        seen = []

        def inner(x, T=T, seen=seen):
            seen.append((tuple(x.stride()), x.is_contiguous()))
            return T.rand_like(x)

        x = T.arange(24.0).reshape(2, 3, 4)
        out = T.vmap(T.vmap(inner, in_dims=1, randomness="different"), in_dims=1, randomness="different")(x)
        found.append((seen, out.tolist()))
    assert found[0][0] == found[1][0]
    np.testing.assert_allclose(found[0][1], found[1][1])


@pytest.mark.parametrize("count", [1, 3])
def test_multinomial_draws_in_the_order_of_memory(count):
    found = []
    for T in (ours, theirs):
        T.manual_seed(0)
        found.append(T.multinomial(T.arange(1.0, 25.0).reshape(6, 4).T, count).tolist())
    assert found[0] == found[1]
