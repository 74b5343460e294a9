"""Complex numbers: pairs of floats in memory, ``vec2<f32>`` in shaders.

What moves numbers, or adds them up, is done to their parts as real numbers of twice the steps; the rest is one kernel for each operation,
whose formulas are below.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from ...asg.declare import get
from ...compiler.kernel import Apply, Const, Convert, Load, LoopKernel, Operand, Reduce
from ...dtypes import bool_, complex64, float32
from ..views import broadcast
from . import loops
from .calls import LibraryNode, Lowering, View, library
from .copies import copy, fill
from .points import Stream, points

_FUNCTIONS = """
fn c_mul(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> { return vec2<f32>(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
fn c_size(z: vec2<f32>) -> f32 { return k_max(abs(z.x), abs(z.y)); }
fn c_abs(z: vec2<f32>) -> f32 {
    let m = c_size(z);
    if (m == 0f || k_isinf(m)) { return m; }
    let u = z / m;
    return m * k_sqrt(dot(u, u));
}
fn c_div(a: vec2<f32>, b: vec2<f32>) -> vec2<f32> {
    let m = c_size(b);
    let u = b / m;
    let v = a / m;
    return vec2<f32>(v.x * u.x + v.y * u.y, v.y * u.x - v.x * u.y) / dot(u, u);
}
fn c_exp(z: vec2<f32>) -> vec2<f32> {
    let size = k_exp(z.x);
    return select(vec2<f32>(size * k_cos(z.y), size * k_sin(z.y)), vec2<f32>(size, 0f), z.y == 0f);
}
fn c_log(z: vec2<f32>) -> vec2<f32> { return vec2<f32>(k_log(c_abs(z)), k_atan2(z.y, z.x)); }
fn c_sqrt(z: vec2<f32>) -> vec2<f32> {
    let size = c_abs(z);
    if (size == 0f) { return vec2<f32>(0f, z.y); }
    let half = k_sqrt((size + abs(z.x)) * 0.5f);
    let other = abs(z.y) / (2f * half);
    return select(vec2<f32>(other, k_copysign(half, z.y)), vec2<f32>(half, k_copysign(other, z.y)), z.x >= 0f);
}
fn c_sign(z: vec2<f32>) -> vec2<f32> {
    let size = c_abs(z);
    return select(z / size, vec2<f32>(), size == 0f);
}
"""

#: operation -> its formula, of operands ``a``, ``b``, ``c`` as they lie in memory
_FORMULAS = {
    "add": "a + b",
    "sub": "a - b",
    "mul": "c_mul(a, b)",
    "div": "c_div(a, b)",
    "neg": "-a",
    "neg_of": "-a",
    "abs": "c_abs(a)",
    "sign": "c_sign(a)",
    "reciprocal": "c_div(vec2<f32>(1f, 0f), a)",
    "exp": "c_exp(a)",
    "log": "c_log(a)",
    "sqrt": "c_sqrt(a)",
    "eq": "select(0u, 1u, a.x == b.x && a.y == b.y)",
    "ne": "select(1u, 0u, a.x == b.x && a.y == b.y)",
    "where": "select(c, b, a != 0u)",
}


def lower(lowering: Lowering, node: LibraryNode) -> bool:
    """Lower an operation that has complex operands, or a complex result, if it is one of these."""
    special = _SPECIAL.get(node.op)
    if special is not None:
        return special(lowering, node)
    if not all(v.dtype in (complex64, float32, bool_) for v in (*node.operands, node.result)):
        return False
    formula = _FORMULAS.get(node.op)
    if formula is None or node.attrs or any(v.dtype is float32 for v in node.operands):
        return False
    out = node.result
    streams = [Stream(out, out.strides), *[Stream(v, broadcast(v, out.shape).strides) for v in node.operands]]
    named = "".join(f"let {'abc'[k]} = m{k + 1}[a{k + 1}];\n" for k in range(len(node.operands)))
    points(
        lowering, ("complex", node.op), node.op, out.shape, streams, lambda _: f"{named}m0[a0] = {formula};", (0,),
        functions=lambda _: _FUNCTIONS,
    )  # fmt: skip
    return True


# ---------------------------------------------------------------- parts as real numbers
def part(v: View, number: int) -> View:
    """The real (0) or imaginary (1) parts of complex numbers."""
    return replace(v, strides=tuple([2 * s for s in v.strides]), offset=2 * v.offset + number, dtype=float32)


def pairs(v: View) -> View:
    """Complex numbers with their parts as a last dimension."""
    return replace(part(v, 0), shape=(*v.shape, 2), strides=(*part(v, 0).strides, 1))


def _negated(lowering: Lowering, src: View, dst: View) -> None:
    formula, d = get("neg").scalar, dst.dtype
    assert formula is not None
    body = Load(0, d), Apply("neg", (0,), (), d, d, formula)
    operands = Operand(d, src.strides), Operand(d, dst.strides)
    loops.lower(lowering, LoopKernel(dst.shape, len(dst.shape), operands, body, ((1, 1),)), [src, dst], "conj")


@library("complex")
def _complex(lowering: Lowering, node: LibraryNode) -> bool:
    for number, v in enumerate(node.operands):
        copy(lowering, v, part(node.result, number), "complex")
    return True


@library("real", "real_of")
def _real(lowering: Lowering, node: LibraryNode) -> bool:
    copy(lowering, part(node.operands[0], 0), node.result, "real")
    return True


@library("imag", "imag_of")
def _imag(lowering: Lowering, node: LibraryNode) -> bool:
    copy(lowering, part(node.operands[0], 1), node.result, "imag")
    return True


@library("conj", "conj_of")
def _conj(lowering: Lowering, node: LibraryNode) -> bool:
    (z,), out = node.operands, node.result
    copy(lowering, part(z, 0), part(out, 0), "conj")
    _negated(lowering, part(z, 1), part(out, 1))
    return True


@library("neg_of")
def _neg(lowering: Lowering, node: LibraryNode) -> bool:
    if node.result.dtype.is_complex:
        return lower(lowering, node)
    _negated(lowering, node.operands[0], node.result)
    return True


@library("view_as_real", "pairs_of")
def _as_real(lowering: Lowering, node: LibraryNode) -> bool:
    copy(lowering, pairs(node.operands[0]), node.result, "view_as_real")
    return True


@library("view_as_complex", "complex_of")
def _as_complex(lowering: Lowering, node: LibraryNode) -> bool:
    copy(lowering, node.operands[0], pairs(node.result), "view_as_complex")
    return True


def _cast(lowering: Lowering, node: LibraryNode) -> bool:
    (x,), out = node.operands, node.result
    if not out.dtype.is_complex:
        _converted(lowering, part(x, 0), out)
        return True
    _converted(lowering, x, part(out, 0))
    fill(lowering, part(out, 1), 0.0)
    return True


def _converted(lowering: Lowering, src: View, dst: View) -> None:
    operands = Operand(src.dtype, src.strides), Operand(dst.dtype, dst.strides)
    body = Load(0, src.dtype), Convert(0, dst.dtype)
    loops.lower(lowering, LoopKernel(dst.shape, len(dst.shape), operands, body, ((1, 1),)), [src, dst], "cast")


def _copied(lowering: Lowering, node: LibraryNode) -> bool:
    copy(lowering, node.operands[0], node.result)
    return True


def _sum(lowering: Lowering, node: LibraryNode) -> bool:
    return _reduced(lowering, node, tuple(node.attrs[0]))


def _mean(lowering: Lowering, node: LibraryNode) -> bool:
    (z,), dims = node.operands, tuple(node.attrs[0])
    return _reduced(lowering, node, dims, 1.0 / max(math.prod([z.shape[d] for d in dims or range(len(z.shape))]), 1))


def _sum_to(lowering: Lowering, node: LibraryNode) -> bool:
    (z,), out = node.operands, node.result
    lead = len(z.shape) - len(out.shape)
    dims = (*range(lead), *[lead + d for d, n in enumerate(out.shape) if n == 1 and z.shape[lead + d] != 1])
    return bool(dims) and _reduced(lowering, node, dims)


def _reduced(lowering: Lowering, node: LibraryNode, dims: tuple[int, ...], factor: float = 1.0) -> bool:
    """The sum over dimensions (none: all), times a number, of each part by itself."""
    (z,), out = node.operands, node.result
    if 0 in z.shape or not (z.dtype is out.dtype is complex64):
        return False
    dims = tuple([d % len(z.shape) for d in dims]) or tuple(range(len(z.shape)))
    kept = [d for d in range(len(z.shape)) if d not in dims]
    steps = iter([s for n, s in zip(out.shape, out.strides, strict=True) if n != 1])
    outer = [next(steps) if z.shape[d] != 1 else 0 for d in kept]
    formula = get("mul").scalar
    assert formula is not None
    body = Load(0, float32), Reduce("sum", 0, float32), Const(factor, float32), Apply("mul", (1, 2), (), float32, float32, formula)
    sizes = (*[z.shape[d] for d in kept], *[z.shape[d] for d in dims])
    for number in range(2):
        src, dst = part(z, number), part(out, number)
        strides = (*[src.strides[d] for d in kept], *[src.strides[d] for d in dims])
        operands = Operand(float32, strides), Operand(float32, (*[2 * s for s in outer], *[0] * len(dims)))
        loops.lower(lowering, LoopKernel(sizes, len(kept), operands, body, ((1, 3),)), [src, dst], node.op)
    return True


_SPECIAL: dict[str, Callable[[Lowering, LibraryNode], bool]] = {
    "cast": _cast,
    "clone": _copied,
    "contiguous": _copied,
    "relayout": _copied,
    "mean": _mean,
    "sum": _sum,
    "sum_to": _sum_to,
}
