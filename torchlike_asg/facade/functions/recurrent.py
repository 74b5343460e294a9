"""Recurrent layers over whole sequences, padded and packed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ops import recurrent as ops
from ..autocast import cast_operands
from ..core import Tensor, nary
from .creation import from_numpy


class Packing:
    """Where the rows of packed sequences, longest first, lie in a padded batch (T, B, *).

    `batch_sizes` has the number of sequences that have a step t; the packed rows (sum of batch_sizes, *) are ordered by steps. The places
    are data to the plan: batches of other lengths share it if the longest is as long and they have as many rows together.

    A layer that goes backwards begins at each sequence's own end. For it the padded batch holds every sequence turned round, again from
    step 0 on, so that one operation forwards serves both directions, and what follows a sequence's last step is never looked at.
    """

    def __init__(self, batch_sizes: Sequence[int], directions: int) -> None:
        sizes = np.asarray(batch_sizes, np.int64)
        self.steps, self.batch = len(sizes), int(sizes[0])
        self.full = int(sizes[-1]) == self.batch
        if self.full:  # the rows are those of the padded batch already
            return
        alive = np.arange(self.batch) < sizes[:, None]
        lengths, (step, sequence) = alive.sum(0), np.nonzero(alive)
        self._padding = from_numpy(~alive[:, :, None])
        self._last = from_numpy((lengths - 1) * self.batch + np.arange(self.batch))
        self._places, self._rows = {}, {}
        for reverse in (False, True)[:directions]:
            place = (lengths[sequence] - 1 - step if reverse else step) * self.batch + sequence
            row = np.zeros(alive.size, np.int64)  # padding may show any row, `spread` covers it
            row[place] = np.arange(len(place))
            self._places[reverse], self._rows[reverse] = from_numpy(place), from_numpy(row)

    def spread(self, packed: Any, padding: float, reverse: bool) -> Any:
        """(sum of batch_sizes, C) to (T, B, C)."""
        if self.full:
            return packed.reshape(self.steps, self.batch, packed.shape[1])
        rows = packed.index_select(0, self._rows[reverse].to(packed.device)).reshape(self.steps, self.batch, packed.shape[1])
        return rows.masked_fill(self._padding.to(packed.device), padding)

    def gather(self, padded: Any, reverse: bool) -> Any:
        """(T, B, C) to (sum of batch_sizes, C)."""
        rows = padded.reshape(self.steps * self.batch, padded.shape[2])
        return rows if self.full else rows.index_select(0, self._places[reverse].to(padded.device))

    def last(self, padded: Any) -> Any:
        """The values (B, C) at each sequence's last step."""
        return padded.reshape(self.steps * self.batch, padded.shape[2]).index_select(0, self._last.to(padded.device))


def sequence(
    mode: str,
    x: Tensor,
    state: tuple[Tensor, ...],
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Any,
    b_hh: Any,
    reverse: bool,
    packing: Packing | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction: `x` (T, B, inputs) with T > 0, or with `packing` (rows, inputs), and the state (B, H) to the states h
    after every step, (T, B, H) or (rows, H), and the final state. `mode` is RNN_TANH, RNN_RELU, LSTM or GRU; weights (gates * H, inputs)
    and (gates * H, H), biases (gates * H) or None.
    """
    from .linalg import linear

    kind = x.device.type
    if mode != "GRU" or kind != "cpu":  # PyTorch lists the GRU on GPUs only; elsewhere its products are governed and its states are not
        x, w_ih, w_hh, b_ih, b_hh, *given = cast_operands(kind, x, w_ih, w_hh, b_ih, b_hh, *state)
        state = tuple(given)
    gates = linear(x, w_ih, b_ih if mode == "GRU" or b_hh is None else b_ih + b_hh)
    backwards = reverse
    if packing is not None:
        # What a step after a sequence's end computes must stay finite, for its gradient is a product with zero. Only relu could grow there.
        gates = packing.spread(gates, -math.inf if mode == "RNN_RELU" else 0.0, reverse)
        backwards = reverse and packing.full
    if mode == "GRU":
        gates = gates.to(state[0].dtype)  # type: ignore[attr-defined]
        bias = b_hh if b_hh is not None else gates.new_zeros(w_hh.shape[0])  # type: ignore[attr-defined]
        states = [nary(ops.gru, (gates, state[0], w_hh, bias), backwards, "hidden")]
    elif mode == "LSTM":
        states = [nary(ops.lstm, (gates, *state, w_hh), backwards, part) for part in ("hidden", "cell")]
    else:
        states = [nary(ops.rnn, (gates, state[0], w_hh), "tanh" if mode == "RNN_TANH" else "relu", backwards)]
    if packing is None or packing.full:
        last = 0 if backwards else gates.shape[0] - 1
        final = tuple(part[last] for part in states)  # type: ignore[index]
    else:
        final = tuple(packing.last(part) for part in states)
    return states[0] if packing is None else packing.gather(states[0], reverse), final
