"""Writes that meet memory twice: expanded targets, and operands that overlap the target. Values, refusals and versions are PyTorch's."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402


def mask(T):
    return T.tensor([[True, False, False], [False, True, False], [False, False, False]])


def put(x, index, value):
    x[index] = value


TARGETS = {
    "rows": lambda T: (lambda b: (b, b.expand(3, 3)))(T.arange(1.0, 4.0).reshape(1, 3)),
    "columns": lambda T: (lambda b: (b, b.expand(3, 3)))(T.arange(1.0, 4.0).reshape(3, 1)),
    "plain": lambda T: (lambda b: (b, b))(T.arange(1.0, 10.0).reshape(3, 3)),
}
EXPANDED = {
    "masked_fill_": lambda T, x: x.masked_fill_(mask(T), 7.0),
    "masked_fill_ with a tensor": lambda T, x: x.masked_fill_(mask(T), T.tensor(7.0)),
    "masked_fill_ with nan": lambda T, x: x.masked_fill_(mask(T), float("nan")),
    "masked_fill_ of nan": lambda T, x: x.masked_fill_(mask(T), float("nan")).masked_fill_(mask(T).t() & mask(T), 1.0),
    "index_fill_": lambda T, x: x.index_fill_(0, T.tensor([0]), 7.0),
    "index_fill_ along": lambda T, x: x.index_fill_(1, T.tensor([1]), 7.0),
    "index_put_": lambda T, x: x.index_put_((T.tensor([0]),), T.ones(1, 3)),
    "tril_": lambda T, x: x.tril_(),
    "triu_": lambda T, x: x.triu_(),
    "fill_diagonal_": lambda T, x: x.fill_diagonal_(7.0),
    "threshold_": lambda T, x: T.nn.functional.threshold_(x, 1.5, 9.0),
    "conj_physical_": lambda T, x: x.conj_physical_(),
    "a mask": lambda T, x: put(x, mask(T), 7.0),
    "a mask and a tensor": lambda T, x: put(x, mask(T), T.tensor(7.0)),
    "a mask and tensors": lambda T, x: put(x, mask(T), T.tensor([7.0, 8.0])),
    "a mask of rows": lambda T, x: put(x, T.tensor([True, False, False]), 7.0),
    "an index": lambda T, x: put(x, T.tensor([0]), 7.0),
    "an index and tensors": lambda T, x: put(x, T.tensor([0]), T.tensor([7.0, 8.0, 9.0])),
    "two indices": lambda T, x: put(x, (T.tensor([0, 1]), T.tensor([1, 2])), 7.0),
    "one's own elements": lambda T, x: put(x, T.tensor([0, 1]), x[T.tensor([1, 0])]),
    "a row": lambda T, x: put(x, 0, 7.0),
    "fill_ with a tensor": lambda T, x: x.fill_(T.tensor(7.0)),
    "zero_": lambda T, x: x.zero_(),
    "relu_": lambda T, x: x.relu_(),
    "cumsum_": lambda T, x: x.cumsum_(0),
    "index_copy_": lambda T, x: x.index_copy_(0, T.tensor([0]), T.ones(1, 3)),
}
OVERLAPPING = {
    "add_": lambda T, x: x.add_(x.t()),
    "add_ of a multiple": lambda T, x: x.add_(x.t(), alpha=2),
    "sub_ of rows": lambda T, x: x[1:].sub_(x[:-1], alpha=2),
    "add_ of itself": lambda T, x: x.add_(x, alpha=2),
    "index_copy_": lambda T, x: x.index_copy_(0, T.tensor([2, 1, 0]), x),
    "index_add_": lambda T, x: x.index_add_(0, T.tensor([2]), x[:1]),
    "scatter_": lambda T, x: x.scatter_(0, T.zeros(3, 3, dtype=T.int64), x),
    "scatter_add_": lambda T, x: x.scatter_add_(0, T.zeros(3, 3, dtype=T.int64), x),
    "scatter_add_ of others": lambda T, x: x.scatter_add_(0, T.zeros(3, 3, dtype=T.int64), x + 1),
    "index_put_ of itself": lambda T, x: x.index_put_((T.tensor([0, 1, 2]),), x),
    "rows of its own": lambda T, x: put(x, T.tensor([0, 1]), x[1:]),
    "out of a transposed operand": lambda T, x: T.add(x, x.t(), out=x),
    "out of one operand, transposed": lambda T, x: T.exp(x.t(), out=x),
    "out of other rows": lambda T, x: T.add(x[:-1], 1, out=x[1:]),
    "out of where": lambda T, x: T.where(x > 2, x, x.t(), out=x),
    "out of maximum": lambda T, x: T.maximum(x, x.t(), out=x),
    "out of its operand": lambda T, x: T.mul(x, 2, out=x),
    "out of gather": lambda T, x: T.gather(x, 0, T.zeros(3, 3, dtype=T.int64), out=x),
    "out of cat": lambda T, x: T.cat([x[:1], x[1:]], out=x),
    "out of stack": lambda T, x: T.stack([x[0], x[1], x[2]], out=x),
    "out of cumsum": lambda T, x: T.cumsum(x, 0, out=x),
    "out of other columns": lambda T, x: T.cumsum(x[:, 1:], 0, out=x[:, :2]),
}
CASES = [(f, t) for f in EXPANDED for t in ("rows", "columns")] + [(f, "plain") for f in OVERLAPPING]


def outcome(T, function, target):
    base, x = TARGETS[target](T)
    try:
        function(T, x)
    except RuntimeError as error:
        return str(error).split(".")[0]
    return repr(base.tolist()), x._version


@pytest.mark.filterwarnings("ignore:Use of")
@pytest.mark.parametrize(("name", "target"), CASES)
def test_as_in_pytorch(name, target):
    function = (EXPANDED | OVERLAPPING)[name]
    assert outcome(ours, function, target) == outcome(torch, function, target)


@pytest.mark.filterwarnings("ignore:Use of")
def test_gradients_through_an_expanded_target():
    def gradients(T):
        leaf, value = T.tensor([[1.0, 2.0, 3.0]], requires_grad=True), T.tensor(5.0, requires_grad=True)
        base = leaf * 1
        base.expand(3, 3).masked_fill_(mask(T), 0.0)
        (base * value).sum().backward()
        return leaf.grad.tolist(), value.grad.item()

    assert gradients(ours) == ([[0.0, 0.0, 5.0]], 3.0)


def test_products_are_those_of_the_operands_as_they_were():
    """PyTorch's in-place products refuse no operand that overlaps the target, and read what they have written."""
    x = TARGETS["plain"](ours)[1]
    assert x.addmm_(x.t(), ours.eye(3)).tolist() == [[2.0, 6.0, 10.0], [6.0, 10.0, 14.0], [10.0, 14.0, 18.0]]
    x = TARGETS["plain"](ours)[1]
    assert x.masked_scatter_(mask(ours), x.t()).tolist() == [[1.0, 2.0, 3.0], [4.0, 4.0, 6.0], [7.0, 8.0, 9.0]]
