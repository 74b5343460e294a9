"""Subscripts whose numbers change from iteration to iteration."""

import copy
import gc

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.asg import arena  # noqa: E402
from torchlike_asg.facade import moving  # noqa: E402
from torchlike_asg.ops.window import window  # noqa: E402

from .compare import equal, outcome, same  # noqa: E402
from .test_subscript_programs import execute, program  # noqa: E402


def counts(step, times=14):
    """New nodes and plans of each step."""
    arena.collect()  # what earlier tests dropped must not go in between: what is known of the lines would go along
    found, before = [], ours.asg.stats()
    for i in range(times):
        step(i)
        ours.sync()
        now = ours.asg.stats()
        found.append((now["nodes"] - before["nodes"], now["plans"] - before["plans"]))
        before = now
    return found


PLACES = [3, 0, 5, 1, 4, 2, 2, 0, 5, 3, 1, 4, 0, 5]


@pytest.mark.parametrize(
    "pick",
    [
        lambda p, i: p[0, i],
        lambda p, i: p[0][i],
        lambda p, i: p[:, i],
        lambda p, i: p[0, i : i + 3].sum(),
        lambda p, i: p[0].narrow(0, i, 3).sum(),
        lambda p, i: p.select(1, i),
        lambda p, i: p.as_strided((1, 2), (2, 1), i),
        lambda p, i: p.diagonal(i),
        lambda p, i: p.roll(i, 1)[:, :2],
        lambda p, i: p.roll((1, -i), (0, 1))[:, :2],
        lambda p, i: p.roll(i)[:, 2:],
        lambda p, i: p.select_scatter(p[:, 3], 1, i),
        lambda p, i: p.slice_scatter(p[:, 2:4], 1, i, i + 2),
        lambda p, i: p.diagonal_scatter(p[0, :1], i),
        lambda p, i: p.as_strided_scatter(p[:, 2:4], (1, 2), (2, 1), i),
        lambda p, i: pad(p, (i, 5 - i), value=1.0),
        lambda p, i: pad(p, (i - 5, -i), value=1.0),
        lambda p, i: pad(p, (i - 6, 6 - i), value=1.0),
        lambda p, i: pad(p, (i, 5 - i), "reflect"),
        lambda p, i: p.expand(9, 9).triu(i) + 1,
        lambda p, i: p.expand(9, 9).tril(i) + 1,
        lambda p, i: p * ours.arange(i + 1, i + 10),
        lambda p, i: p.expand(40, 9)[ours.arange(i + 20, i + 23)],
    ],
    ids=["[0, i]", "[0][i]", "[:, i]", "slice", "narrow", "select", "as_strided", "diagonal", "roll", "rolls", "flat roll",
         "select_scatter", "slice_scatter", "diagonal_scatter", "as_strided_scatter", "pad", "crop",
         "shift", "reflect", "triu", "tril", "arange", "[:, arange]"],
)  # fmt: skip
def test_a_moving_place_is_data(pick):
    w = ours.nn.Parameter(ours.ones(8, 9))
    opt = ours.optim.SGD([w], lr=0.1)
    x = ours.ones(1, 8)

    def step(i):
        loss = -pick((x @ w).softmax(-1), PLACES[i]).log().sum()
        opt.zero_grad()
        loss.backward()
        opt.step()

    assert counts(step)[6:] == [(0, 0)] * 8


def pad(*args, **kwargs):
    return ours.nn.functional.pad(*args, **kwargs)


def torch_of(y):
    return torch if isinstance(y, torch.Tensor) else ours


def padded(y):
    return torch_of(y).nn.functional.pad


def channels_last(y):
    return y.to(memory_format=torch_of(y).channels_last)


#: what moves of a 6 x 4 matrix and a vector of 4
MOVING = {
    "as_strided": lambda y, v, i: y.as_strided((2, 3), (4, 1), i),
    "as_strided, overlapping": lambda y, v, i: y.t().as_strided((3, 2), (1, 1), i).exp(),
    "roll": lambda y, v, i: y.roll(i, 1),
    "roll of a transpose": lambda y, v, i: y.t().roll((i, -i, 7), (0, 1, 0)),
    "flat roll": lambda y, v, i: y.roll(-i),
    "diagonal": lambda y, v, i: y.diagonal(i - 3),
    "diagonal of planes": lambda y, v, i: y.view(2, 3, 4).diagonal(i % 3 - 1, 2, 1),
    "select_scatter": lambda y, v, i: y.t().select_scatter(v, 1, i),
    "slice_scatter": lambda y, v, i: y.slice_scatter(v.expand(2, 4), 0, i % 2, i % 2 + 4, 3),
    "diagonal_scatter": lambda y, v, i: y.diagonal_scatter(v[: y.diagonal(i - 3).shape[0]], i - 3),
    "as_strided_scatter": lambda y, v, i: y.as_strided_scatter(v.view(2, 2), (2, 2), (3, 1), i),
    "pad": lambda y, v, i: padded(y)(y, (i, 5 - i)),
    "pad of images": lambda y, v, i: padded(y)(channels_last(y.view(1, 3, 4, 2)), (i, 5 - i, 1, 2), value=0.5),
    "crop": lambda y, v, i: padded(y)(y, (0, 0, -i, i - 5)),
    "shift": lambda y, v, i: padded(y)(y, (0, 0, i - 2, 2 - i), value=-1.0),
    "shift of both": lambda y, v, i: padded(y)(y, (2 - i // 2, i // 2 - 2, i - 6, 6 - i), value=-1.0),
    "reflect": lambda y, v, i: padded(y)(y[:, :3], (i % 3, 2 - i % 3), mode="reflect"),
    "replicate": lambda y, v, i: padded(y)(y[None], (i, 5 - i, 1, i % 2), mode="replicate"),
    "circular": lambda y, v, i: padded(y)(y, (i % 4, 4 - i % 4), mode="circular"),
    "tril": lambda y, v, i: y.tril(i - 3),
    "triu": lambda y, v, i: y.view(2, 3, 4).triu(i - 3),
    "triu of a transpose": lambda y, v, i: y.t().triu(i * 40 - 90),
    "arange": lambda y, v, i: y * torch_of(y).arange(i, i + 4),
    "arange of numbers": lambda y, v, i: y * torch_of(y).arange(0.1 * i, 0.1 * i + 0.39, 0.1, dtype=torch_of(y).float64),
}


#: a gradient of its own, see docs/porting.md; gradients that PyTorch differentiates again, to zeros; another step
APART = ("as_strided_scatter", "reflect", "replicate", "circular")


@pytest.mark.parametrize("name", MOVING)
def test_what_moves_has_the_same_bits_as_what_does_not(name, monkeypatch):
    """Values, gradients and second gradients; geometry and history are PyTorch's."""
    w0, v0 = np.random.default_rng(0).standard_normal((6, 4)), np.array([1.5, -0.0, -2.0, 0.25])
    w0[2] = -0.0

    def run(T):
        found = []
        for i in (0, 3, 1, 5, 4):
            w, v = T.tensor(w0, requires_grad=True), T.tensor(v0, requires_grad=True)
            y = MOVING[name](w * 1, v * 1, i)
            found += [y, y.stride(), y.storage_offset(), y.grad_fn.name(), len(y.grad_fn.next_functions)]
            given = T.linspace(-1.0, 1.0, y.numel(), dtype=T.float64).reshape(y.shape)
            first = [g for g in T.autograd.grad(y, (w, v), given, create_graph=True, allow_unused=True) if g is not None]
            again = [g for g in first if g.requires_grad]
            found += first + list(T.autograd.grad(again, (w, v), [g * 1 for g in again], allow_unused=True) if again else ())
        return [t.detach().numpy().tobytes() if isinstance(t, T.Tensor) else t for t in found if t is not None]

    outcomes = [run(torch)]
    for always in (False, True):
        monkeypatch.setattr(moving, "moves", lambda *_, always=always: always)
        outcomes.append(run(ours))
    assert outcomes[1] == outcomes[2]
    if "overlapping" not in name and name not in APART:
        assert outcomes[0] == outcomes[1]


def test_rows_of_a_parameter():
    w = ours.nn.Parameter(ours.ones(6, 4))

    def step(i):
        (w[PLACES[i]] * w[PLACES[i], 1:3].sum()).sum().backward()
        w.grad = None

    assert counts(step)[6:] == [(0, 0)] * 8


WRITES = {
    "[i] = v": lambda y, v, i: y.__setitem__(i, v),
    "[i] += v": lambda y, v, i: y.__setitem__(i, y[i].add_(v)),
    "[:, i] = v": lambda y, v, i: y.__setitem__((slice(None), i), v),
    "[i, j] = v": lambda y, v, i: y.__setitem__((i, 5 - i), v[2] * 2),
    "[i : i + 2] = number": lambda y, v, i: y.__setitem__(slice(i % 4, i % 4 + 2), 3.0),
    "[i][1:3].mul_(v)": lambda y, v, i: y[i][1:3].mul_(v[:2]),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_write_at_a_moving_place(name):
    """The graph stays the same, and so do the values of PyTorch, which other names of the storage show, too."""
    start = np.arange(36, dtype=np.float32).reshape(6, 6)

    def loop(T, seen):
        x, v = T.tensor(start), T.arange(6.0) + 0.5

        def step(i):
            y = x * 2 + seen[-1] if seen else x * 2
            row, whole = y[2], y.view(-1)
            for at in (PLACES[i], PLACES[-1 - i]):
                WRITES[name](y, v, at)
            y[1] = 7.0
            seen.append((y.sum() + row.sum() + whole[3] + y._version).item() * 1e-6)

        return step

    found, wanted = [], []
    assert counts(loop(ours, found))[8:] == [(0, 0)] * 6
    for i, step in enumerate([loop(torch, wanted)] * len(found)):
        step(i)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_no_copy_takes_along_that_its_place_was_data():
    arena.collect()  # as in counts()
    x = ours.ones(6, 6)
    for i in PLACES:
        row = (x * 2)[i]
        row.mul_(3.0)
        row.sum().item()
    assert row.__dict__ and not copy.deepcopy(row).__dict__
    assert row.tolist() == [6.0] * 6


def test_a_chain_of_writes_at_moving_places():
    """A sum of rows by hand, as in scripts that derive the gradient of an embedding: every write has a node of its own."""
    rng = np.random.default_rng(0)
    rows, parts = rng.integers(0, 6, (18, 9)), rng.standard_normal((9, 3)).astype(np.float32)
    t, x = ours.tensor(parts), ours.zeros(6, 3)

    def step(i):
        total = x * 0
        d = t.tanh()
        for k, row in enumerate(rows[i]):
            total[ours.tensor(row)] += d[k]
        want = np.zeros((6, 3), np.float32)
        np.add.at(want, rows[i], np.tanh(parts))
        np.testing.assert_allclose(total.numpy(), want, atol=1e-5)

    assert counts(step, 18)[12:] == [(0, 0)] * 6


def test_steps_of_a_loop_do_not_move():
    """Places that differ within one iteration are part of the graph: views, for the compiler to see through."""
    x = ours.ones(4, 6) * 1

    def step(i):
        y = x * 2
        sum(y[:, t].sum() for t in range(6)).item()

    def moving():
        return sum(state == "moves" for state in window.sites.values())

    before = moving()
    assert counts(step)[3:] == [(0, 0)] * 11
    assert moving() <= before  # a compaction may forget the places of other tests


def test_values_gradients_and_aliases():
    def run(T):
        w = T.tensor(np.arange(12.0, dtype=np.float32).reshape(3, 4), requires_grad=True)
        found = []
        for i in (0, 2, 1, 2, 0):
            y = w * 2
            part, row = y[i], y[:, i : i + 2]
            part.mul_(3)
            row[0] = 7
            (y * y * part.sum()).sum().backward()
            found += [y, part, row, part._is_view(), list(row.stride()), row.storage_offset(), w.grad]
            w.grad = None
            del y, part, row
        return [f.tolist() if isinstance(f, T.Tensor) else f for f in found]

    same(run, 1e-4)


def test_second_gradients():
    def run(T):
        w = T.tensor([1.0, 2.0, 3.0], requires_grad=True)
        found = []
        for i in (0, 2, 1):
            (g,) = T.autograd.grad((w * w * w)[i], w, create_graph=True)
            g.sum().backward()
            found.append(w.grad.tolist())
            w.grad = None
        return found

    same(run)


def test_overwritten_views_are_refused():
    for lib in (torch, ours):
        w = lib.ones(3, requires_grad=True)
        for i in (0, 1, 2):
            y = w * 2
            z = y[i].exp() * y[i]
            y[i] = 1.0
            with pytest.raises(RuntimeError, match="modified by an inplace operation"):
                z.backward()
            del y, z


@pytest.mark.parametrize("block", range(5))
def test_random_programs_with_every_place_moving(block, monkeypatch):
    monkeypatch.setattr(moving, "moves", lambda *_: True)
    for seed in range(5000 + block * 40, 5040 + block * 40):
        lines, history = program(seed)
        want = outcome(lambda T, lines=lines, history=history: execute(T, lines, history), torch)
        got = outcome(lambda T, lines=lines, history=history: execute(T, lines, history), ours)
        assert equal(want, got, 1e-3, 1e-4), (seed, lines, want, got)
        del want, got
        gc.collect(0)


def test_indices_that_are_read_in_every_step_of_a_recurrence():
    """``vec[0, vec.argmax().item()]``, as in a CRF's log-sum-exp: plans are built for the loop, not for each sequence of indices."""

    def run(p):
        rng, found, plans = np.random.default_rng(0), [], []
        w = p.tensor(rng.standard_normal((5, 5)), requires_grad=True)
        for _ in range(12):
            before = ours.asg.stats()["plans"]
            state = p.tensor(rng.standard_normal((1, 5)))
            for _ in range(4):
                score = state @ w
                best = score[0, score.argmax(1).item()]
                state = (score - best).tanh()
            (g,) = p.autograd.grad(state.sum(), w)
            found.append(g.numpy().copy())
            del state, score, best, g
            plans.append(ours.asg.stats()["plans"] - before)
        return found, plans

    got, plans = run(ours)
    for a, b in zip(got, run(torch)[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert not any(plans[-4:]), plans


def test_views_of_a_row_that_moves_and_is_shared_with_numpy_lie_where_it_does(monkeypatch):
    monkeypatch.setattr(moving, "moves", lambda *_: True)

    def run(T):
        x = T.tensor([[1.0, -2.0], [-3.0, 4.0], [5.0, 6.0]], requires_grad=True)
        row = x.detach()[1]
        row.add_(1)
        column = x.detach().t().unbind(0)[1]
        array = row.numpy()
        column.relu_()  # the storage has recorded values again, which the row is asked for
        part = row.narrow(0, 0, 1)
        part.mul_(10)
        return x.detach(), part.storage_offset(), array.tolist()

    same(run)


def test_a_spot_that_moves_is_known_from_then_on(monkeypatch):
    """Neither which line of the script it is is asked again, nor is there a view between, nor a storage made for what nobody asks of it."""
    w = ours.nn.Parameter(ours.ones(8, 9))
    x = ours.ones(1, 8)

    def step(i):
        p = (x @ w).softmax(-1)
        return p, p[0, i]

    for i in PLACES:
        step(i)[1].log().backward()
        w.grad = None
        ours.sync()
    monkeypatch.setattr(moving.scope, "place", None)
    monkeypatch.setattr(moving, "moving_view", None)
    p, part = step(1)
    monkeypatch.undo()
    assert p._f.made is None
    assert part.storage_offset() == 1 and part._is_view() and part.grad_fn.name() == "SelectBackward0"
    part.backward()
    np.testing.assert_allclose(w.grad[0].tolist(), [-1 / 81, 8 / 81] + [-1 / 81] * 7, rtol=1e-5)


def test_sizes_that_follow_from_the_others_are_found_again_as_they_were_asked_for(monkeypatch):
    def run(x):
        return (x * 2).view(2, -1)

    x = ours.ones(3, 4)
    for _ in range(3):
        run(x)
        ours.sync()
    views = "torchlike_asg.facade.functions.views"
    monkeypatch.setattr(f"{views}.infer_size", None)
    assert run(x).shape == (2, 6)
    monkeypatch.undo()
    for T in (torch, ours):
        with pytest.raises(RuntimeError, match="invalid for input of size 12"):
            (T.ones(3, 4) * 2).view(5, -1)
