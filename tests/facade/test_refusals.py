"""Values that make a call wrong are refused by the call, as in PyTorch, where they are data; where they are computed, at the read."""

import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

INTEGERS = "T.tensor([1, 2])"
AT_THE_CALL = [
    f"{INTEGERS} // T.tensor([0, 1])",
    f"{INTEGERS} // 0",
    f"{INTEGERS} % 0",
    f"{INTEGERS} % T.tensor([0, 1])",
    f"T.fmod({INTEGERS}, 0)",
    "(T.ones(2, requires_grad=True) * 2).backward(T.ones(2) * 1j)",
    "(T.ones(2, requires_grad=True) * 2j).backward(T.ones(2))",
    "T.autograd.grad(x := T.ones(2, requires_grad=True), x, T.ones(2) * 1j)",
    "T.func.grad(lambda x: (x * x).sum())(T.ones(2) * 1j)",
    "T.func.vjp(lambda x: x * x, T.ones(2))[1](T.ones(2) * 1j)",
    "T.linalg.cross(T.ones(3), T.ones(3).double())",
    "T.linalg.cross(T.ones(3).bool(), T.ones(3).bool())",
    "T.linalg.vander(T.ones(3).half())",
    "T.linalg.lstsq(T.ones(2, 3), T.ones(3, 2, 2))",
    f"T.div({INTEGERS}, 0, rounding_mode='floor')",
    f"T.div({INTEGERS}, T.tensor(0), rounding_mode='trunc')",
    f"{INTEGERS}.remainder_(0)",
    f"{INTEGERS}.div_(T.tensor([0, 1]), rounding_mode='floor')",
    "T.remainder(5, T.tensor([0]))",
    "5 // T.tensor([0])",
    "T.tensor([1], dtype=T.uint8) % 0",
    "T.tensor(3) // 0",
    "F.binary_cross_entropy(T.tensor([1.5]), T.tensor([1.0]))",
    "F.binary_cross_entropy(T.tensor([0.5]), T.tensor([2.0]))",
    "F.binary_cross_entropy(T.tensor([float('nan')]), T.tensor([1.0]))",
    "nn.BCELoss()(T.tensor([1.5], requires_grad=True), T.tensor([1.0]))",
    "F.max_unpool1d(T.ones(1, 1, 2), T.tensor([[[0, 9]]]), 2)",
    "F.max_unpool2d(T.ones(1, 1, 1, 1), T.tensor([[[[-1]]]]), 2)",
    "T.searchsorted(T.tensor([1.0, 2, 3]), T.tensor([1.0]), sorter=T.tensor([0, 1, 7]))",
    "T.searchsorted(T.tensor([1.0, 2, 3]), T.tensor([1.0]), sorter=T.tensor([0, 1, -1]))",
    "F.multi_margin_loss(T.ones(2, 3), T.tensor([0, 5]))",
    "F.multilabel_margin_loss(T.ones(2, 3), T.tensor([[0, 5, -1], [0, -1, 1]]))",
    "F.multilabel_margin_loss(T.ones(2, 3), T.tensor([[0, -2, -1], [0, -1, 1]]))",
    "T.lu_unpack(T.ones(2, 2), T.tensor([5, 1], dtype=T.int32))",
    "T.linalg.lu_solve(T.ones(2, 2), T.tensor([0, 5], dtype=T.int32), T.ones(2, 1))",
    "T.ones(3).index_add(0, T.tensor([5]), T.ones(1))",
    "T.ones(3, 2).index_add(0, T.tensor([5]), T.ones(1, 2))",
    "T.linalg.pinv(T.ones(2, 3, 3), rcond=T.ones(3))",
    "T.linalg.matrix_rank(T.ones(2, 3, 3), tol=T.ones(3))",
]
FINE = [
    "T.tensor([], dtype=T.int64) // 0",
    "T.tensor([1.5]) // 0",
    "T.tensor([3]) % 0.0",
    "F.binary_cross_entropy(T.tensor([1.0]), T.tensor([0.0]))",
    "T.linalg.pinv(T.eye(2) * T.tensor([1, 0.1]), atol=T.tensor([[0.05], [0.5]]))",
    "T.linalg.pinv(T.stack([T.eye(2) * 2, T.eye(2)]), rtol=T.tensor([0.1, 1.0]), hermitian=True)",
    "F.multilabel_margin_loss(T.ones(2, 3), T.tensor([[0, 2, -1], [0, -1, 1]]))",
]


def called(T, code):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return eval(code, {"T": T, "nn": T.nn, "F": T.nn.functional})


@pytest.mark.parametrize("code", AT_THE_CALL)
def test_the_call_refuses(code):
    with pytest.raises(Exception) as want:
        called(torch, code)
    with pytest.raises(type(want.value)) as got:
        called(ours, code)
    assert str(got.value).splitlines()[0] == str(want.value).splitlines()[0]


@pytest.mark.parametrize("code", FINE)
def test_what_is_fine_stays(code):
    assert str(called(ours, code)) == str(called(torch, code))


def test_what_is_computed_is_refused_at_the_read():
    quotient = ours.tensor([1, 2]) // (ours.tensor([0, 1]) * ours.tensor([2, 2]))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        quotient.tolist()
    assert (ours.tensor([4, 2]) // ours.tensor([3, 2])).tolist() == [1, 1]


def test_nothing_is_left_of_a_refused_call():
    a, b = ours.tensor([4, 2]), ours.tensor([0, 2])
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        a // b
    b[0] = 3
    assert (a // b).tolist() == [1, 1]


@pytest.mark.parametrize("labels", [[[1, 7], [2, 3]], [[1, -2], [2, 3]]])
def test_labels_that_are_no_classes(labels):
    scores = ours.zeros(5, 2, 4).log_softmax(-1)
    lengths = ours.tensor([5, 5]), ours.tensor([2, 2])
    with pytest.raises(RuntimeError, match="is out of range for 4 classes"):
        ours.nn.functional.ctc_loss(scores, ours.tensor(labels), *lengths).item()
    padded = ours.tensor([[1, 3, -7], [2, 3, 99]])  # what lies behind the lengths is padding
    assert ours.nn.functional.ctc_loss(scores, padded, *lengths).item() > 0
