"""One step of a recurrent layer."""

from __future__ import annotations

import math
from typing import Any

import torchlike_asg as torch

from .. import functional as F
from .. import init
from ..parameter import empty_parameter
from ._rnn_functional import gru_cell, lstm_cell, relu_cell, tanh_cell
from .module import Module

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]

_CELLS = {"tanh": tanh_cell, "relu": relu_cell}


class RNNCellBase(Module):
    """What the cells share: weight_ih (chunks * hidden_size, input_size), weight_hh, bias_ih and bias_hh.

    Input (B, input_size) or (input_size,), state (B, hidden_size) or (hidden_size,), zeros by default.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        factory: dict[str, Any] = {"device": device, "dtype": dtype}
        rows = num_chunks * hidden_size
        self.weight_ih = empty_parameter(rows, input_size, **factory)
        self.weight_hh = empty_parameter(rows, hidden_size, **factory)
        self.register_parameter("bias_ih", empty_parameter(rows, **factory) if bias else None)
        self.register_parameter("bias_hh", empty_parameter(rows, **factory) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly from [-b, b], b = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def extra_repr(self) -> str:
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        bias = "" if self.bias is True else f", bias={self.bias}"
        return f"{self.input_size}, {self.hidden_size}{bias}" + ("" if nonlinearity == "tanh" else f", nonlinearity={nonlinearity}")

    def _step(self, cell: Any, input: Any, state: tuple[Any, ...] | None, n_states: int = 1) -> tuple[Any, ...]:
        name = self._get_name()
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        batched = input.dim() == 2
        if not batched:
            input = input.unsqueeze(0)
        if state is None:
            zeros = torch.zeros(input.shape[0], self.hidden_size, dtype=input.dtype, device=input.device)
            state = (zeros,) * n_states
        else:
            for i, part in enumerate(state):
                if part.dim() not in (1, 2):
                    which = "hidden" if n_states == 1 else f"hx[{i}]"
                    raise ValueError(f"{name}: Expected {which} to be 1D or 2D, got {part.dim()}D instead")
            state = state if batched else tuple(part.unsqueeze(0) for part in state)
        self._check(input, state)
        state = cell(F.linear(input, self.weight_ih, self.bias_ih), state, self.weight_hh, self.bias_hh)
        return state if batched else tuple(part.squeeze(0) for part in state)

    def _check(self, input: Any, state: tuple[Any, ...]) -> None:
        if input.shape[1] != self.input_size:
            raise RuntimeError(f"input has inconsistent input_size: got {input.shape[1]} expected {self.input_size}")
        for i, part in enumerate(state):
            if part.shape[0] != input.shape[0]:
                raise RuntimeError(f"Input batch size {input.shape[0]} doesn't match hidden{i} batch size {part.shape[0]}")
            if part.shape[1] != self.hidden_size:
                raise RuntimeError(f"hidden{i} has inconsistent hidden_size: got {part.shape[1]}, expected {self.hidden_size}")


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu with ``nonlinearity='relu'``."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Any, hx: Any = None) -> Any:
        if self.nonlinearity not in _CELLS:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(_CELLS[self.nonlinearity], input, None if hx is None else (hx,))[0]


class LSTMCell(RNNCellBase):
    """One step of an LSTM (Hochreiter and Schmidhuber, 1997; forget gate: Gers et al., 2000): input and (h, c) -> (h', c').

    c' = f c + i g and h' = o tanh(c'). The rows of W_ih x + b_ih + W_hh h + b_hh are in the order i, f, g, o: g is the tanh of its own,
    the gates are sigmoids. Shapes: `RNNCellBase`, h and c alike.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        return self._step(lstm_cell, input, None if hx is None else tuple(hx), 2)


class GRUCell(RNNCellBase):
    """One step of a GRU (Cho et al., 2014): input and h -> h' = (1 - z) n + z h.

    r and z are sigmoids of W_ih x + b_ih + W_hh h + b_hh, and n = tanh(W_in x + b_in + r (W_hn h + b_hn)): the reset gate acts on
    the product. The rows of the weights are in the order r, z, n. Shapes: `RNNCellBase`.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Any, hx: Any = None) -> Any:
        return self._step(gru_cell, input, None if hx is None else (hx,))[0]
