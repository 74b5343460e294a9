"""Recurrent layers: one layer in one direction over all time steps is one operation.

The products of a layer's inputs with its weights do not depend on the state, so they are made before, for all steps at once: the operand
`x` (T, B, gates * H) holds them, with the biases added (but for the hidden bias of GRU, whose place is inside). What is left is

- ``rnn``:  h' = tanh or relu of (x + h W^T)
- ``lstm``: i, f, u, o = x + h W^T;  c' = sigmoid(f) c + sigmoid(i) tanh(u),  h' = sigmoid(o) tanh(c')  (Hochreiter & Schmidhuber, 1997)
- ``gru``:  r, z = sigmoid(x + h W^T + b);  m = h W^T + b;  n = tanh(x + r m);  h' = (h - n) z + n  (Cho et al., 2014)

With the attribute `reverse` time runs from the last step to the first. The state before the first step is `h` (B, H), and `c` of LSTM; `w`
is (gates * H, H). An operation gives one part of what it computes, named by its last attribute: "hidden" and "cell" are the states after
every step (T, B, H), "gates" what the gradient needs of the steps: i, f, u, o, and r, z, n, m (T, B, 4 H).

The formulas are written once, for arrays (the reference) and for nodes (the expansion), see `Arrays` and `Nodes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..asg.declare import Array, Grads, Meta, Op, Sample
from ..asg.node import Node, const
from .activation import relu
from .join import cat, stack
from .linalg import C_NAMES, matmul, swap_last
from .logic import gt
from .math import sigmoid, tanh
from .movement import full, reshape, select, slice_
from .pointwise import where


# ---------------------------------------------------------------- one text for arrays and nodes
class Arrays:
    """The operations of the formulas on NumPy arrays."""

    tanh, matmul, stack = staticmethod(np.tanh), staticmethod(np.matmul), staticmethod(np.stack)
    turned, zeros = staticmethod(np.transpose), staticmethod(np.zeros_like)

    @staticmethod
    def sigmoid(x: Array) -> Array:
        return 1 / (1 + np.exp(-x))  # type: ignore[no-any-return]

    @staticmethod
    def relu(x: Array) -> Array:
        return np.maximum(x, 0)

    @staticmethod
    def where_positive(x: Array, y: Array) -> Array:
        return np.where(x > 0, y, 0)

    @staticmethod
    def at(x: Array, t: int) -> Array:
        return x[t]  # type: ignore[no-any-return]

    @staticmethod
    def parts(x: Array, n: int) -> list[Array]:
        return np.split(x, n, -1)

    @staticmethod
    def join(parts: list[Array]) -> Array:
        return np.concatenate(parts, -1)


class Nodes:
    """The same on nodes."""

    tanh, sigmoid, relu, matmul, turned = tanh, sigmoid, relu, matmul, staticmethod(swap_last)

    @staticmethod
    def zeros(x: Node) -> Node:
        return full(const(0.0, x.dtype), tuple(x.shape))

    @staticmethod
    def where_positive(x: Node, y: Node) -> Node:
        return where(gt(x, const(0.0, x.dtype)), y, const(0.0, x.dtype))

    @staticmethod
    def at(x: Node, t: int) -> Node:
        return select(x, 0, t)

    @staticmethod
    def parts(x: Node, n: int) -> list[Node]:
        d, width = len(x.shape) - 1, x.shape[-1] // n
        return [slice_(x, d, i * width, (i + 1) * width, 1) for i in range(n)]

    @staticmethod
    def join(parts: list[Node]) -> Node:
        return cat(*parts, len(parts[0].shape) - 1)

    @staticmethod
    def stack(parts: list[Node]) -> Node:
        return stack(*parts, 0)


def _times(n: int, reverse: bool) -> list[int]:
    """The time steps in the order in which they happen."""
    return list(range(n))[::-1] if reverse else list(range(n))


def _stacked(e: Any, parts: list[Any], reverse: bool) -> Any:
    """What was found step after step, in order of time."""
    return e.stack(parts[::-1] if reverse else parts)


# ---------------------------------------------------------------- formulas
def _rnn(e: Any, x: Any, h: Any, w: Any, nonlinearity: str, reverse: bool) -> Any:
    hidden, turned, f = [], e.turned(w), e.tanh if nonlinearity == "tanh" else e.relu
    for t in _times(x.shape[0], reverse):
        h = f(e.at(x, t) + e.matmul(h, turned))
        hidden.append(h)
    return _stacked(e, hidden, reverse)


def _rnn_back(e: Any, g: Any, w: Any, hidden: Any, nonlinearity: str, reverse: bool) -> Any:
    times, found = _times(g.shape[0], reverse), []
    carry = e.zeros(e.at(g, 0))
    for t in times[::-1]:
        d, h = e.at(g, t) + carry, e.at(hidden, t)
        d = d * (1 - h * h) if nonlinearity == "tanh" else e.where_positive(h, d)
        found.append(d)
        carry = e.matmul(d, w)
    return _stacked(e, found, not reverse)


def _lstm(e: Any, x: Any, h: Any, c: Any, w: Any, reverse: bool, of: str) -> Any:
    found: dict[str, list[Any]] = {"hidden": [], "cell": [], "gates": []}
    turned = e.turned(w)
    for t in _times(x.shape[0], reverse):
        i, f, u, o = e.parts(e.at(x, t) + e.matmul(h, turned), 4)
        i, f, u, o = e.sigmoid(i), e.sigmoid(f), e.tanh(u), e.sigmoid(o)
        c = f * c + i * u
        h = o * e.tanh(c)
        found["hidden"].append(h)
        found["cell"].append(c)
        if of == "gates":
            found[of].append(e.join([i, f, u, o]))
    return _stacked(e, found[of], reverse)


def _lstm_back(e: Any, g: Any, c: Any, w: Any, cell: Any, gates: Any, reverse: bool, wrt: str, of: str) -> Any:
    """The gradient of the result part `wrt` for "input" (the operand x) or "cell" (the operand c)."""
    times, found = _times(g.shape[0], reverse), []
    dh = dc = e.zeros(c)
    for step in reversed(range(len(times))):
        t = times[step]
        i, f, u, o = e.parts(e.at(gates, t), 4)
        before, y = e.at(cell, times[step - 1]) if step else c, e.tanh(e.at(cell, t))
        if wrt == "hidden":
            dh = dh + e.at(g, t)
        else:
            dc = dc + e.at(g, t)
        dc = dc + dh * o * (1 - y * y)
        d = e.join([dc * u * i * (1 - i), dc * before * f * (1 - f), dc * i * (1 - u * u), dh * y * o * (1 - o)])
        found.append(d)
        dh, dc = e.matmul(d, w), dc * f
    return dc if of == "cell" else _stacked(e, found, not reverse)


def _gru(e: Any, x: Any, h: Any, w: Any, b: Any, reverse: bool, of: str) -> Any:
    found: dict[str, list[Any]] = {"hidden": [], "gates": []}
    turned = e.turned(w)
    for t in _times(x.shape[0], reverse):
        (r, z, n), (r_h, z_h, m) = e.parts(e.at(x, t), 3), e.parts(e.matmul(h, turned) + b, 3)
        r, z = e.sigmoid(r + r_h), e.sigmoid(z + z_h)
        n = e.tanh(n + r * m)
        h = (h - n) * z + n
        found["hidden"].append(h)
        if of == "gates":
            found[of].append(e.join([r, z, n, m]))
    return _stacked(e, found[of], reverse)


def _gru_back(e: Any, g: Any, h: Any, w: Any, hidden: Any, gates: Any, reverse: bool, of: str) -> Any:
    """The gradient for "input" (the operand x), "state" (h W^T + b of every step) or "hidden" (the operand h)."""
    times, found = _times(g.shape[0], reverse), []
    dh = e.zeros(h)
    for step in reversed(range(len(times))):
        t = times[step]
        r, z, n, m = e.parts(e.at(gates, t), 4)
        before = e.at(hidden, times[step - 1]) if step else h
        dh = dh + e.at(g, t)
        dn = dh * (1 - z) * (1 - n * n)
        dr, dz = dn * m * r * (1 - r), dh * (before - n) * z * (1 - z)
        state = e.join([dr, dz, dn * r])
        found.append(e.join([dr, dz, dn]) if of == "input" else state)
        dh = dh * z + e.matmul(state, w)
    return dh if of == "hidden" else _stacked(e, found, not reverse)


# ---------------------------------------------------------------- rules
def _check(x: Node, w: Node, *states: Node) -> None:
    for n in (w, *states):
        if n.dtype is not x.dtype:
            raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {C_NAMES[x.dtype.name]} != {C_NAMES[n.dtype.name]}")
    for h in states:
        if tuple(h.shape) != (x.shape[1], w.shape[1]) or w.shape[0] != x.shape[2]:
            sizes = f"input {list(x.shape)}, state {list(h.shape)} and weight {list(w.shape)}"
            raise RuntimeError(f"recurrent layer: {sizes} do not fit together")


def _rule_rnn(x: Node, h: Node, w: Node, *_: Any) -> Meta:
    _check(x, w, h)
    return (*x.shape[:2], h.shape[1]), x.dtype


def _rule_lstm(x: Node, h: Node, c: Node, w: Node, reverse: bool, of: str) -> Meta:
    _check(x, w, h, c)
    return (x.shape if of == "gates" else (*x.shape[:2], h.shape[1])), x.dtype


def _rule_gru(x: Node, h: Node, w: Node, b: Node, reverse: bool, of: str) -> Meta:
    _check(x, w, h)
    return (*x.shape[:2], h.shape[1] * (4 if of == "gates" else 1)), x.dtype


def _rule_lstm_grad(g: Node, c: Node, w: Node, cell: Node, gates: Node, reverse: bool, wrt: str, of: str) -> Meta:
    return (c.shape if of == "cell" else gates.shape), g.dtype


def _rule_gru_grad(g: Node, h: Node, w: Node, hidden: Node, gates: Node, reverse: bool, of: str) -> Meta:
    return (h.shape if of == "hidden" else (*g.shape[:2], w.shape[0])), g.dtype


# ---------------------------------------------------------------- gradients
def _flat(n: Node) -> Node:
    return reshape(n, (n.shape[0] * n.shape[1], n.shape[2]))


def _before(h: Node, hidden: Node, reverse: bool) -> Node:
    """The states that the steps began with, (T, B, H)."""
    first, n = reshape(h, (1, *h.shape)), hidden.shape[0]
    return cat(slice_(hidden, 0, 1, n, 1), first, 0) if reverse else cat(first, slice_(hidden, 0, 0, n - 1, 1), 0)


def _later(g: Node, reverse: bool) -> Node:
    """The gradient of the states that the steps began with as one of the states after the steps; see `_at_start` for the rest."""
    n = g.shape[0]
    none = full(const(0.0, g.dtype), (1, *g.shape[1:]))
    return cat(none, slice_(g, 0, 0, n - 1, 1), 0) if reverse else cat(slice_(g, 0, 1, n, 1), none, 0)


def _at_start(n: Node, reverse: bool) -> Node:
    return select(n, 0, n.shape[0] - 1 if reverse else 0)


def _weight(d: Node, h: Node, hidden: Node, reverse: bool) -> Node:
    """The gradient of W from that of h W^T, (T, B, gates * H)."""
    return matmul(swap_last(_flat(d)), _flat(_before(h, hidden, reverse)))


def _vjp_rnn(n: Node, g: Node) -> Grads:
    _, h, w = n.srcs
    nonlinearity, reverse = n.attrs

    def d() -> Node:
        return rnn_grad(g, w, n, nonlinearity, reverse)

    return d, lambda: matmul(_at_start(d(), reverse), w), lambda: _weight(d(), h, n, reverse)


def _vjp_lstm(n: Node, g: Node) -> Grads:
    """The gates of all steps are functions of x and the states before, so their gradient is one step back and then that of states."""
    x, h, c, w = n.srcs
    reverse, of = n.attrs
    hidden, cell, gates = [lstm(x, h, c, w, reverse, part) for part in ("hidden", "cell", "gates")]
    direct, wrt = None, of
    if of == "gates":
        (i, f, u, o), (di, df, du, do) = Nodes.parts(n, 4), Nodes.parts(g, 4)
        direct = Nodes.join([di * i * (1 - i), df * f * (1 - f), du * (1 - u * u), do * o * (1 - o)])  # type: ignore[operator]
        g, wrt = _later(matmul(direct, w), reverse), "hidden"

    def d() -> Node:
        rest = lstm_grad(g, c, w, cell, gates, reverse, wrt, "input")
        return rest if direct is None else direct + rest  # type: ignore[operator, no-any-return]

    return (
        d,
        lambda: matmul(_at_start(d(), reverse), w),
        lambda: lstm_grad(g, c, w, cell, gates, reverse, wrt, "cell"),
        lambda: _weight(d(), h, hidden, reverse),
    )


def _vjp_gru(n: Node, g: Node) -> Grads:
    x, h, w, b = n.srcs
    reverse, of = n.attrs
    hidden, gates = [gru(x, h, w, b, reverse, part) for part in ("hidden", "gates")]
    direct: dict[str, Node] = {}
    if of == "gates":
        (r, z, u, m), (dr, dz, du, dm) = Nodes.parts(n, 4), Nodes.parts(g, 4)
        du = du * (1 - u * u)  # type: ignore[operator]
        dr, dz = (dr + du * m) * r * (1 - r), dz * z * (1 - z)  # type: ignore[operator]
        direct = {"input": Nodes.join([dr, dz, du]), "state": Nodes.join([dr, dz, dm + du * r])}
        back = matmul(direct["state"], w)
        direct["hidden"], g = _at_start(back, reverse), _later(back, reverse)

    def d(part: str) -> Node:
        rest = gru_grad(g, h, w, hidden, gates, reverse, part)
        return direct[part] + rest if direct else rest  # type: ignore[operator, no-any-return]

    return (
        lambda: d("input"),
        lambda: d("hidden"),
        lambda: _weight(d("state"), h, hidden, reverse),
        lambda: d("state"),  # summed over steps and batch by the caller
    )


# ---------------------------------------------------------------- samples
def _draw(gates: int, bias: bool = False, cell: bool = False) -> tuple[Array, ...]:
    r = np.random.default_rng(7).standard_normal
    t, b, h = 3, 2, 3
    states = [r((b, h)) for _ in range(1 + cell)]
    return (r((t, b, gates * h)), *states, r((gates * h, h)), *([r((gates * h,))] if bias else []))


def _rnn_samples() -> list[Sample]:
    one = tuple(a[:1] if i == 0 else a for i, a in enumerate(_draw(1)))
    cases = [(name, reverse) for name in ("tanh", "relu") for reverse in (False, True)]
    return [*[Sample(_draw(1), case) for case in cases], Sample(one, ("tanh", False))]


def _lstm_samples() -> list[Sample]:
    return [Sample(_draw(4, cell=True), (reverse, of)) for of in ("hidden", "cell", "gates") for reverse in (False, True)]


def _gru_samples() -> list[Sample]:
    return [Sample(_draw(3, bias=True), (reverse, of)) for of in ("hidden", "gates") for reverse in (False, True)]


def _rnn_grad_samples() -> list[Sample]:
    found = []
    for s in _rnn_samples():
        hidden = _rnn(Arrays, *s.operands, *s.attrs)
        found.append(Sample((np.cos(hidden * 7), s.operands[2], hidden), s.attrs))
    return found


def _lstm_grad_samples() -> list[Sample]:
    x, h, c, w = _draw(4, cell=True)
    found = []
    for reverse in (False, True):
        hidden, cell, gates = [_lstm(Arrays, x, h, c, w, reverse, part) for part in ("hidden", "cell", "gates")]
        for wrt in ("hidden", "cell"):
            found += [Sample((np.cos(hidden * 7), c, w, cell, gates), (reverse, wrt, of)) for of in ("input", "cell")]
    return found


def _gru_grad_samples() -> list[Sample]:
    x, h, w, b = _draw(3, bias=True)
    found = []
    for reverse in (False, True):
        hidden, gates = [_gru(Arrays, x, h, w, b, reverse, part) for part in ("hidden", "gates")]
        found += [Sample((np.cos(hidden * 7), h, w, hidden, gates), (reverse, of)) for of in ("input", "state", "hidden")]
    return found


# ---------------------------------------------------------------- declarations
def _op(name: str, formula: Any, rule: Any, params: tuple[str, ...], samples: Any, vjp: Any = None) -> Op:
    def ref(*args: Any) -> Array:
        with np.errstate(all="ignore"):
            return formula(Arrays, *args)  # type: ignore[no-any-return]

    return Op(
        name,
        "gradient" if vjp is None else "recurrent",
        rule,
        ref,
        vjp=vjp,
        expand=lambda n: formula(Nodes, *n.srcs, *n.attrs),
        saves=lambda n: n.srcs if vjp is None else n.srcs[1:],
        params=params,
        samples=samples,
    )


rnn_grad = _op("rnn_grad", _rnn_back, lambda g, *_: (g.shape, g.dtype), ("nonlinearity", "reverse"), _rnn_grad_samples)
lstm_grad = _op("lstm_grad", _lstm_back, _rule_lstm_grad, ("reverse", "wrt", "of"), _lstm_grad_samples)
gru_grad = _op("gru_grad", _gru_back, _rule_gru_grad, ("reverse", "of"), _gru_grad_samples)
rnn = _op("rnn", _rnn, _rule_rnn, ("nonlinearity", "reverse"), _rnn_samples, _vjp_rnn)
lstm = _op("lstm", _lstm, _rule_lstm, ("reverse", "of"), _lstm_samples, _vjp_lstm)
gru = _op("gru", _gru, _rule_gru, ("reverse", "of"), _gru_samples, _vjp_gru)
