"""Views made several at once, of which one is used that moves from iteration to iteration."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torchlike_asg as ours  # noqa: E402
from torchlike_asg.facade import moving  # noqa: E402

from .compare import same  # noqa: E402
from .test_moving import PLACES, counts  # noqa: E402

PICKS = {
    "unbind": lambda x, i: x.unbind(1)[i],
    "iteration": lambda x, i: next(row for k, row in enumerate(x.t()) if k == i),
    "some rows": lambda x, i: sum(row for k, row in enumerate(x.t()) if k in (i, 8)),
    "split": lambda x, i: x.split(1, 1)[i],
    "chunk": lambda x, i: x.chunk(9, 1)[i],
    "sizes": lambda x, i: x.split([i, 2, 7 - i], 1)[1],
    "split_with_sizes": lambda x, i: x.split_with_sizes([i, 2, 7 - i], 1)[1],
    "tensor_split": lambda x, i: x.tensor_split(9, 1)[i],
    "places": lambda x, i: x.tensor_split((i, i + 2), 1)[1],
    "hsplit": lambda x, i: x.hsplit(9)[i],
    "of a part": lambda x, i: x.chunk(2)[1].unbind(1)[i],
}


@pytest.mark.parametrize("of", ["result", "parameter", "without gradients"])
@pytest.mark.parametrize("name", PICKS)
def test_the_part_that_is_used_moves(name, of):
    w, b = ours.nn.Parameter(ours.ones(4, 9)), ours.nn.Parameter(ours.ones(()))

    def step(i):
        x = {"result": lambda: w * 2, "parameter": lambda: w, "without gradients": lambda: w.detach() * 2}[of]()
        loss = (PICKS[name](x, PLACES[i]) * b).exp().sum()
        loss.backward()
        w.grad = b.grad = None

    assert counts(step)[6:] == [(0, 0)] * 8


def test_what_nobody_uses_has_no_node():
    w = ours.ones(500, 2, requires_grad=True)
    before = ours.asg.stats()["nodes"]
    parts = (w * 3).unbind(0)
    (parts[2] * parts[7]).sum().backward()
    assert ours.asg.stats()["nodes"] - before < 60
    assert parts[4].tolist() == [3.0, 3.0]


def test_a_part_that_was_recorded_keeps_its_node():
    """An unrolled loop over all of them has views, for the compiler to see through, from the first iteration on."""
    w = ours.nn.Parameter(ours.ones(5, 3))

    def step(i):
        state = 0
        for row in (w * 2).unbind(0):
            state = (row + state).tanh()
        state.sum().backward()
        w.grad = None

    assert counts(step)[1:] == [(0, 0)] * 13
    assert all(part._n is not None for part in (w * 2).unbind(0))


@pytest.mark.parametrize("always", [False, True])
def test_aliases_names_and_refusals(always, monkeypatch):
    monkeypatch.setattr(moving, "moves", lambda *_: always)

    def run(T):
        w, found = T.tensor(np.arange(12.0).reshape(6, 2), requires_grad=True), []
        for i in (0, 3, 1):
            y = w * 2
            rows, halves, sizes, free = y.unbind(0), y.split(3), y.split([i, 6 - i]), y.tensor_split(3)
            for v in (rows[i], halves[1], sizes[1], free[2]):
                found += [v.grad_fn.name(), v.requires_grad, v.is_leaf, v._is_view(), v._base is y, v.storage_offset(), v.stride()]
                found += [v.output_nr, v._version, v.dtype, v.data_ptr() - y.data_ptr()]
            for v in (rows[i], halves[0], sizes[0]):
                with pytest.raises(RuntimeError, match="output of a function that returns multiple views"):
                    v.mul_(2)
            free[1].mul_(2)
            found += [y._version, free[0]._version, free[0].grad_fn.name(), y, free[0]]
            with pytest.raises(RuntimeError, match="its base or another view of its base has been modified"):
                rows[5 - i].sum()
            (y * free[1].sum()).sum().backward()
            plain = y.detach()
            parts = plain.chunk(3)
            plain[i] = 7.0
            parts[2].add_(1)
            found += [w.grad, parts[i % 3], plain, y, parts[0]._version]
            w.grad = None
        return [f.tolist() if isinstance(f, T.Tensor) else f for f in found]

    same(run)


def test_a_part_used_after_a_read_goes_through_what_it_is_of():
    """Hooks on the view that was cut, on a part, and a gradient that is kept; the part has its first node in a later trace."""

    def run(T):
        w, found = T.tensor(np.arange(12.0).reshape(6, 2), requires_grad=True), []

        def note(g):
            found.append(g.clone())

        for i in PLACES[:5]:
            y = w * 2
            z = y.t()
            z.register_hook(note)
            parts, old = z.unbind(1), w.unbind(0)
            found += [(y * y).sum().item(), parts[i].sum().item()]
            parts[1].register_hook(note)
            parts[3].retain_grad()
            (parts[i] * parts[1] * parts[3]).sum().backward(retain_graph=True)
            found += [w.grad.clone(), parts[3].grad, parts[2].grad_fn.name(), parts[2].grad_fn.next_functions[0][0] == z.grad_fn]
            with T.no_grad():
                w += 1.0
            old[i].exp().sum().backward()
            found += [w.grad.clone(), old[4].grad_fn.name()]
            w.grad = None
        return [f.tolist() if isinstance(f, T.Tensor) else f for f in found]

    same(run, 1e-5)
