"""What is done to each piece of a convolution's result while it is in the cache, as a part of a call."""

from __future__ import annotations

from dataclasses import dataclass

from ..calls import Block, LibraryNode, View
from ..gemm import finish_block


@dataclass(frozen=True)
class Finish:
    """Rounding to the result's type and the epilogue: a word of the call, and the slots that the epilogue reads and writes."""

    word: Block | int = 0
    _reads: tuple[int, ...] = ()
    _writes: tuple[int, ...] = ()

    def reads(self, *views: View | None) -> tuple[int, ...]:
        """The slots of a call that reads these."""
        return tuple(dict.fromkeys((*[v.slot for v in views if v is not None], *self._reads)))

    def writes(self, *views: View) -> tuple[int, ...]:
        """The slots of a call that writes these."""
        return tuple(dict.fromkeys((*[v.slot for v in views], *self._writes)))


def finish_of(node: LibraryNode) -> Finish:
    """What follows a node's result. Epilogues count its pixels as rows and its channels as columns."""
    return Finish(finish_block(node), node.epilogue_reads, node.epilogue_writes)
