"""How tensors inside of function transforms are printed: for all the examples they stand for, with what they are differentiated by, or with
the derivative they carry.
"""

from __future__ import annotations

from collections.abc import Callable

from ..asg.batching import batched
from ..asg.declare import ARGUMENT
from ..asg.gradients import history
from ..asg.node import Node
from ..asg.trace import Trace, current
from ..facade import printing
from ..facade.core import Tensor, node_of
from ..facade.register import bare
from .forward_ad import dual_depth, unpack_dual
from .vectorize import Mapped, set_aside


def _text(t: Tensor, plain: Callable[[Tensor, list[str]], str]) -> str | None:
    """What PyTorch shows of a tensor that takes part in a transform; None for any other. ``plain(tensor, more)`` writes an ordinary one."""
    tr = current()
    n = node_of(t)
    outer = _layers(n, tr)
    if not outer:
        return None
    text = plain(bare(outer[-1][2]), _tangent(t, tr, plain))
    for level, mapped, _ in reversed(outer):
        if level is not None:
            start = f"BatchedTensor(lvl={level}, bdim=0, value=" if mapped else f"GradTrackingTensor(lvl={level}, value="
            text = f"{start}\n    " + text.replace("\n", "\n    ") + "\n)"
    return text


def _layers(n: Node, tr: Trace) -> list[tuple[int | None, bool, Node]]:
    """(level, whether it is a vmap, what is inside), the innermost transform first; no level for that of dual numbers."""
    found: list[tuple[int | None, bool, Node]] = []
    by = _arguments(n)
    vmaps = {m.depth: m for m in tr.mapped if isinstance(m, Mapped)}
    for depth in range(tr.level, 0, -1):
        if depth in vmaps:
            (whole,) = batched([n], vmaps[depth].values, vmaps[depth].size)
            if whole is not None:
                n, by = whole, by | _arguments(whole)
                found.append((depth, True, n))
        elif depth in by:
            found.append((None if depth == dual_depth() else depth, False, n))
    return found


def _arguments(n: Node) -> set[int]:
    """The depths of the transforms whose arguments `n` depends on."""
    return {m.attrs[0] for m in history((n,)) if m.op is ARGUMENT}


def _tangent(t: Tensor, tr: Trace, plain: Callable[[Tensor, list[str]], str]) -> list[str]:
    if dual_depth() is None or tr.mapped:
        return []
    tangent = unpack_dual(t).tangent
    return [] if tangent is None else [f"tangent={plain(tangent, []) if tangent.shape else tangent.item()}"]


def _shown(t: Tensor, plain: Callable[[Tensor, list[str]], str]) -> str | None:
    tr = current()
    kept, tr.mapped = tr.mapped, list(tr.mapped)
    with set_aside(tr):
        try:
            return _text(t, lambda v, more: _outside(tr, lambda: plain(v, more)))
        finally:
            tr.mapped = kept


def _outside(tr: Trace, write: Callable[[], str]) -> str:
    """Values of whole batches are read as outside of vmap."""
    kept, tr.mapped = tr.mapped, []
    try:
        return write()
    finally:
        tr.mapped = kept


printing.inside_transforms = _shown
