"""What a function that is mapped may return, beside PyTorch."""

import pytest

import torchlike_asg as ours

torch = pytest.importorskip("torch")


def test_what_is_no_tensor_goes_where_there_is_no_dimension():
    for L in (torch, ours):
        x = L.ones(4, 2)
        doubled, word = L.func.vmap(lambda t: (t * 2, "word"), out_dims=(0, None))(x)
        assert (tuple(doubled.shape), word) == ((4, 2), "word")
        assert L.func.vmap(lambda t: None, out_dims=None)(x) is None
        assert L.func.vmap(lambda t: {"a": t, "n": None}, out_dims={"a": 0, "n": None})(x)["n"] is None
        with pytest.raises(ValueError, match=r"must only return Tensors.*set out_dims= to None"):
            L.func.vmap(lambda t: (t * 2, 3.0))(x)
