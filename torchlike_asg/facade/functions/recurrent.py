"""Recurrent layers over whole sequences."""

from __future__ import annotations

from typing import Any

from ...ops import recurrent as ops
from ..autocast import cast_operands
from ..core import Tensor, nary


def sequence(
    mode: str, x: Tensor, state: tuple[Tensor, ...], w_ih: Tensor, w_hh: Tensor, b_ih: Any, b_hh: Any, reverse: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction: `x` (T, B, inputs) with T > 0 and the state (B, H) to the states h after every step (T, B, H) and the
    final state. `mode` is RNN_TANH, RNN_RELU, LSTM or GRU; weights (gates * H, inputs) and (gates * H, H), biases (gates * H) or None.
    """
    from .linalg import linear

    kind = x.device.type
    if mode != "GRU" or kind != "cpu":  # PyTorch lists the GRU on GPUs only; elsewhere its products are governed and its states are not
        x, w_ih, w_hh, b_ih, b_hh, *given = cast_operands(kind, x, w_ih, w_hh, b_ih, b_hh, *state)
        state = tuple(given)
    last = 0 if reverse else x.shape[0] - 1
    if mode == "GRU":
        gates = linear(x, w_ih, b_ih).to(state[0].dtype)  # type: ignore[attr-defined]
        bias = b_hh if b_hh is not None else gates.new_zeros(w_hh.shape[0])  # type: ignore[attr-defined]
        hidden = nary(ops.gru, (gates, state[0], w_hh, bias), reverse, "hidden")
        return hidden, (hidden[last],)  # type: ignore[index]
    gates = linear(x, w_ih, b_ih if b_hh is None else b_ih + b_hh)
    if mode == "LSTM":
        hidden, cell = [nary(ops.lstm, (gates, *state, w_hh), reverse, part) for part in ("hidden", "cell")]
        return hidden, (hidden[last], cell[last])  # type: ignore[index]
    hidden = nary(ops.rnn, (gates, state[0], w_hh), "tanh" if mode == "RNN_TANH" else "relu", reverse)
    return hidden, (hidden[last],)  # type: ignore[index]
