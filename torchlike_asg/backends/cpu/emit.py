"""Writing LLVM IR: functions of typed values, with loops and branches as context managers.

A `Value` knows its LLVM type, so the operators pick the instruction (``a + b`` on i64 is ``add``, on vectors of floats ``fadd``).
Python numbers stand for literals of the other operand's type. Loop counters and accumulators are stack slots; LLVM's `sroa` pass makes
registers of them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .values import SIZES, Value, element, lanes, literal, mangle, vector

#: products and sums may be contracted to fused multiply-adds; nothing else is relaxed: NaN, infinities, signs of zero, order of sums stay
CONTRACT = "contract"


class Function:
    """The text of one function, written front to back."""

    def __init__(
        self,
        module: Module,
        name: str,
        params: Sequence[tuple[str, str]],
        ret: str = "void",
        *,
        internal: bool = False,
        shared: bool = False,
        inline: bool = False,
    ) -> None:
        """``internal``: seen by this module only; ``shared``: modules that are compiled together have it once, so it must be the same in
        all."""
        self.module, self.name, self.ret, self.inline = module, name, ret, inline
        self._linkage = "internal " if internal else "linkonce_odr " if shared else ""
        self.params = [Value(self, f"%{n}", t if t[0] == "<" else t.split(" ")[0]) for t, n in params]
        self._signature = ", ".join(f"{t} %{n}" for t, n in params)
        self._entry: list[str] = []
        self._body: list[str] = []
        self._count = 0
        self._returned = False
        #: whether products and sums that are written now may be contracted
        self.contract = True

    # ---------------------------------------------------------------- raw text
    def fresh(self) -> str:
        self._count += 1
        return f"t{self._count}"

    def emit(self, text: str) -> None:
        self._body.append("  " + text)

    def op(self, type_: str, text: str) -> Value:
        """An instruction with a result."""
        name = "%" + self.fresh()
        self._body.append(f"  {name} = {text}")
        return Value(self, name, type_)

    def label(self, name: str) -> None:
        self._body.append(f"{name}:")

    def text(self) -> str:
        tail = [] if self._returned else ["  ret void"]
        attributes = "nounwind alwaysinline" if self.inline else "nounwind"
        lines = [
            f"define {self._linkage}{self.ret} @{self.name}({self._signature}) {attributes} {{",
            "entry:",
            *self._entry,
            *self._body,
            *tail,
            "}",
        ]
        return "\n".join(lines) + "\n"

    # ---------------------------------------------------------------- values
    def value(self, x: Any, type_: str) -> Value:
        """A Python number as a literal of a type; a Value as it is."""
        return x if x.__class__ is Value else Value(self, literal(x, type_), type_)

    def _pair(self, a: Any, b: Any) -> tuple[Value, Value]:
        type_ = a.type if a.__class__ is Value else b.type
        return self.value(a, type_), self.value(b, type_)

    def binary(self, name: str, a: Any, b: Any) -> Value:
        """Any two-operand instruction by its LLVM name."""
        a, b = self._pair(a, b)
        flags = f" {CONTRACT}" if name[0] == "f" and self.contract else ""
        return self.op(a.type, f"{name}{flags} {a.type} {a.ref}, {b.ref}")

    def add(self, a: Any, b: Any) -> Value:
        if b.__class__ is int and b == 0 and not a.floating:
            return a  # type: ignore[no-any-return]
        if a.__class__ is int and a == 0 and not b.floating:
            return b  # type: ignore[no-any-return]
        return self.binary("fadd" if self._pair(a, b)[0].floating else "add", a, b)

    def sub(self, a: Any, b: Any) -> Value:
        return self.binary("fsub" if self._pair(a, b)[0].floating else "sub", a, b)

    def mul(self, a: Any, b: Any) -> Value:
        if b.__class__ is int and b == 1 and not a.floating:
            return a  # type: ignore[no-any-return]
        if a.__class__ is int and a == 1 and not b.floating:
            return b  # type: ignore[no-any-return]
        return self.binary("fmul" if self._pair(a, b)[0].floating else "mul", a, b)

    def neg(self, a: Value) -> Value:
        return self.op(a.type, f"fneg {a.type} {a.ref}") if a.floating else self.sub(0, a)

    def fma(self, a: Any, b: Any, c: Any) -> Value:
        """a * b + c, rounded once."""
        type_ = next(x.type for x in (a, b, c) if x.__class__ is Value)
        return self.intrinsic("fma", type_, *[self.value(x, type_) for x in (a, b, c)])

    def compare(self, relation: str, a: Any, b: Any, unsigned: bool = False) -> Value:
        """``relation``: eq ne lt le gt ge. On floats ordered (false for NaN), but `ne`, which is true for NaN."""
        a, b = self._pair(a, b)
        result = vector("i1", lanes(a.type))
        if a.floating:
            return self.op(result, f"fcmp {'une' if relation == 'ne' else 'o' + relation} {a.type} {a.ref}, {b.ref}")
        name = relation if relation in ("eq", "ne") else ("u" if unsigned or element(a.type) == "ptr" else "s") + relation
        return self.op(result, f"icmp {name} {a.type} {a.ref}, {b.ref}")

    def select(self, c: Value, a: Any, b: Any) -> Value:
        a, b = self._pair(a, b)
        return self.op(a.type, f"select {c.type} {c.ref}, {a.type} {a.ref}, {b.type} {b.ref}")

    def minimum(self, a: Any, b: Any) -> Value:
        """Of signed integers."""
        a, b = self._pair(a, b)
        return self.intrinsic("smin", a.type, a, b)

    def maximum(self, a: Any, b: Any) -> Value:
        """Of signed integers."""
        a, b = self._pair(a, b)
        return self.intrinsic("smax", a.type, a, b)

    def convert(self, name: str, a: Value, type_: str) -> Value:
        """A conversion by its LLVM name: sext, zext, trunc, sitofp, fpext, bitcast ..."""
        return a if a.type == type_ else self.op(type_, f"{name} {a.type} {a.ref} to {type_}")

    def splat(self, a: Any, type_: str) -> Value:
        """A scalar in every lane."""
        if a.__class__ is not Value or type_[0] != "<":
            return self.value(a, type_)
        first = self.op(type_, f"insertelement {type_} poison, {a.type} {a.ref}, i64 0")
        return self.shuffle(first, first, [0] * lanes(type_))

    def shuffle(self, a: Value, b: Value, order: Sequence[int]) -> Value:
        mask = ", ".join(f"i32 {i}" for i in order)
        return self.op(
            vector(element(a.type), len(order)), f"shufflevector {a.type} {a.ref}, {b.type} {b.ref}, <{len(order)} x i32> <{mask}>"
        )

    def extract(self, a: Value, lane: Any) -> Value:
        i = self.value(lane, "i64")
        return self.op(element(a.type), f"extractelement {a.type} {a.ref}, i64 {i.ref}")

    def insert(self, a: Value, x: Value, lane: Any) -> Value:
        i = self.value(lane, "i64")
        return self.op(a.type, f"insertelement {a.type} {a.ref}, {x.type} {x.ref}, i64 {i.ref}")

    def lane_numbers(self, type_: str) -> Value:
        """<0, 1, 2, ...> of an integer vector type."""
        e = element(type_)
        return (
            Value(self, "<" + ", ".join(f"{e} {i}" for i in range(lanes(type_))) + ">", type_) if type_[0] == "<" else self.value(0, type_)
        )

    def first_lanes(self, count: Any, n: int) -> Value:
        """A mask of `n` lanes, of which the first `count` (an i64 value or a number) are set."""
        if count.__class__ is int:
            return Value(self, "<" + ", ".join(f"i1 {'true' if i < count else 'false'}" for i in range(n)) + ">", vector("i1", n))
        type_ = vector("i32", n)
        return self.lane_numbers(type_) < self.splat(self.convert("trunc", count, "i32"), type_)

    def fold(self, combine: Callable[[Value, Value], Value], a: Value) -> Value:
        """All lanes of a vector combined into a scalar, in a fixed tree order."""
        n = lanes(a.type)
        while n > 1:
            n //= 2
            low = self.shuffle(a, a, range(n)) if n > 1 else self.extract(a, 0)
            high = self.shuffle(a, a, range(n, 2 * n)) if n > 1 else self.extract(a, 1)
            a = combine(low, high)
        return a

    # ---------------------------------------------------------------- calls
    def intrinsic(self, name: str, type_: str, *args: Any) -> Value:
        """``@llvm.NAME.TYPE`` of operands of that one type."""
        return self.call(type_, f"llvm.{name}.{mangle(type_)}", *args)

    def call(self, ret: str, name: str, *args: Any) -> Any:
        """A call; the callee is declared if this module does not define it. Arguments are Values."""
        self.module.declare(name, ret, [a.type for a in args])
        text = f"call {ret} @{name}({', '.join(map(repr, args))})"
        return self.emit(text) if ret == "void" else self.op(ret, text)

    def call_pointer(self, ret: str, target: Value, *args: Any) -> Any:
        """A call through a function pointer."""
        text = f"call {ret} {target.ref}({', '.join(map(repr, args))})"
        return self.emit(text) if ret == "void" else self.op(ret, text)

    def ret_value(self, a: Value) -> None:
        """Return at the end of the function's text."""
        self.emit(f"ret {a.type} {a.ref}")
        self._returned = True

    # ---------------------------------------------------------------- memory
    def alloca(self, type_: str, count: int = 1, align: int = 64) -> Value:
        """A stack slot, made once in the entry block."""
        name = "%" + self.fresh()
        self._entry.append(f"  {name} = alloca {type_}, i64 {count}, align {align}")
        return Value(self, name, "ptr")

    def variable(self, initial: Any, type_: str = "") -> Variable:
        """A local variable, set here."""
        initial = self.value(initial, type_)
        v = Variable(self, initial.type)
        v.set(initial)
        return v

    def gep(self, p: Value, index: Any, type_: str) -> Value:
        """The address of element `index` (counted in elements of `type_`) after `p`."""
        if index.__class__ is int and index == 0:
            return p
        i = self.value(index, "i64")
        return self.op("ptr", f"getelementptr {element(type_)}, ptr {p.ref}, {i.type} {i.ref}")

    def load(self, type_: str, p: Value, align: int = 0) -> Value:
        return self.op(type_, f"load {type_}, ptr {p.ref}, align {align or SIZES[element(type_)]}")

    def store(self, a: Value, p: Value, align: int = 0) -> None:
        self.emit(f"store {a.type} {a.ref}, ptr {p.ref}, align {align or SIZES[element(a.type)]}")

    def masked_load(self, type_: str, p: Value, mask: Value, fill: Any = 0) -> Value:
        """Lanes that are not set are `fill`, and their memory is not touched."""
        size = SIZES[element(type_)]
        f = self.value(fill, type_)
        return self.call(type_, f"llvm.masked.load.{mangle(type_)}.p0", p, self.value(size, "i32"), mask, f)  # type: ignore[no-any-return]

    def masked_store(self, a: Value, p: Value, mask: Value) -> None:
        size = SIZES[element(a.type)]
        self.call("void", f"llvm.masked.store.{mangle(a.type)}.p0", a, p, self.value(size, "i32"), mask)

    def gather(self, type_: str, addresses: Value, mask: Value) -> Value:
        """A vector from one address per lane; lanes that are not set are 0, and their memory is not touched."""
        size, pointers = SIZES[element(type_)], mangle(addresses.type)
        f = self.value(0, type_)
        return self.call(type_, f"llvm.masked.gather.{mangle(type_)}.{pointers}", addresses, self.value(size, "i32"), mask, f)  # type: ignore[no-any-return]

    def scatter(self, a: Value, addresses: Value, mask: Value) -> None:
        """Store one lane per address, those that are set, in order."""
        size = SIZES[element(a.type)]
        self.call("void", f"llvm.masked.scatter.{mangle(a.type)}.{mangle(addresses.type)}", a, addresses, self.value(size, "i32"), mask)

    def copy(self, dst: Value, src: Value, nbytes: Any) -> None:
        """memcpy of memory that does not overlap."""
        self.call("void", "llvm.memcpy.p0.p0.i64", dst, src, self.value(nbytes, "i64"), self.value(0, "i1"))

    # ---------------------------------------------------------------- atomics (sequentially consistent, on naturally aligned words)
    def atomic_load(self, type_: str, p: Value) -> Value:
        return self.op(type_, f"load atomic {type_}, ptr {p.ref} seq_cst, align {SIZES[type_]}")

    def atomic_store(self, a: Value, p: Value) -> None:
        self.emit(f"store atomic {a.type} {a.ref}, ptr {p.ref} seq_cst, align {SIZES[a.type]}")

    def atomic(self, name: str, p: Value, a: Value) -> Value:
        """A read-modify-write by its LLVM name (add, xchg ...); the old value."""
        return self.op(a.type, f"atomicrmw {name} ptr {p.ref}, {a.type} {a.ref} seq_cst")

    def compare_exchange(self, p: Value, expected: Value, new: Value) -> Value:
        """Store `new` if the word is `expected`; whether it was (i1)."""
        pair = self.op("", f"cmpxchg ptr {p.ref}, {expected.type} {expected.ref}, {new.type} {new.ref} seq_cst seq_cst")
        return self.op("i1", f"extractvalue {{ {expected.type}, i1 }} {pair.ref}, 1")

    # ---------------------------------------------------------------- control
    @contextlib.contextmanager
    def loop(self, lo: Any, hi: Any, step: Any = 1) -> Iterator[Value]:
        """``for i in range(lo, hi, step)`` on i64, step positive."""
        counter = self.variable(lo, "i64")
        hi, k = self.value(hi, "i64"), self.fresh()
        self.emit(f"br label %head.{k}")
        self.label(f"head.{k}")
        i = counter.get()
        c = i < hi
        self.emit(f"br i1 {c.ref}, label %body.{k}, label %exit.{k}")
        self.label(f"body.{k}")
        yield i
        counter.set(self.op("i64", f"add nsw i64 {i.ref}, {self.value(step, 'i64').ref}"))
        self.emit(f"br label %head.{k}")
        self.label(f"exit.{k}")

    @contextlib.contextmanager
    def loop_while(self, condition: Callable[[], Value]) -> Iterator[None]:
        """``while condition():``"""
        k = self.fresh()
        self.emit(f"br label %head.{k}")
        self.label(f"head.{k}")
        c = condition()
        self.emit(f"br i1 {c.ref}, label %body.{k}, label %exit.{k}")
        self.label(f"body.{k}")
        yield
        self.emit(f"br label %head.{k}")
        self.label(f"exit.{k}")

    @contextlib.contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """``if condition:`` with a scalar i1."""
        k = self.fresh()
        self.emit(f"br i1 {condition.ref}, label %then.{k}, label %end.{k}")
        self.label(f"then.{k}")
        yield
        self.emit(f"br label %end.{k}")
        self.label(f"end.{k}")

    def branch(self, condition: Value, then: Callable[[], None], otherwise: Callable[[], None]) -> None:
        """``if condition: then() else: otherwise()``"""
        k = self.fresh()
        self.emit(f"br i1 {condition.ref}, label %then.{k}, label %else.{k}")
        for name, write in (("then", then), ("else", otherwise)):
            self.label(f"{name}.{k}")
            write()
            self.emit(f"br label %end.{k}")
        self.label(f"end.{k}")


class Variable:
    """A mutable local."""

    __slots__ = ("_f", "_slot", "type")

    def __init__(self, f: Function, type_: str) -> None:
        self._f, self.type = f, type_
        self._slot = f.alloca(type_)

    def get(self) -> Value:
        return self._f.load(self.type, self._slot, 64)

    def set(self, a: Any) -> None:
        self._f.store(self._f.value(a, self.type), self._slot, 64)


class Module:
    """Functions that are compiled together."""

    def __init__(self) -> None:
        self.functions: dict[str, Function] = {}
        self._declared: dict[str, str] = {}
        self._globals: list[str] = []

    def function(self, name: str, params: Sequence[tuple[str, str]], ret: str = "void", **kw: Any) -> Function:
        f = self.functions[name] = Function(self, name, params, ret, **kw)
        return f

    def declare(self, name: str, ret: str, types: Sequence[str]) -> None:
        if name not in self._declared:
            self._declared[name] = f"declare {ret} @{name}({', '.join(types)})"

    def constants(self, name: str, type_: str, values: Sequence[Any]) -> str:
        """A read-only table; gives its symbol, a ptr."""
        body = ", ".join(f"{type_} {literal(v, type_)}" for v in values)
        self._globals.append(f"@{name} = internal unnamed_addr constant [{len(values)} x {type_}] [{body}], align 64")
        return f"@{name}"

    def raw(self, text: str) -> None:
        """Text placed before the functions, for what the builder has no words for."""
        self._globals.append(text)

    def text(self) -> str:
        declared = [line for name, line in self._declared.items() if name not in self.functions]
        return "\n".join([*self._globals, *declared, *[f.text() for f in self.functions.values()]])
