"""Optimizers and storages: parts, layouts, views, arrays, versions and copies of what they step."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours


def test_plain_tensors_as_parameters(twins: Any) -> None:
    def run(package: Any) -> list[float]:
        x = package.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = package.optim.SGD([x], lr=0.1, momentum=0.9)
        for _ in range(12):
            optimizer.zero_grad()
            (x**2).sum().backward()
            optimizer.step()
        return x.detach().tolist()

    assert run(ours) == pytest.approx(run(twins.torch), rel=1e-5)


def test_a_parameter_that_is_part_of_a_storage(twins: Any) -> None:
    def run(package: Any) -> list[Any]:
        base = package.arange(12.0).reshape(3, 4)
        x = base.t()[1:3].detach().requires_grad_()
        optimizer = package.optim.Adam([x], lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            (x**2).sum().backward()
            optimizer.step()
        return [base.tolist(), *x.detach().tolist()]

    for a, b in zip(run(twins.torch), run(ours), strict=True):
        np.testing.assert_allclose(b, a, 1e-5, 1e-5)


def test_layouts_are_kept(twins: Any) -> None:
    """A parameter whose elements are not in row-major order keeps its strides, and its states have them."""

    def run(package: Any) -> list[Any]:
        p = package.nn.Parameter(package.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]).t().clone())
        q = package.nn.Parameter(package.arange(6.0).reshape(2, 3))
        optimizer = package.optim.Adam([p, q], lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            ((p**2).sum() + (p @ q).sum()).backward()
            optimizer.step()
        states = [t for s in optimizer.state.values() for k, t in s.items() if k != "step"]
        return [[(p.stride(), q.stride()), [t.stride() for t in states]], p.tolist(), q.tolist()]

    theirs, mine = run(twins.torch), run(ours)
    assert mine[0] == theirs[0] and mine[0][0] == ((1, 3), (3, 1))
    np.testing.assert_allclose(mine[1], theirs[1], 1e-5, 1e-5)
    np.testing.assert_allclose(mine[2], theirs[2], 1e-5, 1e-5)


def test_views_and_data_see_the_step() -> None:
    p = ours.nn.Parameter(ours.ones(2, 3))
    optimizer = ours.optim.SGD([p], lr=0.5)
    row, data, flat = p.detach()[0], p.data, p.view(6)
    for expected in (0.5, 0.0):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        assert row.tolist() == [expected] * 3 and data.tolist() == [[expected] * 3] * 2
        assert flat.detach().tolist() == [expected] * 6


@pytest.mark.parametrize("alias", ["late", "detach", "data", "view", "row", "used"])
def test_aliases_made_in_an_iteration_do_not_hold_the_step_up(twins: Any, alias: str) -> None:
    """Names for a parameter's memory that live while the step is taken, and see it."""

    def run(package: Any) -> list[Any]:
        p = package.nn.Parameter(package.tensor([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]))
        optimizer = package.optim.SGD([p], lr=0.1, momentum=0.5)
        found = []
        for i in range(7):
            optimizer.zero_grad()
            made = {
                "late": lambda i=i: p.detach() if i > 3 else None,
                "detach": lambda: p.detach(),
                "data": lambda: p.data,
                "view": lambda: p.view(3, 2),
                "row": lambda: p.detach()[1],
                "used": lambda: p.data[0],
            }[alias]()
            loss = (p**2).sum() + (i * made * p.view(3, 2)[0, 0] if alias == "used" else 0 * p).sum()
            loss.backward()
            optimizer.step()
            found += [p.detach().tolist(), p.detach().tolist() if made is None else made.detach().tolist()]
        return found

    for a, b in zip(run(twins.torch), run(ours), strict=True):
        np.testing.assert_allclose(b, a, 1e-5, 1e-5)


def test_numpy_sees_the_step() -> None:
    array = np.ones(3, np.float32)
    p = ours.nn.Parameter(ours.from_numpy(array))
    seen = p.detach().numpy()
    optimizer = ours.optim.SGD([p], lr=0.5, momentum=0.9)
    for expected in (0.5, -0.45):
        optimizer.zero_grad()
        p.sum().backward()
        optimizer.step()
        np.testing.assert_allclose(array, expected, rtol=1e-6)
        np.testing.assert_allclose(seen, expected, rtol=1e-6)
    array[:] = 7
    p.sum().backward()
    optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), 7 - 0.5 * (2 + 0.9 * 1.9), rtol=1e-6)


def test_a_kept_loss_may_not_go_back_through_a_step(twins: Any) -> None:
    def late(package: Any) -> None:
        p = package.nn.Parameter(package.ones(3))
        optimizer = package.optim.SGD([p], lr=0.1)
        first, second = (p**2).sum(), (p**3).sum()
        first.backward()
        optimizer.step()
        second.backward()

    for package in (twins.torch, ours):
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            late(package)


def test_version_counts_the_step() -> None:
    p = ours.nn.Parameter(ours.ones(3))
    optimizer = ours.optim.SGD([p], lr=0.1)
    for _ in range(3):
        before = p._version
        p.grad = ours.ones(3)
        optimizer.step()
        assert p._version > before


def test_deepcopied_model_and_optimizer_part_ways(twins: Any) -> None:
    theirs, mine = twins(("Adam", {"lr": 0.05}))
    mine.step(3)
    parameters, optimizer = mine.parameters, mine.optimizer
    mine.parameters, mine.optimizer = copy.deepcopy((parameters, optimizer))
    mine.step(4)
    theirs.step(7)
    twins.same(theirs, mine, 1e-5)
    twins.same_state(theirs, mine, 1e-5)
    assert not np.allclose(parameters[0].detach().tolist(), mine.parameters[0].detach().tolist())
    mine.parameters, mine.optimizer, mine.done = parameters, optimizer, 3
    mine.step(4)
    twins.same(theirs, mine, 1e-5)
