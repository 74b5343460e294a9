"""Copies in which one view is replaced, of sources and storages of every kind."""

import pytest

torch = pytest.importorskip("torch")


from .compare import same, same_error  # noqa: E402


def _grid(T):
    return T.arange(12.0).view(3, 4)


def _source(T, *numbers):
    return T.tensor(numbers or (7.0, 8.0))


CASES = {
    "integers into floats": lambda T: T.as_strided_scatter(T.zeros(3, 3), T.tensor([[1, 2], [3, 4]]), (2, 2), (1, 2)),
    "floats into integers": lambda T: T.as_strided_scatter(_grid(T).int(), _source(T, 1.5, 2.5), (2,), (3,)),
    "truth into floats": lambda T: T.as_strided_scatter(_grid(T) * 1, _source(T, True, False), (2,), (3,)),
    "places of a transpose": lambda T: T.as_strided_scatter(_grid(T).t(), _source(T), (2,), (1,), 1),
    "from its own offset": lambda T: T.as_strided_scatter(_grid(T)[1:], _source(T), (2,), (1,)),
    "before its own offset": lambda T: T.as_strided_scatter(_grid(T)[1:], _source(T), (2,), (1,), 1),
    "beside columns": lambda T: T.as_strided_scatter(_grid(T)[:, 1:3], _source(T), (2,), (4,), 1),
    "of one row many times": lambda T: T.as_strided_scatter(_grid(T)[1].expand(3, 4), _source(T), (2,), (1,)),
    "of nothing": lambda T: T.as_strided_scatter(_grid(T)[0:0], T.zeros(0), (0,), (1,)),
    "integers into a row": lambda T: T.select_scatter(_grid(T), T.tensor([1, 2, 3, 4]), 0, 1),
    "integers into a slice": lambda T: T.slice_scatter(_grid(T), T.tensor([[1], [2], [3]]), 1, 2, 3),
    "floats into a diagonal": lambda T: T.diagonal_scatter(_grid(T).int(), T.tensor([1.5, 2.5, 3.5])),
}


@pytest.mark.parametrize("case", CASES)
def test_as_in_pytorch(case):
    def run(T):
        result = CASES[case](T)
        part = result[:1]
        result += 1  # the copy is nobody's view, and views of it see writes
        return result, part

    same(run)


def test_a_source_that_is_data_is_converted():
    """Its bits were taken for numbers of the other type."""

    def run(T):
        source = T.tensor([[1, 2], [3, 4]])
        source.tolist()
        return T.as_strided_scatter(T.zeros(3, 3), source, (2, 2), (1, 2))

    same(run)


@pytest.mark.parametrize(
    "call",
    [
        lambda T, x: T.as_strided_scatter(x, _source(T), (2,), (40,), 1),
        lambda T, x: T.as_strided_scatter(x, _source(T), (3,), (4,), 1),
        lambda T, x: T.as_strided_scatter(x, _source(T), (2,), (-1,), 1),
        lambda T, x: T.select_scatter(x, _source(T), 0, 1),
    ],
)
def test_mistakes(call):
    same_error(lambda T: call(T, _grid(T)))
