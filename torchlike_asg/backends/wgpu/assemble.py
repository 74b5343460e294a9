"""Lowering the units of a build to dispatches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...asg.declare import INPUT
from ...asg.geometry import contiguous, is_dense
from ...asg.node import Node
from ...compiler.kernel import Load, LoopKernel, Operand
from ...dtypes import int64
from ..assemble import Assembly
from ..build import Build, Unit
from . import complexes, loops
from .calls import Capabilities, LibraryNode, Lowering, View
from .chaining import chained
from .checks import place
from .copies import copy
from .joining import joined


class WgpuAssembly(Assembly):
    """The program of a build as `Dispatch` and `Fallback`."""

    view_type = View
    node_type = LibraryNode
    lowering: Lowering

    def __init__(self, b: Build, caps: Capabilities) -> None:
        lowering = Lowering(len(b.arguments), caps)
        for i, n in enumerate(b.arguments):
            if n.op is INPUT and n.dtype is int64 and n.shape == () and b.users[n] and all(u.op.category == "random" for u in b.users[n]):
                lowering.wide.add(i)
        super().__init__(b, lowering)
        self.steps, self.origins = chained(*joined(self.steps, self.origins, caps, self.sizes), caps)

    def _lower(self, unit: Unit) -> None:
        nodes = (unit.node,) if unit.node is not None else tuple(unit.group.nodes) if unit.group is not None else ()
        self.lowering.where = place(nodes) if nodes else ""
        super()._lower(unit)

    def _generator(self, n: Node) -> Callable[[Any, Any], bool] | None:
        """The operation's own, else that of complex numbers."""
        found = super()._generator(n)
        if found is None and (n.dtype.is_complex or any(s.dtype.is_complex for s in n.srcs)):
            return complexes.lower
        return found

    def generate(self, lower: Callable[[Any, Any], bool], node: Any) -> bool:
        """Lower an operation by its generator, unless a dispatch would bind more than the adapter allows: few divide their work."""
        limit = self.lowering.caps.max_binding
        return lower(self.lowering, node) and all((b.size or 0) <= limit for call in self.lowering.calls for b in call.operands)

    def loop(self, k: LoopKernel, views: Sequence[View], label: str) -> None:
        loops.lower(self.lowering, k, views, label)

    def move(self, pairs: Sequence[tuple[View, View]], label: str) -> None:
        for source, target in pairs:
            if source.dtype.is_complex:
                copy(self.lowering, source, target, label)
                continue
            operands = (Operand(source.dtype, source.strides), Operand(target.dtype, target.strides))
            k = LoopKernel(target.shape, len(target.shape), operands, (Load(0, source.dtype),), ((1, 0),))
            loops.lower(self.lowering, k, (source, target), label)

    def epilogue(self, k: LoopKernel, views: Sequence[View], at: int, columns: int) -> dict[str, Any] | None:
        made = loops.epilogue(self.lowering, k, views, at, columns)
        return None if made is None else {"epilogue": made}

    def _result(self, r: Node) -> Any:
        """A result is all of its memory, in any order: what is a part of something, or has gaps, is copied."""
        found = super()._result(r)
        if not isinstance(found, View) or 0 in found.shape:
            return found
        whole = self.outputs.get(found.slot)
        if whole is None and found.slot < len(self.b.arguments):
            n = self.b.arguments[found.slot]
            whole = n.numel * self.itemsize(n) if is_dense(tuple(n.shape), self.b.argument_strides[found.slot]) else -1
        if found.offset == 0 and whole == max(r.numel * found.itemsize, 1) and is_dense(found.shape, found.strides):
            return found
        shape = tuple(r.shape)
        target = View(
            self._new_slot(r.numel * found.itemsize),
            shape,
            tuple(r.strides) if is_dense(shape, r.strides) else contiguous(shape),
            0,
            r.dtype,
        )
        self.outputs[target.slot] = r.numel * found.itemsize
        self.move([(found, target)], "result")
        self._take_calls((r,))
        return target

    def taken(self, nodes: Sequence[Node]) -> None:
        """Dispatches run in order: nothing waits for anything."""
