"""gather and the scatters, with every reduction."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from .compare import gradients, same, same_error, second_gradients  # noqa: E402

A = np.arange(12.0, dtype=np.float32).reshape(3, 4) / 3 - 1.3
S = np.array([[1.5, -2.0, 0.7, 3.0], [0.4, 2.5, -1.0, 0.9]], np.float32)
I = [[2, 0, 1, 0], [0, 0, 2, 1]]  # noqa: E741
REDUCTIONS = ["sum", "prod", "mean", "amax", "amin"]

CASES = {
    "gather": lambda T, x, s: x.gather(0, T.tensor(I)),
    "gather of a part": lambda T, x, s: T.gather(x, 1, T.tensor([[3], [1]])),
    "gather by int32": lambda T, x, s: x.gather(0, T.tensor(I, dtype=T.int32)),
    "gather of a transpose": lambda T, x, s: x.t().gather(0, T.tensor([[1, 0], [2, 1]])),
    "gather of nothing": lambda T, x, s: x.gather(0, T.zeros(0, dtype=T.long)),
    "scatter": lambda T, x, s: x.scatter(0, T.tensor([[2, 0, 1, 0]]), s[:1]),
    "scatter along columns": lambda T, x, s: x.scatter(1, T.tensor([[3, 1], [0, 2]]), s[:, :2]),
    "scatter of a number": lambda T, x, s: x.scatter(1, T.tensor([[3], [1], [0]]), 2.5),
    "scatter of a number by keyword": lambda T, x, s: x.scatter(1, T.tensor([[3]]), value=2),
    "scatter of nothing": lambda T, x, s: x.scatter(1, T.zeros(0, dtype=T.long), s.detach()),
    "scatter of a larger source": lambda T, x, s: x.scatter(1, T.tensor([[3, 1], [0, 2]]), s.detach()),
    "scatter_add": lambda T, x, s: x.scatter_add(0, T.tensor(I), s),
    "scatter_add of a part": lambda T, x, s: x.scatter_add(1, T.tensor([[3, 3, 1]]), s[:1, :3]),
    **{
        f"scatter_reduce {r}{'' if own else ' without itself'}": lambda T, x, s, r=r, own=own: x.scatter_reduce(
            0, T.tensor(I), s, r, include_self=own
        )
        for r in REDUCTIONS
        for own in (True, False)
    },
    "a product with a zero": lambda T, x, s: x.scatter_reduce(0, T.tensor(I), s * T.tensor([[1.0, 0, 1, 1], [1, 1, 1, 1]]), "prod"),
    "equal extrema": lambda T, x, s: (x * 0).scatter_reduce(0, T.tensor(I), s * 0, "amax"),
    "take_along_dim": lambda T, x, s: T.take_along_dim(x, T.tensor([[2, -1, 0, 1]]), 0),
    "take_along_dim of all": lambda T, x, s: x.take_along_dim(T.tensor([5, 11])),
    "take_along_dim of an order": lambda T, x, s: T.take_along_dim(x, T.tensor([[3, 2, 1, 0]]), dim=1),
}


def leaves(T):
    return T.tensor(A, requires_grad=True), T.tensor(S, requires_grad=True)


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_values_and_gradients(f):
    def run(T):
        x, s = leaves(T)
        y = f(T, x * 1, s * 1)
        return y, list(y.stride()) if y.numel() else [], gradients(T, y, x, s) if y.numel() else None

    same(run, 1e-4)


@pytest.mark.parametrize("f", CASES.values(), ids=CASES)
def test_second_gradients(f):
    def run(T):
        x, s = leaves(T)
        return second_gradients(T, f(T, x * x, s * s), x, s)

    x, s = leaves(torch)
    y = f(torch, x, s)
    if y.numel() and all(g is not None for g in gradients(torch, y, x, s)):
        same(run, 1e-3, 1e-4)


@pytest.mark.parametrize("reduce", REDUCTIONS)
@pytest.mark.parametrize("name", ["int64", "int32", "uint8", "float64"])
def test_other_types(reduce, name):
    def run(T):
        d = getattr(T, name)
        return (
            T.arange(6)
            .reshape(2, 3)
            .to(d)
            .scatter_reduce(1, T.tensor([[0, 0, 2]]), T.tensor([[3, 4, 5]]).to(d), reduce, include_self=False)
        )

    same(run)


def test_gradient_of_the_used_part_of_a_source():
    s = ours.ones(2, 4, requires_grad=True)
    (ours.zeros(3, 4).scatter_add(1, ours.tensor([[3, 3, 1]]), s) * ours.arange(12.0).reshape(3, 4)).sum().backward()
    assert s.grad.tolist() == [[3.0, 3.0, 1.0, 0.0], [0.0] * 4]


def test_scatter_with_the_old_reductions():
    with pytest.warns(UserWarning, match="deprecated"):
        torch.zeros(1, 1).scatter(0, torch.tensor([[0]]), torch.ones(1, 1), reduce="add")
    same(lambda T: T.ones(2, 3).scatter(0, T.tensor([[1, 0, 0]]), 2, reduce="multiply"))
    same(lambda T: T.ones(2, 3).scatter_(0, T.tensor([[1, 0, 0]]), 2.5, reduce="add"))


def test_in_place():
    def run(T):
        x, s = leaves(T)
        y, z, w = x * 1, x * 1, x * 1
        y.scatter_(1, T.tensor([[3], [1], [0]]), 1.0)
        z.scatter_add_(0, T.tensor(I), s)
        w[1:].scatter_reduce_(0, T.tensor([[1, 0, 1, 0]]), s, "amax", include_self=False)
        return y, z, w, gradients(T, [y, z, w], x, s)

    same(run, 1e-4)


def test_one_hot_by_scatter():
    same(lambda T: T.zeros(3, 5).scatter_(1, T.tensor([1, 4, 0]).view(-1, 1), 1))


ERRORS = {
    "gather out of range": lambda T, x: T.gather(x, 0, T.tensor([[5, 0, 0, 0]])),
    "gather below": lambda T, x: T.gather(x, 0, T.tensor([[-1, 0, 0, 0]])),
    "gather by floats": lambda T, x: T.gather(x, 0, T.tensor([[1.0]])),
    "gather of another rank": lambda T, x: T.gather(x, 0, T.tensor([1])),
    "gather of too much": lambda T, x: T.gather(x, 0, T.zeros(1, 5, dtype=T.long)),
    "gather along no dimension": lambda T, x: T.gather(x, 2, T.tensor([[0]])),
    "scatter out of range": lambda T, x: x.scatter(0, T.tensor([[5]]), 1.0),
    "scatter of another type": lambda T, x: x.scatter(0, T.tensor([[1]]), T.tensor([[1]])),
    "scatter of too little": lambda T, x: x.scatter(0, T.tensor([[1, 0]]), T.tensor([[1.0]])),
    "scatter of too much": lambda T, x: x.scatter(0, T.zeros(1, 5, dtype=T.long), 2),
    "scatter of another rank": lambda T, x: x.scatter(0, T.tensor([1]), 2),
    "scatter with an unknown reduction": lambda T, x: x.scatter(0, T.tensor([[1]]), 2, reduce="foo"),
    "scatter_reduce with an unknown reduction": lambda T, x: x.scatter_reduce(0, T.tensor([[1]]), x, "foo"),
    "take_along_dim by floats": lambda T, x: T.take_along_dim(x, T.tensor([[1.0]]), 0),
    "take_along_dim of another rank": lambda T, x: T.take_along_dim(x, T.tensor([1]), 0),
}


@pytest.mark.parametrize("f", ERRORS.values(), ids=ERRORS)
def test_errors(f):
    same_error(lambda T: f(T, T.arange(12.0).reshape(3, 4)))


def test_recorded_indices_are_checked_when_computed():
    y = ours.ones(2, 2).gather(0, ours.tensor([[4, 0]]) + 0)
    with pytest.raises(RuntimeError, match="index 4 is out of bounds for dimension 0 with size 2"):
        y.tolist()


LENGTHS = {"lengths": [1, 2, 3]}, {"lengths": [0, 6]}, {"offsets": [0, 1, 3, 6]}, {"offsets": [1, 6]}, {"lengths": [1, 2], "unsafe": True}


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "prod"])
def test_reductions_of_pieces(reduce):
    def run(T):
        x, found = T.tensor([[1.0, 2.0], [3.0, 1.0], [3.0, 4.0], [2.0, 2.0], [0.5, -1.0], [1.0, 3.0]], requires_grad=True), []
        for how in LENGTHS:
            for initial in (None, 2.5):
                given = {k: T.tensor(v) if k != "unsafe" else v for k, v in how.items()}
                y = T.segment_reduce(x, reduce, initial=initial, **given)
                g = T.autograd.grad((y * y).nan_to_num(0, 0, 0).sum(), x)[0] if how != {"lengths": [0, 6]} else None
                found += [y, y.grad_fn.name(), g]
        rows = T.segment_reduce(x.detach().reshape(3, 4), reduce, lengths=T.tensor([[1, 3], [2, 2], [0, 4]]), axis=1)
        return [*found, rows]

    same(run)


@pytest.mark.parametrize(
    "arguments",
    ["x, 'sum'", "x, 'a', lengths=n", "x, 'sum', lengths=n[:2]", "x, 'sum', indices=n", "x.long(), 'sum', lengths=n", "x, 1, lengths=n",
     "x, 'sum', lengths=n.float()", "x, 'sum', lengths=n, axis=1", "x, 'sum', lengths=-n", "x[0, 0], 'sum', lengths=n",
     "1, 'sum', lengths=n"],
)  # fmt: skip
def test_pieces_that_are_none(arguments):
    same(lambda T: eval(f"T.segment_reduce({arguments})", {"T": T, "x": T.ones(6, 1), "n": T.tensor([1, 2, 3])}))


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", ["index_add", "index_reduce"])
@pytest.mark.parametrize(
    ("shape", "index", "of"),
    [
        ((4,), 0, ()),
        ((4,), [0], ()),
        ((), [0], (1,)),
        ((), 0, ()),
        ((2, 2, 2), [0, 1], (2, 2)),
        ((2, 2), [0, 1], (2, 2, 2)),
        ((), [0], (1, 1, 1)),
    ],
)
def test_sources_have_the_rank_of_the_input(name, shape, index, of):
    rest = ("amax",) if name == "index_reduce" else ()
    same(lambda T: getattr(T.zeros(shape), name)(0, T.tensor(index), T.ones(of), *rest))


def test_nothing_is_added_to_nothing():
    same(lambda T: T.zeros(0, 1, 2, 0).index_add_(0, T.tensor([], dtype=T.int64) * 1, T.ones(0, 1, 2, 0) * 2))
    same(lambda T: T.zeros(2, 0).index_add_(0, T.tensor([1]) * 1, T.ones(1, 0) * 2))


def test_means_of_complex_numbers():
    same(lambda T: T.scatter_reduce(T.ones(2, dtype=T.complex64), 0, T.tensor([0, 0]), T.tensor([1j, 2]), "mean"))
