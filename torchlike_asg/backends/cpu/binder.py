"""Arguments: from a Python list of arrays to a pointer table, without asking each array in Python (0.6 microseconds apiece).

Native code reads the list, the arrays' structures and their reference counts where CPython and NumPy keep them. That is safe because it
runs with the interpreter's lock held and borrows everything from a list that the caller holds: nothing can change or go away meanwhile. The
structures' layouts are checked against what Python says when the first binder is made; on other interpreters, or if that check fails,
Python does the same work.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .blocks import aligned
from .cache import compile_sources
from .calls import Source
from .emit import Function, Module
from .program import PointerTable
from .values import Value

#: bytes from the start of an object to its fields, in CPython and NumPy on 64-bit machines
REFERENCES, TYPE, SIZE, ITEMS = 0, 8, 16, 24
DATA, DIMENSIONS, SHAPE, STRIDES, BASE, DTYPE, FLAGS = 16, 24, 32, 40, 48, 56, 64
ALIGNED, WRITEABLE = 0x100, 0x400
#: words of a binder's memory: number of arguments; the types list, tuple and ndarray; (result) arguments that may not be overwritten
COUNT, LIST, TUPLE, NDARRAY, REFUSED = range(5)
#: and for each argument: entry of the pointer table, dtype, dimensions, address of its (size, stride) pairs; references that an argument
#: to be overwritten may have, or 0
RECORDS, RECORD = 8, 8
ENTRY, RECORD_DTYPE, RECORD_DIMENSIONS, PAIRS, LIMIT = range(5)
#: instead of a stride that does not matter
ANY = -(2**63)
FITS, WRONG_LENGTH = -1, -2


@dataclass(frozen=True)
class Argument:
    """What an argument must look like: strides in bytes, where there is more than one element along a dimension."""

    slot: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]

    def pairs(self) -> list[int]:
        empty = 0 in self.shape
        return [x for n, s in zip(self.shape, self.strides, strict=True) for x in (n, ANY if n == 1 or empty else s)]


class Binder:
    """Puts the addresses of arrays into a pointer table.

    ``arguments``  what is expected, in the order of the list
    ``donated``    positions of arguments whose memory the program may take for results -> references that such an array has if nobody but
    the
                   caller's usual owners (the list included) knows it
    """

    def __init__(self, arguments: Sequence[Argument], table: PointerTable, donated: Mapping[int, int] | None = None) -> None:
        self._arguments, self._table, self._donated = list(arguments), table, dict(donated or {})
        pairs = [p for a in self._arguments for p in a.pairs()]
        start = RECORDS + RECORD * len(self._arguments)
        self._words = aligned(8 * (start + len(pairs))).view(np.int64)
        self._words.fill(0)
        self._words[:4] = len(self._arguments), id(list), id(tuple), id(np.ndarray)
        self._words[start:] = pairs
        at = int(self._words.ctypes.data) + 8 * start
        for i, a in enumerate(self._arguments):
            record = table.address + 8 * a.slot, id(np.dtype(a.dtype)), len(a.shape), at, self._donated.get(i, 0)
            self._words[RECORDS + RECORD * i : RECORDS + RECORD * i + len(record)] = record
            at += 16 * len(a.shape)
        self._address = int(self._words.ctypes.data)
        self._native = native_bind()

    def bind(self, values: list[Any] | tuple[Any, ...]) -> int:
        """Bind arrays; `FITS`, or the position of the first that is not an aligned ndarray of the expected dtype, shape and strides.

        Raises ValueError if there are more or fewer values than arguments.
        """
        native = self._native
        result = native(values, self._address) if native is not None else self.bind_slowly(values)
        if result == WRONG_LENGTH:
            raise ValueError(f"{len(values)} arguments instead of {len(self._arguments)}")
        return int(result)

    @property
    def refused(self) -> int:
        """Of the donated arguments last bound, how many must not be overwritten: others know them, or the memory under them, or they are
        read-only."""
        return int(self._words[REFUSED])

    def bind_slowly(self, values: Sequence[Any]) -> int:
        """`bind` in Python. It does not look at references: all donated arguments are refused."""
        if len(values) != len(self._arguments):
            return WRONG_LENGTH
        for i, (a, x) in enumerate(zip(self._arguments, values, strict=True)):
            if type(x) is not np.ndarray or not _fits(x, a):
                return i
            self._table.words[a.slot] = x.ctypes.data
        self._words[REFUSED] = len(self._donated)
        return FITS


def _fits(x: np.ndarray[Any, Any], a: Argument) -> bool:
    strides = zip(x.shape, x.strides, a.strides, strict=True)
    return (
        x.dtype is np.dtype(a.dtype)
        and x.shape == a.shape
        and x.flags.aligned
        and (x.size == 0 or all(n == 1 or s == t for n, s, t in strides))
    )


def _write_bind(module: Module, name: str) -> None:
    """``bind(list or tuple, binder's words) -> position, FITS or WRONG_LENGTH``"""
    f = module.function(name, [("ptr", "values"), ("ptr", "words")], "i64")
    values, words = f.params

    def field(p: Value, offset: int, type_: str = "i64") -> Value:
        return f.load(type_, f.gep(p, offset, "i8"))

    count, array_type = field(words, 8 * COUNT), field(words, 8 * NDARRAY)
    result, i, refused = f.variable(FITS, "i64"), f.variable(0, "i64"), f.variable(0, "i64")
    items = f.variable(f.gep(values, ITEMS, "i8"))
    type_ = field(values, TYPE)
    with f.when(f.compare("eq", type_, field(words, 8 * LIST))):
        items.set(f.load("ptr", items.get()))
    sequence = f.compare("eq", type_, field(words, 8 * LIST)) | f.compare("eq", type_, field(words, 8 * TUPLE))

    def each(record: Value, x: Value) -> None:
        def fill() -> None:
            f.store(field(x, DATA), field(record, 8 * ENTRY, "ptr"))
            limit = field(record, 8 * LIMIT)
            with f.when(f.compare("ne", limit, 0)):
                refused.set(refused.get() + 1)
                writeable = f.compare("ne", field(x, FLAGS, "i32") & WRITEABLE, 0)
                with f.when(writeable & (field(x, REFERENCES) <= limit)):
                    refused.set(refused.get() - _owned(f, x, field, array_type))

        f.branch(_matches(f, x, record, field), fill, lambda: result.set(i.get()))

    def all_() -> None:
        with f.loop_while(lambda: (i.get() < count) & f.compare("eq", result.get(), FITS)):
            record = f.gep(words, i.get() * RECORD + RECORDS, "i64")
            x = f.load("ptr", f.gep(items.get(), i.get(), "i64"))
            is_array = f.compare("eq", field(x, TYPE), array_type)
            f.branch(is_array, functools.partial(each, record, x), lambda: result.set(i.get()))
            i.set(i.get() + 1)
        f.store(refused.get(), f.gep(words, REFUSED, "i64"))

    f.branch(sequence & f.compare("eq", field(values, SIZE), count), all_, lambda: result.set(WRONG_LENGTH))
    f.ret_value(result.get())


def _matches(f: Function, x: Value, record: Value, field: Any) -> Value:
    """Whether an array has the record's dtype, shape, strides and alignment."""
    rank = field(record, 8 * RECORD_DIMENSIONS)
    same = f.compare("eq", field(x, DTYPE), field(record, 8 * RECORD_DTYPE)) & f.compare("ne", field(x, FLAGS, "i32") & ALIGNED, 0)
    same = same & f.compare("eq", f.convert("sext", field(x, DIMENSIONS, "i32"), "i64"), rank)
    fits = f.variable(same)
    pairs, shape, strides = field(record, 8 * PAIRS, "ptr"), field(x, SHAPE, "ptr"), field(x, STRIDES, "ptr")
    with f.when(same), f.loop(0, rank) as d:
        stride = f.load("i64", f.gep(pairs, d * 2 + 1, "i64"))
        along = f.compare("eq", stride, ANY) | f.compare("eq", stride, f.load("i64", f.gep(strides, d, "i64")))
        size = f.compare("eq", f.load("i64", f.gep(pairs, d * 2, "i64")), f.load("i64", f.gep(shape, d, "i64")))
        fits.set(fits.get() & along & size)
    return fits.get()


def _owned(f: Function, x: Value, field: Any, array_type: Value) -> Value:
    """1 if the array has no base, or a plain array, not itself a view, that only it refers to; else 0."""
    base = field(x, BASE, "ptr")
    null = Value(f, "null", "ptr")
    owned = f.variable(1, "i64")
    with f.when(f.compare("ne", base, null)):
        owned.set(0)
        with f.when(f.compare("eq", field(base, TYPE), array_type)):
            alone = f.compare("eq", field(base, BASE, "ptr"), null) & f.compare("eq", field(base, REFERENCES), 1)
            owned.set(f.convert("zext", alone, "i64"))
    return owned.get()


BIND = Source(("runtime_bind",), _write_bind)


@functools.cache
def native_bind() -> Any:
    """The native function, or None where the structures are not known to be laid out as it expects."""
    if not layouts_are_known():
        return None
    address = compile_sources([BIND])[BIND.symbol]
    return ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.py_object, ctypes.c_void_p)(address)


def layouts_are_known() -> bool:
    """Whether lists, tuples and arrays look in memory as native code expects. Reads only memory that belongs to live objects."""
    if sys.implementation.name != "cpython" or sys.maxsize < 2**63 - 1 or sys.byteorder != "little":
        return False
    if "free-threading" in sys.version or np.ndarray.__basicsize__ < FLAGS + 8:
        return False
    whole = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    arrays = [whole, whole[::-1, 1:, ::2], np.full((), 3.0), np.zeros(0, np.uint8)]
    arrays[2].flags.writeable = False
    items = (*arrays, None)
    return _sequence(items, id(items) + ITEMS, items) and _list(list(items)) and all(map(_array, arrays))


def _word(p: int, type_: Any = ctypes.c_int64) -> int:
    return int(type_.from_address(p).value)


def _list(x: list[Any]) -> bool:
    return _sequence(x, _word(id(x) + ITEMS), x)


def _sequence(x: Any, items: int, expected: Sequence[Any]) -> bool:
    if _word(id(x) + TYPE) != id(type(x)) or _word(id(x) + SIZE) != len(x):
        return False
    return [_word(items + 8 * i) for i in range(len(x))] == [id(e) for e in expected]


def _array(x: np.ndarray[Any, Any]) -> bool:
    p = id(x)
    flags = _word(p + FLAGS, ctypes.c_int32)
    if _word(p + REFERENCES) != sys.getrefcount(x) - 1 or _word(p + TYPE) != id(np.ndarray) or _word(p + DATA) != x.ctypes.data:
        return False
    if _word(p + DIMENSIONS, ctypes.c_int32) != x.ndim or _word(p + DTYPE) != id(x.dtype):
        return False
    if _word(p + BASE) != (0 if x.base is None else id(x.base)):
        return False
    if bool(flags & ALIGNED) != x.flags.aligned or bool(flags & WRITEABLE) != x.flags.writeable:
        return False
    shape, strides = _word(p + SHAPE), _word(p + STRIDES)
    return all(_word(shape + 8 * d) == x.shape[d] and _word(strides + 8 * d) == x.strides[d] for d in range(x.ndim))
