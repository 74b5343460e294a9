"""Hooks on the steps of histories, ``x.grad_fn.register_hook``, outlive the trace in which they were put there; against PyTorch."""

import itertools

import pytest

import torchlike_asg as ours
from torchlike_asg.asg import trace

theirs = pytest.importorskip("torch")


@pytest.fixture(autouse=True)
def cut(monkeypatch):
    """Every read closes the trace."""
    ours.sync()
    tr = trace.current()
    tr.cut, tr.reads, tr.patience = False, 0, 0
    monkeypatch.setattr(trace, "READS", 0)
    yield
    ours.sync()
    tr.cut, tr.reads, tr.patience = False, 0, trace.READS


PUT = {
    "step": lambda x, v, seen: x.grad_fn.register_hook(lambda a, b: seen.append("step")),
    "before the step": lambda x, v, seen: x.grad_fn.register_prehook(lambda a: seen.append("before the step")),
    "step of the view": lambda x, v, seen: v.grad_fn.register_hook(lambda a, b: seen.append("step of the view")),
    "earlier step": lambda x, v, seen: x.grad_fn.next_functions[0][0].register_hook(lambda a, b: seen.append("earlier step")),
    "view": lambda x, v, seen: v.register_hook(lambda g: seen.append("view")),
}


def passes(T, put, stepped):
    seen = []
    w = T.tensor([[0.3, -0.2], [0.1, 0.4]], requires_grad=True)
    opt = T.optim.SGD([w], lr=0.01)
    x = T.tanh(T.tensor([[1.0, 2.0], [0.5, -1.0]]) @ w)
    view = x.t()
    T.autograd.grad((x**2).sum(), [x, w], retain_graph=True)[1].sum().item()
    for name in put:
        PUT[name](x, view, seen)
    if stepped:
        opt.step()
    found = []
    for out in (view, x, view * x.t()):
        out.sum().backward(retain_graph=True)
        found.append(sorted(seen))
        seen.clear()
    return found


@pytest.mark.parametrize("stepped", [True, False])
@pytest.mark.parametrize("put", [*[(n,) for n in PUT], *itertools.combinations(("step", "step of the view", "view"), 2)], ids="+".join)
def test_hooks_of_steps(put, stepped):
    assert passes(ours, put, stepped) == passes(theirs, put, stepped)


def test_steps_that_have_ended_take_hooks():
    for T in (ours, theirs):
        x = T.ones(2, requires_grad=True) * 2
        y = x.sin()
        y.sum().backward()
        x.add_(1)
        if T is ours:
            T.sync()
        y.grad_fn.register_hook(lambda a, b: None).remove()
        y.grad_fn.metadata["place"] = 1
        with pytest.raises(RuntimeError, match="second time"):
            y.sum().backward()
