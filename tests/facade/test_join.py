"""Joining and cutting tensors."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import gradients, same, same_error, second_gradients  # noqa: E402


def some(T, *shape, start=0.0):
    return T.tensor(np.arange(start, start + np.prod(shape), dtype=np.float32).reshape(shape) / 3 - 1, requires_grad=True)


CASES = {
    "cat": lambda T, a, b, v: T.cat([a, b]),
    "cat along columns": lambda T, a, b, v: T.cat((a, b, a), dim=1),
    "cat by axis": lambda T, a, b, v: T.cat((a, b), axis=-1),
    "cat with an empty vector": lambda T, a, b, v: T.cat([T.tensor([]), a, b]),
    "cat with an empty matrix": lambda T, a, b, v: T.cat([a[:0], b]),
    "concat": lambda T, a, b, v: T.concat([a, b]),
    "concatenate": lambda T, a, b, v: T.concatenate([a, b], 1),
    "cat of transposes": lambda T, a, b, v: T.cat([a.t(), b.t()]),
    "stack": lambda T, a, b, v: T.stack([a, b]),
    "stack at the end": lambda T, a, b, v: T.stack((a, b, a), -1),
    "stack of scalars": lambda T, a, b, v: T.stack([a.sum(), b.sum()]),
    "hstack": lambda T, a, b, v: T.hstack([a, b]),
    "hstack of vectors": lambda T, a, b, v: T.hstack((v, v)),
    "vstack": lambda T, a, b, v: T.vstack([a, v]),
    "row_stack": lambda T, a, b, v: T.row_stack([a, b]) if T is ours else T.vstack([a, b]),
    "dstack": lambda T, a, b, v: T.dstack([a, b]),
    "dstack of vectors": lambda T, a, b, v: T.dstack([v, v]),
    "column_stack": lambda T, a, b, v: T.column_stack([v[:2], a, b]),
    "block_diag": lambda T, a, b, v: T.block_diag(a, v, b.t(), a.sum()),
    "atleast_1d": lambda T, a, b, v: list(T.atleast_1d(v.sum(), a)),
    "atleast_2d": lambda T, a, b, v: list(T.atleast_2d([v.sum(), v, a])),
    "atleast_3d": lambda T, a, b, v: list(T.atleast_3d(v.sum(), v, a)),
    "broadcast_tensors": lambda T, a, b, v: list(T.broadcast_tensors(a, v, b[:, :1])),
    "meshgrid": lambda T, a, b, v: list(T.meshgrid(v, a[0, :2], indexing="ij")),
    "meshgrid of columns first": lambda T, a, b, v: list(T.meshgrid([v, a[0, :2], v], indexing="xy")),
    "cartesian_prod": lambda T, a, b, v: T.cartesian_prod(v, a[0, :2]),
    "combinations": lambda T, a, b, v: T.combinations(v, 2),
    "combinations with repeats": lambda T, a, b, v: T.combinations(v, 3, with_replacement=True),
    "tensor_split": lambda T, a, b, v: list(T.tensor_split(a, 2, dim=1)),
    "tensor_split at positions": lambda T, a, b, v: list(v.tensor_split([1, 2])),
    "tensor_split by a tensor": lambda T, a, b, v: list(v.tensor_split(T.tensor([1, 5]))),
    "hsplit": lambda T, a, b, v: list(a.hsplit(3)),
    "hsplit at positions": lambda T, a, b, v: list(T.hsplit(v, [1, 2])),
    "vsplit": lambda T, a, b, v: list(T.vsplit(a, 2)),
    "dsplit": lambda T, a, b, v: list(a.reshape(1, 2, 3).dsplit([1])),
}


def leaves(T):
    return some(T, 2, 3), some(T, 2, 3, start=7.0), some(T, 3, start=20.0)


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_values_and_gradients(f):
    def run(T):
        a, b, v = leaves(T)
        y = f(T, a * 1, b * 1, v * 1)
        return y, gradients(T, y, a, b, v)

    same(run, 1e-4)


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_layout(f):
    def run(T):
        y = f(T, *leaves(T))
        return [list(t.stride()) for t in (y if isinstance(y, list) else [y])]

    same(run)


@pytest.mark.parametrize("name", ["cat", "stack at the end", "block_diag"])
def test_second_gradients(name):
    def run(T):
        a, b, v = leaves(T)
        return second_gradients(T, CASES[name](T, a * a, b * b, v * v), a, b)

    same(run, 1e-3)


def test_types_are_promoted():
    same(lambda T: T.cat([T.tensor([1, 2]), T.tensor([2.5])]))
    same(lambda T: T.stack([T.tensor(1, dtype=T.int32), T.tensor(True)]))
    same(lambda T: T.block_diag(T.tensor([[1]]), T.tensor([[0.5]])))
    same(lambda T: T.cat([T.tensor([1.0], dtype=T.float16), T.tensor([2.0], dtype=T.bfloat16)]))


def test_parts_are_views():
    def run(T):
        x = T.arange(6.0)
        parts = T.tensor_split(x, 4)
        parts[1].zero_()
        x.reshape(2, 3).hsplit(3)[2].fill_(9)
        a = T.meshgrid(x, T.ones(2), indexing="ij")[0]
        return x, a._is_view(), [p._is_view() for p in parts], T.broadcast_tensors(x, T.ones(2, 6))[0]._is_view()

    same(run)


def test_broadcast_shapes():
    same(lambda T: list(T.broadcast_shapes((2, 1), (3,), 1, (4, 1, 1))))
    same(lambda T: list(T.broadcast_shapes()))
    for lib in (torch, ours):
        with pytest.raises(RuntimeError):
            lib.broadcast_shapes((2, 3), (2,))


ERRORS = {
    "cat of nothing": lambda T: T.cat([]),
    "cat of a scalar": lambda T: T.cat([T.tensor(1.0), T.ones(2)]),
    "cat of other sizes": lambda T: T.cat([T.ones(2, 3), T.ones(2, 2)]),
    "cat of other ranks": lambda T: T.cat([T.ones(2, 3), T.ones(2)]),
    "cat along no dimension": lambda T: T.cat([T.ones(2)], 1),
    "stack of nothing": lambda T: T.stack([]),
    "stack of other sizes": lambda T: T.stack([T.ones(2), T.ones(3)]),
    "hsplit into unequal parts": lambda T: T.hsplit(T.ones(3), 2),
    "vsplit of a vector": lambda T: T.vsplit(T.ones(3), 3),
    "tensor_split of a scalar": lambda T: T.tensor_split(T.tensor(1.0), 2),
    "tensor_split into none": lambda T: T.tensor_split(T.ones(2), 0),
    "cartesian_prod of matrices": lambda T: T.cartesian_prod(T.ones(2, 2)),
    "meshgrid of other types": lambda T: T.meshgrid(T.ones(2), T.arange(2), indexing="ij"),
    "meshgrid of another order": lambda T: T.meshgrid(T.ones(2), indexing="a"),
}


@pytest.mark.parametrize("f", ERRORS.values(), ids=ERRORS)
def test_errors(f):
    same_error(f)


def test_what_is_not_a_tensor():
    for f in (ours.cat, ours.stack):
        with pytest.raises(TypeError, match="expected Tensor as element 1"):
            f([ours.ones(1), 2.0])
        with pytest.raises(TypeError, match="must be tuple of Tensors, not Tensor"):
            f(ours.ones(2))


def test_out():
    out = torch.empty(0), ours.empty(0)
    for lib, o in zip((torch, ours), out, strict=True):
        lib.cat([lib.ones(2), lib.zeros(1)], out=o)
    assert out[1].tolist() == out[0].tolist()
