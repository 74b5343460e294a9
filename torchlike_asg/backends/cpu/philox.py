"""Counter-based random numbers in vectors: the streams of rng/philox.py, bit for bit (uniform ones)."""

from __future__ import annotations

import math

from ... import dtypes
from ...rng.philox import MULTIPLIERS, ROUNDS, WEYL
from ..views import row_major
from .calls import Call, Kernel, LibraryNode, Lowering, Source, library
from .copies import copy
from .emit import Function, Module, Value, vector

#: numbers that one unit of work makes
_PIECE = 4096
_LANES = 8  # blocks made at a time, whatever the vectors' width; of four numbers each
_GROUP = 4 * _LANES


@library("philox_uniform")
def _uniform(lowering: Lowering, node: LibraryNode) -> bool:
    (key, start), out = node.operands, node.result
    count = math.prod(out.shape)
    if not count or any(v.dtype is not dtypes.int64 for v in (key, start)):
        return False
    made = out if out.contiguous else row_major(lowering.temporary(4 * count), out.shape, out)
    lowering.add(
        Call(
            Source(("philox_uniform", lowering.isa.name), _write),
            (key.place, start.place, made.place),
            (count,),
            (key.slot, start.slot),
            (made.slot,),
            units=-(-count // _PIECE),
            cost=20 + count * 0.8,
            label="philox",
            bytes=4 * count,
        )
    )
    return made is out or copy(lowering, made, out)


def blocks(f: Function, counter: Value, key: Value) -> list[Value]:
    """The four words of the blocks of 64-bit counters (a vector of i64) under a 64-bit key, each word in the low half of its lane."""
    t = counter.type
    low = 0xFFFFFFFF
    x = [counter & low, f.binary("lshr", counter, 32), f.value(0, t), f.value(0, t)]
    k = [f.convert("trunc", key, "i32"), f.convert("trunc", f.binary("lshr", key, 32), "i32")]
    for _ in range(ROUNDS):
        a, b = x[0] * MULTIPLIERS[0], x[2] * MULTIPLIERS[1]
        k0, k1 = (f.splat(f.convert("zext", word, "i64"), t) for word in k)
        x = [f.binary("lshr", b, 32) ^ x[1] ^ k0, b & low, f.binary("lshr", a, 32) ^ x[3] ^ k1, a & low]
        k = [f.add(word, weyl - (1 << 32) if weyl >> 31 else weyl) for word, weyl in zip(k, WEYL, strict=True)]
    return x


def uniform(f: Function, words: list[Value]) -> Value:
    """The numbers of some blocks, in the order of the stream: the upper 24 bits of each word, as multiples of 2^-24."""
    n = int(words[0].type[1 : words[0].type.index(" ")])
    narrow = [f.convert("trunc", w, vector("i32", n)) for w in words]
    pairs = [f.shuffle(narrow[i], narrow[i + 1], [lane for j in range(n) for lane in (j, n + j)]) for i in (0, 2)]
    order = [lane for j in range(n) for lane in (2 * j, 2 * j + 1, 2 * n + 2 * j, 2 * n + 2 * j + 1)]
    bits = f.binary("lshr", f.shuffle(pairs[0], pairs[1], order), 8)
    return f.convert("sitofp", bits, vector("float", 4 * n)) * 2.0**-24


def _write(module: Module, name: str) -> None:
    k = Kernel(module, name, 3)
    f = k.f
    lo, hi, _ = k.rest
    key, start = f.load("i64", k.operand(0)), f.load("i64", k.operand(1))
    out, count = k.operand(2), k.word(0)
    begin, end = lo * _PIECE, f.minimum(hi * _PIECE, count)
    t = vector("i64", _LANES)
    # groups begin at whole blocks: `skew` numbers of the first one lie before the stream's start
    skew = start & 3
    block = f.binary("ashr", start, 2)
    whole = vector("float", _GROUP)
    spare = f.alloca(whole)
    first = (begin + skew) // _GROUP
    last = (end + skew + (_GROUP - 1)) // _GROUP
    with f.loop(first, last) as g:
        counter = f.splat(block + g * _LANES, t) + f.lane_numbers(t)
        numbers = uniform(f, blocks(f, counter, key))
        at = g * _GROUP - skew
        inside = (at >= begin) & (at + _GROUP <= end)

        def part() -> None:
            f.store(numbers, spare, 64)
            with f.loop(f.maximum(at, begin), f.minimum(at + _GROUP, end)) as i:
                f.store(f.load("float", f.gep(spare, i - at, "float")), f.gep(out, i, "float"))

        f.branch(inside, lambda: f.store(numbers, f.gep(out, at, "float"), 4), part)
