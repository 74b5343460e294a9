"""Signs and rounding, exponentials, logarithms, powers, roots, trigonometric and hyperbolic functions with their inverses."""

from __future__ import annotations

import math

from ...coefficients import COS32, EXP32, EXPM1_32, LOG32, SIN32
from .text import literal, poly

_LN2_HIGH, _LN2_LOW = literal(0.693145751953125), literal(1.4286068203094173e-06)
_LOG2_E = literal(1 / math.log(2))


def _logarithm(name: str, value: str) -> str:
    """A logarithm of ``2**n (1 + g)``: `value` of n, g and ``rest``, what ``log(1 + g)`` has beyond g."""
    return f"""fn {name}(a: f32) -> f32 {{
    let small = a < 1.17549435e-38f;
    let x = select(a, a * 8388608f, small);
    let e = k_exponent(x);
    let g = bitcast<f32>(bitcast<i32>(x) - (e << 23u)) - 1f;
    let n = f32(select(e, e - 23, small));
    let s = g * g;
    let rest = fma(s * g, {poly("g", LOG32)}, s * -0.5f);
    return k_log_special(a, {value});
}}"""


_LOG = _logarithm("k_log", f"fma(n, {_LN2_HIGH}, g + fma(n, {_LN2_LOW}, rest))")
_LOG2 = _logarithm("k_log2", f"n + (g + fma(g, {literal(1 / math.log(2) - 1)}, rest * {_LOG2_E}))")

TEXT = f"""
var<private> inf_bits: u32 = 0x7f800000u;
var<private> nan_bits: u32 = 0x7fc00000u;

fn k_inf() -> f32 {{ return bitcast<f32>(inf_bits); }}

fn k_nan() -> f32 {{ return bitcast<f32>(nan_bits); }}

fn k_isnan(x: f32) -> bool {{ return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }}

fn k_isinf(x: f32) -> bool {{ return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }}

fn k_copysign(x: f32, s: f32) -> f32 {{
    return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(s) & 0x80000000u));
}}

fn k_max(a: f32, b: f32) -> f32 {{ return select(select(select(a, b, a < b), b, k_isnan(b)), a, k_isnan(a)); }}

fn k_min(a: f32, b: f32) -> f32 {{ return select(select(select(a, b, a > b), b, k_isnan(b)), a, k_isnan(a)); }}

fn k_sign(x: f32) -> f32 {{ return select(select(select(0f, -1f, x < 0f), 1f, x > 0f), x, k_isnan(x)); }}

fn k_round_f16(x: f32) -> f32 {{
    let bits = bitcast<u32>(x);
    let size = abs(x);
    var y = bitcast<f32>((bits + ((bits >> 13u) & 1u) + 0xfffu) & 0xffffe000u);
    y = select(y, k_copysign(k_inf(), x), abs(y) > 65504f);
    let tiny = round(size * 16777216f) * 5.96046448e-8f;
    y = select(y, k_copysign(tiny, x), size < 6.10351563e-5f);
    return select(y, x, k_isnan(x));
}}

fn k_round_bf16(x: f32) -> f32 {{
    let bits = bitcast<u32>(x);
    let y = bitcast<f32>((bits + ((bits >> 16u) & 1u) + 0x7fffu) & 0xffff0000u);
    return select(y, x, k_isnan(x));
}}

fn k_ldexp(x: f32, n: i32) -> f32 {{
    let h = n >> 1u;
    return x * bitcast<f32>((h + 127) << 23u) * bitcast<f32>((n - h + 127) << 23u);
}}

fn k_exp(a: f32) -> f32 {{
    var x = select(a, -104f, a < -104f);
    x = select(x, 89f, x > 89f);
    let n = round(x * {_LOG2_E});
    let r = fma(f32(i32(n)), -{_LN2_LOW}, fma(n, -{_LN2_HIGH}, x));
    let y = k_ldexp(fma({poly("r", EXP32)}, r * r, r) + 1f, i32(n));
    return select(y, a, k_isnan(a));
}}

fn k_exp2(a: f32) -> f32 {{
    var x = select(a, -151f, a < -151f);
    x = select(x, 129f, x > 129f);
    let n = round(x);
    let r = (x - n) * {literal(math.log(2))};
    let y = k_ldexp(fma({poly("r", EXP32)}, r * r, r) + 1f, i32(n));
    return select(y, a, k_isnan(a));
}}

fn k_expm1(a: f32) -> f32 {{
    var x = select(a, -30f, a < -30f);
    x = select(x, 89f, x > 89f);
    let n = round(x * {_LOG2_E});
    let r = fma(f32(i32(n)), -{_LN2_LOW}, fma(n, -{_LN2_HIGH}, x));
    let p = fma({poly("r", EXPM1_32)}, r * r, r);
    let s = bitcast<f32>((i32(n) + 126) << 23u);
    let y = fma(s, p, s - 0.5f) * 2f;
    return select(select(y, a, a == 0f), a, k_isnan(a));
}}

fn k_sigmoid(x: f32) -> f32 {{ return 1f / (1f + k_exp(-x)); }}

fn k_tanh(x: f32) -> f32 {{
    let a = abs(x);
    let t = k_expm1(select(2f * a, 20f, a > 10f));
    return k_copysign(select(t / (t + 2f), a, k_isnan(x)), x);
}}

fn k_sinh(x: f32) -> f32 {{
    let a = abs(x);
    let t = k_expm1(a);
    let half = k_exp(0.5f * a);
    let y = select(0.5f * (t + t / (t + 1f)), 0.5f * half * half, a > 20f);
    return k_copysign(select(y, a, k_isnan(x)), x);
}}

fn k_cosh(x: f32) -> f32 {{
    let half = k_exp(0.5f * abs(x));
    let t = half * half;
    return select(0.5f * (t + 1f / t), 0.5f * half * half, abs(x) > 20f);
}}

fn k_exponent(x: f32) -> i32 {{ return (bitcast<i32>(x) - 0x3f3504f3) >> 23u; }}

fn k_log_special(x: f32, y: f32) -> f32 {{
    let other = select(select(x, k_nan(), x < 0f), -k_inf(), x == 0f);
    return select(other, y, x > 0f && !k_isinf(x) && !k_isnan(x));
}}

{_LOG}

{_LOG2}

fn k_log10(a: f32) -> f32 {{ return k_log(a) * {literal(1 / math.log(10))}; }}

fn k_log1p(x: f32) -> f32 {{
    let s = x * x;
    let near = x + fma(s * x, {poly("x", LOG32)}, s * -0.5f);
    return select(select(k_log(1f + x), near, x > -0.292f && x < 0.414f), x, k_isnan(x) || x == 0f);
}}

fn k_pow(x: f32, y: f32) -> f32 {{
    let a = abs(x);
    let small = a < 1.17549435e-38f;
    let b = select(a, a * 8388608f, small);
    let e = k_exponent(b);
    let m = bitcast<f32>(bitcast<i32>(b) - (e << 23u));
    let n = f32(select(e, e - 23, small));
    let g = m - 1f;
    let s = g * g;
    let rest = fma(s * g, {poly("g", LOG32)}, s * -0.5f);
    let fraction = g + fma(g, {literal(1 / math.log(2) - 1)}, rest * {_LOG2_E});
    let whole_power = y * n;
    let lost = fma(y, n, -whole_power);
    let up = round(whole_power);
    let r = (whole_power - up) + lost + y * fraction;
    let k = round(r);
    let total = clamp(up + k, -300f, 300f);
    let f = clamp((r - k), -1f, 1f) * {literal(math.log(2))};
    var size = k_ldexp(fma({poly("f", EXP32)}, f * f, f) + 1f, i32(clamp(total, -252f, 252f)));
    size = select(size, 0f, total < -160f);
    size = select(size, k_inf(), total > 130f);
    let up_side = (a > 1f) == (y > 0f);
    size = select(size, select(0f, k_inf(), up_side), (k_isinf(a) || k_isinf(y) || a == 0f) && a != 1f);
    size = select(size, 1f, y == 0f || a == 1f);
    let whole = floor(y) == y;
    let odd = whole && floor(y * 0.5f) * 2f != y && abs(y) < 16777216f;
    var out = select(size, -size, odd && (bitcast<u32>(x) >> 31u) == 1u);
    out = select(out, k_nan(), x < 0f && !whole && !k_isinf(x) && !k_isinf(y));
    out = select(out, k_nan(), k_isnan(x) || k_isnan(y));
    return select(out, 1f, y == 0f || x == 1f);
}}

fn k_sqrt(x: f32) -> f32 {{ return select(select(sqrt(abs(x)), k_nan(), x < 0f), x, k_isnan(x) || x == 0f || (k_isinf(x) && x > 0f)); }}

fn k_quadrant(x: f32) -> vec2<f32> {{
    let n = round(x * {literal(2 / math.pi)});
    var r = fma(n, -1.5703125f, x);
    let again = f32(i32(n)); // under another name, so that the products are not made one
    r = fma(again, -4.83751297e-4f, r);
    r = fma(n, -7.54953362e-8f, r);
    r = fma(again, -2.56334407e-12f, r);
    return vec2<f32>(r, n);
}}

fn k_sine(r: f32) -> f32 {{
    let z = r * r;
    return fma(r * z, {poly("z", SIN32)}, r);
}}

fn k_cosine(r: f32) -> f32 {{
    let z = r * r;
    return fma(z * z, {poly("z", COS32)}, 1f - 0.5f * z);
}}

fn k_sin(x: f32) -> f32 {{
    let q = k_quadrant(x);
    let n = i32(q.y);
    let y = select(k_sine(q.x), k_cosine(q.x), (n & 1) != 0);
    return select(select(select(y, -y, (n & 2) != 0), x, x == 0f), k_nan(), k_isnan(x) || k_isinf(x));
}}

fn k_cos(x: f32) -> f32 {{
    let q = k_quadrant(x);
    let n = i32(q.y) + 1;
    let y = select(k_sine(q.x), k_cosine(q.x), (n & 1) != 0);
    return select(select(y, -y, (n & 2) != 0), k_nan(), k_isnan(x) || k_isinf(x));
}}

fn k_tan(x: f32) -> f32 {{
    let q = k_quadrant(x);
    let s = k_sine(q.x);
    let c = k_cosine(q.x);
    let y = select(s / c, -c / s, (i32(q.y) & 1) != 0);
    return select(select(y, x, x == 0f), k_nan(), k_isnan(x) || k_isinf(x));
}}

fn k_atan(x: f32) -> f32 {{
    let a = abs(x);
    let big = a > 2.41421356f;
    let mid = a > 0.414213562f && !big;
    let t = select(select(a, (a - 1f) / (a + 1f), mid), -1f / a, big);
    let z = t * t;
    let p = {poly("z", (-3.33329491539e-1, 1.99777106478e-1, -1.38776856032e-1, 8.05374449538e-2))};
    let y = select(select(0f, 0.785398163f, mid), 1.57079633f, big) + fma(p * z, t, t);
    return k_copysign(select(y, a, k_isnan(x) || x == 0f), x);
}}

fn k_atan2(y: f32, x: f32) -> f32 {{
    let both = k_isinf(x) && k_isinf(y);
    let q = select(select(abs(y) / abs(x), 0f, y == 0f), 1f, both);
    let first = select(k_atan(q), 1.57079633f, x == 0f && y != 0f);
    let negative = (bitcast<u32>(x) >> 31u) == 1u;
    let out = k_copysign(select(first, 3.14159265f - first, negative), y);
    return select(out, k_nan(), k_isnan(x) || k_isnan(y));
}}

fn k_asin_small(a: f32) -> f32 {{
    let z = a * a;
    let p = {poly("z", (1.6666752422e-1, 7.4953002686e-2, 4.5470025998e-2, 2.4181311049e-2, 4.2163199048e-2))};
    return fma(p * z, a, a);
}}

fn k_asin(x: f32) -> f32 {{
    let a = abs(x);
    let y = select(k_asin_small(a), 1.57079633f - 2f * k_asin_small(sqrt(max(0.5f * (1f - a), 0f))), a > 0.5f);
    return select(select(k_copysign(y, x), k_nan(), a > 1f), x, k_isnan(x) || x == 0f);
}}

fn k_acos(x: f32) -> f32 {{
    let a = abs(x);
    let far = 2f * k_asin_small(sqrt(max(0.5f * (1f - a), 0f)));
    let y = select(1.57079633f - k_copysign(k_asin_small(a), x), select(far, 3.14159265f - far, x < 0f), a > 0.5f);
    return select(select(y, k_nan(), a > 1f), x, k_isnan(x));
}}

fn k_asinh(x: f32) -> f32 {{
    let a = abs(x);
    let near = k_log1p(a + a * a / (1f + sqrt(a * a + 1f)));
    let y = select(near, k_log(a) + 0.693147181f, a > 1e9f);
    return k_copysign(select(y, a, k_isnan(x) || x == 0f), x);
}}

fn k_acosh(x: f32) -> f32 {{
    let t = x - 1f;
    let near = k_log1p(t + sqrt(max(2f * t + t * t, 0f)));
    let y = select(near, k_log(x) + 0.693147181f, x > 1e9f);
    return select(select(y, k_nan(), x < 1f), x, k_isnan(x));
}}

fn k_atanh(x: f32) -> f32 {{
    let a = abs(x);
    let y = 0.5f * k_log1p(2f * a / (1f - a));
    return select(select(select(k_copysign(y, x), k_copysign(k_inf(), x), a == 1f), k_nan(), a > 1f), x, k_isnan(x) || x == 0f);
}}
"""
