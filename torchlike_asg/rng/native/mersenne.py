"""LLVM IR of the MT19937 word stream (Matsumoto and Nishimura 1998) on NumPy's state struct: ``uint32 key[624]; int32 pos``."""

from __future__ import annotations

from llvmlite import ir

from .lanes import I32, I64, POINTER, Lanes, element, function, loop, minimum, round_down

STATE_WORDS = 624
OFFSET = 397  # distance of the word that is xored in
WIDTH = 16
TWIST = 0x9908B0DF
UPPER, LOWER = 0x80000000, 0x7FFFFFFF


def _twist(lanes: Lanes, key: ir.Value, index: ir.Value, next_index: ir.Value, far_index: ir.Value) -> None:
    """key[i] = key[far] ^ (y >> 1) ^ (y odd ? TWIST : 0) with y = upper bit of key[i] | lower bits of key[next]."""
    b = lanes.b

    def const(value: int) -> ir.Constant:
        return lanes.const(I32, value)

    here, following, far = (lanes.load(element(b, key, i, I32), I32) for i in (index, next_index, far_index))
    mixed = b.or_(b.and_(here, const(UPPER)), b.and_(following, const(LOWER)))
    odd = b.sub(const(0), b.and_(following, const(1)))  # all ones where the low bit is set
    value = b.xor(b.xor(far, b.lshr(mixed, const(1))), b.and_(odd, const(TWIST)))
    lanes.store(value, element(b, key, index, I32), I32)


def _emit_refill(module: ir.Module) -> ir.Function:
    """`refill(state)`: the next 624 words. Vectors may overlap neither the word 397 ahead nor the one 227 behind: 16 is safe."""
    made, b = function(module, "refill", [POINTER], internal=True)
    (key,) = made.args

    def span(start: int, stop: int, far: int) -> None:
        whole = start + (stop - start) // WIDTH * WIDTH
        for first, last, width in ((start, whole, WIDTH), (whole, stop, 1)):
            with loop(b, I64(first), I64(last), width) as i:
                _twist(Lanes(b, width), key, i, b.add(i, I64(1)), b.add(i, I64(far)))

    span(0, STATE_WORDS - OFFSET, OFFSET)
    span(STATE_WORDS - OFFSET, STATE_WORDS - 1, OFFSET - STATE_WORDS)
    _twist(Lanes(b, 1), key, I64(STATE_WORDS - 1), I64(0), I64(OFFSET - 1))
    b.ret_void()
    return made


def _temper(lanes: Lanes, y: ir.Value) -> ir.Value:
    b = lanes.b

    def const(value: int) -> ir.Constant:
        return lanes.const(I32, value)

    y = b.xor(y, b.lshr(y, const(11)))
    y = b.xor(y, b.and_(b.shl(y, const(7)), const(0x9D2C5680)))
    y = b.xor(y, b.and_(b.shl(y, const(15)), const(0xEFC60000)))
    return b.xor(y, b.lshr(y, const(18)))


def emit_words(module: ir.Module) -> ir.Function:
    """`words(state, out: uint32*, count)`: the next `count` words, tempered."""
    refill = _emit_refill(module)
    made, b = function(module, "words", [POINTER, POINTER, I64])
    key, out, count = made.args
    position_at = element(b, key, I64(STATE_WORDS), I32)
    entry, head, more, refilling, copying, end = (
        b.block,
        *(b.append_basic_block(name) for name in ("head", "more", "refill", "copy", "end")),
    )
    first = b.sext(b.load(position_at, typ=I32, align=4), I64)
    b.branch(head)

    b.position_at_end(head)
    done, position = b.phi(I64), b.phi(I64)
    done.add_incoming(I64(0), entry)
    position.add_incoming(first, entry)
    b.cbranch(b.icmp_signed("<", done, count), more, end)

    b.position_at_end(more)
    b.cbranch(b.icmp_signed("<", position, I64(STATE_WORDS)), copying, refilling)

    b.position_at_end(refilling)
    b.call(refill, [key])
    b.branch(copying)

    b.position_at_end(copying)
    start = b.phi(I64)
    start.add_incoming(position, more)
    start.add_incoming(I64(0), refilling)
    size = minimum(b, b.sub(count, done), b.sub(I64(STATE_WORDS), start))
    source, target = element(b, key, start, I32), element(b, out, done, I32)
    whole = round_down(b, size, WIDTH)
    for begin, stop, width in ((I64(0), whole, WIDTH), (whole, size, 1)):
        with loop(b, begin, stop, width) as i:
            lanes = Lanes(b, width)
            lanes.store(_temper(lanes, lanes.load(element(b, source, i, I32), I32)), element(b, target, i, I32), I32)
    done.add_incoming(b.add(done, size), b.block)
    position.add_incoming(b.add(start, size), b.block)
    b.branch(head)

    b.position_at_end(end)
    b.store(b.trunc(position, I32), position_at, align=4)
    b.ret_void()
    return made
