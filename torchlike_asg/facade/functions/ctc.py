"""Connectionist temporal classification."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import dtypes
from ...ops import ctc as ops
from ..core import Tensor, nary
from ..hosted import known
from ..register import checked, function
from .arguments import wholes
from .creation import from_array
from .pointwise import clamp_min
from .reduction import numbered, reduced, reduction_of


def _lengths(value: Any, batch: int, name: str, device: Any) -> Any:
    t = value if isinstance(value, Tensor) else from_array(np.asarray(wholes(value), np.int64), dtypes.int64)
    if t.dtype not in (dtypes.int64, dtypes.int32, dtypes.uint8, dtypes.int8, dtypes.int16):
        raise RuntimeError(f"{name} must be integral")
    t = t.reshape(-1).to(device)  # type: ignore[attr-defined]
    if t.shape[0] != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    return t


@checked
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the log-likelihood of label sequences over all alignments with the input. Graves et al. (2006).

    `log_probs` (T, N, C) or (T, C), `targets` (N, S) or concatenated, lengths (N) or numbers. "mean" divides each loss by its target's
    length first.
    `zero_infinity` zeroes infinite losses (inputs too short for their targets) and their gradients.
    """
    reduction = reduction_of(reduction)
    if len(targets.shape) not in (1, 2):
        raise RuntimeError(
            f"Expected 1 to 2 dimensions, but got {len(targets.shape)}-dimensional tensor for argument #2 'targets' (while checking "
            "arguments for ctc_loss_allocate_outputs)"
        )
    batched = len(log_probs.shape) == 3
    x = log_probs if batched else log_probs.unsqueeze(1)
    if len(x.shape) != 3:
        raise RuntimeError(f"log_probs must be a tensor of 2 or 3 dimensions, got {len(log_probs.shape)}")
    if not 0 <= blank < x.shape[2]:
        raise RuntimeError("blank must be in label range")
    given = (input_lengths, "input_lengths"), (target_lengths, "target_lengths")
    times, lengths = [_lengths(value, x.shape[1], name, x.device) for value, name in given]
    have, want = known(times), known(lengths)
    if have is not None and want is not None:  # those that are computed are looked at where they are used
        ops.check_lengths(have, want, tuple(targets.shape), x.shape[0], x.shape[1])
    loss: Any = nary(ops.ctc_loss, (x, targets.to(x.device, dtypes.int64), times, lengths), blank, zero_infinity)  # type: ignore[attr-defined]
    if reduction == "mean":
        return (loss / clamp_min(lengths, 1).to(loss.dtype)).mean()  # type: ignore[no-any-return]
    return reduced(loss if batched else loss.squeeze(0), reduction)


@function(method=False, name="ctc_loss")
def _ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 1,
    zero_infinity: bool = False,
) -> Tensor:
    """`torch.nn.functional.ctc_loss` with a numbered reduction."""
    return ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, numbered(reduction), zero_infinity)
