"""`unsqueeze_`, `squeeze_`, `transpose_`, `t_`: a tensor takes the shape of one of its views. The memory stays as it is."""

from __future__ import annotations

from typing import Any

from ...asg.trace import current
from ..core import Tensor
from ..inference import refuse_write
from ..nodes import refuse_stale
from ..register import method
from ..write import check_tracked
from .views import squeeze, t, transpose, unsqueeze


def take(x: Tensor, seen: Tensor) -> Tensor:
    """Have `x` see its memory as its view `seen` does."""
    refuse_write(x)
    if x.requires_grad and x.is_leaf and (x._f is None or x._kind is None):
        raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
    if x._n is None and x.requires_grad:
        refuse_stale(x)
    f = seen._f
    assert f is not None and x._f is f
    if current().grad and x.requires_grad:
        check_tracked(x, f)
    x._geo, x._n = seen.geometry, None
    f.counter.version += 1
    f.invalidate(bumped=True)
    return x


@method()
def unsqueeze_(self: Tensor, dim: int) -> Tensor:
    """In-place version of `unsqueeze`."""
    return take(self, unsqueeze(self, dim))


@method()
def squeeze_(self: Tensor, dim: Any = None) -> Tensor:
    """In-place version of `squeeze`."""
    return take(self, squeeze(self) if dim is None else squeeze(self, dim))


@method("transpose_", "swapaxes_", "swapdims_")
def transpose_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """In-place version of `transpose`."""
    return take(self, transpose(self, dim0, dim1))


@method()
def t_(self: Tensor) -> Tensor:
    """In-place version of `t`."""
    return take(self, t(self))
