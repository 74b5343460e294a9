"""Graphs for tests of whole plans: made from nodes alone, run on both backends."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from torchlike_asg import dtypes
from torchlike_asg.asg.declare import INPUT, get
from torchlike_asg.asg.node import Node, const
from torchlike_asg.asg.rewrite import topo
from torchlike_asg.backends import base
from torchlike_asg.compiler.pipeline import optimise

_numbers = itertools.count(10_000)


class Graph:
    """Inputs with their arrays, and nodes made of them."""

    def __init__(self) -> None:
        self.values: dict[Node, np.ndarray] = {}

    def input(self, array: np.ndarray) -> Node:
        n = Node(INPUT, (), (-1, next(_numbers), ""), array.shape, dtypes.from_numpy(array.dtype))
        self.values[n] = array
        return n

    def program(self, roots: Sequence[Node], backend: str = "cpu", donated: Sequence[tuple[int, Node]] = ()) -> tuple[Any, list[Any]]:
        """An executable, and what to run it on. `donated`: (place of a root, the input whose memory it may take)."""
        roots = optimise(roots, {})
        order = topo(roots, {})
        arguments = [n for n in order if n.op is INPUT]
        arrays = [self.values[n] for n in arguments]
        strides = [tuple(s // a.itemsize for s in a.strides) for a in arrays]
        pairs = [(place, arguments.index(n)) for place, n in donated]
        return base.get(backend).program(roots, {}, order, arguments, strides, pairs), arrays

    def run(self, roots: Sequence[Node], backend: str = "cpu") -> list[np.ndarray]:
        executable, arrays = self.program(roots, backend)
        executable.run(list(arrays))
        return [np.asarray(v) for v in executable.outputs()]

    def same(self, roots: Sequence[Node], rtol: float = 2e-5, atol: float = 2e-5) -> Any:
        """Both backends agree on the roots; gives the CPU's executable."""
        executable, arrays = self.program(roots)
        executable.run(list(arrays))
        got = executable.outputs()
        for n, mine, theirs in zip(roots, got, self.run(roots, "reference"), strict=True):
            assert mine.shape == theirs.shape and mine.dtype == theirs.dtype, n
            np.testing.assert_allclose(mine, theirs, rtol, atol, err_msg=repr(n))
        return executable


def calls(executable: Any) -> list[str]:
    """The labels of the native calls of a plan."""
    return [c.label for part in executable.programs for c in part.calls]


def op(name: str, *args: Any) -> Node:
    return get(name)(*args)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers in float32, always the same ones."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def update(g: Graph, *shape: int) -> tuple[Node, Node]:
    """A parameter, and what a step of gradient descent makes of it."""
    p, grad = g.input(random(*shape)), g.input(random(*shape, seed=1))
    return p, op("sub", p, op("mul", grad, const(0.1, p.dtype)))
