"""`unsqueeze_`, `squeeze_`, `transpose_`, `t_`: a tensor takes the shape of one of its views. The memory stays as it is."""

from __future__ import annotations

from typing import Any

from ...asg.declare import SNAP
from ...asg.trace import current, lock
from ..claiming import owned
from ..core import Tensor
from ..inference import refuse_write
from ..nodes import node_of, refuse_stale
from ..register import method
from ..steps import note
from ..storage import Family
from ..write import check_tracked
from .views import squeeze, t, transpose, unsqueeze


def take(x: Tensor, seen: Tensor, name: str) -> Tensor:
    """Have `x` see its memory as its view `seen` does. `name`: of the step in its history."""
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
    _next_version(f)
    if x.requires_grad:
        node_of(x)
        note(x, name)
    return x


def _next_version(f: Family) -> None:
    """The content stays, but gradients that have saved it may not read it any more: what is recorded from now on reads another node."""
    counter = f.counter
    with lock:
        counter.version += 1
        if not (f.wants and (f.h is None or f.leaf_history)):
            current().stale.update(counter.roots)
            counter.roots = []
            for g in f.cell.live():
                if g.counter is counter and g.h is not None:
                    g.h = owned(SNAP(g.h), g)
                    counter.roots.append(g.h)
                    g.invalidate(bumped=True)
        f.invalidate(bumped=True)


@method()
def unsqueeze_(self: Tensor, dim: int) -> Tensor:
    """In-place version of `unsqueeze`."""
    return take(self, unsqueeze(self, dim), "UnsqueezeBackward1")


@method()
def squeeze_(self: Tensor, dim: Any = None) -> Tensor:
    """In-place version of `squeeze`."""
    if dim is None:
        return take(self, squeeze(self), "SqueezeBackward3")
    return take(self, squeeze(self, dim), "SqueezeBackward5" if isinstance(dim, (tuple, list)) else "SqueezeBackward4")


@method("transpose_", "swapaxes_", "swapdims_")
def transpose_(self: Tensor, dim0: int, dim1: int) -> Tensor:
    """In-place version of `transpose`."""
    return take(self, transpose(self, dim0, dim1), "TransposeBackward1")


@method()
def t_(self: Tensor) -> Tensor:
    """In-place version of `t`."""
    return take(self, t(self), "TBackward1")
