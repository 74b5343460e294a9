"""Operations that hand-written generators lower, the same on every compiled backend: where values lie, what a generator is told of its
operation, and the registry of generators. What a generator emits (calls of native functions, dispatches of shaders) is the backend's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ..dtypes import dtype

Shape = tuple[int, ...]


@dataclass(unsafe_hash=True)
class View:
    """Where a value lies: a slot of the plan and the geometry of its elements there (strides and offset in elements).

    Values of float16 and bfloat16 lie in memory as float32, rounded; booleans as bytes 0 and 1, if the backend does not say otherwise.
    """

    slot: int
    shape: Shape
    strides: Shape
    offset: int
    dtype: dtype

    @property
    def itemsize(self) -> int:
        return self.dtype.compute.itemsize

    @property
    def contiguous(self) -> bool:
        """Row-major without gaps."""
        expected = 1
        for n, s in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if n != 1 and s != expected:
                return False
            expected *= n
        return True

    @property
    def place(self) -> tuple[int, int]:
        """(slot, byte offset): the view as an operand of a call."""
        return self.slot, self.offset * self.itemsize


class Library:
    """The generators of a backend.

    ``generators``  op name -> function(lowering, node) -> whether it lowered the node; if not (element type, attribute), the reference
                    computes it
    ``epilogues``   names of the operations whose generators honour `LibraryNode.epilogue`;  ``columns`` which dimension of the result is
                    the columns of the matrix that their epilogues see, if it is not the last one
    ``selectors``   operations that give one part of a larger result, all parts of which cost little more than one (the gradients for each
                    operand): name -> position of the attribute that selects the part. Their generators honour `LibraryNode.siblings`
    ``layouts``     op name -> function(attrs, operand shapes) -> the order of the result's dimensions in memory, outermost first, that
                    its generator writes fastest; the planner stores the result so, and elementwise values after it
    """

    def __init__(self) -> None:
        self.generators: dict[str, Callable[[Any, Any], bool]] = {}
        self.epilogues: set[str] = set()
        self.columns: dict[str, int] = {}
        self.selectors: dict[str, int] = {}
        self.layouts: dict[str, Callable[[tuple[Any, ...], tuple[Shape, ...]], tuple[int, ...] | None]] = {}

    def register(self, *names: str, epilogue: bool = False, columns: int = -1, selector: int | None = None) -> Callable[[Any], Any]:
        """Register a generator for operations (a decorator)."""

        def decorate(fn: Any) -> Any:
            for name in names:
                self.generators[name] = fn
                if epilogue:
                    self.epilogues.add(name)
                    self.columns[name] = columns
                if selector is not None:
                    self.selectors[name] = selector
            return fn

        return decorate


@dataclass
class LibraryNode:
    """An operation that a hand-written generator lowers: what it is and where its operands and its result lie.

    ``epilogue``  a pointwise kernel that follows the operation, in the backend's form (see its ``calls``)
    ``siblings``  for an operation among the library's `selectors`: the nodes with equal operands and attributes but for the selecting one,
                  computed with this one; pairs (their selecting attribute, where their result lies). The planner may group nodes so or
                  not; a grouped node runs where the first of them stands, and its epilogue, if any, is None
    """

    op: str
    attrs: tuple[Any, ...]
    operands: tuple[View, ...]
    result: View
    epilogue: Any = None
    #: slots that the epilogue reads and writes (besides the result)
    epilogue_reads: tuple[int, ...] = ()
    epilogue_writes: tuple[int, ...] = ()
    siblings: tuple[tuple[Any, View], ...] = ()
    #: the library that the operation's generator is in
    library: ClassVar[Library]

    @property
    def results(self) -> dict[Any, View]:
        """Where each part of the result of an operation among the selectors lies, by its selecting attribute."""
        return {self.attrs[self.library.selectors[self.op]]: self.result, **dict(self.siblings)}
