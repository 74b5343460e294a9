"""Where products are counted: each time one is recorded, also if an equal node is there already.

An operation that is counted has a table that notices every look-up of a node. What the compiler makes of nodes is not counted, nor what an
operation of another name is made of here; for a backward pass the module is that of the forward operation whose gradient is being made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

from ..._ops import aten
from ...asg import gradients, scope
from ...asg.declare import get
from ...asg.node import Node
from ...facade import remembered

#: operators that are products: by name here
COUNTED = ("matmul", "linear", "einsum", "conv", "conv_transpose", "conv_grad_weight", "scaled_dot_product_attention", "gru", "rnn")
#: functions whose products PyTorch names otherwise
_NAMED = {"addmm": aten.addmm, "baddbmm": aten.baddbmm}
#: functions that are one operation in PyTorch, which counts none of their products
_WHOLE = frozenset(("bilinear", "cdist", "lstm"))

#: ``count(operator, shapes, out_shape, modules)``, where `shapes` are what the operator's formula takes
Counter = Callable[[Any, tuple[Any, ...], Any, tuple[Any, ...]], None]


class _Table(dict[Any, Any]):
    """The nodes of an operation, telling `seen` of each that is recorded."""

    seen: Callable[[Node], None]
    last: Any = None

    def get(self, key: Any, default: Any = None) -> Any:
        n = super().get(key, default)
        if n is not None:
            self.last = n
            self.seen(n)
        return n

    def setdefault(self, key: Any, default: Any = None) -> Any:
        n = super().setdefault(key, default)
        if n is not self.last:  # else it stands under other operands, which were made canonical
            self.last = n
            self.seen(n)
        return n


class Recorder:
    """Counts while it is entered; `count` is told of each product."""

    def __init__(self, count: Counter) -> None:
        self.count = count
        self.where: dict[Node, tuple[Any, ...]] = {}  # the modules being called when a node was recorded
        self.silent: set[Node] = set()  # nodes that are parts of what PyTorch does not count, and their gradients'
        self.pulling: Node | None = None  # the node whose gradient is being made

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Inside, what is recorded is counted."""
        tables = {}
        for op in map(get, COUNTED):
            tables[op] = table = op.table
            op.table = _Table(table)
            op.table.seen = self._seen
            table.clear()  # who has it by another name finds nothing, and asks the operation
        pull, memo, known = gradients._pull, gradients.MEMO.copy(), remembered._seen.copy()
        gradients._pull = self._pull
        gradients.MEMO.clear()  # what is known would not be recorded again
        remembered._seen.clear()
        remembered.paused = True
        try:
            yield
        finally:
            remembered.paused = False
            gradients._pull = pull
            for op, table in tables.items():
                table.update(op.table)
                op.table = table
            for kept, before in ((gradients.MEMO, memo), (remembered._seen, known)):
                for key, value in before.items():  # type: ignore[attr-defined]
                    kept.setdefault(key, value)  # type: ignore[attr-defined]

    def _pull(self, n: Node, g: Node, acc: Any, stop: Any) -> None:
        before, self.pulling = self.pulling, n
        try:
            if _by_rule(n):
                self._gradient(n)
            _pull(n, g, acc, stop)
        finally:
            self.pulling = before

    def _gradient(self, n: Node) -> None:
        """A product for each operand that wants a gradient, where gradients are made otherwise here."""
        for s in n.srcs[:2]:
            if s.rg and n not in self.silent:
                self._products(n, self.where.get(n, ()), True)

    def _seen(self, n: Node) -> None:
        if scope.origin() is not None:
            return
        if self.pulling is not None:
            if self.pulling in self.silent or self.pulling.op.name == "lstm" or _by_rule(self.pulling):
                self.silent.add(n)
                return
            self._products(n, self.where.get(self.pulling, ()), True)
            self.where.setdefault(n, self.where.get(self.pulling, ()))
            return
        name = _within()
        if name in _WHOLE:
            self.silent.add(n)
            return
        modules = self.where[n] = tuple(scope.stack())
        self._products(n, modules, operator=_NAMED.get(name))

    def _products(self, n: Node, modules: tuple[Any, ...], backward: bool = False, operator: Any = None) -> None:
        shapes = [tuple(s.shape) for s in n.srcs]
        for found, operands, out in _RULES[n.op.name](n, shapes, tuple(n.shape), backward):
            if operator is not None:
                found, operands = operator, (out, *operands)
            self.count(found, operands, out, modules)


_pull = gradients._pull


def _by_rule(n: Node) -> bool:
    """Whether the products of a gradient follow from those of the operation: of attention, recurrent layers, a linear layer of a vector."""
    return n.op.name in ("scaled_dot_product_attention", "gru", "rnn") or (n.op.name == "linear" and n.srcs[0].ndim == 1)


def _within() -> str:
    """The function of this package's that is recording, if it is one of those above; "lstm" also in such a layer."""
    if any(type(module).__name__ == "LSTM" for module in scope.stack()[-1:]):
        return "lstm"
    frame = sys._getframe(2)
    for _ in range(40):
        if frame is None:
            break
        name = frame.f_code.co_name
        if (name in _NAMED or name in _WHOLE) and "torchlike_asg" in frame.f_code.co_filename:
            return name
        frame = frame.f_back  # type: ignore[assignment]
    return ""


Products = list[tuple[Any, tuple[Any, ...], Any]]


def _product(a: tuple[int, ...], b: tuple[int, ...], out: tuple[int, ...]) -> Products:
    if len(a) < 2 or len(b) < 2:
        return []
    if len(b) == 2:  # the rows of all matrices together
        rows = prod(a[:-1])
        return [(aten.mm, ((rows, a[-1]), b), (rows, b[-1]))]
    batch = prod(out[:-2])
    return [(aten.bmm, ((batch, *a[-2:]) if len(a) > 1 else a, (batch, *b[-2:])), (batch, *out[-2:]))]


def _matmul(n: Node, shapes: Any, out: Any, backward: bool) -> Products:
    return _product(shapes[0], shapes[1], out)


def _linear(n: Node, shapes: Any, out: Any, backward: bool) -> Products:
    x, w = shapes[0], shapes[1]
    rows = prod(x[:-1])
    product = ((rows, x[-1]), (w[-1], w[0]))
    if len(shapes) > 2 and not backward:
        return [(aten.addmm, ((w[0],), *product), (rows, w[0]))]
    return [(aten.mm, product, (rows, w[0]))]


def _einsum(n: Node, shapes: Any, out: Any, backward: bool) -> Products:
    terms, arrow, result = n.attrs[0].partition("->")
    inputs = terms.split(",")
    if not arrow:
        result = "".join(c for c in sorted(set(terms) - {","}) if terms.count(c) == 1)
    if len(inputs) < 2:
        return []
    sizes = {letter: size for term, shape in zip(inputs, shapes, strict=True) for letter, size in zip(term, shape, strict=True)}
    found: Products = []
    left = inputs[0]
    for i, right in enumerate(inputs[1:], 2):  # operand by operand, from the left
        later = set(result).union(*inputs[i:])
        common = [c for c in dict.fromkeys(left) if c in right]
        batch, inner = [c for c in common if c in later], [c for c in common if c not in later]
        rows = [c for c in dict.fromkeys(left) if c not in right and c in later]
        columns = [c for c in dict.fromkeys(right) if c not in left and c in later]
        if inner:
            b, m, k, w = (prod(sizes[c] for c in part) for part in (batch, rows, inner, columns))
            found.append((aten.bmm, ((b, m, k), (b, k, w)), (b, m, w)))
        left = "".join([*batch, *rows, *columns])
    return found


def _conv(n: Node, shapes: Any, out: Any, backward: bool) -> Products:
    transposed = n.op.name == "conv_transpose"
    if backward:  # the gradient of the input of the other kind
        asked = (shapes[0], out, shapes[1], None, None, None, None, not transposed, None, 1, (True, False))
        return [(aten.convolution_backward, asked, out)]
    return [(aten.convolution, (shapes[0], shapes[1], None, None, None, None, transposed), out)]


def _conv_grad_weight(n: Node, shapes: Any, out: Any, backward: bool) -> Products:
    x, g = shapes[0], shapes[1]
    transposed = prod(g[2:]) > prod(x[2:]) and out[0] == x[1]
    asked = (g, x, out, None, None, None, None, transposed, None, 1, (False, True))
    return [(aten.convolution_backward, asked, out)]


def _attention(n: Node, shapes: Any, out: Any, backward: bool) -> Products:
    q, k, v = shapes[:3]
    if len(q) == 4 and n.device.type != "meta":
        return []  # PyTorch's fused kernel of the CPU, whose products it does not count
    b = prod(q[:-2])
    scores = (b, q[-2], k[-2])
    return [
        (aten.bmm, ((b, *q[-2:]), (b, k[-1], k[-2])), scores),
        (aten.bmm, (scores, (b, *v[-2:])), (b, q[-2], v[-1])),
    ]


def _recurrent(n: Node, shapes: Any, out: Any, backward: bool) -> Products:
    if n.op.name == "gru" and n.attrs[-1] != "hidden":
        return []
    (time, rows, gates), width = shapes[0], shapes[2][1]
    return [(aten.addmm, ((gates,), (time * rows, width), (width, gates)), (time * rows, gates))]


_RULES = {
    "matmul": _matmul,
    "linear": _linear,
    "einsum": _einsum,
    "conv": _conv,
    "conv_transpose": _conv,
    "conv_grad_weight": _conv_grad_weight,
    "scaled_dot_product_attention": _attention,
    "gru": _recurrent,
    "rnn": _recurrent,
}
