"""Discrete Fourier transforms: a pass for each factor of the length (Stockham's algorithm, which needs no reordering).

With ``L`` the product of the factors that are done, element ``s * L + k`` of a line holds the transform at k of every (n / L)-th element
from the s-th on. The pass of a factor r gives, with ``m = n / (L r)``,

    new[s * L r + k] = sum over q < r of  old[(s + q m) * L + k mod L] * exp(-2 pi i q k / (L r))

so that after all factors the line is its transform. An invocation computes one element of a pass; a length that is a large prime takes as
many terms as it is long.
"""

from __future__ import annotations

import math

from ...dtypes import complex64
from .calls import LibraryNode, Lowering, View, library
from .complexes import part
from .copies import copy, fill, temporary
from .points import Scope, Stream, points

#: factors that are done at once, the first that fits
_RADICES = (8, 4, 2, 3, 5, 7)
_TWO_PI = 2 * math.pi


def factors(n: int) -> list[int]:
    """The factors of a length, in the order of the passes."""
    out = []
    for r in _RADICES:
        while n % r == 0:
            out.append(r)
            n //= r
    divisor = 11
    while n > 1:
        if divisor * divisor > n:
            divisor = n
        while n % divisor == 0:
            out.append(divisor)
            n //= divisor
        divisor += 2
    return out


def _transform(lowering: Lowering, z: View, out: View, d: int, forward: bool, scale: float) -> None:
    """The transform along dimension `d` of `z`, as `out` of the same shape."""
    n = z.shape[d]
    radices = factors(n) or [1]
    done = 1
    for i, r in enumerate(radices):
        last = i == len(radices) - 1
        target = out if last else temporary(lowering, z.shape, complex64)
        _pass(lowering, z, target, d, done, r, forward, scale if last else 1.0)
        z, done = target, done * r


def _pass(lowering: Lowering, z: View, out: View, d: int, done: int, r: int, forward: bool, scale: float) -> None:
    n = z.shape[d]
    steps = tuple([0 if i == d else s for i, s in enumerate(z.strides)])
    words: dict[str, int | float] = {
        "step": z.strides[d], "done": done, "apart": n // (done * r), "factor": r,
        "turn": (-_TWO_PI if forward else _TWO_PI) / (done * r), "scale": float(scale),
    }  # fmt: skip

    def body(s: Scope) -> str:
        turn, factor = s.words.typed("turn", "f32"), s.words.typed("scale", "f32")
        return f"""let whole = {s["done"]} * {s["factor"]};
let k = i{d} % whole;
let first = (i{d} / whole) * {s["done"]} + k % {s["done"]};
var sum = vec2<f32>();
for (var q = 0u; q < {s["factor"]}; q++) {{
let angle = f32((q * k) % whole) * {turn};
let w = vec2<f32>(k_cos(angle), k_sin(angle));
let v = m1[a1 + (first + q * {s["apart"]} * {s["done"]}) * {s["step"]}];
sum += vec2<f32>(v.x * w.x - v.y * w.y, v.x * w.y + v.y * w.x);
}}
m0[a0] = sum * {factor};"""

    streams = [Stream(out, out.strides), Stream(z, steps)]
    flops = math.prod(z.shape) * r * 8
    points(lowering, ("fft", d), f"fft pass of {r}", z.shape, streams, body, (0,), words, indexed=True, flops=flops)


@library("fft")
def _fft(lowering: Lowering, node: LibraryNode) -> bool:
    (z,), (dims, forward, scale), out = node.operands, node.attrs, node.result
    if 0 in z.shape:
        return True
    for i, d in enumerate(dims):
        last = i == len(dims) - 1
        target = out if last else temporary(lowering, z.shape, complex64)
        _transform(lowering, z, target, d, forward, scale if last else 1.0)
        z = target
    return bool(dims)


@library("rfft")
def _rfft(lowering: Lowering, node: LibraryNode) -> bool:
    (x,), (d, scale), out = node.operands, node.attrs, node.result
    if 0 in out.shape or not x.shape[d]:
        return False
    z, whole = (temporary(lowering, x.shape, complex64) for _ in range(2))
    copy(lowering, x, part(z, 0), "rfft")
    fill(lowering, part(z, 1), 0.0)
    _transform(lowering, z, whole, d, True, scale)
    copy(lowering, View(whole.slot, out.shape, whole.strides, whole.offset, complex64), out, "rfft")
    return True


@library("irfft")
def _irfft(lowering: Lowering, node: LibraryNode) -> bool:
    (z,), (d, n, scale), out = node.operands, node.attrs, node.result
    if 0 in out.shape:
        return False
    full, back = (temporary(lowering, out.shape, complex64) for _ in range(2))
    steps = tuple([0 if i == d else s for i, s in enumerate(z.strides)])

    def body(s: Scope) -> str:  # the other half is the conjugate in reverse; ends that are their own conjugates are real
        return f"""let j = i{d};
let other = j > {s["half"]};
let v = m1[a1 + select(j, {s["length"]} - j, other) * {s["step"]}];
let own = j == 0u || 2u * j == {s["length"]};
m0[a0] = vec2<f32>(v.x, select(select(v.y, -v.y, other), 0f, own));"""

    words = {"half": n // 2, "length": n, "step": z.strides[d]}
    points(lowering, ("hermitian", d), "irfft", out.shape, [Stream(full, full.strides), Stream(z, steps)], body, (0,), words, indexed=True)
    _transform(lowering, full, back, d, False, scale)
    copy(lowering, part(back, 0), out, "irfft")
    return True
