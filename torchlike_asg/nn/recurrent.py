"""Recurrent layers as functions of their weights: ``torch.lstm_cell``, ``torch.lstm`` and their like."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import functional as F
from .modules import _rnn_functional as cells

__all__ = ["gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh", "rnn_tanh_cell"]


def lstm_cell(input: Any, hx: Sequence[Any], w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
    """One step of an LSTM: input (B, I) and the state (h, c), each (B, H), to the next state. Weights (4 H, I) and (4 H, H)."""
    return cells.lstm_cell(F.linear(input, w_ih, b_ih), tuple(hx), w_hh, b_hh)


def _cell(name: str, step: Any, what: str, gates: str) -> Any:
    def cell(input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None) -> Any:
        return step(F.linear(input, w_ih, b_ih), (hx,), w_hh, b_hh)[0]

    cell.__name__ = cell.__qualname__ = name
    cell.__doc__ = f"One step of {what}: input (B, I) and state (B, H) to the next state. Weights ({gates}H, I) and ({gates}H, H)."
    return cell


gru_cell = _cell("gru_cell", cells.gru_cell, "a GRU", "3 ")
rnn_tanh_cell = _cell("rnn_tanh_cell", cells.tanh_cell, "a recurrent layer with tanh", "")
rnn_relu_cell = _cell("rnn_relu_cell", cells.relu_cell, "a recurrent layer with relu", "")


def _layers(mode: str, input: Any, state: Sequence[Any], params: Sequence[Any], has_biases: bool, num_layers: int, dropout: float,
            train: bool, bidirectional: bool, batch_first: bool, batch_sizes: Any = None) -> tuple[Any, ...]:  # fmt: skip
    directions = 2 if bidirectional else 1
    each, extra = divmod(len(params), num_layers * directions)
    known = 4 if has_biases else 2
    if extra or each not in (known, known + 1):
        raise RuntimeError(f"expected {known} weights for each of {num_layers * directions} layers and directions, not {len(params)}")
    weights = []
    for i in range(0, len(params), each):
        own = list(params[i : i + each])
        projection = own.pop() if each == known + 1 else None
        weights.append((*own, *[None] * (4 - len(own)), projection))
    turned = batch_first and batch_sizes is None
    sizes = None if batch_sizes is None else batch_sizes.tolist()
    output, final = cells.run(
        mode, input.transpose(0, 1) if turned else input, tuple(state), weights, sizes, dropout if train else 0.0, directions
    )
    return (output.transpose(0, 1) if turned else output, *final)


def lstm(*args: Any, **named: Any) -> Any:
    """A stack of LSTM layers: ``lstm(input, (h, c), params, has_biases, num_layers, dropout, train, bidirectional, batch_first)``, or for
    packed sequences ``lstm(data, batch_sizes, (h, c), params, has_biases, num_layers, dropout, train, bidirectional)``, to (output, h, c).
    `params` lists w_ih, w_hh and, with `has_biases`, b_ih, b_hh for every layer and direction.
    """
    return _called("LSTM", args, named)


_PADDED = ("input", "hx", "params", "has_biases", "num_layers", "dropout", "train", "bidirectional", "batch_first")
_PACKED = ("data", "batch_sizes", *_PADDED[1:-1])


def _called(mode: str, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    packed = not named.keys().isdisjoint(_PACKED[:2]) or (len(args) > 3 and isinstance(args[3], Sequence))  # the weights come fourth
    parameters = _PACKED if packed else _PADDED
    wrong = sorted(named.keys() ^ {*parameters[len(args) :]})
    if wrong or len(args) > len(parameters):
        reason = f"; wrong or missing: {', '.join(wrong)}" if wrong else ""
        raise TypeError(f"{mode.lower()}() takes the arguments {', '.join(parameters)}{reason}")
    given = [*args, *(named[name] for name in parameters[len(args) :])]
    input, sizes, state, *rest = (*given, False) if packed else (given[0], None, *given[1:])
    return _layers(mode, input, state if mode == "LSTM" else (state,), *rest, batch_sizes=sizes)


def _stack(name: str, mode: str, what: str) -> Any:
    def layers(*args: Any, **named: Any) -> Any:
        return _called(mode, args, named)

    layers.__name__ = layers.__qualname__ = name
    layers.__doc__ = f"A stack of {what}, with the arguments of `lstm` and one state h (layers * directions, B, H), to (output, h)."
    return layers


gru, rnn_tanh, rnn_relu = (
    _stack("gru", "GRU", "GRU layers"),
    _stack("rnn_tanh", "RNN_TANH", "recurrent layers with tanh"),
    _stack("rnn_relu", "RNN_RELU", "recurrent layers with relu"),
)
