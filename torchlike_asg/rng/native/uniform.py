"""LLVM IR of uniform and Bernoulli draws."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir

from .lanes import F32, F64, I8, I32, I64, POINTER, Lanes, chunks, element, function, loop, round_down

CHUNK = 1024  # elements transformed at a time: at most 8 KiB of words, well inside the first-level cache


def each(b: ir.IRBuilder, count: ir.Value, width: int, body: Callable[[Lanes, ir.Value], None]) -> None:
    """body(lanes, i) for every i in [0, count): SIMD for whole vectors, scalar for the rest."""
    whole = round_down(b, count, width)
    for start, stop, lanes in ((I64(0), whole, width), (whole, count, 1)):
        with loop(b, start, stop, lanes) as i:
            body(Lanes(b, lanes), i)


def draw64(lanes: Lanes, buffer: ir.Value, index: ir.Value) -> ir.Value:
    """The 64-bit draw whose two words lie at buffer[index]: the word drawn first is the high half."""
    b, bits = lanes.b, lanes.load(element(lanes.b, buffer, index, I64), I64)
    half = lanes.const(I64, 32)
    return b.or_(b.shl(bits, half), b.lshr(bits, half))


def unit32(lanes: Lanes, word: ir.Value) -> ir.Value:
    """The low 24 bits as a float32 in [0, 1)."""
    b = lanes.b
    mantissa = b.sitofp(b.and_(word, lanes.const(I32, 2**24 - 1)), lanes.kind(F32))  # signed: the conversion every SIMD set has
    return b.fmul(mantissa, lanes.const(F32, 2.0**-24))


def emit_uniform32(module: ir.Module, words: ir.Function) -> None:
    """`uniform32(state, out: float*, count, low, range, high)`: fma(U, range, low), `high` itself replaced by low."""
    made, b = function(module, "uniform32", [POINTER, POINTER, I64, F32, F32, F32])
    state, out, count, low, span, high = made.args
    with chunks(b, count, CHUNK) as (start, size):
        piece = element(b, out, start, F32)
        b.call(words, [state, piece, size])

        def body(lanes: Lanes, i: ir.Value) -> None:
            at = element(b, piece, i, F32)
            scaled = lanes.fma(unit32(lanes, lanes.load(at, I32)), lanes.splat(span), lanes.splat(low), F32)
            closed = b.fcmp_ordered("==", scaled, lanes.splat(high))
            lanes.store(b.select(closed, lanes.splat(low), scaled), at, F32)

        each(b, size, 16, body)
    b.ret_void()


def emit_uniform64(module: ir.Module, words: ir.Function) -> None:
    """`uniform64(state, out: double*, count, low, range, high)`: the same on the low 53 bits of 64-bit draws."""
    made, b = function(module, "uniform64", [POINTER, POINTER, I64, F64, F64, F64])
    state, out, count, low, span, high = made.args
    with chunks(b, count, CHUNK) as (start, size):
        piece = element(b, out, start, F64)
        b.call(words, [state, piece, b.shl(size, I64(1))])

        def body(lanes: Lanes, i: ir.Value) -> None:
            mantissa = b.and_(draw64(lanes, piece, i), lanes.const(I64, 2**53 - 1))
            unit = b.fmul(b.uitofp(mantissa, lanes.kind(F64)), lanes.const(F64, 2.0**-53))
            scaled = lanes.fma(unit, lanes.splat(span), lanes.splat(low), F64)
            closed = b.fcmp_ordered("==", scaled, lanes.splat(high))
            lanes.store(b.select(closed, lanes.splat(low), scaled), element(b, piece, i, F64), F64)

        each(b, size, 8, body)
    b.ret_void()


def scratch(b: ir.IRBuilder) -> ir.Value:
    """Room for CHUNK 64-bit draws on the stack."""
    room = b.alloca(I64, CHUNK)
    room.align = 64
    return room


def emit_bernoulli(module: ir.Module, words: ir.Function) -> None:
    """`bernoulli(state, out: bool*, count, threshold)`: low 53 bits of a 64-bit draw < threshold = ceil(p * 2^53)."""
    made, b = function(module, "bernoulli", [POINTER, POINTER, I64, I64])
    state, out, count, threshold = made.args
    room = scratch(b)
    with chunks(b, count, CHUNK) as (start, size):
        piece = element(b, out, start, I8)
        b.call(words, [state, room, b.shl(size, I64(1))])

        def body(lanes: Lanes, i: ir.Value) -> None:
            mantissa = b.and_(draw64(lanes, room, i), lanes.const(I64, 2**53 - 1))
            below = b.icmp_signed("<", mantissa, lanes.splat(threshold))
            lanes.store(b.zext(below, lanes.kind(I8)), element(b, piece, i, I8), I8)

        each(b, size, 16, body)
    b.ret_void()
