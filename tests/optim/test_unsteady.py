"""Training whose shapes change in every step: the update is a plan of its own, until they stay the same."""

import numpy as np
import pytest

import torchlike_asg as ours
from torchlike_asg import events


def network(package):
    package.manual_seed(0)
    model = package.nn.Sequential(package.nn.Linear(3, 8), package.nn.Tanh(), package.nn.Linear(8, 1))
    return model, package.optim.Adam(model.parameters(), 1e-2)


def train(package, model, optimizer, sizes, clip=None):
    for n in sizes:
        x = package.linspace(-1, 1, 3 * n).reshape(n, 3)
        optimizer.zero_grad()
        (model(x) - x.sum(1, keepdim=True).sin()).square().mean().backward()
        if clip is not None:
            package.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimizer.step()


def plans_of(model, optimizer, sizes):
    """(nodes of the plans that these steps built, how many plans ran)"""
    built = []
    before = ours.asg.stats()
    end = events.subscribe("plan_built", lambda event: built.append(event.nodes))
    try:
        train(ours, model, optimizer, sizes)
    finally:
        end()
    after = ours.asg.stats()
    return built, after["flushes"] - before["flushes"]


def test_an_update_is_not_planned_with_every_new_shape():
    model, optimizer = network(ours)
    whole, _ = plans_of(model, optimizer, range(2, 5))
    apart, ran = plans_of(model, optimizer, range(5, 20))
    assert ran == 30 and len(apart) == 16  # that of the update once
    update = apart.pop(1)
    assert max(apart) < 0.6 * whole[-1] and update < whole[-1]  # an Adam step of four parameters is more than half of it


def test_programs_that_come_again_get_their_update():
    model, optimizer = network(ours)
    train(ours, model, optimizer, [2, 3, 4, 5] * 33)
    assert plans_of(model, optimizer, [2, 3, 4, 5]) == ([], 4)


def test_steps_of_the_same_shape_are_one_plan_again():
    model, optimizer = network(ours)
    train(ours, model, optimizer, range(2, 20))
    train(ours, model, optimizer, [20] * 40)
    built, ran = plans_of(model, optimizer, [20] * 5)
    assert (built, ran) == ([], 5)


def test_the_first_steps_of_a_loop_do_not_set_it_apart():
    model, optimizer = network(ours)
    train(ours, model, optimizer, [4] * 6)
    assert plans_of(model, optimizer, [4] * 5) == ([], 5)


@pytest.mark.parametrize("clip", [None, 0.1])
def test_the_parameters_are_pytorchs(torch, clip):
    found = []
    for package in (torch, ours):
        model, optimizer = network(package)
        train(package, model, optimizer, range(2, 24), clip)
        found.append([p.detach().numpy().copy() for p in model.parameters()])
    for theirs, mine in zip(*found, strict=True):
        np.testing.assert_allclose(mine, theirs, 1e-5, 1e-6)
