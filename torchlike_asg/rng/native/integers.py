"""LLVM IR of integer draws and permutations."""

from __future__ import annotations

from llvmlite import ir

from .lanes import I32, I64, POINTER, Lanes, chunks, element, function, loop
from .uniform import CHUNK, draw64, scratch


def _emit_modulo(module: ir.Module, words: ir.Function, bits: int) -> None:
    """`modulo<bits>(state, out: int64*, count, range, base)`: draw % range + base, wrapping, on 32- or 64-bit draws."""
    made, b = function(module, f"modulo{bits}", [POINTER, POINTER, I64, I64, I64])
    state, out, count, span, base = made.args
    room = scratch(b)
    narrow_span = b.trunc(span, I32) if bits == 32 else None
    with chunks(b, count, CHUNK) as (start, size):
        piece = element(b, out, start, I64)
        b.call(words, [state, room, size if bits == 32 else b.shl(size, I64(1))])
        with loop(b, I64(0), size, 1) as i:
            lanes = Lanes(b, 1)
            if bits == 32:
                rest = b.zext(b.urem(lanes.load(element(b, room, i, I32), I32), narrow_span), I64)
            else:
                rest = b.urem(draw64(lanes, room, i), span)
            lanes.store(b.add(rest, base), element(b, piece, i, I64), I64)
    b.ret_void()


def emit_modulo32(module: ir.Module, words: ir.Function) -> None:
    _emit_modulo(module, words, 32)


def emit_modulo64(module: ir.Module, words: ir.Function) -> None:
    _emit_modulo(module, words, 64)


def emit_permutation(module: ir.Module, words: ir.Function) -> None:
    """`permutation(state, out: int32*, count)`: swap i with i + word % (count - i) for i = 0 .. count - 2 (count < 2^31)."""
    made, b = function(module, "permutation", [POINTER, POINTER, I64])
    state, out, count = made.args
    room, lanes = scratch(b), Lanes(b, 1)
    with loop(b, I64(0), count, 1) as i:
        lanes.store(b.trunc(i, I32), element(b, out, i, I32), I32)
    swaps = b.sub(count, I64(1))
    with chunks(b, swaps, CHUNK) as (start, size):
        b.call(words, [state, room, size])
        with loop(b, I64(0), size, 1) as i:
            here = b.add(start, i)
            left = b.trunc(b.sub(count, here), I32)
            there = b.add(here, b.zext(b.urem(lanes.load(element(b, room, i, I32), I32), left), I64))
            here_at, there_at = element(b, out, here, I32), element(b, out, there, I32)
            here_value, there_value = lanes.load(here_at, I32), lanes.load(there_at, I32)
            lanes.store(here_value, there_at, I32)
            lanes.store(there_value, here_at, I32)
    b.ret_void()


def emit_inside_out(module: ir.Module, words: ir.Function) -> None:
    """`inside_out(state, out: int64*, count)`: for i = 0 .. count - 1, z = draw % (i + 1): out[i] = out[z], out[z] = i."""
    made, b = function(module, "inside_out", [POINTER, POINTER, I64])
    state, out, count = made.args
    room, lanes = scratch(b), Lanes(b, 1)
    with chunks(b, count, CHUNK) as (start, size):
        b.call(words, [state, room, b.shl(size, I64(1))])
        with loop(b, I64(0), size, 1) as i:
            here = b.add(start, i)
            there_at = element(b, out, b.urem(draw64(lanes, room, i), b.add(here, I64(1))), I64)
            lanes.store(lanes.load(there_at, I64), element(b, out, here, I64), I64)
            lanes.store(here, there_at, I64)
    b.ret_void()
