"""Counter-based random numbers in vectors: the streams of rng/philox.py, bit for bit."""

from __future__ import annotations

from ...rng.philox import MULTIPLIERS, ROUNDS, WEYL
from .emit import Function
from .values import Value, lanes, vector


def blocks(f: Function, counter: Value, key: Value) -> list[Value]:
    """The four words of the blocks of 64-bit counters (i64, or a vector of them) under a 64-bit key, each in the low half of its lane."""
    t, low = counter.type, 0xFFFFFFFF
    zero = f.value(0, t)
    x = [f.variable(v) for v in (counter, f.binary("lshr", counter, 32), zero, zero)]
    k = [f.variable(f.splat(word, t)) for word in (key, f.binary("lshr", key, 32))]
    with f.loop(0, ROUNDS):  # unrolled it would be hardly faster, but much to compile
        # what is multiplied is cut to 32 bits here, which processors' instructions do themselves; elsewhere upper halves do not matter
        a, b = (x[0].get() & low) * MULTIPLIERS[0], (x[2].get() & low) * MULTIPLIERS[1]
        made = f.binary("lshr", b, 32) ^ x[1].get() ^ k[0].get(), b, f.binary("lshr", a, 32) ^ x[3].get() ^ k[1].get(), a
        for variable, v in zip(x, made, strict=True):
            variable.set(v)
        for word, weyl in zip(k, WEYL, strict=True):
            word.set(word.get() + weyl)
    return [v.get() for v in x]


def numbers(f: Function, key: Value, block: Value, first: Value, count: int, step: Value | None = None) -> Value:
    """`count` float32 numbers in [0, 1): those of the words number 4 * `block` + `first`, and on by `step` (None: by one).

    All values are i64; the result is a vector of `count` lanes, or a scalar.
    """
    if step is None and count >= 4:
        return _unit(f, _adjacent(f, key, block + f.binary("ashr", first, 2), first & 3, count))
    t = vector("i64", count)
    lane = f.splat(first, t)
    if count > 1:
        lane = lane + (f.lane_numbers(t) if step is None else f.lane_numbers(t) * f.splat(step, t))
    words = blocks(f, f.splat(block, t) + f.binary("ashr", lane, 2), key)
    pairs = [f.select(f.compare("eq", lane & 1, 0), words[n], words[n + 1]) for n in (0, 2)]
    chosen = f.select(f.compare("eq", lane & 2, 0), *pairs)
    return _unit(f, f.convert("trunc", chosen, vector("i32", count)))


def _adjacent(f: Function, key: Value, block: Value, skipped: Value, count: int) -> Value:
    """The `count` words one after another that begin `skipped` (0 to 3) words after the start of a block: those of half as many blocks as
    there are numbers, put in order in memory and read from there."""
    t = vector("i64", count // 2)
    counter = f.splat(block, t) + f.lane_numbers(t) if count > 2 else block
    narrow = [f.convert("trunc", w, vector("i32", count // 2)) for w in blocks(f, counter, key)]
    place = f.alloca(vector("i32", 2 * count))
    f.store(_interleaved(f, narrow), place, 64)
    return f.load(vector("i32", count), f.gep(place, skipped, "i32"), 4)


def _interleaved(f: Function, words: list[Value]) -> Value:
    """Four vectors of words as one: the first of each, then the second of each ..."""
    n = lanes(words[0].type)
    pairs = [f.shuffle(words[i], words[i + 1], [lane for j in range(n) for lane in (j, n + j)]) for i in (0, 2)]
    return f.shuffle(pairs[0], pairs[1], [lane for j in range(n) for lane in (2 * j, 2 * j + 1, 2 * n + 2 * j, 2 * n + 2 * j + 1)])


def _unit(f: Function, words: Value) -> Value:
    """The upper 24 bits of words, as multiples of 2^-24."""
    return f.convert("sitofp", f.binary("lshr", words, 8), vector("float", lanes(words.type))) * 2.0**-24
