"""Launches: how a compiled function meets its memory and its share of the work.

Every kernel has one signature, ``void kernel(ptr args, i64 lo, i64 hi, ptr scratch)``, and does units ``lo`` to ``hi`` of its work, on
one thread; the runtime hands out the units. ``args`` is a block of 8-byte words: first, for each operand, the address of its entry in the
plan's pointer table and a byte offset (two words); then the call's own words: sizes, strides, numbers, addresses of other functions or
blocks. All sizes and strides are run-time words, so that equal code serves every shape; what does change the code belongs into the
source's key.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from .. import library as library_
from ..library import Library, Shape, View
from . import isa
from .emit import Function, Module
from .values import Value

__all__ = [
    "CPU_LIBRARY", "EPILOGUE", "EPILOGUES", "LAYOUTS", "LIBRARY", "SCRATCH_HEADER", "SELECTORS", "SIGNATURE", "Block", "Call", "Kernel",
    "LibraryNode", "Lowering", "Shape", "Source", "View", "library",
]  # fmt: skip

SIGNATURE = [("ptr", "args"), ("i64", "lo"), ("i64", "hi"), ("ptr", "scratch")]
EPILOGUE = [("ptr", "args"), ("i64", "row_lo"), ("i64", "row_hi"), ("i64", "column_lo"), ("i64", "column_hi")]
#: bytes before a thread's scratch memory that the runtime keeps for itself; the first word is the thread's error flag
SCRATCH_HEADER = 64


@dataclass(frozen=True)
class Source:
    """Code to be compiled: `key` determines the text that ``write(module, name)`` adds to a module of its own, where the entry point must
    have that name. Keys hold only values with a stable repr (strings, numbers, tuples), since they also name entries of the disk cache.
    ``plain``: few of LLVM's passes do anything for it (`jit.PLAIN`).
    """

    key: tuple[Hashable, ...]
    write: Callable[[Module, str], None] = field(compare=False, repr=False)
    plain: bool = field(default=False, compare=False, repr=False)

    @functools.cached_property
    def symbol(self) -> str:
        """The entry point's name: readable, and different for different keys."""
        return f"{self.key[0]}_{hashlib.blake2b(repr(self.key).encode(), digest_size=8).hexdigest()}"


@dataclass(frozen=True)
class Block:
    """An argument block of its own, for a function that a kernel calls (an epilogue)."""

    operands: tuple[tuple[int, int], ...]
    words: tuple[Any, ...] = ()


@dataclass
class Call:
    """One launch.

    ``operands``       (slot, byte offset) pairs
    ``words``          ints, floats (as float64 bits), `Source` (becomes the function's address) or `Block` (its address)
    ``reads, writes``  the slots it reads and writes, also through blocks
    ``units``          how many independent units of work there are;  ``cost`` estimated nanoseconds of all of them on one core
    ``scratch``        bytes of memory each thread needs to itself
    ``label``          for people; ``flops``, ``bytes`` for the profiler
    """

    source: Source
    operands: tuple[tuple[int, int], ...]
    words: tuple[Any, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    units: int = 1
    cost: float = 1000.0
    scratch: int = 0
    label: str = ""
    flops: int = 0
    bytes: int = 0

    def moved(self, operands: tuple[tuple[int, int], ...], reads: tuple[int, ...], writes: tuple[int, ...]) -> Call:
        """The same launch on other memory."""
        return Call(
            self.source, operands, self.words, reads, writes, self.units, self.cost, self.scratch, self.label, self.flops, self.bytes
        )


class Kernel:
    """Writes the entry function of a source: typed access to the argument block."""

    def __init__(self, module: Module, name: str, operands: int, params: Sequence[tuple[str, str]] = SIGNATURE) -> None:
        self.f: Function = module.function(name, params)
        self.module, self._operands = module, operands
        self.args = self.f.params[0]
        #: the parameters after ``args``: for a call (lo, hi, scratch)
        self.rest = self.f.params[1:]

    def operand(self, k: int) -> Value:
        """The address of an operand's first element."""
        f = self.f
        entry = f.load("ptr", f.gep(self.args, 2 * k, "i64"))
        return f.gep(f.load("ptr", entry), f.load("i64", f.gep(self.args, 2 * k + 1, "i64")), "i8")

    def word(self, k: int, type_: str = "i64") -> Value:
        """A word after the operands: an i64, a ptr (of a function or a block), or a double."""
        return self.f.load(type_, self.word_address(k), 8)

    def word_address(self, k: int) -> Value:
        """Where that word lies: for tables of words that are indexed at run time."""
        return self.f.gep(self.args, 2 * self._operands + k, "i64")

    def fail(self) -> None:
        """Tell the runtime that the data are not acceptable (an index out of range): it stops, and the reference raises the right error."""
        f = self.f
        f.store(f.value(1, "i64"), f.gep(self.rest[2], -SCRATCH_HEADER, "i8"))


#: the generators of this backend (see `Library`); an epilogue is applied to each piece of the result while that is in the cache
CPU_LIBRARY = Library()
LIBRARY, EPILOGUES = CPU_LIBRARY.generators, CPU_LIBRARY.epilogues
SELECTORS, LAYOUTS = CPU_LIBRARY.selectors, CPU_LIBRARY.layouts
library = CPU_LIBRARY.register


class LibraryNode(library_.LibraryNode):
    """An operation for a generator of this backend.

    ``epilogue``  a pointwise kernel over the result, seen as a matrix whose columns are the last dimension, or that of `Library.columns`,
                  and whose rows are all others in their order: its source, with the signature `EPILOGUE`, and its argument block. The
                  result lies like that in memory, without gaps. The epilogue reads it from there, so the generator calls it on each
                  piece of the result after that piece was written, while it is in the cache
    """

    library = CPU_LIBRARY
    epilogue: tuple[Source, Block] | None


class Lowering:
    """What a generator sees of the plan being built: it asks for temporaries and adds calls."""

    def __init__(self, first_slot: int, threads: int = 1) -> None:
        self.threads = threads
        self.isa = isa.host()
        self.calls: list[Call] = []
        self.temporaries: dict[int, int] = {}  # slot -> bytes
        self._next = first_slot

    def slot(self) -> int:
        """The number of a new slot."""
        self._next += 1
        return self._next - 1

    def temporary(self, nbytes: int) -> int:
        """A slot with that many bytes of memory, 64-byte aligned, uninitialised, kept from the first to the last call that names it."""
        slot = self.slot()
        self.temporaries[slot] = nbytes
        return slot

    def add(self, call: Call) -> None:
        """The next call. Calls run in order where they depend on each other by the slots they read and write, else side by side."""
        self.calls.append(call)
