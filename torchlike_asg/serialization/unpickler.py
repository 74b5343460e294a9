"""Reads pickles by interpreting their instructions, so that a file can only ask for what the caller put on a list.

A pickle is a program for a small stack machine; its dangerous instructions fetch any importable object by name, call it, and
hand state to it. Here names go through a `resolve` callback that returns Known objects, only Known objects can be called, and
only containers and what Known objects declare receive content. Nothing is imported, looked up or called otherwise.
"""

from __future__ import annotations

import struct
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import Unsupported
from .errors import CorruptFileError, RebuildError, UnsafeContentError

__all__ = ["Known", "Unpickler"]

#: How many nested elements, and levels, a dict key or set member may have. Hashing is recursive in C: without a bound a few
#: hundred bytes of pickle can overflow the stack or keep the processor busy for ever.
KEY_BUDGET = 100_000
KEY_DEPTH = 64

_MARK = object()


@dataclass(slots=True)
class Known:
    """An allowed global: what its name stands for, and what may be done with it.

    ``value``  what ends up in the result if the pickle stores the global itself (default: this object)
    ``call``   ``call(*arguments)`` for the call instruction;  ``new`` the same for ``cls.__new__(cls, *arguments)``
    ``build``  ``build(obj, state)`` gives state to an object that `call` or `new` made
    ``fill``   whether list items or dict pairs may be put into such an object
    """

    name: str
    value: Any = None
    call: Callable[..., Any] | None = None
    new: Callable[..., Any] | None = None
    build: Callable[[Any, Any], None] | None = None
    fill: bool = False

    def __post_init__(self) -> None:
        if self.value is None:
            self.value = self


class _Damaged(Exception):
    pass


class Unpickler:
    """``Unpickler(data, resolve, persistent, where).load(start)``: the object whose pickle starts there; it ends before ``.end``.

    `resolve(module, name)` returns a Known, any finished object (such as a dtype), or raises; `persistent(id)` resolves references to
    outside storages; `where` names the file in messages. Text of Python 2 files is decoded with `encoding` ("bytes" leaves it alone).
    Raises CorruptFileError for damaged data and UnsafeContentError for what is not allowed.
    """

    def __init__(
        self,
        data: bytes,
        resolve: Callable[[str, str], Any],
        persistent: Callable[[Any], Any],
        where: str,
        encoding: str = "utf-8",
    ) -> None:
        self.data, self.where, self.encoding = data, where, encoding
        self.resolve, self.persistent = resolve, persistent
        self.position = self.end = 0
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.known: dict[int, Known] = {}  # id(value) -> Known, for values that are not Known themselves
        self.makers: dict[int, tuple[Any, Known]] = {}  # id(object) -> (object, the Known that made it)

    def load(self, start: int = 0) -> Any:
        self.position = start
        self.stack.clear()
        self.memo.clear()
        try:
            while True:
                code = self.take(1)[0]
                if code == 0x2E:  # STOP
                    self.end = self.position
                    return self.pop()
                action = _INSTRUCTIONS.get(code)
                if action is None:
                    raise _Damaged(f"unknown or unsupported instruction {bytes((code,))!r}")
                action(self)
        except (CorruptFileError, UnsafeContentError, RebuildError, Unsupported):
            raise
        except (_Damaged, ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, struct.error) as error:
            raise CorruptFileError(
                f"{self.where} is damaged: {error or type(error).__name__} (byte {self.position} of its pickle)"
            ) from error

    # -- reading ----------------------------------------------------------------------------------------------------

    def take(self, count: int) -> bytes:
        found = self.data[self.position : self.position + count]
        if len(found) != count or count < 0:
            raise _Damaged("it ends in the middle of an instruction")
        self.position += count
        return found

    def line(self) -> bytes:
        stop = self.data.find(b"\n", self.position)
        if stop < 0:
            raise _Damaged("it ends in the middle of a line")
        found = self.data[self.position : stop]
        self.position = stop + 1
        return found

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    # -- stack ------------------------------------------------------------------------------------------------------

    def push(self, obj: Any) -> None:
        self.stack.append(obj)

    def pop(self) -> Any:
        if not self.stack:
            raise _Damaged("the stack is empty")
        obj = self.stack.pop()
        if obj is _MARK:
            raise _Damaged("unexpected mark")
        return obj

    def top(self) -> Any:
        obj = self.pop()
        self.stack.append(obj)
        return obj

    def to_mark(self) -> list[Any]:
        stack = self.stack
        for position in range(len(stack) - 1, -1, -1):
            if stack[position] is _MARK:
                found = stack[position + 1 :]
                del stack[position:]
                return found
        raise _Damaged("a mark is missing")

    # -- globals and calls ------------------------------------------------------------------------------------------

    def push_global(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise _Damaged("the name of a global is not text")
        found = self.resolve(module, name)
        if isinstance(found, Known):
            if found.value is not found:
                self.known[id(found.value)] = found
            found = found.value
        self.push(found)

    def callee(self, obj: Any) -> Known:
        known = obj if isinstance(obj, Known) else self.known.get(id(obj))
        if known is None:
            raise UnsafeContentError(f"{self.where} calls an object of type {type(obj).__name__}; only allowed globals can be called")
        return known

    def call(self, new: bool, keywords: dict[str, Any] | None = None) -> None:
        arguments = self.pop()
        known = self.callee(self.pop())
        if type(arguments) is not tuple:
            raise _Damaged("the arguments of a call are not a tuple")
        function = known.new if new else known.call
        if function is None:
            raise UnsafeContentError(f"{self.where} {'instantiates' if new else 'calls'} {known.name} in a way that is not allowed")
        made = function(*arguments, **(keywords or {}))
        if known.build is not None or known.fill:
            self.makers[id(made)] = (made, known)
        self.push(made)

    def build(self) -> None:
        state, obj = self.pop(), self.top()
        if type(obj) is OrderedDict:  # a state_dict carries its `_metadata` as an attribute
            if type(state) is not dict or not all(type(k) is str for k in state):
                raise _Damaged("the attributes of an OrderedDict are not a dict")
            obj.__dict__.update(state)
            return
        made, known = self.makers.get(id(obj), (None, None))
        if made is not obj or known is None or known.build is None:
            raise UnsafeContentError(f"{self.where} gives state to an object of type {type(obj).__name__}, which is not allowed")
        known.build(obj, state)

    # -- containers -------------------------------------------------------------------------------------------------

    def extend(self, items: list[Any]) -> None:
        target = self.top()
        if type(target) in (list, deque) or self.may_fill(target):
            target.extend(items)
        else:
            raise _Damaged(f"items are appended to an object of type {type(target).__name__}")

    def add(self, items: list[Any]) -> None:
        target = self.top()
        if type(target) is not set:
            raise _Damaged(f"members are added to an object of type {type(target).__name__}")
        for item in items:
            check_key(item)
        target.update(items)

    def assign(self, flat: list[Any]) -> None:
        target = self.top()
        if type(target) not in (dict, OrderedDict, Counter, defaultdict) and not self.may_fill(target):
            raise _Damaged(f"pairs are put into an object of type {type(target).__name__}")
        self.put_pairs(target, flat)

    def put_pairs(self, target: Any, flat: list[Any]) -> None:
        if len(flat) % 2:
            raise _Damaged("a key without a value")
        for key, value in zip(flat[::2], flat[1::2], strict=True):
            check_key(key)
            target[key] = value

    def may_fill(self, target: Any) -> bool:
        made, known = self.makers.get(id(target), (None, None))
        return made is target and known is not None and known.fill

    def pop_dict(self) -> None:
        made: dict[Any, Any] = {}
        self.put_pairs(made, self.to_mark())
        self.push(made)

    def pop_frozenset(self) -> None:
        items = self.to_mark()
        for item in items:
            check_key(item)
        self.push(frozenset(items))

    def recall(self, slot: int) -> None:
        if slot not in self.memo:
            raise _Damaged(f"nothing was remembered as number {slot}")
        self.push(self.memo[slot])

    # -- the rest ---------------------------------------------------------------------------------------------------

    def text_of_python_2(self, raw: bytes) -> Any:
        return raw if self.encoding == "bytes" else raw.decode(self.encoding)

    def protocol(self) -> None:
        version = self.take(1)[0]
        if version > 5:
            raise _Damaged(f"pickle protocol {version} is not known")

    def long(self, layout: str) -> None:
        self.push(int.from_bytes(self.take(self.number(layout)), "little", signed=True))

    def int_line(self) -> None:
        raw = self.line()
        self.push({b"00": False, b"01": True}[raw] if raw in (b"00", b"01") else int(raw))

    def string_line(self) -> None:
        raw = self.line().strip()
        if len(raw) < 2 or raw[:1] != raw[-1:] or raw[:1] not in (b"'", b'"'):
            raise _Damaged("a string without quotes")
        self.push(self.text_of_python_2(raw[1:-1].decode("unicode_escape").encode("latin1")))

    def name_on_stack(self) -> None:
        name = self.pop()
        self.push_global(self.pop(), name)

    def new_with_keywords(self) -> None:
        keywords = self.pop()
        if type(keywords) is not dict or not all(type(k) is str for k in keywords):
            raise _Damaged("the keyword arguments of a call are not a dict")
        self.call(True, keywords)

    def pop_any(self) -> None:
        if not self.stack:
            raise _Damaged("the stack is empty")
        self.stack.pop()


def check_key(key: Any) -> None:
    """Raises _Damaged if hashing `key` could exhaust the stack or take unreasonably long."""
    if not isinstance(key, tuple):
        return
    level: list[Any] = [key]
    seen = 0
    for _ in range(KEY_DEPTH):
        level = [x for t in level for x in t if isinstance(x, tuple)]
        seen += sum(len(t) for t in level) + 1
        if not level:
            return
        if seen > KEY_BUDGET:
            break
    raise _Damaged("a dict key or set member is nested too deeply")


def _memoize(u: Unpickler, slot: int) -> None:
    u.memo[slot] = u.top()


def _tuple(u: Unpickler, count: int) -> None:
    items = [u.pop() for _ in range(count)]
    u.push(tuple(reversed(items)))


def _instructions() -> dict[int, Callable[[Unpickler], None]]:
    """Instruction byte -> action. EXT1-4, INST, OBJ and PERSID are left out: no writer of tensors has used them."""
    return {
        ord(code): action
        for code, action in {
            "\x80": Unpickler.protocol,
            "\x95": lambda u: u.take(8),  # FRAME: a hint for streams
            "(": lambda u: u.push(_MARK),
            "0": Unpickler.pop_any,
            "1": lambda u: u.to_mark(),
            "2": lambda u: u.push(u.top()),
            # plain values
            "N": lambda u: u.push(None),
            "\x88": lambda u: u.push(True),
            "\x89": lambda u: u.push(False),
            "K": lambda u: u.push(u.take(1)[0]),
            "M": lambda u: u.push(u.number("<H")),
            "J": lambda u: u.push(u.number("<i")),
            "\x8a": lambda u: u.long("<B"),
            "\x8b": lambda u: u.long("<i"),
            "G": lambda u: u.push(u.number(">d")),
            "I": Unpickler.int_line,
            "L": lambda u: u.push(int(u.line().rstrip(b"L"))),
            "F": lambda u: u.push(float(u.line())),
            # text and bytes
            "X": lambda u: u.push(u.take(u.number("<I")).decode("utf-8", "surrogatepass")),
            "\x8c": lambda u: u.push(u.take(u.number("<B")).decode("utf-8", "surrogatepass")),
            "\x8d": lambda u: u.push(u.take(u.number("<Q")).decode("utf-8", "surrogatepass")),
            "V": lambda u: u.push(u.line().decode("raw_unicode_escape")),
            "U": lambda u: u.push(u.text_of_python_2(u.take(u.number("<B")))),
            "T": lambda u: u.push(u.text_of_python_2(u.take(u.number("<i")))),
            "S": Unpickler.string_line,
            "C": lambda u: u.push(u.take(u.number("<B"))),
            "B": lambda u: u.push(u.take(u.number("<I"))),
            "\x8e": lambda u: u.push(u.take(u.number("<Q"))),
            "\x96": lambda u: u.push(bytearray(u.take(u.number("<Q")))),
            # containers
            ")": lambda u: u.push(()),
            "\x85": lambda u: _tuple(u, 1),
            "\x86": lambda u: _tuple(u, 2),
            "\x87": lambda u: _tuple(u, 3),
            "t": lambda u: u.push(tuple(u.to_mark())),
            "]": lambda u: u.push([]),
            "l": lambda u: u.push(u.to_mark()),
            "a": lambda u: u.extend([u.pop()]),
            "e": lambda u: u.extend(u.to_mark()),
            "}": lambda u: u.push({}),
            "d": Unpickler.pop_dict,
            "s": lambda u: u.assign([u.pop(), u.pop()][::-1]),
            "u": lambda u: u.assign(u.to_mark()),
            "\x8f": lambda u: u.push(set()),
            "\x90": lambda u: u.add(u.to_mark()),
            "\x91": Unpickler.pop_frozenset,
            # memo
            "p": lambda u: _memoize(u, int(u.line())),
            "q": lambda u: _memoize(u, u.take(1)[0]),
            "r": lambda u: _memoize(u, u.number("<I")),
            "\x94": lambda u: _memoize(u, len(u.memo)),
            "g": lambda u: u.recall(int(u.line())),
            "h": lambda u: u.recall(u.take(1)[0]),
            "j": lambda u: u.recall(u.number("<I")),
            # globals
            "c": lambda u: u.push_global(u.line().decode("utf-8"), u.line().decode("utf-8")),
            "\x93": Unpickler.name_on_stack,
            "R": lambda u: u.call(False),
            "\x81": lambda u: u.call(True),
            "\x92": Unpickler.new_with_keywords,
            "b": Unpickler.build,
            "Q": lambda u: u.push(u.persistent(u.pop())),
        }.items()
    }


_INSTRUCTIONS = _instructions()
