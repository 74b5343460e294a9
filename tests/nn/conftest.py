"""Shared by the tests of layers: the same layer, inputs and gradients in torch and in ours."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import torchlike_asg as ours


@pytest.fixture(scope="module")
def torch() -> Iterator[Any]:
    real = pytest.importorskip("torch")
    threads = real.get_num_threads()
    real.set_num_threads(1)
    yield real
    real.set_num_threads(threads)


class Parity:
    """Compares ours with torch. Arguments that are numpy arrays or hold them become tensors of either package."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch

    def convert(self, package: Any, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return package.from_numpy(value.copy())
        if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
            return type(value)(self.convert(package, v) for v in value)
        if isinstance(value, dict):
            return {k: self.convert(package, v) for k, v in value.items()}
        if isinstance(value, self.torch.dtype):
            return getattr(package, str(value).split(".")[1])
        return value(package) if callable(value) and getattr(value, "by_package", False) else value

    def make(self, name: str, *args: Any, seed: int = 7, **kwargs: Any) -> tuple[Any, Any]:
        """``nn.<name>(*args, **kwargs)`` of torch and of ours, from the same seed."""
        made = []
        for package in (self.torch, ours):
            package.manual_seed(seed)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                made.append(getattr(package.nn, name)(*self.convert(package, list(args)), **self.convert(package, kwargs)))
        return made[0], made[1]

    def same_state(self, theirs: Any, mine: Any, exact: bool = True) -> None:
        """The same keys in the same order, shapes, dtypes and values (bit for bit unless not `exact`)."""
        a, b = theirs.state_dict(), mine.state_dict()
        assert list(a) == list(b)
        for key in a:
            self.same(a[key], b[key], 0 if exact else 1e-6, key)
        assert [n for n, _ in theirs.named_parameters()] == [n for n, _ in mine.named_parameters()]
        assert [n for n, _ in theirs.named_buffers()] == [n for n, _ in mine.named_buffers()]
        assert [p.requires_grad for p in theirs.parameters()] == [p.requires_grad for p in mine.parameters()]

    def same(self, theirs: Any, mine: Any, tolerance: float = 1e-5, what: str = "") -> None:
        """Equal values of equal shape and dtype, in tensors, nested tuples and dicts of them, and plain values."""
        if theirs is None or isinstance(theirs, (bool, int, float, str)):
            assert mine == theirs, what
        elif isinstance(theirs, dict):
            assert list(theirs) == list(mine)
            for key in theirs:
                self.same(theirs[key], mine[key], tolerance, f"{what}.{key}")
        elif isinstance(theirs, (tuple, list)):
            assert len(theirs) == len(mine), what
            for i, (a, b) in enumerate(zip(theirs, mine, strict=True)):
                self.same(a, b, tolerance, f"{what}[{i}]")
        else:
            assert tuple(theirs.shape) == tuple(mine.shape), what
            assert str(theirs.dtype) == str(mine.dtype), what
            a, b = theirs.detach().numpy(), mine.detach().numpy()
            if tolerance == 0:
                np.testing.assert_array_equal(b, a, what)
            else:
                np.testing.assert_allclose(b, a, tolerance, tolerance, err_msg=what)

    def forward(
        self, theirs: Any, mine: Any, *inputs: Any, tolerance: float = 1e-5, seed: int = 3, gradients: bool = True, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Calls both with the same inputs and compares outputs and all gradients of a weighted sum of them."""
        runs = []
        for package, module in ((self.torch, theirs), (ours, mine)):
            package.manual_seed(seed)
            args = self.convert(package, copy.deepcopy(list(inputs)))
            options = self.convert(package, copy.deepcopy(kwargs))
            leaves = [t for t in self.tensors(args) if t.is_floating_point()]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if gradients:
                    for leaf in leaves:
                        leaf.requires_grad_()
                output = module(*args, **options)
                if gradients:
                    outputs = [t for t in self.tensors([output]) if t.is_floating_point() and t.requires_grad]
                    loss = sum((t * self.weights(package, t)).sum() for t in outputs)
                    for parameter in getattr(module, "parameters", list)():
                        parameter.grad = None
                    loss.backward()
            found = {f"input{i}": leaf.grad for i, leaf in enumerate(leaves)} if gradients else {}
            if gradients and hasattr(module, "named_parameters"):
                found |= {name: parameter.grad for name, parameter in module.named_parameters()}
            runs.append((output, found))
        self.same(runs[0][0], runs[1][0], tolerance, "output")
        self.same(runs[0][1], runs[1][1], tolerance, "grad")
        return runs[0][0], runs[1][0]

    def weights(self, package: Any, t: Any) -> Any:
        """Fixed, unequal weights, so that no gradient cancels by symmetry."""
        n = int(np.prod(tuple(t.shape)))
        values = np.cos(np.arange(n, dtype=np.float64)).reshape(tuple(t.shape))
        return package.from_numpy(values.astype(np.float64 if "64" in str(t.dtype) else np.float32))

    def tensors(self, value: Any) -> list[Any]:
        if isinstance(value, (self.torch.Tensor, ours.Tensor)):
            return [value]
        return [t for v in value for t in self.tensors(v)] if isinstance(value, (tuple, list)) else []

    def errors(self, theirs: Any, mine: Any, *inputs: Any, text: bool = True, **kwargs: Any) -> None:
        """Both raise the same kind of error, by default with the same text."""
        caught = []
        for package, function in ((self.torch, theirs), (ours, mine)):
            with pytest.raises(Exception) as info, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                function(*self.convert(package, list(inputs)), **self.convert(package, kwargs))
            caught.append(info.value)
        assert type(caught[0]) is type(caught[1]), caught
        if text:
            assert str(caught[0]).split("\n")[0] == str(caught[1]).split("\n")[0]

    def constructor_errors(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.errors(getattr(self.torch.nn, name), getattr(ours.nn, name), *args, **kwargs)


@pytest.fixture
def parity(torch: Any) -> Parity:
    return Parity(torch)


def array(*shape: int, seed: int = 0, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


@pytest.fixture
def randn() -> Any:
    """``randn(*shape, seed=0)``: normal numbers in a numpy array."""
    return array
