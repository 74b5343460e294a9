"""LLVM IR of float32 Box-Muller pairs: :mod:`torchlike_asg.rng.cephes` with hardware fused multiply-adds.

Every multiply that feeds an add is fused, in the places where PyTorch's AVX2 and AVX-512 builds fuse them: with one rounding
more or less per step the values would differ from PyTorch's in the last bits.
"""

from __future__ import annotations

from llvmlite import ir

from .. import cephes
from .lanes import F32, I32, I64, POINTER, Lanes, chunks, element, function, loop, round_down
from .uniform import unit32

BLOCK = 16  # eight radii and eight angles make sixteen normals
CHUNK = 2048


def _horner(lanes: Lanes, x: ir.Value, coefficients: tuple[float, ...]) -> ir.Value:
    value = lanes.const(F32, coefficients[0])
    for coefficient in coefficients[1:]:
        value = lanes.fma(value, x, lanes.const(F32, coefficient), F32)
    return value


def _log(lanes: Lanes, x: ir.Value) -> ir.Value:
    """Natural logarithm of values in (0, 1], none subnormal."""
    b, ints, floats = lanes.b, lanes.kind(I32), lanes.kind(F32)
    bits = b.bitcast(x, ints)
    exponent = b.sitofp(b.sub(b.lshr(bits, lanes.const(I32, 23)), lanes.const(I32, 126)), floats)
    x = b.bitcast(b.or_(b.and_(bits, lanes.const(I32, 0x007FFFFF)), lanes.const(I32, 0x3F000000)), floats)
    zero, one = lanes.const(F32, 0.0), lanes.const(F32, 1.0)
    small = b.fcmp_ordered("<", x, lanes.const(F32, cephes.SQRT_HALF))
    exponent = b.fsub(exponent, b.select(small, one, zero))
    x = b.fadd(b.fsub(x, one), b.select(small, x, zero))
    z = b.fmul(x, x)
    low = b.fmul(exponent, lanes.const(F32, cephes.LOG_TWO_LOW))
    y = lanes.fma(b.fmul(_horner(lanes, x, cephes.LOG), x), z, low, F32)
    y = b.fsub(y, b.fmul(z, lanes.const(F32, 0.5)))
    return lanes.fma(exponent, lanes.const(F32, cephes.LOG_TWO_HIGH), b.fadd(x, y), F32)


def _sincos(lanes: Lanes, x: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Sine and cosine of non-negative values."""
    b, ints, floats = lanes.b, lanes.kind(I32), lanes.kind(F32)

    def const(value: int) -> ir.Constant:
        return lanes.const(I32, value)

    octant = b.fptosi(b.fmul(x, lanes.const(F32, cephes.FOUR_OVER_PI)), ints)
    octant = b.and_(b.add(octant, const(1)), const(-2))
    y = b.sitofp(octant, floats)
    for part in cephes.MINUS_QUARTER_PI:
        x = lanes.fma(y, lanes.const(F32, part), x, F32)
    z = b.fmul(x, x)
    by_cosine = lanes.fma(b.fmul(_horner(lanes, z, cephes.COSINE), z), z, b.fmul(z, lanes.const(F32, -0.5)), F32)
    by_cosine = b.fadd(by_cosine, lanes.const(F32, 1.0))
    by_sine = lanes.fma(b.fmul(_horner(lanes, z, cephes.SINE), z), x, x, F32)
    swapped = b.icmp_signed("!=", b.and_(octant, const(2)), const(0))
    sign_of_sine = b.shl(b.and_(octant, const(4)), const(29))
    sign_of_cosine = b.shl(b.and_(b.sub(const(1), octant), const(4)), const(29))  # octant is even: 1 - octant = ~(octant - 2)
    sine, cosine = b.select(swapped, by_cosine, by_sine), b.select(swapped, by_sine, by_cosine)

    def signed(value: ir.Value, sign: ir.Value) -> ir.Value:
        return b.bitcast(b.xor(b.bitcast(value, ints), sign), floats)

    return signed(sine, sign_of_sine), signed(cosine, sign_of_cosine)


def _transform(lanes: Lanes, first: ir.Value, second: ir.Value, mean: ir.Value, std: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Words of radii and angles -> the two halves of a block of normals."""
    b = lanes.b
    log = _log(lanes, b.fsub(lanes.const(F32, 1.0), unit32(lanes, first)))
    radius = lanes.sqrt(b.fmul(lanes.const(F32, -2.0), log), F32)
    sine, cosine = _sincos(lanes, b.fmul(lanes.const(F32, cephes.TWO_PI), unit32(lanes, second)))
    mean, std = lanes.splat(mean), lanes.splat(std)
    return tuple(lanes.fma(b.fmul(radius, half), std, mean, F32) for half in (cosine, sine))


def _emit_blocks(module: ir.Module) -> ir.Function:
    """`normal_blocks(values, count, mean, std)`: whole blocks of 16 words, in place; two blocks at a time fill a 512-bit register."""
    made, b = function(module, "normal_blocks", [POINTER, I64, F32, F32], internal=True)
    values, count, mean, std = made.args

    def positions(*lanes: int) -> ir.Constant:
        return ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))

    eight = Lanes(b, 8)
    pairs = round_down(b, count, 2 * BLOCK)
    with loop(b, I64(0), pairs, 2 * BLOCK) as i:
        at = [element(b, values, b.add(i, I64(8 * part)), I32) for part in range(4)]
        loaded = [eight.load(pointer, I32) for pointer in at]
        both = positions(*range(16))
        first, second = b.shuffle_vector(loaded[0], loaded[2], both), b.shuffle_vector(loaded[1], loaded[3], both)
        cosines, sines = _transform(Lanes(b, 16), first, second, mean, std)
        for part, value in enumerate((cosines, sines, cosines, sines)):
            half = positions(*range(8)) if part < 2 else positions(*range(8, 16))
            eight.store(b.shuffle_vector(value, value, half), at[part], F32)
    with loop(b, pairs, count, BLOCK) as i:
        at = [element(b, values, b.add(i, I64(8 * part)), I32) for part in range(2)]
        halves = _transform(eight, eight.load(at[0], I32), eight.load(at[1], I32), mean, std)
        for value, pointer in zip(halves, at, strict=True):
            eight.store(value, pointer, F32)
    b.ret_void()
    return made


def emit_normal32(module: ir.Module, words: ir.Function) -> None:
    """`normal32(state, out: float*, count, drawn, mean, std)` for count >= 16: `drawn` words make the whole blocks among them
    (what is left over is lost); if 16 does not divide count, 16 more make the last 16 values anew."""
    made, b = function(module, "normal32", [POINTER, POINTER, I64, I64, F32, F32])
    state, out, count, drawn, mean, std = made.args
    blocks = _emit_blocks(module)
    with chunks(b, drawn, CHUNK) as (start, size):
        piece = element(b, out, start, F32)
        b.call(words, [state, piece, size])
        b.call(blocks, [piece, round_down(b, size, BLOCK), mean, std])
    ragged = b.icmp_signed("!=", b.and_(count, I64(BLOCK - 1)), I64(0))
    with b.if_then(ragged):
        last = element(b, out, b.sub(count, I64(BLOCK)), F32)
        b.call(words, [state, last, I64(BLOCK)])
        b.call(blocks, [last, I64(BLOCK), mean, std])
    b.ret_void()
