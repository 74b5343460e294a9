"""Writes object structures as protocol 2 pickles, in the dialect PyTorch's readers understand.

Objects beyond the plain ones go through a `reduce` callback, then through their own ``__reduce_ex__``. The work list is
explicit, so the depth of nesting is bounded by memory alone.
"""

from __future__ import annotations

import copyreg
import pickle
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from types import FunctionType
from typing import Any

__all__ = ["GlobalName", "PersistentId", "PickleWriter", "Reduce"]


@dataclass(frozen=True, slots=True)
class GlobalName:
    """A reference to ``module.name``, written without looking it up."""

    module: str
    name: str


@dataclass(frozen=True, slots=True)
class PersistentId:
    """A reference to something stored outside the pickle, resolved by the reader from `content`."""

    content: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Reduce:
    """An object given as the call that rebuilds it, and what is put into the result afterwards.

    `new`: the call is ``function.__new__(function, *arguments)`` instead of ``function(*arguments)``.
    """

    function: Any
    arguments: tuple[Any, ...]
    state: Any = None
    items: Iterable[Any] | None = None
    pairs: Iterable[tuple[Any, Any]] | None = None
    new: bool = False


class PickleWriter:
    """``PickleWriter(reduce).dumps(obj)``: the pickle of `obj`.

    `reduce(x)` is asked about every object that is not plain data and returns what to write in its place (a Reduce, GlobalName or
    PersistentId), or None to fall back on the object's own ``__reduce_ex__``. These three may also stand in structures themselves.
    Raises pickle.PicklingError for what cannot be written.
    """

    def __init__(self, reduce: Callable[[Any], Any]) -> None:
        self._reduce = reduce
        self._out: list[bytes] = []
        self._memo: dict[int, int] = {}  # id(object) -> memo slot
        self._by_value: dict[Any, int] = {}  # strings and global names, equal ones are written once
        self._slots = 0
        self._alive: list[Any] = []  # ids in the memo must not be reused
        self._open: dict[int, int] = {}  # objects whose constructor arguments are being written
        self._work: list[Callable[[], None] | tuple[Any]] = []  # a 1-tuple holds an object to write, a callable is an action

    def dumps(self, obj: Any) -> bytes:
        """The pickle of `obj`. A writer is used once."""
        self._out.append(b"\x80\x02")
        work = self._work
        work.append((obj,))
        while work:
            step = work.pop()
            if isinstance(step, tuple):
                self._object(step[0])
            else:
                step()
        self._out.append(b".")
        return b"".join(self._out)

    # -- small pieces -----------------------------------------------------------------------------------------------

    def _later(self, *steps: Any) -> None:
        """Do `steps` in this order before anything already waiting: bytes are emitted, callables called, 1-tuples written."""
        for step in reversed(steps):
            self._work.append(partial(self._out.append, step) if type(step) is bytes else step)

    def _memoize(self, obj: Any) -> None:
        self._memo[id(obj)] = self._slot()
        self._alive.append(obj)

    def _slot(self) -> int:
        slot = self._slots
        self._slots = slot + 1
        self._out.append(b"q" + bytes((slot,)) if slot < 256 else b"r" + struct.pack("<I", slot))
        return slot

    def _get(self, slot: int) -> None:
        self._out.append(b"h" + bytes((slot,)) if slot < 256 else b"j" + struct.pack("<I", slot))

    # -- dispatch ---------------------------------------------------------------------------------------------------

    def _object(self, obj: Any) -> None:
        kind = type(obj)
        plain = _PLAIN.get(kind)
        if plain is not None:
            plain(self, obj)
            return
        slot = self._memo.get(id(obj))
        if slot is not None:
            self._get(slot)
            return
        container = _CONTAINERS.get(kind)
        if container is not None:
            container(self, obj)
            return
        reduced = obj if kind is Reduce or kind is PersistentId else self._reduce(obj)
        if reduced is None:
            reduced = self._own_reduction(obj)
        if isinstance(reduced, Reduce):
            self._reduction(obj, reduced)
        elif isinstance(reduced, PersistentId):
            self._later((reduced.content,), b"Q", lambda: self._memoize(obj))
            self._alive.append(reduced)
        else:
            self._global_name(reduced)

    def _none(self, obj: Any) -> None:
        self._out.append(b"N")

    def _bool(self, obj: bool) -> None:
        self._out.append(b"\x88" if obj else b"\x89")

    def _int(self, n: int) -> None:
        if 0 <= n < 256:
            self._out.append(b"K" + bytes((n,)))
        elif 0 <= n < 65536:
            self._out.append(b"M" + struct.pack("<H", n))
        elif -(2**31) <= n < 2**31:
            self._out.append(b"J" + struct.pack("<i", n))
        else:
            content = n.to_bytes(n.bit_length() // 8 + 1, "little", signed=True)
            self._out.append(b"\x8a" + bytes((len(content),)) if len(content) < 256 else b"\x8b" + struct.pack("<i", len(content)))
            self._out.append(content)

    def _float(self, x: float) -> None:
        self._out.append(b"G" + struct.pack(">d", x))

    def _str(self, text: str) -> None:
        slot = self._by_value.get(text)
        if slot is not None:
            self._get(slot)
            return
        content = text.encode("utf-8", "surrogatepass")
        if len(content) >= 2**32:
            raise pickle.PicklingError("a string of 4 GiB or more cannot be saved")
        self._out.append(b"X" + struct.pack("<I", len(content)))
        self._out.append(content)
        self._by_value[text] = self._slot()

    def _bytes(self, content: bytes) -> None:
        # Protocol 2 has no bytes: they travel as text that latin1 maps back byte by byte.
        self._reduction(content, Reduce(GlobalName("_codecs", "encode"), (str(content, "latin1"), "latin1")))

    def _global_name(self, name: GlobalName) -> None:
        slot = self._by_value.get(name)
        if slot is not None:
            self._get(slot)
            return
        for part in (name.module, name.name):
            if "\n" in part or not part.isascii():
                raise pickle.PicklingError(f"can't save a reference to {name.module}.{name.name}: the name must be ASCII")
        self._out.append(f"c{name.module}\n{name.name}\n".encode("ascii"))
        self._by_value[name] = self._slot()

    # -- containers -------------------------------------------------------------------------------------------------

    def _tuple(self, obj: tuple[Any, ...]) -> None:
        if not obj:
            self._out.append(b")")
            return
        self._alive.append(obj)
        short = len(obj) <= 3
        if not short:
            self._out.append(b"(")

        def close() -> None:
            slot = self._memo.get(id(obj))
            if slot is not None:  # the tuple contains itself, through a list: it was finished on the way down
                self._out.append(b"0" * len(obj) if short else b"1")
                self._get(slot)
                return
            self._out.append((b"\x85", b"\x86", b"\x87")[len(obj) - 1] if short else b"t")
            self._memoize(obj)

        self._later(*((x,) for x in obj), close)

    def _list(self, obj: list[Any]) -> None:
        self._out.append(b"]")
        self._memoize(obj)
        self._fill_list(obj)

    def _fill_list(self, items: Iterable[Any]) -> None:
        held = list(items)
        self._alive.append(held)
        if held:
            self._later(b"(", *((x,) for x in held), b"e")

    def _dict(self, obj: dict[Any, Any]) -> None:
        self._out.append(b"}")
        self._memoize(obj)
        self._fill_dict(obj.items())

    def _fill_dict(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        held = list(pairs)
        self._alive.append(held)
        if held:
            self._later(b"(", *((x,) for pair in held for x in pair), b"u")

    def _set(self, obj: set[Any] | frozenset[Any]) -> None:
        self._reduction(obj, Reduce(type(obj), (list(obj),)))

    # -- everything else --------------------------------------------------------------------------------------------

    def _reduction(self, obj: Any, r: Reduce) -> None:
        depth = self._open[id(obj)] = self._open.get(id(obj), 0) + 1
        if depth > 2:
            raise pickle.PicklingError(f"can't save {type(obj).__name__}: it is needed to construct itself")
        self._alive.append((obj, r))

        def built() -> None:
            self._open[id(obj)] -= 1
            self._memoize(obj)
            if r.state is not None:
                self._later((r.state,), b"b")
            if r.pairs is not None:
                self._fill_dict(r.pairs)
            if r.items is not None:
                self._fill_list(r.items)

        self._later((r.function,), (tuple(r.arguments),), b"\x81" if r.new else b"R", built)

    def _own_reduction(self, obj: Any) -> Reduce | GlobalName:
        if isinstance(obj, type | FunctionType):
            return global_name(obj)
        by_copyreg = copyreg.dispatch_table.get(type(obj))
        try:
            reduced = by_copyreg(obj) if by_copyreg is not None else obj.__reduce_ex__(2)
        except (TypeError, AttributeError, NotImplementedError) as error:
            raise pickle.PicklingError(f"can't save an object of type {type(obj).__module__}.{type(obj).__qualname__}: {error}") from error
        if isinstance(reduced, str):
            return global_name(obj, reduced)
        if not isinstance(reduced, tuple) or not 2 <= len(reduced) <= 6:
            raise pickle.PicklingError(f"__reduce_ex__ of {type(obj).__name__} must return a string or a tuple of 2 to 6 elements")
        function, arguments, state, items, pairs, setter = (*reduced, None, None, None, None)[:6]
        if setter is not None:
            raise pickle.PicklingError(f"can't save an object of type {type(obj).__name__}: it asks for a state setter")
        if getattr(function, "__name__", "") == "__newobj__":
            return Reduce(arguments[0], tuple(arguments[1:]), state, _held(items), _held(pairs), new=True)
        return Reduce(function, tuple(arguments), state, _held(items), _held(pairs))


def _held(items: Iterator[Any] | None) -> list[Any] | None:
    return None if items is None else list(items)


def global_name(obj: Any, name: str | None = None) -> GlobalName:
    """The name under which class or function `obj` can be imported again; raises pickle.PicklingError if there is none."""
    name = name or getattr(obj, "__qualname__", None) or obj.__name__
    module = pickle.whichmodule(obj, name)  # type: ignore[attr-defined]
    found: Any = sys.modules.get(module)
    try:
        for part in name.split("."):
            found = getattr(found, part)
    except AttributeError:
        raise pickle.PicklingError(f"Can't pickle {obj!r}: attribute lookup {name} on {module} failed") from None
    if found is not obj and getattr(found, "__wrapped__", None) is not obj:  # a function taken before a class was derived from Tensor
        raise pickle.PicklingError(f"Can't pickle {obj!r}: it's not the same object as {module}.{name}")
    return GlobalName(module, name)


_PLAIN: dict[type, Callable[[PickleWriter, Any], None]] = {
    type(None): PickleWriter._none,
    bool: PickleWriter._bool,
    int: PickleWriter._int,
    float: PickleWriter._float,
    str: PickleWriter._str,
    GlobalName: PickleWriter._global_name,
}
_CONTAINERS: dict[type, Callable[[PickleWriter, Any], None]] = {
    bytes: PickleWriter._bytes,
    tuple: PickleWriter._tuple,
    list: PickleWriter._list,
    dict: PickleWriter._dict,
    set: PickleWriter._set,
    frozenset: PickleWriter._set,
}
