"""What new memory holds in PyTorch's deterministic mode, and here."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

TYPES = ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool", "complex64")


def made(T):
    for name in TYPES:
        yield T.empty(2, dtype=getattr(T, name))
    x = T.ones(2, 3)
    yield T.empty_like(x)
    yield T.empty_like(x.t())
    yield x.new_empty(2)
    yield x.new(2)
    yield T.Tensor(2)
    yield T.empty_strided((2, 2), (1, 2))
    yield T.empty_strided((2,), (2,), dtype=T.int16)
    yield T.empty_permuted((2, 1), (1, 0))
    yield T.empty(2, 3, 1, 1, memory_format=T.channels_last)
    yield T.empty(2, requires_grad=True)
    yield T.ones(2).resize_(4)
    yield T.ones(2, dtype=T.int32).resize_(2, 2)
    yield T.zeros(2)


@pytest.mark.parametrize("warn_only", [False, True])
def test_new_memory_is_filled_in_deterministic_mode(warn_only):
    def run(T):
        T.use_deterministic_algorithms(True, warn_only=warn_only)
        try:
            return [(str(t.dtype).rpartition(".")[2], repr(t.tolist())) for t in made(T)]
        finally:
            T.use_deterministic_algorithms(False)

    assert run(ours) == run(torch)


def test_new_memory_is_left_alone_where_that_is_asked_for():
    assert ours.empty(3).tolist() == [0, 0, 0]
    ours.use_deterministic_algorithms(True)
    ours.utils.deterministic.fill_uninitialized_memory = False
    try:
        assert ours.utils.deterministic.fill_uninitialized_memory is False
        assert [t.sum().item() for t in (ours.empty(3), ours.ones(1).resize_(3))] == [0, 1]
        with pytest.raises(RuntimeError, match="expected a bool"):
            ours.utils.deterministic.fill_uninitialized_memory = 1
    finally:
        ours.utils.deterministic.fill_uninitialized_memory = True
        ours.use_deterministic_algorithms(False)
    assert ours.utils.deterministic.fill_uninitialized_memory is True
