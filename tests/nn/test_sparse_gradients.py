"""Embeddings with ``sparse=True``: gradients are sparse tensors, which some optimizers take and others refuse, as in PyTorch."""

import copy
import pickle

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

from ..parity.scripts import same  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:Sparse invariant checks")


def layer(T, kind="Embedding", **options):
    made = getattr(T.nn, kind)(5, 3, sparse=True, **options)
    with T.no_grad():
        made.weight.copy_(T.arange(15.0).view(5, 3) / 7 - 1)
    return made


def looked_up(T, **options):
    e = layer(T, **options)
    (e(T.tensor([[1, 2, 1], [0, 4, 1]])) * T.arange(18.0).view(2, 3, 3)).sum().backward()
    return e


def gradient(T, **options):
    return looked_up(T, **options).weight.grad


def parts(g):
    return [g.is_sparse, g._indices(), g._values(), g.is_coalesced(), g._nnz(), tuple(g.shape)]


def twice(T):
    e = looked_up(T)
    e(T.tensor([3])).sum().backward()
    return parts(e.weight.grad)


def dense_after(T):
    e = looked_up(T)
    e.weight.sum().backward()
    return [e.weight.grad.is_sparse, e.weight.grad]


def both(T):
    e = layer(T)
    (e(T.tensor([1])) + e(T.tensor([2, 1]))).sum().backward()
    return [e.weight.grad._nnz(), e.weight.grad.to_dense()]


def mixed(T):
    e = layer(T)
    (e(T.tensor([1])) + e.weight).sum().backward()
    return [e.weight.grad.is_sparse, e.weight.grad]


def zeroed(T):
    e = looked_up(T)
    T.optim.SGD(e.parameters(), lr=0.1).zero_grad(set_to_none=False)
    return parts(e.weight.grad)


def hooked(T):
    e = layer(T)
    seen = []
    e.weight.register_hook(lambda g: seen.append(g.is_sparse) or g * 2)
    e(T.tensor([1, 2])).sum().backward()
    return [seen, *parts(e.weight.grad)]


def by_hand(T):
    e = looked_up(T)
    e.weight.data.add_(e.weight.grad, alpha=-0.1)
    return e.weight.detach()


def unscaled(T):
    e, scaler = layer(T), T.amp.GradScaler("cpu", init_scale=8.0)
    optimizer = T.optim.SGD(e.parameters(), lr=0.1)
    scaler.scale(e(T.tensor([1, 1])).sum()).backward()
    scaler.unscale_(optimizer)
    return parts(e.weight.grad)


def bag(T, mode, weights=None, **options):
    b = layer(T, "EmbeddingBag", mode=mode, **options)
    b(T.tensor([1, 2, 2, 4]), T.tensor([0, 2, 2]), per_sample_weights=None if weights is None else T.tensor(weights)).sum().backward()
    return parts(b.weight.grad)


CASES = {
    "parts": lambda T: parts(gradient(T)),
    "text": lambda T: [repr(gradient(T)), repr(gradient(T).double().coalesce())],
    "dense": lambda T: gradient(T).to_dense(),
    "coalesced": lambda T: parts(gradient(T).coalesce()),
    "padding": lambda T: parts(gradient(T, padding_idx=1)),
    "two passes": twice,
    "then a dense one": dense_after,
    "two uses": both,
    "with a dense use": mixed,
    "set to zero": zeroed,
    "hook": hooked,
    "arithmetic": lambda T: [parts(gradient(T) * 2), parts(gradient(T) / 2), parts(-gradient(T)), gradient(T)[1], gradient(T)[0, 0]],
    "norm": lambda T: [gradient(T).norm(), gradient(T).norm(1), gradient(T).sum()],
    "functions": lambda T: [parts(getattr(gradient(T), name)()) for name in ("abs", "sqrt", "square", "sign")],
    "dense plus sparse": lambda T: [T.ones(5, 3) + gradient(T), T.ones(5, 3).add_(gradient(T), alpha=-2.0)],
    "a step by hand": by_hand,
    "unscaled": unscaled,
    "bag, sum": lambda T: bag(T, "sum"),
    "bag, mean": lambda T: bag(T, "mean"),
    "bag, padding": lambda T: bag(T, "sum", padding_idx=2),
    "bag, weights": lambda T: bag(T, "sum", [1.0, 2.0, 3.0, 4.0]),
    "copies": lambda T: [parts(copy.deepcopy(gradient(T))), parts(pickle.loads(pickle.dumps(gradient(T))))],
}


@pytest.mark.parametrize("case", CASES)
def test_as_in_pytorch(case):
    same(CASES[case])


def test_a_gradient_asked_for():
    def run(T):
        e = layer(T)
        return parts(T.autograd.grad(e(T.tensor([3, 1])).square().sum(), e.weight)[0])

    same(run)


def trained(T, name, read, **options):
    e = layer(T)
    optimizer = getattr(T.optim, name)(e.parameters(), lr=0.1, **options)
    for batch in ([0, 2, 2], [1, 0, 1], [2, 2, 2], [0, 2, 2]):
        optimizer.zero_grad()
        loss = (e(T.tensor(batch)) - 0.5).square().sum()
        loss.backward()
        if read:
            loss.item()
        optimizer.step()
    return e.weight.detach()


@pytest.mark.parametrize("read", [False, True])
@pytest.mark.parametrize(
    ("name", "options"),
    [("SGD", {}), ("SGD", {"momentum": 0.9}), ("SGD", {"maximize": True}), ("Adagrad", {}), ("SparseAdam", {})],
)
def test_optimizers_that_take_them(name, options, read):
    same(lambda T: trained(T, name, read, **options))


REFUSING = ("Adam", "AdamW", "RMSprop", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop", "Adafactor", "Muon")
REFUSALS = [*[(name, {}) for name in REFUSING], ("SGD", {"weight_decay": 0.1}), ("Adagrad", {"weight_decay": 0.1})]


def message(call, *arguments):
    with pytest.raises((RuntimeError, ValueError)) as caught:
        call(*arguments)
    return f"{type(caught.value).__name__}: {caught.value}"


@pytest.mark.parametrize(("name", "options"), REFUSALS, ids=str)
def test_optimizers_that_refuse_them(name, options):
    def step(T):
        getattr(T.optim, name)(looked_up(T).parameters(), **options).step()

    assert message(step, ours) == message(step, torch)


def dense_for_sparse_adam(T):
    linear = T.nn.Linear(2, 2)
    linear(T.ones(2)).sum().backward()
    T.optim.SparseAdam(linear.parameters()).step()


@pytest.mark.parametrize(
    "call",
    [
        dense_for_sparse_adam,
        lambda T: gradient(T, scale_grad_by_freq=True),
        lambda T: gradient(T).indices(),
        lambda T: gradient(T) + T.ones(5, 3),
        lambda T: gradient(T).t(),
        lambda T: bag(T, "max"),
    ],
)
def test_errors(call):
    assert message(call, ours) == message(call, torch)


def test_repeated_steps_record_nothing_new():
    e = layer(ours)
    optimizer = ours.optim.SparseAdam(e.parameters(), lr=0.1)
    counts = []
    for _ in range(5):
        optimizer.zero_grad()
        e(ours.tensor([1, 2, 2])).square().sum().backward()
        optimizer.step()
        counts.append(ours.asg.stats()["nodes"])
    assert counts[2] == counts[4]
