"""Results whose history was recorded again in a later trace, while other histories go on from the first one; against PyTorch."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg.asg import trace

theirs = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def fresh():
    ours.sync()
    trace.current().cut, trace.current().reads, trace.current().patience = False, 0, trace.READS


def steps(T, each):
    """Four steps that ask by results of before the first; `each` adds to what is found. What hooks see follows."""
    found, seen = [], []
    w, x = T.full((2, 2), 0.3, requires_grad=True), T.ones(1, 2)
    opt = T.optim.SGD([w], lr=0.01)
    first = T.tanh(x @ w)
    corner = first.view(-1)[:2]
    scaled = corner.sum() * first * 2
    (scaled**2).sum().backward(retain_graph=True)
    later = scaled * 3
    found.append(T.tanh(x @ w).sum().item())
    opt.step()
    for i in range(4):
        last = T.tanh(later @ w)
        each(T, i, (w, first, corner, scaled, later, last), found, seen)
        opt.step()
    return found, seen


def asked(*places, both=False):
    def each(T, i, t, found, seen):
        row, last = t[5][0], t[5] + t[1] if both else t[5]
        grads = T.autograd.grad((row**2).sum() + last.sum(), [row, *[t[p] for p in places]], retain_graph=True, allow_unused=True)
        found += [None if g is None else g.sum().item() for g in grads]

    return each


def hooked(place):
    def each(T, i, t, found, seen):
        if i < 1:
            return asked(1)(T, i, t, found, seen)
        if i == 1:
            t[place].register_hook(lambda g: seen.append(g.sum().item()))
        t[5].sum().backward(retain_graph=True)
        found.append(t[0].grad.sum().item())

    return each


def retained(T, i, t, found, seen):
    if i < 1:
        return asked(1)(T, i, t, found, seen)
    if i == 1:
        t[1].retain_grad()
    t[5].sum().backward(retain_graph=True)
    found.append(t[1].grad.sum().item())


PROGRAMS = {
    "a result": asked(1),
    "results, leaves": asked(1, 3, 4, 0),
    "a view": asked(2, 1),
    "by two ways": asked(1, both=True),
    "a hook": hooked(1),
    "a hook on a view": hooked(2),
    "a kept gradient": retained,
}


@pytest.mark.parametrize("each", PROGRAMS.values(), ids=PROGRAMS)
def test_gradients_by_earlier_results(each):
    (found, seen), (wanted, shown) = steps(ours, each), steps(theirs, each)
    assert [x is None for x in found] == [x is None for x in wanted]
    np.testing.assert_allclose(*[[x for x in xs if x is not None] for xs in (found, wanted)], rtol=1e-5)
    np.testing.assert_allclose(seen, shown, rtol=1e-5)
