"""A backward pass frees what it went through, and nothing that another call on the same operands recorded."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg import trace  # noqa: E402

X = [[0.5, 1.0, 2.0], [0.3, 0.1, -0.2], [0.7, -1.5, 0.4]]
CALLS = {
    "addmm": lambda T, x: T.addmm(x, x, x),
    "baddbmm": lambda T, x: T.baddbmm(x[None], x[None], x[None]),
    "addr": lambda T, x: T.addr(x, x[0], x[1]),
    "cov": lambda T, x: T.cov(x),
    "cross": lambda T, x: T.cross(x, x * x, dim=1),
    "kron": lambda T, x: T.kron(x, x),
    "linear": lambda T, x: T.nn.functional.linear(x, x, x[0]),
    "lstsq": lambda T, x: T.linalg.lstsq(x, x).solution,
    "logdet": lambda T, x: T.logdet(x @ x.t()),
    "matrix_power": lambda T, x: T.linalg.matrix_power(x, 3),
    "max of two": lambda T, x: T.max(x, x * x),
    "norm": lambda T, x: T.linalg.norm(x, ord="nuc"),
    "quantile": lambda T, x: T.quantile(x, 0.3, dim=1),
    "renorm": lambda T, x: T.renorm(x, 2, 0, 0.5),
    "tanh": lambda T, x: x.tanh(),
    "tensordot": lambda T, x: T.tensordot(x, x, 1),
    "trapezoid": lambda T, x: T.trapezoid(x * x),
    "written": lambda T, x: T.zeros(3, 3).index_put((T.tensor([0]),), x[1] * x[1]),
    "addmm in place": lambda T, x: (x * 1).addmm_(x, x),
}
TWICE = "Trying to backward through the graph a second time"


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_calls_on_the_same_operands_are_freed_one_by_one(call, lib):
    x = lib.tensor(X, requires_grad=True)
    y, z = call(lib, x), call(lib, x)
    y.sum().backward()
    once = x.grad.clone()
    z.sum().backward()
    call(lib, x).sum().backward()
    assert lib.allclose(x.grad, 3 * once)
    for used in (y, z):
        with pytest.raises(RuntimeError, match=TWICE):
            used.sum().backward()


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_a_part_that_two_results_share_is_freed_for_both(lib):
    x = lib.tensor(X, requires_grad=True)
    shared = lib.addmm(x, x, x)
    y, z = shared * 2, shared * shared
    y.sum().backward()
    with pytest.raises(RuntimeError, match=TWICE):
        z.sum().backward()


def outlives_a_step(lib, w):
    """A history that an optimizer step of other parameters finds still alive."""
    u = lib.nn.Parameter(lib.ones(1))
    y = w.tanh()
    (u * 2).sum().backward()
    lib.optim.SGD([u], lr=0.1).step()
    return y


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_a_history_that_outlived_its_iteration_is_not_what_is_recorded_anew(lib):
    w = lib.nn.Parameter(lib.tensor([0.5, 1.0]))
    for _ in range(3):
        w.grad = None
        y = outlives_a_step(lib, w)
        y.sum().backward()
        once = w.grad.clone()
        w.tanh().sum().backward()
        assert lib.allclose(w.grad, 2 * once)
        with pytest.raises(RuntimeError, match=TWICE):
            y.sum().backward()


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_a_write_to_what_is_recorded_anew_spares_the_older_history(lib):
    w = lib.nn.Parameter(lib.tensor([0.5, 1.0]))
    y = outlives_a_step(lib, w) * 1
    z = w.tanh()
    z.mul_(2)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_what_one_iteration_freed_stays_freed_in_the_next(lib):
    w = lib.nn.Parameter(lib.tensor([0.5, 1.0]))
    y = w.tanh()
    z = y * 3
    outlives_a_step(lib, w)
    y.sum().backward()
    outlives_a_step(lib, w)
    with pytest.raises(RuntimeError, match=TWICE):
        z.sum().backward()


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_a_write_is_noticed_two_iterations_later(lib):
    """A history is kept, recorded again, kept again; what it saved is held by a tensor that took no part in between."""
    w = lib.nn.Parameter(lib.tensor([0.5, 1.0]))
    y = w.tanh()
    z = y * 3
    outlives_a_step(lib, w)
    z = z * 2
    outlives_a_step(lib, w)
    y[0] = 7.0
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.sum().backward()


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_a_write_to_data_is_noticed_after_the_iteration(lib):
    """What a kept history saved may be plain data, which took part without a result of its own."""
    w, x = lib.nn.Parameter(lib.tensor([0.5, 1.0])), lib.tensor([2.0, 3.0])
    y = x * w
    outlives_a_step(lib, w)
    x.add_(1.0)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_what_a_gradient_computed_and_freed_may_be_recorded_anew(lib):
    lib.ones(1, requires_grad=True).sum().backward()
    x = lib.tensor(2.0, requires_grad=True)
    (slope,) = lib.autograd.grad(x**3, x, create_graph=True)  # 3 x ** 2, whose square is no tensor of the script's
    lib.autograd.grad(slope, x)
    square = x**2
    square.backward()
    assert x.grad.item() == 4
    with pytest.raises(RuntimeError, match=TWICE):
        square.backward()
    with pytest.raises(RuntimeError, match=TWICE):
        slope.backward()


def test_gradients_by_a_result_whose_history_was_freed_are_those_of_what_was_computed_from_it():
    """After any of several reads, each of which may end the trace."""

    def run(T, before, between, asked):
        w, found = T.tensor(X, dtype=T.float64, requires_grad=True), []
        first = w.tanh()
        v = (first * first).clone()
        v.mul_(0.7)[:, 0].add_(1)
        if before:
            found.append(v.sum().item())
        (v**2).sum().backward(retain_graph=False)
        x = v * v
        if between:
            found.append(x.abs().mean().item())
        if asked:
            found.append(T.autograd.grad((x**2).sum(), v, retain_graph=True)[0].sum().item())
        y = x * 2
        (g,) = T.autograd.grad((y**2).sum(), [v], retain_graph=True)
        return [*found, *g.flatten().tolist()]

    for reads in itertools.product((False, True), repeat=3):
        ours.sync()
        tr = trace.current()
        tr.cut, tr.reads, tr.patience = False, 0, 0
        try:
            np.testing.assert_allclose(run(ours, *reads), run(torch, *reads), rtol=1e-9, err_msg=str(reads))
        except RuntimeError as error:  # that a history freed in part cannot be used at all is said, at least
            assert TWICE in str(error) and not reads[0], reads
    tr.patience = trace.READS


@pytest.mark.parametrize("lib", [torch, ours], ids=["torch", "ours"])
def test_keeping_a_gradient_does_not_mend_what_was_overwritten(lib):
    w = lib.tensor([1.0, 2.0, 3.0], requires_grad=True)
    for _ in range(4):
        y = w.exp()
        for place in (1, 2):
            y[place] = w.sum()
            y.sum().item()
            y.retain_grad()
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            (y**3).sum().backward()
        with lib.no_grad():
            w -= 0.01
    assert w.grad is None


@pytest.mark.parametrize("asked", ["computed since", "the result", "a leaf behind", "another leaf"])
def test_a_history_that_has_ended_is_refused_only_where_gradients_would_go_through_it(asked):
    def run(T):
        w = T.ones(3, 3, requires_grad=True)
        other = T.ones(3, requires_grad=True)
        other.sum().backward()  # both are leaves for good
        w.sum().backward()
        v = T.tanh(T.ones(2, 3) @ w)
        loss = v.sum()
        v.tolist()
        with T.no_grad():
            w.mul_(2)
        v.tolist()
        u = v[0]
        loss = (u * other).sum() + v.sum()
        inputs = {"computed since": [u], "the result": [v], "a leaf behind": [w], "another leaf": [other, u]}[asked]
        try:
            return [g.tolist() for g in T.autograd.grad(loss, inputs, retain_graph=True)]
        except RuntimeError as error:
            return "modified by an inplace operation" in str(error)

    assert run(ours) == run(torch)


def test_a_view_that_an_ended_history_leads_to_is_not_taken_for_one_made_since():
    """Its gradient was none, and nothing said so. That a history is refused of which only a part was overwritten is ours alone."""

    def run(T):
        w = T.tensor([[0.5, -0.3, 0.2], [0.1, 0.2, 0.3], [0.4, -0.2, 0.1]], requires_grad=True)
        optimizer = T.optim.SGD([w], lr=0.01)
        first = T.tanh(T.full((1, 3), 0.3) @ w)
        part = T.cat([T.tanh(first @ w), first], 1)[:, 1:4]
        ((part * first) ** 2).sum().backward(inputs=[w], retain_graph=True)
        u = part * 1.5
        optimizer.step()
        return T.autograd.grad((T.tanh(u @ w) ** 2).sum(), part, allow_unused=True)[0].tolist()

    try:
        mine = run(ours)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:
        assert np.allclose(mine, run(torch))
