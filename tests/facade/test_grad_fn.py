"""Names of the steps of a history, and how they are linked."""

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402

NN = "relu sigmoid tanh exp log1p sqrt abs sin logsumexp0 cumsum0 softmax0 clone sum mean prod max min std var norm flip0 tril trunc erf"
CASES = {name: (lambda T, x, n=name: getattr(x, n.rstrip("0"))(*([0] if n.endswith("0") else []))) for name in NN.split()}
CASES |= {
    "add": lambda T, x: x + x,
    "rsub": lambda T, x: 1 - x,
    "rdiv": lambda T, x: 2 / x,
    "power": lambda T, x: x**2,
    "power of a number": lambda T, x: 2**x,
    "power of both": lambda T, x: x**x,
    "sum over a dimension": lambda T, x: x.sum(0),
    "mean over a dimension": lambda T, x: x.mean(0),
    "max over a dimension": lambda T, x: x.max(0)[0],
    "sort": lambda T, x: x.sort(0)[0],
    "topk": lambda T, x: x.topk(2)[0],
    "index": lambda T, x: x[0],
    "slice": lambda T, x: x[1:],
    "none": lambda T, x: x[None],
    "mask": lambda T, x: x[x > 0],
    "view": lambda T, x: x.view(-1),
    "copied by reshape": lambda T, x: x.t().reshape(-1),
    "transpose": lambda T, x: x.transpose(0, 1),
    "permute": lambda T, x: x[None].permute(1, 2, 0),
    "permute of two": lambda T, x: x.permute(1, 0),
    "all of it": lambda T, x: x[...],
    "all, as a slice": lambda T, x: x[:],
    "all, as two slices": lambda T, x: x[:, :],
    "expand": lambda T, x: x[None].expand(2, 3, 3),
    "unbind": lambda T, x: x.unbind(0)[0],
    "split": lambda T, x: x.split(1)[0],
    "diagonal": lambda T, x: x.diagonal(),
    "as_strided": lambda T, x: x.as_strided((2,), (1,)),
    "clamp": lambda T, x: x.clamp(0, 1),
    "cat": lambda T, x: T.cat([x, x]),
    "where": lambda T, x: T.where(x > 0, x, 0.0),
    "double": lambda T, x: x.double(),
    "mm": lambda T, x: x @ x,
    "bmm": lambda T, x: x[None].bmm(x[None]),
    "mv": lambda T, x: x @ x[0],
    "dot": lambda T, x: x[0] @ x[0],
    "linear": lambda T, x: T.nn.Linear(3, 2)(x),
    "linear without bias": lambda T, x: T.nn.Linear(3, 2, bias=False)(x),
    "linear of batches": lambda T, x: T.nn.Linear(3, 2)(x[None]),
    "conv2d": lambda T, x: T.nn.Conv2d(1, 1, 2)(x[None, None]),
    "transposed conv2d": lambda T, x: T.nn.ConvTranspose2d(1, 1, 2)(x[None, None]),
    "batch norm": lambda T, x: T.nn.BatchNorm1d(3)(x),
    "layer norm": lambda T, x: T.nn.LayerNorm(3)(x),
    "embedding": lambda T, x: T.nn.Embedding(3, 2)(T.tensor([1])),
    "max pool": lambda T, x: T.nn.functional.max_pool2d(x[None, None], 2),
    "avg pool": lambda T, x: T.nn.functional.avg_pool2d(x[None, None], 2),
    "bilinear": lambda T, x: T.nn.functional.interpolate(x[None, None], scale_factor=2, mode="bilinear"),
    "pad": lambda T, x: T.nn.functional.pad(x, (1, 1)),
    "mse": lambda T, x: T.nn.functional.mse_loss(x, x.detach() * 2),
    "cross entropy": lambda T, x: T.nn.functional.cross_entropy(x, T.tensor([0, 1, 2])),
    "nll": lambda T, x: T.nn.functional.nll_loss(x, T.tensor([0, 1, 2])),
    "bce of logits": lambda T, x: T.nn.functional.binary_cross_entropy_with_logits(x, T.ones(3, 3)),
    "inverse": lambda T, x: T.linalg.inv(x),
    "written": lambda T, x: _written(x * 1),
    "in place": lambda T, x: (x * 1).mul_(2),
    "zeroed": lambda T, x: (x * 1).zero_(),
    "copied": lambda T, x: T.zeros(3, 3).copy_(x),
}


def _written(y):
    y[0] = 0.0
    return y


def leaf(T):
    T.manual_seed(0)
    return (T.eye(3) + T.rand(3, 3)).requires_grad_()


@pytest.mark.parametrize("case", CASES)
def test_names(case):
    steps = [CASES[case](T, leaf(T)).grad_fn for T in (ours, torch)]
    assert steps[0].name() == steps[1].name() and type(steps[0]).__name__ == type(steps[1]).__name__
    assert repr(steps[0]).partition(" at ")[0] == repr(steps[1]).partition(" at ")[0]


def test_links():
    def walk(T):
        w, x = leaf(T), leaf(T)
        loss = T.nn.functional.mse_loss((x @ w).relu(), T.ones(3, 3))
        names, steps = [], [loss.grad_fn]
        while steps:
            step = steps.pop(0)
            names.append(step.name())
            steps += [s for s, _ in step.next_functions if s is not None]
        first = loss.grad_fn.next_functions[0][0].next_functions[0][0]
        ends = [s for s, _ in first.next_functions]
        return names, [s.variable is t for s, t in zip(ends, (x, w), strict=True)], [s.next_functions for s in ends]

    assert walk(ours) == walk(torch)


def test_a_freed_history_keeps_its_name():
    def run(T):
        w = leaf(T)
        loss = (w * 2).sum()
        loss.backward()
        w.grad.sum().item()
        return loss.grad_fn.name(), w.grad_fn, (w * 2).detach().grad_fn

    assert run(ours) == run(torch)


def test_a_view_keeps_its_name_when_its_iteration_ends():
    def run(lib):
        name = lambda t: type(t.grad_fn).__name__  # noqa: E731
        x = lib.ones(3, requires_grad=True)
        v = x.view(-1)
        before = [repr(v), repr(v), name(v)]
        (v * 2).sum().backward()
        y = lib.ones(3, 4, requires_grad=True) * 2
        a, b, c = y[0], y.t(), y.unbind(0)[1]
        seen = [repr(y), repr(a), repr(b), name(c)]
        (y * y).sum().backward()
        z = lib.ones(3, 4, requires_grad=True) * 2
        d, e = z[0], z[1:]
        e.mul_(2)
        return before, repr(v), seen, [name(t) for t in (y, a, b, c)], [name(t) for t in (z, d, e)], z.sum().item(), [name(d), name(e)]

    assert run(ours) == run(torch)


def test_a_leaf_that_is_a_view_of_data_ends_the_history():
    def run(T):
        x = T.arange(6.0).view(2, 3).requires_grad_()
        edges = [f for y in (x + 1, x.sin(), x[0], T.cat([x, x])) for f, _ in y.grad_fn.next_functions if f is not None]
        return [f.name() for f in edges], all(f.variable is x for f in edges)

    assert run(ours) == run(torch)


@pytest.mark.parametrize(
    "view", [lambda x: x.t(), lambda x: x.T, lambda x: x.squeeze(0), lambda x: x.movedim(0, 1), lambda x: x.split([1, 1])[1]]
)
def test_a_view_keeps_its_name_over_a_read(view):
    def run(lib):
        v = view(lib.arange(6.0).reshape(2, 3).clone().requires_grad_())
        v.sum().item()
        return v.grad_fn.name(), v.output_nr

    assert run(ours) == run(torch)


def freed_twice(T):
    w = T.ones(2, 2, requires_grad=True)
    y = T.nn.functional.linear(w, w.detach())
    y.sum().backward()
    yield y
    T.ones(3).add_(1).tolist()  # ends the iteration
    yield y
    y.sum()
    T.ones(3).add_(2).tolist()
    yield y


def overwritten_through_data(T):
    w = T.ones(2, 2, requires_grad=True)
    y = w.exp()
    y.data.mul_(2)
    yield y
    T.ones(3).add_(1).tolist()
    yield y
    (y * 2).tolist()
    yield y


def parts_without_a_check(T):
    w = T.ones(2, 2, requires_grad=True)
    y = w.unsafe_split(1, 1)[0]
    yield y
    T.ones(3).add_(1).tolist()
    yield y
    (w * 2).tolist()
    yield y


def written_without_history_and_lost(T):
    w = T.ones((), requires_grad=True)
    y = w.sigmoid()
    with T.no_grad():
        y.view(1).sqrt_()
    y.reshape(-1)[0].mul_(2)
    T.ones(3).add_(1).tolist()
    yield y
    (y * 2).tolist()
    yield y


@pytest.mark.parametrize("program", [freed_twice, overwritten_through_data, parts_without_a_check, written_without_history_and_lost])
def test_names_are_those_of_steps_whatever_happened_since(program):
    assert [y.grad_fn.name() for y in program(ours)] == [y.grad_fn.name() for y in program(torch)]


@pytest.mark.parametrize(
    "write", ["b.mul_(2)", "b.copy_(w)", "b.detach().zero_()", "v.add_(1)", "other.exp_()", "b.data.zero_()", "b.zero_(); v = b.view(6)"]
)
def test_a_view_whose_base_was_written_is_made_anew(write):
    def names(lib):
        w = lib.ones(2, 3, requires_grad=True)
        found = []
        for make in ("b.view(6)", "b.t()", "b[0]", "b[:, 1:]", "b.permute(1, 0)", "b[:]"):
            names = {"b": w * 2, "w": w}
            names["v"] = eval(make, names)
            names["other"] = names["b"].view(3, 2)
            exec(write, names)
            found.append(names["v"].grad_fn.name())
            names["b"].sum().item()
            found += [names["v"].grad_fn.name(), names["v"].grad_fn.next_functions[0][0].name()]
        return found

    assert names(ours) == names(torch)
