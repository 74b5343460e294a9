"""Gradients of views in histories that go on over several traces, and of states and leaves that were viewed and written."""

import pytest

import torchlike_asg as ours
from torchlike_asg.facade.flush import flush

from .test_pieces import STEPS, both, fresh, walk, without_replays  # noqa: F401  (`fresh` is for each test here)

torch = pytest.importorskip("torch")


VIEWS = {
    "slice": lambda y: y[:2],
    "select": lambda y: y[1],
    "reshape": lambda y: y.view(-1, 1),
    "a view of a view": lambda y: y.unsqueeze(0).expand(2, 3, 3)[0, 1:].t(),
}


@pytest.mark.parametrize("of", ["a state", "a leaf"])
@pytest.mark.parametrize("view", VIEWS)
def test_gradients_of_views_made_in_an_earlier_piece(view, of):
    def run(T):
        w = T.eye(3).requires_grad_()
        found = []
        for _ in range(3):
            y = T.tanh(w * 2) if of == "a state" else w
            v = VIEWS[view](y)
            loss = (v**2).sum()
            if T is ours:
                flush(closing=True)
            found += T.autograd.grad(loss, [v], retain_graph=True)
            found += T.autograd.grad(loss + v.sum(), [v, y, w] if of == "a state" else [v, w])
        return found

    both(run)


def test_gradients_of_leaves_that_show_a_part_of_their_memory_or_were_overwritten():
    def run(T):
        w = T.arange(12.0).view(3, 4).mul(0.1).t()[1:].detach().requires_grad_()
        _, b, _ = walk(T, 1)
        y = T.ones(2, 3)
        for i in range(STEPS):
            y = T.tanh(y @ w + b * (i + 1))
            y.sum().item()
        with T.no_grad():
            b.mul_(0.5)
        loss = y.sum() + w.sum() + b.sum()
        found = [*T.autograd.grad(loss, [w, b, y], retain_graph=True)]
        loss.backward(inputs=[w, b])
        return [*found, w.grad, b.grad]

    both(run)


WRITES = {
    "not written": lambda T, y: None,
    "written": lambda T, y: y.mul_(2.0),
    "written without gradients": lambda T, y: T.no_grad()(y.mul_)(2.0),
}


ASKED = {
    "a view": lambda loss, y, v, w: (loss, [v]),
    "a view, a state and a leaf": lambda loss, y, v, w: (loss + v.sum(), [v, y, w]),
    "a state": lambda loss, y, v, w: (loss, [y]),
    "a state and a leaf, twice": lambda loss, y, v, w: (loss + y.sum(), [y, w, y, w]),
}


@pytest.mark.parametrize("when", ["before the cut", "after it"])
@pytest.mark.parametrize("written", WRITES)
@pytest.mark.parametrize("shared", [False, True], ids=["apart", "shared with NumPy"])
def test_gradients_of_states_that_were_viewed_and_written(written, when, shared):
    def run(T):
        w, found = T.ones(3, requires_grad=True), []
        for asked in (*ASKED, *ASKED):
            y = w * 2
            array = y.detach().numpy() if shared else None
            v = y[:2]
            loss = (v * 3).sum() + (y * 5).sum()
            if when == "before the cut":
                WRITES[written](T, y)
            if T is ours:
                flush(closing=True)
            if when == "after it":
                WRITES[written](T, y)
            found += T.autograd.grad(*ASKED[asked](loss, y, v, w), allow_unused=True)
            del array
        return [T.ones(1), *found]

    both(run)


def test_a_view_made_in_this_piece_leaves_the_earlier_ones_alone(monkeypatch):
    def run(T):
        w, y = T.eye(3).mul(0.5).requires_grad_(), T.ones(2, 3)
        for _ in range(STEPS):
            v = y.view(-1)[:4]
            y = T.tanh(y @ w) - 0.1 * T.autograd.grad((v**2).sum(), v, create_graph=True)[0].sum() if v.requires_grad else T.tanh(y @ w)
            y.sum().item()
        y.sum().backward()
        return [w.grad]

    without_replays(run, monkeypatch)


def test_results_of_several_traces_lead_to_one_another():
    """A gradient asked for by a result that a later trace has used, too, while what leads to it belongs to the trace that both come
    from: it was lost, silently.
    """

    def run(T):
        w = T.tensor([[0.5, -0.3, 0.2], [0.1, 0.2, 0.3], [0.4, -0.2, 0.1]], requires_grad=True)
        b = T.tensor([0.1, 0.2, 0.3], requires_grad=True)
        opt, found = T.optim.SGD([w, b], lr=0.01), []
        for _ in range(3):
            first = T.tanh(T.ones(1, 3) * 0.3 @ w + b)
            with T.no_grad():
                w.mul_(0.9)
            second = T.tanh(first @ w + b)
            part = T.cat([second, first], 1)[:, 1:4]
            end = part * second
            (end**2).sum().backward(inputs=[w], retain_graph=True)
            later = part * 1.5
            found.append(later.sum().item())
            opt.step()
            for result in (T.tanh(end @ w + b), T.tanh(end * 2)):
                (g,) = T.autograd.grad((result**2).sum(), part, retain_graph=True)
                found.append(g.sum().item())
            opt.zero_grad()
        return found

    assert run(ours) == pytest.approx(run(torch), rel=1e-5)
