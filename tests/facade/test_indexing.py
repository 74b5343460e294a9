"""Functions that read and write at positions given by index tensors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:index_reduce:UserWarning")

from .compare import gradients, same, same_error, second_gradients  # noqa: E402

A = np.arange(12.0, dtype=np.float32).reshape(3, 4) / 3 - 1.3
S = np.array([[1.5, -2.0, 0.7, 3.0], [0.4, 2.5, -1.0, 0.9], [-0.3, 1.1, 0.6, -1.7]], np.float32)

#: name -> f(lib, x, s): x and s are 3 by 4
CASES = {
    "index_select": lambda T, x, s: x.index_select(1, T.tensor([3, 0, 3])),
    "index_select by int32": lambda T, x, s: T.index_select(x, 0, T.tensor([1], dtype=T.int32)),
    "index_select of a 0-d index": lambda T, x, s: x.index_select(-1, T.tensor(2)),
    "index_add": lambda T, x, s: x.index_add(0, T.tensor([2, 0, 2]), s),
    "index_add with alpha": lambda T, x, s: x.index_add(1, T.tensor([1, 1]), s[:, :2], alpha=-2),
    "index_copy": lambda T, x, s: x.index_copy(1, T.tensor([3, 0]), s[:, :2]),
    "index_fill": lambda T, x, s: x.index_fill(0, T.tensor([2, 2]), -1.5),
    "index_fill with a tensor": lambda T, x, s: x.index_fill(1, T.tensor([2, 0]), s[0, 0]),
    "index_fill at a negative position": lambda T, x, s: x.index_fill(1, T.tensor([-1]), 3),
    "index_put": lambda T, x, s: x.index_put((T.tensor([2, 0]), T.tensor([1, 3])), s[0, :2]),
    "index_put accumulating": lambda T, x, s: x.index_put((T.tensor([2, 2]),), s[:2], accumulate=True),
    "index_put with a mask": lambda T, x, s: x.index_put((x.detach() > 0,), s[0, 0]),
    "index_reduce prod": lambda T, x, s: x.index_reduce(0, T.tensor([0, 0, 1]), s, "prod"),
    "index_reduce mean": lambda T, x, s: x.index_reduce(0, T.tensor([0, 0, 1]), s, "mean", include_self=False),
    "index_reduce amax": lambda T, x, s: x.index_reduce(1, T.tensor([0, 0, 1, 3]), s, "amax"),
    "take": lambda T, x, s: x.take(T.tensor([[0, 11], [-1, 5]])),
    "put": lambda T, x, s: x.put(T.tensor([0, 11, -2]), s[0, :3]),
    "put accumulating": lambda T, x, s: x.put(T.tensor([0, 0, -2]), s[0, :3], accumulate=True),
    "masked_select": lambda T, x, s: x.masked_select(x.detach() > 0),
    "masked_select by rows": lambda T, x, s: T.masked_select(x, T.tensor([[True], [False], [True]])),
    "masked_scatter": lambda T, x, s: x.masked_scatter(x.detach() > 0.3, s),
    "masked_scatter of columns": lambda T, x, s: x.masked_scatter(T.tensor([True, False, False, True]), s.reshape(-1)),
    "select_scatter": lambda T, x, s: x.select_scatter(s[0], 0, -1),
    "slice_scatter": lambda T, x, s: x.slice_scatter(s[:, :2], 1, 0, 4, 2),
    "diagonal_scatter": lambda T, x, s: x.diagonal_scatter(s[0, :3], 1),
    "of a transpose": lambda T, x, s: x.t().index_add(1, T.tensor([1, 0, 1]), s.t()),
}


def leaves(T):
    return T.tensor(A, requires_grad=True), T.tensor(S, requires_grad=True)


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_values_and_gradients(f):
    def run(T):
        x, s = leaves(T)
        y = f(T, x * 1, s * 1)
        return y, gradients(T, y, x, s)

    same(run, 1e-4)


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_second_gradients(f):
    def run(T):
        x, s = leaves(T)
        return second_gradients(T, f(T, x * x, s * s), x, s)

    def connected(T):
        x, s = leaves(T)
        return [g is not None for g in gradients(T, f(T, x, s), x, s)]

    if all(connected(torch)):
        same(run, 1e-3, 1e-4)


INPLACE = {
    "index_add_": lambda T, x, s: x.index_add_(0, T.tensor([2, 0, 2]), s),
    "index_copy_": lambda T, x, s: x.index_copy_(1, T.tensor([3, 0]), s[:, :2]),
    "index_fill_": lambda T, x, s: x.index_fill_(0, T.tensor([2, 2]), -1.5),
    "index_put_": lambda T, x, s: x.index_put_((T.tensor([2, 0]), T.tensor([1, 3])), s[0, :2]),
    "index_put_ accumulating": lambda T, x, s: x.index_put_((T.tensor([2, 2]),), s[:2], accumulate=True),
    "index_reduce_": lambda T, x, s: x.index_reduce_(0, T.tensor([0, 0, 1]), s, "amin"),
    "put_": lambda T, x, s: x.put_(T.tensor([0, 11]), s[0, :2]),
    "masked_scatter_": lambda T, x, s: x.masked_scatter_(x.detach() > 0.3, s),
    "masked_fill_": lambda T, x, s: x.masked_fill_(x.detach() > 0.3, 7),
}


@pytest.mark.parametrize("f", INPLACE.values(), ids=INPLACE)
def test_in_place(f):
    def run(T):
        x, s = leaves(T)
        y = x * 1
        view = y[1:]
        same_object = f(T, y, s * 1) is y
        return y, view, same_object, y._version, gradients(T, y, x, s)

    same(run, 1e-4)


ERRORS = {
    "index_select out of range": lambda T, x: x.index_select(0, T.tensor([5])),
    "index_select below": lambda T, x: x.index_select(0, T.tensor([-1])),
    "index_select by a matrix": lambda T, x: x.index_select(0, T.tensor([[1]])),
    "index_select by floats": lambda T, x: x.index_select(0, T.tensor([1.0])),
    "index_add out of range": lambda T, x: x.index_add(0, T.tensor([5]), x[:1]),
    "index_add of another count": lambda T, x: x.index_add(0, T.tensor([0, 0]), x[:1]),
    "index_add of another shape": lambda T, x: x.index_add(0, T.tensor([0]), x[:1, :2]),
    "index_add of another type": lambda T, x: x.index_add(0, T.tensor([0]), x[:1].long()),
    "index_copy of another type": lambda T, x: x.index_copy(0, T.tensor([0]), x[:1].double()),
    "index_copy of another count": lambda T, x: x.index_copy(0, T.tensor([0, 1]), x[:1]),
    "index_copy of another rank": lambda T, x: x.index_copy(0, T.tensor(0), x[0]),
    "index_fill with a vector": lambda T, x: x.index_fill(0, T.tensor([0]), T.tensor([1.0])),
    "index_fill by a matrix": lambda T, x: x.index_fill(0, T.tensor([[0]]), 1),
    "index_put out of range": lambda T, x: x.index_put((T.tensor([5]),), T.tensor(1.0)),
    "index_put of another type": lambda T, x: x.index_put((T.tensor([0]),), T.tensor(1)),
    "index_put of too many": lambda T, x: x.index_put((T.tensor([0]),) * 3, T.tensor(1.0)),
    "index_put of None": lambda T, x: x.index_put((T.tensor([0]), None), T.tensor(1.0)),
    "index_reduce sum": lambda T, x: x.index_reduce(0, T.tensor([0, 1, 2]), x, "sum"),
    "take out of range": lambda T, x: x.take(T.tensor([12])),
    "take by floats": lambda T, x: x.take(T.tensor([0.0])),
    "put of another count": lambda T, x: x.put(T.tensor([0, 1]), T.tensor([1.0])),
    "put of another type": lambda T, x: x.put(T.tensor([0, 1]), T.tensor([1, 2])),
    "masked_select by integers": lambda T, x: x.masked_select(T.tensor([1, 0, 1, 1])),
    "masked_scatter of too few": lambda T, x: x.masked_scatter(T.ones(3, 4, dtype=T.bool), T.ones(3)),
    "masked_scatter of another type": lambda T, x: x.masked_scatter(x > 2, T.tensor([1, 2, 3])),
    "select_scatter out of range": lambda T, x: x.select_scatter(T.ones(4), 0, 5),
    "select_scatter of another shape": lambda T, x: x.select_scatter(T.ones(2), 0, 0),
    "slice_scatter of another shape": lambda T, x: x.slice_scatter(T.ones(2, 1), 1, 0, 2),
    "columns out of range": lambda T, x: x[:, T.tensor([7])],
    "columns out of range, written": lambda T, x: x.__setitem__((slice(None), T.tensor([7])), 1.0),
    "a position of none": lambda T, x: x[:, :0][:, T.tensor([0])],
    "too many values of another type": lambda T, x: x.__setitem__(T.tensor([True, False, False]), T.tensor([[1], [2]])),
    "coordinates of floats": lambda T, x: T.unravel_index(x, (3, 4)),
    "coordinates in a shape of floats": lambda T, x: T.unravel_index(T.tensor([1]), (3, 4.0)),
}


@pytest.mark.parametrize("byte", [0, 1])
def test_a_byte_of_no_dimensions_writes_all_or_nothing(byte):
    def run(T):
        x, y = T.ones(2, 3), T.ones(2, 3)
        x[T.tensor(byte, dtype=T.uint8)] = 2
        y[T.tensor(byte, dtype=T.uint8)] = T.tensor([4.0, 5.0, 6.0])
        return x, y

    same(run)


@pytest.mark.parametrize("f", ERRORS.values(), ids=ERRORS)
def test_errors(f):
    same_error(lambda T: f(T, T.arange(12.0).reshape(3, 4)))


def test_positions_of_nonzero_elements():
    a = np.array([[0.0, 1.5], [2.0, 0.0], [np.nan, 0.0]], np.float32)
    same(lambda T: [T.tensor(a).nonzero(), T.nonzero(T.tensor(a), as_tuple=True), T.argwhere(T.tensor(a) > 1), T.where(T.tensor(a) > 1)])
    same(lambda T: [T.tensor(a).nonzero().stride(), T.tensor(0.0).nonzero(), T.tensor(5.0).nonzero(), T.tensor(5.0).nonzero(as_tuple=True)])


def test_isin():
    same(lambda T: T.isin(T.tensor([[1, 2], [3, 4]]), T.tensor([2, 3])))
    same(lambda T: T.isin(T.tensor([1.0, 2.5]), 2.5, invert=True))
    same(lambda T: T.isin(3, T.tensor([1, 3]), assume_unique=True))


def test_saved_indices_are_guarded():
    def run(T):
        x, i = T.ones(3, requires_grad=True), T.tensor([0, 1])
        y = x[i].sum()
        i.add_(1)
        y.backward()

    for lib in (torch, ours):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            run(lib)


def test_integer_accumulation_is_exact():
    same(lambda T: T.zeros(3, dtype=T.int64).index_add(0, T.tensor([0, 0, 2]), T.tensor([2**40, 1, 5])))
    same(lambda T: T.zeros(2, dtype=T.int8).index_put((T.tensor([1, 1]),), T.tensor([3, 4], dtype=T.int8), accumulate=True))
    same(lambda T: T.zeros(2, dtype=T.bool).index_put((T.tensor([1, 1]),), T.tensor([True, True]), accumulate=True))
