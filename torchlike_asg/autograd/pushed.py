"""Forward mode through custom Functions that have a `jvp`.

Forward mode is a sweep over a sweep (`derivatives`): the gradients that the first one finds are linear in its seeds, and of them only the
derivative by the seeds is asked for. Where the first sweep comes to a call whose Function has a `jvp`, it leaves the transposed call: a
joint over the gradients of the outputs, and an output for each input. The gradient of the transposed call is the call, which is the `jvp`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..asg.declare import SNAP, STOP
from ..asg.gradients import dense
from ..asg.node import Node
from ..asg.trace import current
from ..facade.backward import held
from ..facade.core import node_of, wrap
from ..facade.functions.creation import zeros

if TYPE_CHECKING:
    from .custom import Call


class Pushed:
    """A transposed call. ``given`` are the tangents of inputs that the second sweep has laid down, by the input's place in the joint."""

    def __init__(self, call: Call, outputs: list[int]) -> None:
        self.call, self.ctx, self.outputs = call, call.ctx, outputs
        self.given: dict[int, Node] = {}

    def gradients(self, joint: Node) -> tuple[Any, ...]:
        """The tangents of the outputs that stand in the joint."""
        given, self.given = self.given, {}
        known = self.call.pushed
        key = tuple((i, dense(given[i])) for i in sorted(given))
        if key not in known:
            known[key] = self._tangents(dict(key))
        return tuple([known[key][i] for i in self.outputs])

    def _tangents(self, given: dict[int, Node]) -> list[Node | None]:
        """Those of all outputs: the user's `jvp` runs, once for these tangents of inputs, whichever outputs are asked for."""
        call, places = self.call, self.call.places
        tangents: list[Any] = [None] * call.total
        for i, (shape, dtype, device) in call.likes.items():
            if i in places and places.index(i) in given:
                tangents[i] = wrap(SNAP(given[places.index(i)]))  # what a tangent is stays its own
            elif self.ctx.materialize_grads:
                tangents[i] = zeros(shape, dtype=dtype, device=device)
        with held(), self.ctx._pushing():
            out = call.cls.jvp(self.ctx, *tangents)
        outs = out if isinstance(out, tuple) else (out,)
        if len(outs) != len(call.outputs):
            raise RuntimeError(
                f"Function's jvp returned an invalid number of forward gradients (expected {len(call.outputs)} but got {len(outs)})"
            )
        return [self._checked(t, like) for t, like in zip(outs, call.outputs, strict=True)]

    def _checked(self, tangent: Any, like: Any) -> Node | None:
        if tangent is None:
            return None
        if tuple(tangent.shape) != like[0]:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not supported. "
                f"Tensor is of size {list(like[0])} while the given forward gradient is of size {list(tangent.shape)}."
            )
        return node_of(tangent)


def transposed(call: Call, joint: Node, given: dict[int, Node]) -> tuple[Node, ...]:
    """For each operand of the call's joint the gradient that the transposed call would give it. Their values are nobody's."""
    from .custom import operation, unused

    contexts = current().contexts
    made = unused(operation(call.cls, -1)(*given.values()), contexts)
    contexts[made] = Pushed(call, list(given))
    return tuple([operation(call.cls, i)(STOP(n), made) for i, n in enumerate(joint.srcs)])
