"""Elements in another order, repeated, on diagonals and in triangles."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import gradients, same, same_error, second_gradients  # noqa: E402

A = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4) / 5 - 2

CASES = {
    "flip": lambda T, x: x.flip(0, -1),
    "flip by a list": lambda T, x: T.flip(x, [1]),
    "flip by keyword": lambda T, x: T.flip(x, dims=(2,)),
    "flip of a transpose": lambda T, x: x.transpose(0, 2).flip(1),
    "fliplr": lambda T, x: x.fliplr(),
    "flipud": lambda T, x: T.flipud(x),
    "roll": lambda T, x: x.roll(2, 1),
    "roll of several": lambda T, x: T.roll(x, (1, -5), dims=(0, 2)),
    "roll flattened": lambda T, x: x.roll(7),
    "rot90": lambda T, x: T.rot90(x),
    "rot90 three times": lambda T, x: x.rot90(3, (1, 2)),
    "rot90 twice": lambda T, x: x.rot90(-2, [0, 2]),
    "rot90 not": lambda T, x: x.rot90(4),
    "repeat": lambda T, x: x.repeat(2, 1, 3),
    "repeat with more dimensions": lambda T, x: x.repeat((2, 1, 1, 2)),
    "repeat no times": lambda T, x: x.repeat(1, 0, 1),
    "repeat of a scalar": lambda T, x: x.sum().repeat(3),
    "tile": lambda T, x: T.tile(x, (2,)),
    "tile with more dimensions": lambda T, x: x.tile(2, 1, 1, 2),
    "repeat_interleave": lambda T, x: x.repeat_interleave(2, dim=1),
    "repeat_interleave flattened": lambda T, x: T.repeat_interleave(x, 3),
    "repeat_interleave by counts": lambda T, x: x.repeat_interleave(T.tensor([2, 0, 1]), dim=1),
    "repeat_interleave by one count": lambda T, x: x.repeat_interleave(T.tensor([2]), dim=0),
    "tril": lambda T, x: x.tril(),
    "tril above": lambda T, x: T.tril(x, 2),
    "triu below": lambda T, x: T.triu(x, diagonal=-1),
    "diag of a matrix": lambda T, x: x[0].diag(1),
    "diag of a vector": lambda T, x: T.diag(x[0, 0], -1),
    "diag_embed": lambda T, x: T.diag_embed(x),
    "diag_embed elsewhere": lambda T, x: x.diag_embed(-1, 0, 2),
    "diagflat": lambda T, x: T.diagflat(x[0], 2),
    "narrow_copy": lambda T, x: x.narrow_copy(2, 1, 2),
}


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_values_and_gradients(f):
    def run(T):
        x = T.tensor(A, requires_grad=True)
        y = f(T, x * 1)
        return y, list(y.stride()), gradients(T, y, x) if y.numel() else None

    same(run, 1e-4)


@pytest.mark.parametrize("name", ["flip", "roll of several", "repeat", "repeat_interleave", "tril", "diag_embed"])
def test_second_gradients(name):
    def run(T):
        x = T.tensor(A, requires_grad=True)
        return second_gradients(T, CASES[name](T, x * x), x)

    same(run, 1e-3, 1e-4)


@pytest.mark.parametrize("name", ["bool", "int64", "uint8", "float64", "bfloat16"])
def test_types(name):
    def run(T):
        x = T.tensor([[0, 1], [2, 3]]).to(getattr(T, name))
        return x.flip(0), x.roll(1), x.repeat(1, 2), x.tril(), x.diag(), x.repeat_interleave(2)

    same(run)


def test_positions():
    same(lambda T: [T.tril_indices(3, 4), T.triu_indices(3, 4, 1), T.tril_indices(4, 3, -1, dtype=T.int32)])
    same(lambda T: list(T.unravel_index(T.tensor([0, 5, 23]), (2, 3, 4))))
    same(lambda T: T.repeat_interleave(T.tensor([2, 0, 3])))


def test_in_place():
    def run(T):
        x = T.tensor(A, requires_grad=True)
        y = x * 1
        y.tril_(1)
        z = x * 1
        z[0].triu_()
        return y, z, gradients(T, [y, z], x)

    same(run)


ERRORS = {
    "fliplr of a vector": lambda T: T.fliplr(T.ones(2)),
    "flipud of a scalar": lambda T: T.flipud(T.tensor(1.0)),
    "flip twice": lambda T: T.flip(T.ones(2, 2), (0, 0)),
    "roll of more shifts": lambda T: T.roll(T.ones(2), (1, 2), (0,)),
    "rot90 of a vector": lambda T: T.rot90(T.ones(2)),
    "rot90 in a line": lambda T: T.rot90(T.ones(2, 2), 1, (0, 0)),
    "repeat with fewer dimensions": lambda T: T.ones(2, 2).repeat(2),
    "repeat a negative number of times": lambda T: T.ones(2).repeat(-1),
    "repeat_interleave a negative number of times": lambda T: T.repeat_interleave(T.ones(2), -1),
    "repeat_interleave by wrong counts": lambda T: T.repeat_interleave(T.ones(3), T.tensor([1, 2]), 0),
    "repeat_interleave by floats": lambda T: T.repeat_interleave(T.ones(2), T.tensor([1.0, 2.0]), 0),
    "tril of a vector": lambda T: T.tril(T.ones(2)),
    "diag of a cube": lambda T: T.diag(T.ones(1, 1, 1)),
    "diag_embed in a line": lambda T: T.diag_embed(T.ones(2), 0, 0, 0),
}


@pytest.mark.parametrize("f", ERRORS.values(), ids=ERRORS)
def test_errors(f):
    same_error(f)


def test_a_causal_mask():
    mask = ours.tril(ours.ones(4, 4)).view(1, 1, 4, 4)
    scores = ours.zeros(1, 2, 4, 4).masked_fill(mask[:, :, :4, :4] == 0, float("-inf"))
    assert (scores.softmax(-1)[0, 1, 1] == ours.tensor([0.5, 0.5, 0.0, 0.0])).all()
