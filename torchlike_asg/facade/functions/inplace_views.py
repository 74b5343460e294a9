"""`unsqueeze_`, `squeeze_`, `transpose_`, `t_`: a tensor takes the shape of one of its views. The memory stays as it is."""

from __future__ import annotations

from typing import Any

from ...asg.declare import SNAP
from ...asg.trace import current, lock
from ...errors import Unsupported
from ..claiming import owned
from ..core import Tensor
from ..families import family_of
from ..inference import refuse_write
from ..nodes import node_of, refuse_stale
from ..register import method
from ..resize import set_data
from ..steps import note
from ..storage import Family
from ..write import check_tracked
from .views import squeeze, t, transpose, unsqueeze


def take(x: Tensor, seen: Tensor, name: str) -> Tensor:
    """Have `x` see its memory as its view `seen` does. `name`: of the step in its history."""
    refuse_write(x)
    if x.requires_grad and x.is_leaf and (x._f is None or x._kind is None):
        if current().grad:
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        return _take_as_leaf(x, seen)
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


def _take_as_leaf(x: Tensor, seen: Tensor) -> Tensor:
    """Outside of histories a leaf may take another shape: it goes on over the same memory as a leaf that was given other data does, and its
    version counts. Its `grad` stays as it is, of the old shape.
    """
    f = family_of(x)
    if any((v := r()) is not None and v is not x and v is not seen for r in f.faces):
        raise Unsupported(
            "a leaf that requires grad and has views cannot take another shape in place here, as they would no longer show its memory: "
            "let go of them first, or assign its data (x.data = x.data.t())"
        )
    set_data(x, seen.detach(), counted=True)  # type: ignore[attr-defined]
    family_of(x).counter.version += 1
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
