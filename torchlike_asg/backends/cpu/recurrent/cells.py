"""What a step computes for every element of the state, apart from the matrix product: one vector of one row at a time.

`Lanes` reads and writes the values by name; the formulas are those of ops/recurrent.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ..values import Value
from ..vmath import VectorMath


class Lanes(Protocol):
    """Access to one vector of a row. A value of several gates has that many parts."""

    math: VectorMath
    wrt: str

    def get(self, name: str, part: int = 0) -> Value:
        """The values of this step; "before_h" and "before_c" are those of the step before or the initial state."""

    def put(self, name: str, x: Value, part: int = 0) -> None:
        """Write, if the program has a place for it."""


# ---------------------------------------------------------------- forward: "sum" is the matrix product with what it starts from
def _rnn_tanh(e: Lanes) -> None:
    e.put("hidden", e.math.tanh(e.get("sum")))


def _rnn_relu(e: Lanes) -> None:
    x = e.get("sum")
    e.put("hidden", e.math.f.select(x < 0.0, 0.0, x))  # NaN stays


def _lstm(e: Lanes) -> None:
    i, f, u, o = [e.get("sum", k) for k in range(4)]
    i, f, u, o = e.math.sigmoid(i), e.math.sigmoid(f), e.math.tanh(u), e.math.sigmoid(o)
    c = f * e.get("before_c") + i * u
    e.put("cell", c)
    e.put("hidden", o * e.math.tanh(c))
    for k, x in enumerate((i, f, u, o)):
        e.put("gates", x, k)


def _gru(e: Lanes) -> None:
    r, z = [e.math.sigmoid(e.get("x", k) + e.get("sum", k)) for k in range(2)]
    m = e.get("sum", 2)
    n = e.math.tanh(e.get("x", 2) + r * m)
    e.put("hidden", (e.get("before_h") - n) * z + n)
    for k, x in enumerate((r, z, n, m)):
        e.put("gates", x, k)


# ---------------------------------------------------------------- backward: "dh" and "dc" are carried from step to step
def _rnn_tanh_back(e: Lanes) -> None:
    h = e.get("hidden")
    e.put("state", (e.get("dh") + e.get("g")) * (1.0 - h * h))


def _rnn_relu_back(e: Lanes) -> None:
    e.put("state", e.math.f.select(e.get("hidden") > 0.0, e.get("dh") + e.get("g"), 0.0))


def _lstm_back(e: Lanes) -> None:
    i, f, u, o = [e.get("gates", k) for k in range(4)]
    y, dh, dc = e.math.tanh(e.get("cell")), e.get("dh"), e.get("dc")
    if e.wrt == "hidden":
        dh = dh + e.get("g")
    else:
        dc = dc + e.get("g")
    dc = dc + dh * o * (1.0 - y * y)
    e.put("state", dc * u * i * (1.0 - i), 0)
    e.put("state", dc * e.get("before_c") * f * (1.0 - f), 1)
    e.put("state", dc * i * (1.0 - u * u), 2)
    e.put("state", dh * y * o * (1.0 - o), 3)
    e.put("dc", dc * f)


def _gru_back(e: Lanes) -> None:
    r, z, n, m = [e.get("gates", k) for k in range(4)]
    dh = e.get("dh") + e.get("g")
    dn = dh * (1.0 - z) * (1.0 - n * n)
    dr, dz = dn * m * r * (1.0 - r), dh * (e.get("before_h") - n) * z * (1.0 - z)
    for name, last in (("state", dn * r), ("input", dn)):
        for k, x in enumerate((dr, dz, last)):
            e.put(name, x, k)
    e.put("dh", dh * z)


FORWARD: dict[str, Callable[[Lanes], None]] = {"tanh": _rnn_tanh, "relu": _rnn_relu, "lstm": _lstm, "gru": _gru}
BACKWARD: dict[str, Callable[[Lanes], None]] = {"tanh": _rnn_tanh_back, "relu": _rnn_relu_back, "lstm": _lstm_back, "gru": _gru_back}
GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
