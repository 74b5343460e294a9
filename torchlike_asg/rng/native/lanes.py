"""A thin layer over llvmlite's IR builder: the same emitting code writes scalar (width 1) or SIMD instructions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from llvmlite import ir

I1, I8, I32, I64 = ir.IntType(1), ir.IntType(8), ir.IntType(32), ir.IntType(64)
F32, F64 = ir.FloatType(), ir.DoubleType()
POINTER, VOID = ir.PointerType(), ir.VoidType()

_ABBREVIATIONS = {F32: "f32", F64: "f64", I32: "i32", I64: "i64"}


def function(module: ir.Module, name: str, arguments: list[ir.Type], internal: bool = False) -> tuple[ir.Function, ir.IRBuilder]:
    """A new `void name(arguments...)` and a builder at its entry."""
    made = ir.Function(module, ir.FunctionType(VOID, arguments), name)
    made.linkage = "internal" if internal else ""
    return made, ir.IRBuilder(made.append_basic_block("entry"))


def external(module: ir.Module, name: str, result: ir.Type, arguments: list[ir.Type]) -> ir.Function:
    """The declaration of an intrinsic or an imported function, made once a module."""
    found = module.globals.get(name)
    return found if found is not None else ir.Function(module, ir.FunctionType(result, arguments), name)


def element(b: ir.IRBuilder, pointer: ir.Value, index: ir.Value, kind: ir.Type) -> ir.Value:
    """Address of `pointer[index]` in elements of `kind`."""
    return b.gep(pointer, [index], source_etype=kind)


@contextmanager
def loop(b: ir.IRBuilder, start: ir.Value, stop: ir.Value, step: int) -> Iterator[ir.Value]:
    """`for i in range(start, stop, step)`: the body is emitted inside; yields i (int64). The counter is a phi: no pass is needed."""
    before = b.block
    head, body, after = (b.append_basic_block(f"loop.{part}") for part in ("head", "body", "end"))
    b.branch(head)
    b.position_at_end(head)
    index = b.phi(I64)
    index.add_incoming(start, before)
    b.cbranch(b.icmp_signed("<", index, stop), body, after)
    b.position_at_end(body)
    yield index
    index.add_incoming(b.add(index, I64(step)), b.block)
    b.branch(head)
    b.position_at_end(after)


@contextmanager
def chunks(b: ir.IRBuilder, count: ir.Value, size: int) -> Iterator[tuple[ir.Value, ir.Value]]:
    """Walks [0, count) in pieces of at most `size`, so that what one piece wrote is still in cache when it is transformed."""
    with loop(b, I64(0), count, size) as start:
        rest = b.sub(count, start)
        yield start, minimum(b, rest, I64(size))


def minimum(b: ir.IRBuilder, x: ir.Value, y: ir.Value) -> ir.Value:
    return b.select(b.icmp_signed("<", x, y), x, y)


def round_down(b: ir.IRBuilder, x: ir.Value, multiple: int) -> ir.Value:
    """The largest multiple of a power of two that is not above x."""
    return b.and_(x, I64(-multiple))


class Lanes:
    """Emits operations on `width` elements at once (plain scalars for width 1)."""

    def __init__(self, b: ir.IRBuilder, width: int) -> None:
        self.b, self.width = b, width

    def kind(self, scalar: ir.Type) -> ir.Type:
        return scalar if self.width == 1 else ir.VectorType(scalar, self.width)

    def const(self, scalar: ir.Type, value: Any) -> ir.Constant:
        if scalar is F32:  # llvmlite prints the shortest decimal of the double; LLVM wants a float that is exact in binary32
            value = float(np.float32(value))
        return scalar(value) if self.width == 1 else ir.Constant(self.kind(scalar), [value] * self.width)

    def splat(self, scalar: ir.Value) -> ir.Value:
        if self.width == 1:
            return scalar
        empty = ir.Constant(self.kind(scalar.type), ir.Undefined)
        first = self.b.insert_element(empty, scalar, I32(0))
        return self.b.shuffle_vector(first, empty, ir.Constant(ir.VectorType(I32, self.width), [0] * self.width))

    def load(self, pointer: ir.Value, scalar: ir.Type) -> ir.Value:
        return self.b.load(pointer, typ=self.kind(scalar), align=_bytes(scalar))

    def store(self, value: ir.Value, pointer: ir.Value, scalar: ir.Type) -> None:
        self.b.store(value, pointer, align=_bytes(scalar))

    def _intrinsic(self, name: str, scalar: ir.Type, operands: list[ir.Value]) -> ir.Value:
        suffix = _ABBREVIATIONS[scalar] if self.width == 1 else f"v{self.width}{_ABBREVIATIONS[scalar]}"
        kind = self.kind(scalar)
        return self.b.call(external(self.b.module, f"llvm.{name}.{suffix}", kind, [kind] * len(operands)), operands)

    def fma(self, x: ir.Value, y: ir.Value, z: ir.Value, scalar: ir.Type) -> ir.Value:
        """x*y + z rounded once (one instruction where the processor has it, libm's function where not)."""
        return self._intrinsic("fma", scalar, [x, y, z])

    def sqrt(self, x: ir.Value, scalar: ir.Type) -> ir.Value:
        return self._intrinsic("sqrt", scalar, [x])


def _bytes(scalar: ir.Type) -> int:
    return 8 if scalar is F64 else scalar.width // 8 if isinstance(scalar, ir.IntType) else 4
