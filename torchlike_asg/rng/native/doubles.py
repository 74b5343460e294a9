"""LLVM IR of the float64 transformations, in place, by the C library's own functions, which are also the ones PyTorch calls."""

from __future__ import annotations

import math
from collections.abc import Callable

from llvmlite import ir

from .lanes import F64, I64, POINTER, Lanes, element, external, function, loop

#: Functions of the C library, and the names they have inside the module (unknown to LLVM, which must not fold or replace them).
LIBM = {name: f"libm_{name}" for name in ("ceil", "cos", "exp", "log", "log1p", "sin", "tan")}


def _libm(b: ir.IRBuilder, name: str, x: ir.Value) -> ir.Value:
    return b.call(external(b.module, LIBM[name], F64, [F64]), [x])


def _map(module: ir.Module, name: str, parameters: int, body: Callable[..., ir.Value]) -> None:
    """`name(values, count, parameters...)`: values[i] = body(lanes, values[i], parameters...)."""
    made, b = function(module, name, [POINTER, I64] + [F64] * parameters)
    values, count, *rest = made.args
    lanes = Lanes(b, 1)
    with loop(b, I64(0), count, 1) as i:
        at = element(b, values, i, F64)
        lanes.store(body(lanes, lanes.load(at, F64), *rest), at, F64)
    b.ret_void()


def _polar(lanes: Lanes, log: ir.Value, angle: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Logarithm and angle -> r cos t, r sin t with r = sqrt(-2 log)."""
    b = lanes.b
    radius = lanes.sqrt(b.fmul(F64(-2.0), log), F64)
    return b.fmul(radius, _libm(b, "cos", angle)), b.fmul(radius, _libm(b, "sin", angle))


def _emit_pairs(module: ir.Module) -> None:
    """`polar_pairs(values, count)`: uniforms (u1, u2) side by side -> normals, r = sqrt(-2 log1p(-u2)), t = 2 pi u1."""
    made, b = function(module, "polar_pairs", [POINTER, I64])
    values, count = made.args
    lanes = Lanes(b, 1)
    with loop(b, I64(0), count, 2) as i:
        first_at, second_at = element(b, values, i, F64), element(b, values, b.add(i, I64(1)), F64)
        log = _libm(b, "log1p", b.fneg(lanes.load(second_at, F64)))
        cosine, sine = _polar(lanes, log, b.fmul(F64(2 * math.pi), lanes.load(first_at, F64)))
        lanes.store(cosine, first_at, F64)
        lanes.store(sine, second_at, F64)
    b.ret_void()


def _emit_blocks(module: ir.Module) -> None:
    """`polar_blocks(values, count, mean, std)`: blocks of eight u1 and eight u2 -> normals, r = sqrt(-2 log(1 - u1)), t = 2 pi u2."""
    made, b = function(module, "polar_blocks", [POINTER, I64, F64, F64])
    values, count, mean, std = made.args
    lanes = Lanes(b, 1)
    with loop(b, I64(0), count, 16) as block, loop(b, I64(0), I64(8), 1) as j:
        first_at = element(b, values, b.add(block, j), F64)
        second_at = element(b, first_at, I64(8), F64)
        log = _libm(b, "log", b.fsub(F64(1.0), lanes.load(first_at, F64)))
        halves = _polar(lanes, log, b.fmul(F64(2 * math.pi), lanes.load(second_at, F64)))
        for value, at in zip(halves, (first_at, second_at), strict=True):
            lanes.store(lanes.fma(value, std, mean, F64), at, F64)
    b.ret_void()


def emit_doubles(module: ir.Module) -> None:
    """Every transformation of :mod:`torchlike_asg.rng.doubles`."""
    _emit_pairs(module)
    _emit_blocks(module)
    _map(module, "affine", 2, lambda lanes, x, scale, shift: lanes.fma(x, scale, shift, F64))
    _map(module, "exponential", 1, lambda lanes, x, scale: lanes.b.fmul(scale, _libm(lanes.b, "log1p", lanes.b.fneg(x))))
    _map(module, "geometric", 1, lambda lanes, x, log: _libm(lanes.b, "ceil", lanes.b.fdiv(_libm(lanes.b, "log", x), log)))
    _map(module, "exp", 0, lambda lanes, x: _libm(lanes.b, "exp", x))

    def cauchy(lanes: Lanes, x: ir.Value, scale: ir.Value, shift: ir.Value) -> ir.Value:
        b = lanes.b
        tangent = _libm(b, "tan", b.fmul(F64(math.pi), b.fsub(x, F64(0.5))))
        return lanes.fma(scale, tangent, shift, F64)

    _map(module, "cauchy", 2, cauchy)
