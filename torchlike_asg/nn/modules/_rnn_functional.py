"""The computation of recurrent layers. Formulas and gate order are PyTorch's.

A layer is one operation per direction over all time steps, see ops/recurrent.py; packed sequences are spread out over a padded batch for
it. With projected states it is unrolled, and the batch of packed sequences shrinks on the way. The products of the inputs with the weights
do not depend on the state, so they are one matrix product over all time steps either way; what is left in the loop is the product with the
state and the gates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torchlike_asg as torch

from ...facade.functions.recurrent import Packing, sequence
from .. import functional as F

__all__ = ["CELLS", "run"]

State = tuple[Any, ...]


def tanh_cell(gates: Any, state: State, w_hh: Any, b_hh: Any, w_hr: Any = None) -> State:
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh); `gates` is the part of the input x."""
    return ((gates + F.linear(state[0], w_hh, b_hh)).tanh(),)


def relu_cell(gates: Any, state: State, w_hh: Any, b_hh: Any, w_hr: Any = None) -> State:
    """h' = relu(W_ih x + b_ih + W_hh h + b_hh); `gates` is the part of the input x."""
    return ((gates + F.linear(state[0], w_hh, b_hh)).relu(),)


def lstm_cell(gates: Any, state: State, w_hh: Any, b_hh: Any, w_hr: Any = None) -> State:
    """c' = f c + i g, h' = o tanh(c'), projected by `w_hr` if given; gates i, f, g, o (Hochreiter & Schmidhuber, 1997)."""
    h, c = state
    i, f, g, o = (gates + F.linear(h, w_hh, b_hh)).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    h = o.sigmoid() * c.tanh()
    return (h if w_hr is None else F.linear(h, w_hr)), c


def gru_cell(gates: Any, state: State, w_hh: Any, b_hh: Any, w_hr: Any = None) -> State:
    """h' = (h - n) z + n with n = tanh(W_in x + b_in + r (W_hn h + b_hn)); gates r, z, n (Cho et al., 2014)."""
    (h,) = state
    r_x, z_x, n_x = gates.chunk(3, 1)
    r_h, z_h, n_h = F.linear(h, w_hh, b_hh).chunk(3, 1)
    n = (n_x + (r_x + r_h).sigmoid() * n_h).tanh()
    return ((h - n) * (z_x + z_h).sigmoid() + n,)


CELLS: dict[str, Callable[..., State]] = {"RNN_TANH": tanh_cell, "RNN_RELU": relu_cell, "LSTM": lstm_cell, "GRU": gru_cell}


def run(
    mode: str,
    input: Any,
    state: State,
    weights: Sequence[Sequence[Any]],
    batch_sizes: Sequence[int] | None,
    dropout: float,
    directions: int,
) -> tuple[Any, State]:
    """A stack of recurrent layers.

    `input` is (T, B, I) or, with `batch_sizes`, packed (sum of batch_sizes, I). `state` holds tensors (layers * directions, B, H),
    `weights` per layer and direction (w_ih, w_hh, b_ih, b_hh, w_hr), of which the last three may be None. Returns the output and the
    final state.
    """
    finals: list[State] = []
    unrolled = weights[0][4] is not None or not input.shape[0]
    packing = None if batch_sizes is None or unrolled else Packing(batch_sizes, directions)
    for first in range(0, len(weights), directions):
        outputs = []
        for index in range(first, first + directions):
            initial = tuple(part[index] for part in state)
            if unrolled:
                hidden, final = _unrolled(mode, input, initial, weights[index], batch_sizes, index > first)
            else:
                hidden, final = sequence(mode, input, initial, *weights[index][:4], reverse=index > first, packing=packing)
            outputs.append(hidden)
            finals.append(final)
        input = outputs[0] if directions == 1 else torch.cat(outputs, -1)
        if dropout and first + directions < len(weights):
            input = F.dropout(input, dropout, True)
    return input, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))


def _unrolled(
    mode: str, input: Any, initial: State, weights: Sequence[Any], batch_sizes: Sequence[int] | None, reverse: bool
) -> tuple[Any, State]:
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    gates = F.linear(input, w_ih, b_ih)
    steps = gates.unbind(0) if batch_sizes is None else gates.split(list(batch_sizes), 0)
    walk = _backwards if reverse else _forwards
    hidden, final = walk(partial(CELLS[mode], w_hh=w_hh, b_hh=b_hh, w_hr=w_hr), steps, initial)
    return (torch.stack(hidden) if batch_sizes is None else torch.cat(hidden)), final


def _forwards(advance: Callable[[Any, State], State], steps: Sequence[Any], state: State) -> tuple[list[Any], State]:
    """Where a step has fewer rows than the one before, the last sequences have ended: their state is final."""
    hidden = []
    ended: list[State] = []
    for gates in steps:
        alive = gates.shape[0]
        if alive < state[0].shape[0]:
            ended.append(tuple(part[alive:] for part in state))
            state = tuple(part[:alive] for part in state)
        state = advance(gates, state)
        hidden.append(state[0])
    if not ended:
        return hidden, state
    return hidden, tuple(torch.cat(parts) for parts in zip(state, *reversed(ended), strict=True))


def _backwards(advance: Callable[[Any, State], State], steps: Sequence[Any], initial: State) -> tuple[list[Any], State]:
    """From the last step to the first. Where a step has more rows than the one after, shorter sequences join with their initial state."""
    hidden = []
    state = tuple(part[: steps[-1].shape[0]] for part in initial)
    for gates in reversed(steps):
        alive, known = gates.shape[0], state[0].shape[0]
        if alive > known:
            state = tuple(torch.cat((part, start[known:alive])) for part, start in zip(state, initial, strict=True))
        state = advance(gates, state)
        hidden.append(state[0])
    return hidden[::-1], state
