"""An average of weights, written in place without gradients: each step reads it once, and later ones make nothing new."""

from __future__ import annotations

import pytest
import torch

import torchlike_asg as T
from torchlike_asg import asg
from torchlike_asg.asg.trace import current

N = 5


def _through_state_dict(t, model, average, d):
    msd = model.state_dict()
    for k, v in average.state_dict().items():
        if v.dtype.is_floating_point:
            v *= d
            v += (1 - d) * msd[k].detach()


def _scaled(t, model, average, d):
    for e, p in zip(average.parameters(), model.parameters(), strict=True):
        e.mul_(d).add_(p, alpha=1 - d)


def _copied(t, model, average, d):
    for e, p in zip(average.parameters(), model.parameters(), strict=True):
        e.copy_(d * e + (1 - d) * p)


def _interpolated(t, model, average, d):
    for e, p in zip(average.parameters(), model.parameters(), strict=True):
        e.lerp_(p, 1 - d)


def _listed(t, model, average, d):
    e, p = list(average.parameters()), list(model.parameters())
    t._foreach_mul_(e, d)
    t._foreach_add_(e, p, alpha=1 - d)


def _run(t, form, counts=None):
    def made(shift):
        m = t.nn.ModuleList([t.nn.Linear(3, 2, bias=False) for _ in range(N)])
        with t.no_grad():
            for i, p in enumerate(m.parameters()):
                p.copy_(t.arange(6.0).reshape(2, 3) * 0.37 + i + shift)
        return m

    model, average = made(0.0), made(0.5).requires_grad_(False)
    seen = []
    for step in range(6):
        before = asg.stats()
        with t.no_grad():
            form(t, model, average, 0.75)
        slots = current().slots
        seen += [average[0].weight.tolist(), average[N - 1].weight.tolist(), average[0].weight._version]
        after = asg.stats()
        if counts is not None and step > 2:
            counts.append((slots, after["nodes"] - before["nodes"], after["plans"] - before["plans"]))
    return seen


@pytest.mark.parametrize("form", [_through_state_dict, _scaled, _copied, _interpolated, _listed])
def test_an_average_reads_each_weight_once_and_its_later_steps_make_nothing_new(form):
    counts = []
    found = _run(T, form, counts)
    assert found == _run(torch, form)
    assert counts == [(N, 0, 0)] * 3
