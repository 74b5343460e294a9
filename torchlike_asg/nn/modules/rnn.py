"""Recurrent layers and cells."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import torchlike_asg as torch

from .. import init
from ..parameter import empty_parameter
from ..utils.rnn import PackedSequence
from ._rnn_functional import run
from .module import Module
from .rnn_cell import GRUCell, LSTMCell, RNNCell, RNNCellBase

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


class RNNBase(Module):
    """What RNN, LSTM and GRU share.

    Input (T, B, input_size), (B, T, input_size) with `batch_first`, (T, input_size) or a PackedSequence; initial state, zeros by default,
    (layers * directions, B, H). Returns the output (T, B, directions * H) in the form of the input, and the final state.
    Parameters per layer k and direction: weight_ih_lk[_reverse] (gates * hidden_size, inputs), weight_hh_lk, bias_ih_lk, bias_hh_lk,
    and weight_hr_lk with `proj_size`; all are drawn from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)).
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        _check_options(input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        rows = hidden_size if _GATES[mode] == 1 else _GATES[mode] * hidden_size
        out = proj_size or hidden_size
        directions = 2 if bidirectional else 1
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            inputs = out * directions if layer else input_size
            for direction in range(directions):
                suffix = f"_l{layer}" + "_reverse" * direction
                shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, inputs), "weight_hh": (rows, out)}
                if bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if proj_size:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                for name, shape in shapes.items():
                    self.register_parameter(name + suffix, empty_parameter(*shape, device=device, dtype=dtype))
                self._all_weights.append([name + suffix for name in shapes])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters uniformly from [-b, b], b = 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    @property
    def all_weights(self) -> list[list[Any]]:
        """The parameters per layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name, None) for name in self._flat_weights_names]

    def flatten_parameters(self) -> None:
        """Does nothing: only cuDNN wants the parameters in one piece of memory."""

    def extra_repr(self) -> str:
        shown = [f"{self.input_size}, {self.hidden_size}"]
        defaults = (("proj_size", 0), ("num_layers", 1), ("bias", True), ("batch_first", False), ("dropout", 0), ("bidirectional", False))
        shown += [f"{name}={getattr(self, name)}" for name, default in defaults if getattr(self, name) != default]
        return ", ".join(shown)

    # --- forward

    def forward(self, input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        if input.dim() not in (2, 3):
            raise ValueError(f"{self._get_name()}: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        if not batched:
            input = input.unsqueeze(batch_dim)
        state = self._initial_state(input, input.shape[batch_dim]) if hx is None else self._given_state(hx, batched)
        self._check(input, state, input.shape[batch_dim], 3)
        output, final = self._run(input.transpose(0, 1) if self.batch_first else input, state, None)
        if self.batch_first:
            output = output.transpose(0, 1)
        if not batched:
            output, final = output.squeeze(batch_dim), tuple(part.squeeze(1) for part in final)
        return output, self._as_hidden(final)

    def _forward_packed(self, packed: PackedSequence, hx: Any) -> Any:
        input, batch_sizes, sorted_indices, unsorted_indices = packed
        sizes = batch_sizes.tolist()
        state = self._initial_state(input, sizes[0]) if hx is None else _permute(self._as_state(hx), sorted_indices)
        self._check(input, state, sizes[0], 2)
        output, final = self._run(input, state, sizes)
        result = PackedSequence(output, batch_sizes, sorted_indices, unsorted_indices)
        return result, self._as_hidden(_permute(final, unsorted_indices))

    def _run(self, input: Any, state: tuple[Any, ...], batch_sizes: list[int] | None) -> tuple[Any, tuple[Any, ...]]:
        weights = [self._five(names) for names in self._all_weights]
        dropout = self.dropout if self.training else 0.0
        if self.bidirectional.__class__ is not bool:
            raise TypeError(
                f"{self.mode.lower()}() received an invalid combination of arguments: 'bidirectional' must be bool, not "
                f"{type(self.bidirectional).__name__}"
            )
        return run(self.mode, input, state, weights, batch_sizes, dropout, 2 if self.bidirectional else 1)

    def _five(self, names: list[str]) -> list[Any]:
        """w_ih, w_hh, b_ih, b_hh, w_hr of one layer and direction; None for those it lacks."""
        found = [getattr(self, name) for name in names]
        w_hr = found.pop() if self.proj_size else None
        return [*found, *[None] * (4 - len(found)), w_hr]

    # --- state

    def _state_sizes(self) -> tuple[int, ...]:
        """The feature sizes of the tensors that make up the state."""
        return (self.hidden_size,)

    def _state_shapes(self, batch: int) -> list[tuple[int, int, int]]:
        n = self.num_layers * (2 if self.bidirectional else 1)
        return [(n, batch, size) for size in self._state_sizes()]

    def _initial_state(self, input: Any, batch: int) -> tuple[Any, ...]:
        return tuple(torch.zeros(shape, dtype=input.dtype, device=input.device) for shape in self._state_shapes(batch))

    def _as_state(self, hx: Any) -> tuple[Any, ...]:
        return (hx,)

    def _as_hidden(self, state: tuple[Any, ...]) -> Any:
        return state[0]

    def _given_state(self, hx: Any, batched: bool) -> tuple[Any, ...]:
        state = self._as_state(hx)
        wanted = 3 if batched else 2
        if any(part.dim() != wanted for part in state):
            found = ", ".join(f"{part.dim()}-D" for part in state)
            names, found = ("hx", f"{found} tensor") if len(state) == 1 else ("hx and cx", f"({found}) tensors")
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(f"For {kind} input, {names} should also be {wanted}-D but got {found}")
        return state if batched else tuple(part.unsqueeze(1) for part in state)

    def _check(self, input: Any, state: tuple[Any, ...], batch: int, dims: int) -> None:
        weight = getattr(self, self._all_weights[0][0])
        if input.dtype != weight.dtype:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        if input.dim() != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.dim()}")
        if input.shape[-1] != self.input_size:
            raise RuntimeError(f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got {input.shape[-1]}")
        for i, (part, shape) in enumerate(zip(state, self._state_shapes(batch), strict=True)):
            if tuple(part.shape) != shape:
                name = f"hidden[{i}]" if len(state) > 1 else "hidden"
                raise RuntimeError(f"Expected {name} size {shape}, got {list(part.shape)}")


def _permute(state: tuple[Any, ...], permutation: Any) -> tuple[Any, ...]:
    return state if permutation is None else tuple(part.index_select(1, permutation) for part in state)


def _check_options(input_size: Any, hidden_size: Any, num_layers: Any, bias: Any, batch_first: Any, dropout: Any, proj_size: Any) -> None:
    if not isinstance(dropout, numbers.Number):
        dropout = float(dropout)
    if isinstance(dropout, bool) or not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1:  # type: ignore[operator]
        raise ValueError("dropout should be a number in range [0, 1] representing the probability of an element being zeroed")
    if dropout > 0 and num_layers == 1:  # type: ignore[operator]
        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects num_layers greater than 1, "
            f"but got dropout={dropout} and num_layers={num_layers}",
            stacklevel=4,
        )
    for name, value, kind in (
        ("bias", bias, bool),
        ("batch_first", batch_first, bool),
        ("input_size", input_size, int),
        ("hidden_size", hidden_size, int),
    ):
        if not isinstance(value, kind):
            raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
    for name, value in (("input_size", input_size), ("hidden_size", hidden_size), ("num_layers", num_layers)):
        if value <= 0:
            raise ValueError(f"{name} must be greater than zero")
    if proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if proj_size >= hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")


def _refuse_projection(options: dict[str, Any]) -> None:
    if "proj_size" in options:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")


class RNN(RNNBase):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), or relu with ``nonlinearity='relu'``.

    RNN(input_size, hidden_size, num_layers=1, nonlinearity='tanh', bias=True, batch_first=False, dropout=0.0, bidirectional=False,
    device=None, dtype=None)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber, 1997), with a forget gate; the state is (h, c).

    i, f, o = sigmoid(W x_t + b + U h_(t-1) + b'), each with its own rows of the parameters, g = tanh of the same (in the order i, f, g, o);
    c_t = f c_(t-1) + i g, h_t = o tanh(c_t). With `proj_size` (less than `hidden_size`, else a ValueError) h is projected to that size.
    ``forward(input, (h_0, c_0))`` gives the output and (h_n, c_n); shapes as for RNNBase.

    LSTM(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, proj_size=0,
    device=None, dtype=None)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def _state_sizes(self) -> tuple[int, ...]:
        return (self.proj_size or self.hidden_size, self.hidden_size)

    def _as_state(self, hx: Any) -> tuple[Any, ...]:
        return tuple(hx)

    def _as_hidden(self, state: tuple[Any, ...]) -> Any:
        return state


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al., 2014), with the reset gate after the product, as cuDNN has it.

    r, z = sigmoid(W x_t + b + U h_(t-1) + b'), n = tanh(W_n x_t + b_n + r (U_n h_(t-1) + b'_n)), in the order r, z, n of the rows;
    h_t = (1 - z) n + z h_(t-1). ``forward(input, h_0)`` gives the output and h_n; shapes as for RNNBase.

    GRU(input_size, hidden_size, num_layers=1, bias=True, batch_first=False, dropout=0.0, bidirectional=False, device=None, dtype=None)
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)


def apply_permutation(tensor: Any, permutation: Any, dim: int = 1) -> Any:
    """A state (layers, B, H) with its batch in another order."""
    return tensor.index_select(dim, permutation)
