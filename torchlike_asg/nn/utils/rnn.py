"""Batches of sequences of different lengths: padded tensors, and packed ones that hold no padding."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

import torchlike_asg as torch

from ...facade.core import Tensor
from ...facade.parsing import constant
from ...ops.introsort import descending
from .. import functional as F

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class PackedSequence_(NamedTuple):
    """The fields of a PackedSequence."""

    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(PackedSequence_):
    """Sequences, longest first, stored step by step without padding; made by `pack_padded_sequence` and `pack_sequence`.

    data: (sum of lengths, *). batch_sizes: int64 (T,), the number of sequences that have a step t.
    sorted_indices, unsorted_indices: the permutation that sorted the batch and its inverse, or None.
    """

    def __new__(cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None) -> Self:
        if batch_sizes is None:
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """`Tensor.to` of the data; the index tensors move with it but keep their dtype."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        permutations = [None if p is None else p.to(data.device) for p in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *permutations)

    def pin_memory(self) -> Self:
        """Itself: there is no pinned memory here."""
        return self

    def is_pinned(self) -> bool:
        return False

    def cpu(self) -> Self:
        return self.to("cpu")

    def cuda(self, *args: Any, **kwargs: Any) -> Self:
        return self.to("cuda")

    def double(self) -> Self:
        return self.to(torch.float64)

    def float(self) -> Self:
        return self.to(torch.float32)

    def half(self) -> Self:
        return self.to(torch.float16)

    def long(self) -> Self:
        return self.to(torch.int64)

    def int(self) -> Self:
        return self.to(torch.int32)

    def short(self) -> Self:
        return self.to(torch.int16)

    def char(self) -> Self:
        return self.to(torch.int8)

    def byte(self) -> Self:
        return self.to(torch.uint8)

    @property
    def is_cuda(self) -> bool:
        return False


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes `permutation`, an int64 tensor (N,); None for None."""
    return None if permutation is None else permutation.argsort()


def _check_order(name: str, batch_first: Any, position: int) -> None:
    if not isinstance(batch_first, bool):
        raise TypeError(f"{name}(): argument 'batch_first' (position {position}) must be bool, not {type(batch_first).__name__}")


def pack_padded_sequence(input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True) -> PackedSequence:
    """Packs a padded batch (T, B, *), or (B, T, *) with `batch_first`, of sequences with the given lengths.

    With `enforce_sorted` the lengths must be in decreasing order, else the batch is sorted here and unsorted again by
    `pad_packed_sequence`. Raises RuntimeError for lengths that are not positive, unsorted or not one per sequence.
    """
    if not isinstance(lengths, (Tensor, list, tuple, np.ndarray)):
        raise TypeError(f"{type(lengths).__name__!r} object cannot be interpreted as an integer")
    lengths = lengths.to(torch.int64) if isinstance(lengths, Tensor) else torch.as_tensor(lengths, dtype=torch.int64)
    if not isinstance(input, Tensor):
        raise TypeError(f"_pack_padded_sequence(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}")
    _check_order("_pack_padded_sequence", batch_first, 3)
    if input.dim() < 2:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-max(input.dim(), 1)}, {max(input.dim(), 1) - 1}], but got 1)"
        )
    if not lengths.numel():
        raise RuntimeError("Cannot pack empty tensors.")
    if lengths.dim() != 1 or lengths.device.type != "cpu":
        raise RuntimeError(f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.dim()}D {lengths.device} Long tensor")
    sorted_indices = None
    if not enforce_sorted:
        if len(lengths) > input.shape[0 if batch_first else 1]:
            raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)}")
        found = np.asarray(lengths.tolist(), np.int64)
        order = np.asarray(descending(found.tolist()), np.int64)
        lengths, sorted_indices = torch.from_numpy(found[order]), torch.from_numpy(order).to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    n_steps, n_sequences = (input.shape[1], input.shape[0]) if batch_first else input.shape[:2]
    sizes = np.asarray(lengths.tolist(), np.int64)
    if len(sizes) != n_sequences:
        raise RuntimeError(f"Expected `len(lengths)` to be equal to batch_size, but got {len(sizes)} (batch_size={n_sequences})")
    if (np.diff(sizes) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
            "You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement."
        )
    if sizes[-1] <= 0:
        raise RuntimeError("Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0")
    if sizes[0] > n_steps:
        raise RuntimeError(f"length {sizes[0]} is greater than the number of steps of the padded input, {n_steps}")
    alive = np.arange(sizes[0])[:, None] < sizes  # (T, B): which sequences have a step t
    step, sequence = np.nonzero(alive)
    row = sequence * n_steps + step if batch_first else step * n_sequences + sequence
    data = input.reshape(n_steps * n_sequences, *input.shape[2:]).index_select(0, torch.from_numpy(row).to(input.device))
    return PackedSequence(data, torch.from_numpy(alive.sum(1)), sorted_indices, None)


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """The padded batch (T, B, *), or (B, T, *) with `batch_first`, and the int64 lengths (B,), in the original order of the batch.

    T is the longest length, or `total_length`, which must not be smaller (ValueError).
    """
    _check_order("_pad_packed_sequence", batch_first, 3)
    batch_sizes = np.asarray(sequence.batch_sizes.tolist(), np.int64)
    n_steps = len(batch_sizes)
    if total_length is not None:
        if total_length < n_steps:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {n_steps}"
            )
        n_steps = total_length
    n_sequences = int(batch_sizes[0])
    alive = np.zeros((n_steps, n_sequences), bool)
    alive[: len(batch_sizes)] = np.arange(n_sequences) < batch_sizes[:, None]
    data = sequence.data
    row = np.full(alive.shape, data.shape[0], np.int64)  # the row after the last: padding
    row[alive] = np.arange(data.shape[0])
    row = np.ascontiguousarray(row.T) if batch_first else row
    rows = torch.cat((data, data.new_full((1, *data.shape[1:]), padding_value)))
    padded = rows.index_select(0, torch.from_numpy(row.reshape(-1)).to(data.device)).reshape(*row.shape, *data.shape[1:])
    lengths = torch.from_numpy(alive.sum(0))
    if sequence.unsorted_indices is None:
        return padded, lengths
    return padded.index_select(0 if batch_first else 1, sequence.unsorted_indices), lengths[sequence.unsorted_indices.cpu()]


def pad_sequence(sequences: Any, batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right") -> Any:
    """Stacks tensors (L_i, *) into (T, B, *), or (B, T, *) with `batch_first`, filled up with `padding_value` at `padding_side`."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}")
    sequences = tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    _check_order("pad_sequence", batch_first, 2)
    if not isinstance(padding_side, str):
        raise TypeError(f"pad_sequence(): argument 'padding_side' (position 4) must be str, not {type(padding_side).__name__}")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if not (isinstance(padding_value, numbers.Real) or constant(padding_value)):
        raise TypeError(f"pad_sequence(): argument 'padding_value' (position 3) must be float, not {type(padding_value).__name__}")
    for i, sequence in enumerate(sequences):
        if not isinstance(sequence, torch.Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(sequence).__name__}")
    longest = max(sequence.shape[0] for sequence in sequences)
    padded = []
    for sequence in sequences:
        missing = longest - sequence.shape[0]
        amounts = [0, 0] * (sequence.dim() - 1) + ([missing, 0] if padding_side == "left" else [0, missing])
        padded.append(F.pad(sequence, amounts, "constant", padding_value) if missing else sequence)
    return torch.stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences (L_i, *) of a padded batch (T, B, *), or (B, T, *) with `batch_first`."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    lengths = lengths.tolist() if isinstance(lengths, Tensor) else list(lengths)
    return [sequence[:length] for sequence, length in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences: Sequence[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Packs tensors (L_i, *); with `enforce_sorted` the longest must come first."""
    lengths = torch.as_tensor([sequence.size(0) for sequence in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The sequences (L_i, *) that were packed, in their original order."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
