"""Random graphs: what their plans compute, against the reference."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from torchlike_asg.asg.node import const

from .graphs import Graph, op, random

SIZES = (1, 2, 3, 5, 16, 17, 33)
UNARY = ("neg", "exp", "tanh", "relu", "sigmoid", "abs", "gelu", "sqrt_abs")
BINARY = ("add", "sub", "mul", "maximum", "minimum", "div_safe", "where")


class Maker:
    """Draws a random graph of float32 nodes. With `square` all dimensions are of one size, so that nothing but its axes tells a row from
    a column.
    """

    def __init__(self, data: Any, square: int = 0) -> None:
        self.draw, self.graph, self.square = data.draw, Graph(), square
        self.nodes: list[Any] = []

    def pick(self, values: Any) -> Any:
        return self.draw(st.sampled_from(list(values)))

    def fresh(self) -> Any:
        shape = tuple(self.square or self.pick(SIZES) for _ in range(self.pick((1, 2, 2, 3, 4))))
        if math.prod(shape) > 4000:
            shape = shape[:2]
        a = random(*shape, seed=self.pick(range(50)))
        if len(shape) > 1 and self.pick((False, False, True)):
            a = np.ascontiguousarray(a.T).T  # the same numbers, laid out the other way round
        return self.graph.input(a)

    def partner(self, n: Any) -> Any:
        """Something that broadcasts against `n`."""
        same = [m for m in self.nodes if tuple(m.shape) == tuple(n.shape) or m.ndim == 0]
        if same and self.pick((True, True, False)):
            return self.pick(same)
        shape = tuple(d if self.pick((True, False)) else 1 for d in n.shape)
        return self.graph.input(random(*shape[self.pick(range(len(shape) + 1)) :], seed=self.pick(range(50))))

    def step(self) -> Any:
        n = self.pick(self.nodes)
        kind = self.pick(("unary", "binary", "binary", "reduce", "view", "view", "row", "matmul", "cat"))
        return getattr(self, kind)(n)

    def unary(self, n: Any) -> Any:
        name = self.pick(UNARY)
        if name == "exp":
            return op("exp", op("minimum", n, const(3.0, n.dtype)))
        return op("sqrt", op("abs", n)) if name == "sqrt_abs" else op(name, n)

    def binary(self, n: Any) -> Any:
        m, name = self.partner(n), self.pick(BINARY)
        if name == "div_safe":
            return op("div", n, op("add", op("abs", m), const(1.0, n.dtype)))
        return op("where", op("gt", n, m), n, m) if name == "where" else op(name, n, m)

    def reduce(self, n: Any) -> Any:
        if not n.ndim:
            return op("neg", n)
        dims = tuple(sorted(self.draw(st.sets(st.integers(0, n.ndim - 1), min_size=1))))
        return op(self.pick(("sum", "mean", "amax", "amin", "sum")), n, dims, self.pick((True, False)))

    def view(self, n: Any) -> Any:
        if not n.ndim:
            return op("reshape", n, (1, 1))
        kind = self.pick(("flat", "permute", "split", "unsqueeze", "slice", "expand", "select"))
        if kind == "flat":
            return op("reshape", n, (n.numel,))
        if kind == "permute":
            return op("permute", n, *self.draw(st.permutations(range(n.ndim))))
        d = self.pick(range(n.ndim))
        size = n.shape[d]
        if kind == "split":
            f = next((f for f in (2, 3, 11, 16) if size % f == 0), size)
            return op("reshape", n, (*n.shape[:d], f, size // f, *n.shape[d + 1 :]))
        if kind == "unsqueeze":
            return op("unsqueeze", n, d)
        if kind == "slice" and size > 1:
            lo = self.pick(range(size - 1))
            return op("slice", n, d, lo, size, self.pick((1, 1, 2)))
        if kind == "select":
            return op("select", n, d, self.pick(range(size)))
        return op("expand", op("unsqueeze", n, 0), 3, *n.shape) if n.numel < 2000 else n

    def row(self, n: Any) -> Any:
        if not n.ndim:
            return n
        d = self.pick(range(n.ndim))
        name = self.pick(("softmax", "log_softmax", "layer_norm", "cumsum"))
        attrs = {"layer_norm": ((d,), 1e-3), "cumsum": (d, False)}.get(name, (d,))
        return op(name, n, *attrs)

    def matmul(self, n: Any) -> Any:
        if n.ndim < 2:
            return op("relu", n)
        return op("matmul", n, self.graph.input(random(n.shape[-1], self.pick(SIZES), seed=3)))

    def cat(self, n: Any) -> Any:
        if not n.ndim:
            return n
        d = self.pick(range(n.ndim))
        return op("cat", n, self.pick((n, op("relu", n), op("neg", n))), d)


@pytest.mark.parametrize("square", [0, 4])
@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_random_graphs_compute_what_the_reference_does(square: int, data: Any) -> None:
    m = Maker(data, square)
    m.nodes = [m.fresh() for _ in range(data.draw(st.integers(1, 3)))]
    first = len(m.nodes)
    for _ in range(data.draw(st.integers(1, 14))):
        m.nodes.append(m.step())
    made = [n for n in m.nodes[first:] if n.numel]
    roots = list(dict.fromkeys(data.draw(st.lists(st.sampled_from(made), min_size=1, max_size=4)) if made else m.nodes[:1]))
    scale = max(float(np.abs(v).max(initial=1.0)) for v in m.graph.run(roots, "reference"))
    if scale < 1e6:
        m.graph.same(roots, 1e-4, 1e-5 * scale)
