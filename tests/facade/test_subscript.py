"""Subscripts: what they give, what they alias, what they write, and what they record."""

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import same, same_error  # noqa: E402


def x_of(lib):
    return lib.arange(24.0).reshape(2, 3, 4) * 1


READS = {
    "an int": lambda T, x: x[1],
    "a negative int": lambda T, x: x[-1, -2],
    "a NumPy int": lambda T, x: x[np.int64(1)],
    "slices": lambda T, x: x[:, 1:, ::2],
    "clamped slices": lambda T, x: x[-10:5, 5:, 1:0],
    "slices by tensors": lambda T, x: x[T.tensor(0) : T.tensor(1)],
    "everything": lambda T, x: x[:],
    "an ellipsis": lambda T, x: x[..., 0],
    "two ellipses": lambda T, x: x[..., ...],
    "new dimensions": lambda T, x: x[:, None, ..., None],
    "an empty tuple": lambda T, x: x[()],
    "True": lambda T, x: x[True],
    "False": lambda T, x: x[False],
    "True among others": lambda T, x: x[1:, True],
    "a 0-d tensor": lambda T, x: x[T.tensor(1)],
    "a 0-d mask": lambda T, x: x[T.tensor(True)],
    "a list": lambda T, x: x[[1, 0, 1]],
    "an empty list": lambda T, x: x[[]],
    "a range": lambda T, x: x[range(2)],
    "a list of floats": lambda T, x: x[[1.0]],
    "a list of bools": lambda T, x: x[[True, False]],
    "an array": lambda T, x: x[:, np.array([0, 2])],
    "a bool array": lambda T, x: x[np.array([True, False])],
    "a matrix of indices": lambda T, x: x[:, T.tensor([[0, 1], [2, 0]])],
    "int32 indices": lambda T, x: x[T.tensor([1, 0], dtype=T.int32)],
    "neighbouring indices": lambda T, x: x[:, [0, 1], [1, 2]],
    "indices apart": lambda T, x: x[[0, 1], :, [0, 1]],
    "indices that broadcast": lambda T, x: x[[[0], [1]], :, [0, 1, 2]],
    "an int between indices": lambda T, x: x[[0, 1], 0, [0, 1]],
    "an int before indices": lambda T, x: x[0, :, [0, 1]],
    "negative indices": lambda T, x: x[:, [-1, 0]],
    "a mask": lambda T, x: x[x > 5],
    "a mask of fewer dimensions": lambda T, x: x[T.tensor([[True, False, True], [False, False, True]])],
    "a mask of one dimension": lambda T, x: x[:, T.tensor([True, False, True])],
    "a mask and an index": lambda T, x: x[T.tensor([True, True]), [0, 2]],
    "a mask and an int": lambda T, x: x[T.ones(2, 3, dtype=T.bool), 0],
    "an index of a transpose": lambda T, x: x.transpose(0, 2)[[0, 1]],
    "no index at all": lambda T, x: x[T.zeros(0, dtype=T.long)],
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("form", ["data", "result", "view"])
def test_reading(read, form):
    def run(T):
        x = T.tensor(np.arange(24.0, dtype=np.float32).reshape(2, 3, 4))
        x = x * 1 if form == "result" else x.view(2, 3, 4) if form == "view" else x
        y = read(T, x)
        return y, y._is_view(), list(y.stride()) if 1 not in y.shape else []

    same(run)


@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_gradient_of_reading(read):
    def run(T):
        x = T.tensor(np.arange(24.0, dtype=np.float32).reshape(2, 3, 4), requires_grad=True)
        y = read(T, x)
        (y * y).sum().backward()
        return x.grad

    same(run)


ERRORS = {
    "out of bounds": lambda T, x: x[2],
    "out of bounds below": lambda T, x: x[:, -4],
    "out of bounds in a list": lambda T, x: x[[0, 9]],
    "out of bounds in a tensor": lambda T, x: x[T.tensor([-3])],
    "too many": lambda T, x: x[0, 0, 0, 0],
    "a float": lambda T, x: x[1.0],
    "a set": lambda T, x: x[{1}],
    "a negative step": lambda T, x: x[::-1],
    "a zero step": lambda T, x: x[::0],
    "float indices": lambda T, x: x[T.tensor([0.0])],
    "int16 indices": lambda T, x: x[T.tensor([0], dtype=T.int16)],
    "a mask of another shape": lambda T, x: x[T.tensor([True, False, True])],
    "indices that do not broadcast": lambda T, x: x[[0, 1], [0, 1, 2]],
    "a 0-d tensor": lambda T, x: x[0, 0, 0][0],
    "an int of another size": lambda T, x: x[2**40],
    "a string": lambda T, x: x["a"],
    "a float in a slice": lambda T, x: x[0.5:],
}


@pytest.mark.parametrize("read", ERRORS.values(), ids=ERRORS)
def test_errors_of_reading(read):
    same_error(lambda T: read(T, x_of(T)))


def test_values_of_recorded_indices_are_checked_when_computed():
    i = ours.tensor([1, 5]) + 0
    y = ours.arange(3.0)[i]
    with pytest.raises(IndexError, match="index 5 is out of bounds for dimension 0 with size 3"):
        y.tolist()


def test_byte_masks_warn():
    with pytest.warns(UserWarning, match=r"uint8 is now deprecated"):
        assert ours.arange(2.0)[ours.tensor([0, 1], dtype=ours.uint8)].tolist() == [1.0]


def test_lists_of_lists_are_tuples_and_warn():
    with pytest.warns(UserWarning, match="non-tuple sequence"):
        assert x_of(ours)[[[0, 1], [1, 2]]].shape == (2, 4)


WRITES = {
    "a number into a row": lambda T, x, v: x.__setitem__(0, 5),
    "a number into everything": lambda T, x, v: x.__setitem__(..., 5),
    "a bool": lambda T, x, v: x.__setitem__(0, True),
    "a tensor into a slice": lambda T, x, v: x.__setitem__((slice(None), slice(1, 3)), v[:, :2]),
    "a broadcast tensor": lambda T, x, v: x.__setitem__(slice(None), v[0, 0]),
    "leading ones": lambda T, x, v: x.__setitem__((0, 0), v[:1, :1, :]),
    "another type": lambda T, x, v: x.__setitem__(0, v[0].double()),
    "an index": lambda T, x, v: x.__setitem__([1, 0], v),
    "an index with a number": lambda T, x, v: x.__setitem__((slice(None), [0, 2]), -1.0),
    "an index with repeats": lambda T, x, v: x.__setitem__((slice(None), [1, 1]), v[:, :2]),
    "indices apart": lambda T, x, v: x.__setitem__(([0, 1], slice(None), [0, 3]), v[:, :, 0]),
    "a mask with a number": lambda T, x, v: x.__setitem__(x > 5, 0.5),
    "a mask with a 0-d tensor": lambda T, x, v: x.__setitem__(x > 5, v[0, 0, 0]),
    "a mask with an integer tensor of one element": lambda T, x, v: x.__setitem__(x > 5, T.tensor([3])),
    "a mask with one value each": lambda T, x, v: x.__setitem__(x > 17, v.reshape(-1)[:6]),
    "a mask of rows with a row": lambda T, x, v: x.__setitem__(T.tensor([True, False]), v[0]),
    "a mask of columns": lambda T, x, v: x.__setitem__((slice(None), T.tensor([True, False, True])), v[:, :2]),
    "a mask of columns with a number": lambda T, x, v: x.__setitem__((slice(None), T.tensor([True, False, True])), 9),
    "a mask in an array": lambda T, x, v: x.__setitem__(np.array([False, True]), 9),
    "a 0-d mask": lambda T, x, v: x.__setitem__(T.tensor(True), 2),
    "False": lambda T, x, v: x.__setitem__(False, 2),
    "None": lambda T, x, v: x.__setitem__(None, v[0, 0]),
    "a 0-d index": lambda T, x, v: x.__setitem__(T.tensor(1), 2),
    "nothing": lambda T, x, v: x.__setitem__(T.zeros(0, dtype=T.long), v[0]),
    "+= a row": lambda T, x, v: x.__setitem__(0, x[0].add_(v[0])),
    "+= an index": lambda T, x, v: x.__setitem__([0, 0], x[[0, 0]] + v),
    "a region of itself": lambda T, x, v: x.__setitem__((slice(None), 0), x[:, 1]),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
@pytest.mark.parametrize("history", ["none", "target", "value", "both"])
def test_writing(write, history):
    def run(T):
        a = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
        x0, v0 = T.tensor(a, requires_grad=history in ("target", "both")), T.tensor(-a - 1, requires_grad=history in ("value", "both"))
        x, v = x0 * 1, v0 * 1
        view, before = x[:, 1:], x.exp()
        write(T, x, v)
        if x.requires_grad:
            w = T.arange(24.0).reshape(2, 3, 4)
            (x * x * w).sum().backward()
        return x, x._version, view, before, x0.grad, v0.grad

    same(run, 1e-4)


WRITE_ERRORS = {
    "a list": lambda T, x: x.__setitem__(0, [1, 2]),
    "an array": lambda T, x: x.__setitem__(0, np.ones(4)),
    "None": lambda T, x: x.__setitem__(0, None),
    "a wrong shape": lambda T, x: x.__setitem__(0, T.ones(2)),
    "too many dimensions": lambda T, x: x.__setitem__((0, 0, 0), T.ones(2)),
    "a wrong shape for indices": lambda T, x: x.__setitem__(([0, 1], [0, 1]), T.ones(3)),
    "a wrong count for a mask": lambda T, x: x.__setitem__(x > 5, T.ones(5)),
    "another type for indices": lambda T, x: x.__setitem__([0], T.ones(4, dtype=T.float64)),
    "another type for a mask": lambda T, x: x.__setitem__(x > 17, T.ones(6, dtype=T.long)),
    "out of bounds": lambda T, x: x.__setitem__([5], 1.0),
    "an overlap": lambda T, x: x[0].__setitem__(slice(1, None), x[0, :-1]),
    "a leaf": lambda T, x: T.ones(2, requires_grad=True).__setitem__([0], 1.0),
    "a view of a leaf": lambda T, x: T.ones(2, requires_grad=True).__setitem__(0, 1.0),
    "a masked leaf": lambda T, x: T.ones(2, requires_grad=True).__setitem__(T.tensor([True, False]), 1.0),
}


@pytest.mark.parametrize("write", WRITE_ERRORS.values(), ids=WRITE_ERRORS)
def test_errors_of_writing(write):
    same_error(lambda T: write(T, x_of(T)))


def test_writes_of_integers_and_bytes():
    same(lambda T: [t for t in (T.zeros(3, dtype=T.long), T.zeros(3, dtype=T.bool)) if t.__setitem__(0, 2.7) is None])
    same(lambda T: [t for t in (T.zeros(3, dtype=T.int32), T.zeros(3, dtype=T.uint8)) if t.__setitem__([0, 2], 3) is None])


# ---------------------------------------------------------------- laziness
def new_nodes(step, count=6):
    found, before = [], ours.asg.stats()["nodes"]
    for i in range(count):
        step(i)
        ours.sync()
        now = ours.asg.stats()["nodes"]
        found.append(now - before)
        before = now
    return found


def test_changing_indices_record_nothing_new():
    data, labels = ours.randn(100, 5), ours.arange(100)
    w = ours.ones(5, requires_grad=True)

    def step(i):
        rows = ours.tensor([i, 2 * i, 3 * i])
        x, y = data[rows], labels[[i, i + 1, i + 2]]
        out = x * w * 2
        picked = out[[0, 1, 2], [i % 5, (i + 1) % 5, (i + 2) % 5]] + y
        out[ours.tensor([i % 3])] = 1.0
        out[np.array([i % 3])] = float(i + 1)
        (picked.sum() + out.sum()).backward()
        w.grad = None

    assert new_nodes(step)[3:] == [0, 0, 0]


def test_masked_writes_do_not_look_at_the_mask():
    x = ours.randn(4, 5) * 1
    flushes = ours.asg.stats()["flushes"]
    x[x > 0] = 0.0
    x[x < -1] = x.mean()
    x[(x < -0.5).any(1)] = ours.ones(5)
    assert ours.asg.stats()["flushes"] == flushes
    assert (x <= 1).all()


def test_rows_of_data_stay_out_of_the_graph():
    data = ours.from_numpy(np.arange(20.0, dtype=np.float32).reshape(10, 2))
    nodes = ours.asg.stats()["nodes"]
    rows = data[[1, 3]]
    assert ours.asg.stats()["nodes"] == nodes
    assert rows.tolist() == [[2.0, 3.0], [6.0, 7.0]]


def test_no_warnings_for_plain_use():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        x = x_of(ours)
        x[x > 3] = 1.0
        assert x[[0, 1]].shape == (2, 3, 4)


def test_true_as_the_only_index_copies_and_converts():
    def run(T):
        x = T.zeros(2, 2, dtype=T.int64)
        x[True] = T.tensor(3.7)
        y = T.zeros(2, 2)
        y[True] = T.arange(2)
        y[False] = T.ones(5)
        return x, y

    same(run)
