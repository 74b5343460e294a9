"""Dispatches: how a compute shader meets its memory, its numbers and its share of the work.

A shader is a text of WGSL, one entry point ``main``. Its operands are storage buffers ``@group(0) @binding(0..n-1)``, all declared
``read_write`` (a buffer that is bound both ``read`` and ``read_write`` in one dispatch fails validation, also on disjoint ranges, and
operands share pages). Its words (sizes, strides, offsets, numbers) are a uniform ``@binding(n)``, written once, when the plan is linked.
`declarations` writes both. What changes the code belongs into the source's key; words may differ between dispatches of one source.

Elements take 4 bytes: all floating-point types are ``f32`` (bfloat16 rounded), all integers ``i32`` (int64 too: values are checked when
they are uploaded), booleans ``u32`` 0 and 1. complex64 is ``vec2<f32>``. float16 takes 2 bytes where shaders can have it so: texts are
written for f32 all the same, see half.py.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ...dtypes import dtype
from .. import library as library_
from ..library import Library, Shape
from .checks import SIZE as CHECK_BYTES
from .half import halved, narrowed
from .source import declarations, flat_index, word

__all__ = [
    "EPILOGUES", "LAYOUTS", "LIBRARY", "SELECTORS", "WGPU_LIBRARY", "Binding", "Capabilities", "Dispatch", "Epilogue", "LibraryNode",
    "Lowering", "Shape", "Source", "View", "bind_all", "declarations", "element", "extent", "flat_index", "grid", "library", "word",
]  # fmt: skip

#: bindings begin at multiples of that many bytes, whatever the adapter (its own limit is 32 to 256)
ALIGNMENT = 256
#: bytes that a value without elements is bound with: those of the largest element that a shader takes it to have
_NOTHING = 16
#: workgroups along one dimension of a dispatch
MOST_GROUPS = 65535


def extent(nbytes: int) -> int:
    """Bytes that a value of `nbytes` is bound with: a whole word at least."""
    return max(nbytes, 4) if nbytes else _NOTHING


def element(d: dtype) -> str:
    """How a value of a type lies in memory, as a type of WGSL (float16 as shaders are written for it)."""
    if d.is_floating_point:
        return "f32"
    if d.is_complex:
        return "vec2<f32>"
    return "u32" if d.name == "bool" else "i32"


class Binding(NamedTuple):
    """A range of a slot's memory as an operand: ``offset`` in bytes, a multiple of `ALIGNMENT`; ``size`` in bytes (None: all the rest), a
    multiple of 4; ``half``: its elements are f16."""

    slot: int
    offset: int = 0
    size: int | None = None
    half: bool = False


class View(library_.View):
    """Where a value lies, see `library.View`; every element takes 4 bytes (complex64: 8, float16 perhaps 2)."""

    @property
    def itemsize(self) -> int:
        return 8 if self.dtype.is_complex else 2 if halved(self.dtype) else 4

    def bind(self) -> tuple[Binding, int]:
        """(the range of memory that the view's elements lie in, the element index of its first element in that range)"""
        if 0 in self.shape:
            return Binding(self.slot, 0, None, halved(self.dtype)), self.offset
        steps = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
        first = self.offset + sum(s for s in steps if s < 0)
        last = self.offset + sum(s for s in steps if s > 0)
        begin = first * self.itemsize // ALIGNMENT * ALIGNMENT
        size = -(-(last + 1) * self.itemsize // 4) * 4 - begin
        return Binding(self.slot, begin, size, halved(self.dtype)), self.offset - begin // self.itemsize


@dataclass(frozen=True)
class Source:
    """A shader: `key` determines the text that ``write()`` gives. Keys hold only values with a stable repr (strings, numbers, tuples).

    ``trusted``   every index is in range and every loop ends, whatever the words: the driver need not check
    ``features``  features of the adapter that the text needs (``enable`` directives are the text's own)
    """

    key: tuple[Hashable, ...]
    write: Callable[[], str] = field(compare=False, repr=False)
    trusted: bool = False
    features: frozenset[str] = frozenset()

    @functools.cached_property
    def symbol(self) -> str:
        """A readable name, different for different keys."""
        return f"{self.key[0]}_{hashlib.blake2b(repr(self.key).encode(), digest_size=8).hexdigest()}"

    @functools.cached_property
    def text(self) -> str:
        return self.write()


def grid(groups: int) -> tuple[int, int, int]:
    """That many workgroups (or a few more: kernels must check) over two dimensions where one is too short, see `flat_index`."""
    rows = -(-groups // MOST_GROUPS)
    return -(-groups // rows) if rows else 0, rows, 1


@dataclass
class Dispatch:
    """One launch.

    ``operands``  what is bound, in the order of the bindings
    ``words``     ints and floats (as float32 bits)
    ``groups``    workgroups: a number, spread over a grid by `grid`, or (x, y, z), each up to 65,535
    ``writes``    the slots it writes; it may read all that it binds
    ``label``     for people; ``flops``, ``bytes`` for the profiler
    ``work``      operations on elements, of a kernel that can be a stage of a chain (see chaining.py), else 0. Such a kernel works with any
                  number of workgroups beyond its own, and its barriers are met by all invocations, whatever the number of their workgroup
    ``form``      of a loop kernel that can be one of several in a dispatch (see loops/joined.py): its form
    """

    source: Source
    operands: tuple[Binding, ...]
    words: tuple[int | float, ...] = ()
    groups: int | tuple[int, int, int] = 1
    writes: tuple[int, ...] = ()
    label: str = ""
    flops: int = 0
    bytes: int = 0
    work: int = 0
    form: Any = field(default=None, repr=False)

    @property
    def grid(self) -> tuple[int, int, int]:
        return grid(self.groups) if isinstance(self.groups, int) else self.groups

    @property
    def packed(self) -> bytes:
        """The words as the uniform's content."""
        raw = b"".join(struct.pack("<f", w) if isinstance(w, float) else struct.pack("<I", w & 0xFFFFFFFF) for w in self.words)
        return raw + b"\0" * (-len(raw) % 16)


@dataclass(frozen=True)
class Capabilities:
    """What an adapter offers. ``limits`` by WebGPU's names, as its device was asked for them (all the adapter has)."""

    name: str
    features: frozenset[str] = frozenset()
    limits: Mapping[str, int] = field(default_factory=dict, hash=False, compare=False)
    #: how many neighbouring invocations form a subgroup; 0: that is not known (see trials.py)
    subgroup: int = 0
    software: bool = False

    @property
    def max_binding(self) -> int:
        """Bytes that one operand may have."""
        return self.limits.get("max-storage-buffer-binding-size", 128 << 20)

    @property
    def max_operands(self) -> int:
        return self.limits.get("max-storage-buffers-per-shader-stage", 8)

    @property
    def shared_memory(self) -> int:
        """Bytes of ``var<workgroup>``."""
        return self.limits.get("max-compute-workgroup-storage-size", 16384)

    @property
    def max_invocations(self) -> int:
        """Invocations in a workgroup."""
        return self.limits.get("max-compute-invocations-per-workgroup", 256)


@dataclass(frozen=True)
class Epilogue:
    """A pointwise kernel that takes the place of the store of an operation's result.

    The generator binds ``bindings`` after its own operands (declaring them with it: ``declarations([*own, *epilogue.types], ...)``) and
    puts ``words`` after its own words, inserts the text of ``write(number of its own operands, number of its own words)``, and instead of
    storing an element calls ``epilogue(row, column, value)`` with two u32 and an f32 (if `vector`, with a vec4<f32> of four neighbouring
    columns): the element's place in the result as a matrix, of `Library.columns` and of all other dimensions in their order. It adds
    ``writes`` to the dispatch's, and `key` to the source's key.
    """

    key: tuple[Hashable, ...]
    bindings: tuple[Binding, ...]
    words: tuple[int | float, ...]
    write: Callable[[int, int], str] = field(compare=False, repr=False)
    #: element types of the bindings, for `declarations`
    types: tuple[str, ...] = ()
    writes: tuple[int, ...] = ()
    vector: bool = False
    #: it has much to compute: exponentials and their like
    long: bool = False


#: the generators of this backend (see `Library`)
WGPU_LIBRARY = Library()
LIBRARY, EPILOGUES = WGPU_LIBRARY.generators, WGPU_LIBRARY.epilogues
SELECTORS, LAYOUTS = WGPU_LIBRARY.selectors, WGPU_LIBRARY.layouts
library = WGPU_LIBRARY.register


class LibraryNode(library_.LibraryNode):
    """An operation for a generator of this backend; with an `Epilogue`, its own result is not stored, unless the epilogue does so."""

    library = WGPU_LIBRARY
    operands: tuple[View, ...]  # type: ignore[assignment]
    result: View  # type: ignore[assignment]
    epilogue: Epilogue | None


class Lowering:
    """What a generator sees of the plan being built: it asks for temporaries and adds dispatches."""

    def __init__(self, first_slot: int, caps: Capabilities) -> None:
        self.caps = caps
        self.calls: list[Dispatch] = []
        self.temporaries: dict[int, int] = {}  # slot -> bytes
        #: slots of 0-d int64 arguments that lie in memory whole, as two words (lower first): seeds and counters
        self.wide: set[int] = set()
        #: the slot of the device's flags, if a kernel checks data; which operation and line is being lowered (see checks.py)
        self.flags: int | None = None
        self.where = ""
        #: what generators leave for those of later operations in the plan: values in memory, whose slots live as long as they are bound
        self.kept: dict[Hashable, Any] = {}
        self._next = first_slot

    def slot(self) -> int:
        """The number of a new slot."""
        self._next += 1
        return self._next - 1

    def checked(self) -> Binding:
        """The device's flags as an operand, which a kernel that checks data binds last: two words (see checks.py)."""
        if self.flags is None:
            self.flags = self.slot()
        return Binding(self.flags, 0, CHECK_BYTES)

    def temporary(self, nbytes: int) -> int:
        """A slot with that many bytes of memory, uninitialised, kept from the first to the last dispatch that binds it."""
        slot = self.slot()
        self.temporaries[slot] = nbytes
        return slot

    def add(self, call: Dispatch) -> None:
        """The next dispatch. Dispatches run in order: each sees everything that those before it wrote."""
        self.calls.append(narrowed(call))


def bind_all(views: Sequence[View]) -> tuple[tuple[Binding, ...], tuple[int, ...]]:
    """The bindings of some views, and the index of each view's first element in its binding."""
    pairs = [v.bind() for v in views]
    return tuple([b for b, _ in pairs]), tuple([o for _, o in pairs])
