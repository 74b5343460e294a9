"""What values make fail is raised by the call that code guards with `try`, though operations are recorded and computed later."""

import warnings

import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg import notices  # noqa: E402
from torchlike_asg.asg.node import COUNTS  # noqa: E402
from torchlike_asg.facade import outright  # noqa: E402
from torchlike_asg.facade.flush import flush  # noqa: E402
from torchlike_asg.facade.held import held_value  # noqa: E402

SETUP = "bad, zero, nan = T.tensor([[1.0, 2], [2, 1]]), T.zeros(2, 2), T.full((2, 2), float('nan')); ones = T.ones(2, 2)"
#: calls whose result nobody reads
CALLS = [
    "T.linalg.cholesky(bad)",
    "T.cholesky(bad)",
    "bad.cholesky()",
    "T.linalg.cholesky(T.stack([T.eye(2), bad]))",
    "T.linalg.inv(zero)",
    "zero.inverse()",
    "T.linalg.solve(zero, ones)",
    "T.linalg.solve(zero, T.ones(2))",
    "T.linalg.eigvalsh(nan)",
    "T.linalg.eig(nan)",
    "T.linalg.svd(nan)",
    "T.svd(nan)",
    "T.linalg.pinv(nan)",
    "T.pinverse(nan)",
    "T.linalg.matrix_rank(nan)",
    "T.linalg.matrix_norm(nan, 2)",
    "T.linalg.cond(nan)",
    "T.linalg.matrix_power(zero, -1)",
    "T.linalg.tensorinv(zero, 1)",
    "T.linalg.tensorsolve(zero, T.ones(2))",
    "T.cholesky_inverse(zero)",
    "T.distributions.MultivariateNormal(T.zeros(2), bad, validate_args=False)",
    "F.embedding(T.tensor([5]), ones)",
    "F.embedding(T.tensor([-1]), ones)",
    "nn.EmbeddingBag(3, 2)(T.tensor([[0, 3]]))",
    "F.cross_entropy(ones, T.tensor([0, 5]))",
    "F.cross_entropy(ones, T.tensor([0, -1]))",
    "F.nll_loss(ones, T.tensor([0, 5]))",
    "ones.index_copy(0, T.tensor([5]), T.ones(1, 2))",
    "ones.index_fill(0, T.tensor([5]), 1.0)",
    "ones.index_fill_(0, T.tensor([5]), 1.0)",
    "ones.gather(0, T.tensor([[5]]))",
]


def outcome(T, code):
    names = {"T": T, "nn": T.nn, "F": T.nn.functional}
    exec(SETUP, names)
    try:
        eval(code, names)
    except Exception as error:
        return error
    return None


def test_what_is_no_error():
    for T in (torch, ours):
        assert T.linalg.cond(T.zeros(2, 2), 1) == float("inf")
    ours.lu(ours.zeros(2, 2))


def test_the_call_raises_each_time():
    table, model, good = ours.nn.Embedding(3, 2), ours.nn.Linear(2, 2), ours.tensor([[0, 1]])
    for bad in (3, -1, 7):
        with pytest.raises(IndexError):
            table(ours.tensor([[0, bad]]))
        with pytest.raises(IndexError):
            ours.nn.functional.cross_entropy(model(ours.ones(1, 2)), ours.tensor([bad]))
        with pytest.raises(IndexError), ours.no_grad():
            table(ours.tensor([[0, bad]]))
    assert table(good).shape == (1, 2, 2)


def test_an_error_that_is_kept_concerns_no_later_read():
    kept = []
    table = ours.nn.Embedding(3, 2)
    for call in (lambda: table(ours.tensor([4])), lambda: ours.nn.functional.cross_entropy(ours.ones(1, 2) * 2, ours.tensor([5]))):
        try:
            call()
        except IndexError as error:  # its frames hold the result
            kept.append(error)
    assert (ours.ones(2) + 1).tolist() == [2.0, 2.0] and len(kept) == 2


@pytest.mark.parametrize("code", CALLS)
def test_the_call_raises(code):
    want, got = outcome(torch, code), outcome(ours, code)
    kind = ours.linalg.LinAlgError if type(want).__name__ == "_LinAlgError" else type(want)
    assert isinstance(got, kind), (want, got)


def jittered(T, start):
    tries = 0
    matrix = start
    while True:
        try:
            return T.linalg.cholesky(matrix), tries
        except T.linalg.LinAlgError:
            matrix, tries = matrix + 0.7 * T.eye(2), tries + 1


def test_a_diagonal_grows_until_there_is_a_factor():
    """Twice, with a history too: a plan that failed is met again, by another graph of the same form."""
    found = []
    for T in (torch, ours):
        for _ in range(2):
            plain, tries = jittered(T, T.tensor([[1.0, 2], [2, 1]]))
            leaf = T.tensor([[1.0, 2], [2, 1]], requires_grad=True)
            factor, again = jittered(T, leaf * 1)
            factor.sum().backward()
            found.append((tries, again, plain.tolist(), leaf.grad.tolist()))
    assert found[0][:2] == found[2][:2] == found[3][:2] == (2, 2)
    for theirs, here in zip(found[:2], found[2:], strict=True):
        for a, b in zip(theirs[2:], here[2:], strict=True):
            assert torch.allclose(torch.tensor(a), torch.tensor(b), rtol=1e-4)


def test_a_loop_builds_no_plans_after_its_first_rounds():
    size = 4
    scale = ours.ones((), requires_grad=True)
    optimizer = ours.optim.SGD([scale], lr=0.01)

    def step():
        optimizer.zero_grad()
        ours.linalg.cholesky(scale * ours.eye(size) + 0.1).diagonal().log().sum().backward()
        optimizer.step()

    for _ in range(4):
        step()
    before = COUNTS["plans"]
    for _ in range(4):
        step()
    assert COUNTS["plans"] == before


def test_where_there_are_no_values():
    batch = ours.eye(2).expand(3, 2, 2) * 2
    assert ours.vmap(ours.linalg.cholesky)(batch).shape == (3, 2, 2)
    assert ours.vmap(ours.cholesky_inverse)(batch).shape == (3, 2, 2)
    assert ours.linalg.inv(ours.eye(2, device="meta")).shape == (2, 2)
    assert ours.func.jacrev(ours.linalg.inv)(ours.eye(2)).shape == (2, 2, 2, 2)


def test_computed_indices_are_refused_where_they_are_used():
    """The difference from PyTorch that remains: a look at them in every step would slow training down."""
    found = ours.nn.functional.embedding((ours.ones(2) * 5).long(), ours.ones(3, 2))
    with pytest.raises(IndexError, match="out of range"):
        found.tolist()


def test_a_factor_is_of_its_function_wherever_the_trace_ends(monkeypatch):
    """Its call computes it, which may end the trace. The deprecated function warns, and it alone."""

    def ended(t):
        value = held_value(t)
        flush(closing=True)
        return value

    monkeypatch.setattr(outright, "held_value", ended)
    monkeypatch.setattr(notices, "heard", [False])
    monkeypatch.setattr(notices, "said", set())
    x = ours.eye(2, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ours.linalg.cholesky(x).grad_fn.name() == "LinalgCholeskyExBackward0"
    with pytest.warns(UserWarning, match="torch.linalg.cholesky"):
        assert ours.cholesky(x).grad_fn.name() == "CholeskyBackward0"
