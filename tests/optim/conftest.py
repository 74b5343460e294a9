"""Shared by the tests of optimizers: the same small problem, with the same optimizer, in torch and in ours."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours

SHAPES = ((4, 3), (3,), (2, 3, 2), ())


@pytest.fixture(scope="module")
def torch() -> Iterator[Any]:
    real = pytest.importorskip("torch")
    threads = real.get_num_threads()
    real.set_num_threads(1)
    yield real
    real.set_num_threads(threads)


class Problem:
    """Parameters of one package, an optimizer over them, and a loss whose gradients change in size and sign from step to step.

    `groups(parameters)` gives what the optimizer takes; `used(step)` tells which parameters have a gradient in a step.
    """

    def __init__(
        self,
        package: Any,
        make: Callable[[Any, Any], Any],
        shapes: Any = SHAPES,
        dtype: str = "float32",
        groups: Callable[[list[Any]], Any] | None = None,
        used: Callable[[int], Any] | None = None,
        seed: int = 0,
    ) -> None:
        self.package, self.used, self.seed, self.dtype = package, used, seed, getattr(package, dtype)
        rng = np.random.default_rng(seed)
        self.parameters = [package.nn.Parameter(self.tensor(rng.standard_normal(shape))) for shape in shapes]
        self.optimizer = make(package, self.parameters if groups is None else groups(self.parameters))
        self.done = 0

    def tensor(self, values: Any) -> Any:
        return self.package.tensor(np.asarray(values).tolist(), dtype=self.dtype)

    def loss(self) -> Any:
        rng = np.random.default_rng((self.seed, self.done))
        targets = [rng.standard_normal(tuple(p.shape)) for p in self.parameters]
        used = range(len(self.parameters)) if self.used is None else self.used(self.done)
        terms = [((self.parameters[i] - self.tensor(targets[i])) ** 2).sum() + 0.1 * (self.parameters[i] ** 4).sum() for i in used]
        return sum(terms[1:], terms[0])

    def step(self, count: int = 1) -> None:
        for _ in range(count):
            self.optimizer.zero_grad()
            self.loss().backward()
            self.optimizer.step()
            self.done += 1

    def values(self) -> list[np.ndarray[Any, Any]]:
        return [np.asarray(p.detach().double().tolist()) for p in self.parameters]


class Twins:
    """The same problem in both packages."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def __call__(self, make: Any, **options: Any) -> tuple[Problem, Problem]:
        """`make` is the name of an optimizer with keyword arguments as a tuple, or a function of a package and what the optimizer takes."""
        function = make if callable(make) else lambda package, params: getattr(package.optim, make[0])(params, **make[1])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = Problem(self.torch, function, **options)
        return theirs, Problem(ours, function, **options)

    def same(self, theirs: Problem, mine: Problem, tolerance: float = 2e-6) -> None:
        for a, b in zip(theirs.values(), mine.values(), strict=True):
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)

    def same_state(self, theirs: Problem, mine: Problem, tolerance: float = 2e-6) -> None:
        """State dicts of the same keys in the same order, tensors of the same shape and type, and the same values."""
        a, b = theirs.optimizer.state_dict(), mine.optimizer.state_dict()
        assert list(a["state"]) == list(b["state"])
        for key, state in a["state"].items():
            assert list(state) == list(b["state"][key])
            for name, value in state.items():
                other = b["state"][key][name]
                assert str(value.dtype) == str(other.dtype), name
                assert tuple(value.shape) == tuple(other.shape), name
                np.testing.assert_allclose(other.double().tolist(), value.double().tolist(), tolerance, tolerance, err_msg=name)
        assert [list(g) for g in a["param_groups"]] == [list(g) for g in b["param_groups"]]
        for ga, gb in zip(a["param_groups"], b["param_groups"], strict=True):
            for name, value in ga.items():
                assert gb[name] == value or gb[name] == pytest.approx(value, rel=1e-12), name

    def errors(self, function: Callable[[Any], Any]) -> None:
        """Both packages raise the same kind of error with the same text."""
        caught = []
        for package in (self.torch, ours):
            with pytest.raises(Exception) as info, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(package)
            caught.append(info.value)
        assert type(caught[0]) is type(caught[1]), caught
        assert str(caught[0]).replace("torch.", "") == str(caught[1]).replace("torch.", "").replace("torchlike_asg.", "")


@pytest.fixture
def twins(torch: Any) -> Twins:
    return Twins(torch)


def converted(value: Any, package: Any) -> Any:
    """A state dict with its tensors in another package."""
    if hasattr(value, "detach"):
        return package.tensor(value.detach().double().tolist(), dtype=getattr(package, str(value.dtype).split(".")[1]))
    if isinstance(value, dict):
        return {k: converted(v, package) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(converted(v, package) for v in value)
    return value


@pytest.fixture
def convert() -> Callable[[Any, Any], Any]:
    return converted
