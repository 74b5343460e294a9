"""Lowering the units of a build to calls of native functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...asg.node import Node
from ...compiler.kernel import LoopKernel
from ..assemble import Assembly
from ..build import Build, may_refuse
from ..library import View
from . import loops
from .calls import LibraryNode, Lowering
from .copies import copy_call
from .halves import lower_in_single
from .together import together


class CpuAssembly(Assembly):
    """The program of a build as `Call` and `Fallback`."""

    node_type = LibraryNode
    lowering: Lowering

    def __init__(self, b: Build, threads: int) -> None:
        lowering = Lowering(len(b.arguments), threads)
        #: a slot without memory, which stands for the refusals of calls: it is written by those that may refuse their data
        self._refusals = lowering.slot()
        super().__init__(b, lowering)

    def loop(self, k: LoopKernel, views: Sequence[View], label: str) -> None:
        loops.lower(self.lowering, k, views, label)

    def move(self, pairs: Sequence[tuple[View, View]], label: str) -> None:
        """In one launch."""
        calls = [copy_call(self.lowering.isa, source, target) for source, target in pairs]
        made = [c for c in calls if c is not None]
        assert len(made) == len(calls), "values have fewer dimensions than copies can take"
        self.lowering.add(together(made, label))

    def epilogue(self, k: LoopKernel, views: Sequence[View], at: int, columns: int) -> dict[str, Any] | None:
        made = loops.epilogue(k, views, at, columns)
        if made is None:
            return None
        source, block, reads, writes = made
        return {"epilogue": (source, block), "epilogue_reads": tuple(reads), "epilogue_writes": tuple(writes)}

    def generate(self, lower: Callable[[Any, Any], bool], node: LibraryNode) -> bool:
        if lower(self.lowering, node):
            return True
        self.lowering.calls.clear()
        return lower_in_single(self.lowering, lower, node)

    def taken(self, nodes: Sequence[Node]) -> None:
        """What is written over a storage's old value waits for all calls that may refuse their data: after a refusal, everything must
        still be as it was.
        """
        if any(map(may_refuse, nodes)):
            for call in self.lowering.calls:
                call.writes = (*call.writes, self._refusals)
        for call in self.lowering.calls:
            if not self.overwritten.isdisjoint(call.writes):
                call.reads = (*call.reads, self._refusals)
