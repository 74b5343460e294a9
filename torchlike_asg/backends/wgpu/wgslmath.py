"""Elementary functions in WGSL, in float32 arithmetic that every GPU has.

WGSL's own are not used where they promise too little (``sin``: 2^-11 absolute, ``atan``: 4096 units in the last place, ``pow`` and ``log``
by way of log2) or nothing about NaN and infinity: an implementation may assume that there are none. Here NaN passes through, infinities
come from a variable, since a constant expression may not be one, and tests look at the bits. Drivers may also rearrange sums (Mesa's takes
(1 + x) - 1 for x): what relies on rounding goes by way of integers.

Errors against float64, measured on Mesa's software adapter: exp, log, log1p, expm1, sin, cos, tanh, sigmoid, atan, asin, erf under 3e-7
relative; erfc 1e-6; lgamma, digamma 2e-6 of the larger of the value and 1; erfinv 1e-6.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from ...rng.philox import MULTIPLIERS, ROUNDS, WEYL
from ..coefficients import COS32, ERF32_FAR, ERF32_NEAR, EXP32, EXPM1_32, LOG32, SIN32


def literal(value: float) -> str:
    """A finite float32 literal."""
    return f"{value:.9g}f"


def _poly(x: str, coefficients: Sequence[float]) -> str:
    """c[0] + c[1] x + c[2] x^2 + ..."""
    out = literal(coefficients[-1])
    for c in coefficients[-2::-1]:
        out = f"fma({out}, {x}, {literal(c)})"
    return out


_LN2_HIGH, _LN2_LOW = literal(0.693145751953125), literal(1.4286068203094173e-06)
_LOG2_E = literal(1 / math.log(2))
# lgamma(2 + d) / d: 1 - Euler's constant, then (-1)^k (zeta(k) - 1) / k
_LGAMMA_AT_2 = (
    0.42278433509846714, 0.3224670334241136, -0.06735230105319809, 0.020580808427784547, -0.007385551028673985, 0.0028905103307415234,
    -0.001192753911703261, 0.0005096695247430425, -0.00022315475845357938, 9.945751278180853e-05, -4.492623673813314e-05,
)  # fmt: skip
# log(erfc(a) / t) + a^2 with t = 1 / (1 + a/2): the Chebyshev fit of Press et al., "Numerical Recipes", erfcc
_ERFC = (
    -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277,
)  # fmt: skip
# Giles (2012), "Approximating the erfinv function", for w = -log(1 - x^2) below and above 5
_ERFINV_CENTRAL = (
    1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087, -4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08,
)  # fmt: skip
_ERFINV_OUTER = (
    2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773, -0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257,
)  # fmt: skip

_TEXT = f"""
var<private> inf_bits: u32 = 0x7f800000u;
var<private> nan_bits: u32 = 0x7fc00000u;

fn k_inf() -> f32 {{ return bitcast<f32>(inf_bits); }}

fn k_nan() -> f32 {{ return bitcast<f32>(nan_bits); }}

fn k_isnan(x: f32) -> bool {{ return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }}

fn k_isinf(x: f32) -> bool {{ return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }}

fn k_copysign(x: f32, s: f32) -> f32 {{
    return bitcast<f32>((bitcast<u32>(x) & 0x7fffffffu) | (bitcast<u32>(s) & 0x80000000u));
}}

fn k_max(a: f32, b: f32) -> f32 {{ return select(select(a, b, a < b), b, k_isnan(b)); }}

fn k_min(a: f32, b: f32) -> f32 {{ return select(select(a, b, a > b), b, k_isnan(b)); }}

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
    let y = k_ldexp(fma({_poly("r", EXP32)}, r * r, r) + 1f, i32(n));
    return select(y, a, k_isnan(a));
}}

fn k_exp2(a: f32) -> f32 {{
    var x = select(a, -151f, a < -151f);
    x = select(x, 129f, x > 129f);
    let n = round(x);
    let r = (x - n) * {literal(math.log(2))};
    let y = k_ldexp(fma({_poly("r", EXP32)}, r * r, r) + 1f, i32(n));
    return select(y, a, k_isnan(a));
}}

fn k_expm1(a: f32) -> f32 {{
    var x = select(a, -30f, a < -30f);
    x = select(x, 89f, x > 89f);
    let n = round(x * {_LOG2_E});
    let r = fma(f32(i32(n)), -{_LN2_LOW}, fma(n, -{_LN2_HIGH}, x));
    let p = fma({_poly("r", EXPM1_32)}, r * r, r);
    let s = bitcast<f32>((i32(n) + 126) << 23u);
    let y = fma(s, p, s - 0.5f) * 2f;
    return select(select(y, a, a == 0f), a, k_isnan(a));
}}

fn k_sigmoid(x: f32) -> f32 {{ return 1f / (1f + k_exp(-x)); }}

fn k_tanh(x: f32) -> f32 {{
    let a = abs(x);
    let t = k_expm1(select(2f * a, 20f, a > 10f));
    return select(k_copysign(t / (t + 2f), x), x, k_isnan(x));
}}

fn k_sinh(x: f32) -> f32 {{
    let a = abs(x);
    let t = k_expm1(a);
    let half = k_exp(0.5f * a);
    let y = select(0.5f * (t + t / (t + 1f)), 0.5f * half * half, a > 20f);
    return select(k_copysign(y, x), x, k_isnan(x));
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

fn k_log(a: f32) -> f32 {{
    let small = a < 1.17549435e-38f;
    let x = select(a, a * 8388608f, small);
    let e = k_exponent(x);
    let g = bitcast<f32>(bitcast<i32>(x) - (e << 23u)) - 1f;
    let n = f32(select(e, e - 23, small));
    let s = g * g;
    let rest = fma(s * g, {_poly("g", LOG32)}, s * -0.5f);
    return k_log_special(a, fma(n, {_LN2_HIGH}, g + fma(n, {_LN2_LOW}, rest)));
}}

fn k_log2(a: f32) -> f32 {{
    let small = a < 1.17549435e-38f;
    let x = select(a, a * 8388608f, small);
    let e = k_exponent(x);
    let g = bitcast<f32>(bitcast<i32>(x) - (e << 23u)) - 1f;
    let n = f32(select(e, e - 23, small));
    let s = g * g;
    let rest = fma(s * g, {_poly("g", LOG32)}, s * -0.5f);
    return k_log_special(a, n + (g + fma(g, {literal(1 / math.log(2) - 1)}, rest * {_LOG2_E})));
}}

fn k_log10(a: f32) -> f32 {{ return k_log(a) * {literal(1 / math.log(10))}; }}

fn k_log1p(x: f32) -> f32 {{
    let s = x * x;
    let near = x + fma(s * x, {_poly("x", LOG32)}, s * -0.5f);
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
    let rest = fma(s * g, {_poly("g", LOG32)}, s * -0.5f);
    let fraction = g + fma(g, {literal(1 / math.log(2) - 1)}, rest * {_LOG2_E});
    let whole_power = y * n;
    let lost = fma(y, n, -whole_power);
    let up = round(whole_power);
    let r = (whole_power - up) + lost + y * fraction;
    let k = round(r);
    let total = clamp(up + k, -300f, 300f);
    let f = clamp((r - k), -1f, 1f) * {literal(math.log(2))};
    var size = k_ldexp(fma({_poly("f", EXP32)}, f * f, f) + 1f, i32(clamp(total, -252f, 252f)));
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
    return fma(r * z, {_poly("z", SIN32)}, r);
}}

fn k_cosine(r: f32) -> f32 {{
    let z = r * r;
    return fma(z * z, {_poly("z", COS32)}, 1f - 0.5f * z);
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
    let p = {_poly("z", (-3.33329491539e-1, 1.99777106478e-1, -1.38776856032e-1, 8.05374449538e-2))};
    let y = select(select(0f, 0.785398163f, mid), 1.57079633f, big) + fma(p * z, t, t);
    return select(k_copysign(y, x), x, k_isnan(x) || x == 0f);
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
    let p = {_poly("z", (1.6666752422e-1, 7.4953002686e-2, 4.5470025998e-2, 2.4181311049e-2, 4.2163199048e-2))};
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
    return select(k_copysign(y, x), x, k_isnan(x) || x == 0f);
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

fn k_erf(x: f32) -> f32 {{
    let a = select(abs(x), 4f, abs(x) > 4f);
    let z = x * x;
    let near = fma(x, {_poly("z", ERF32_NEAR)}, x);
    let tail = k_exp(-{_poly("a", ERF32_FAR)});
    return select(select(k_copysign(1f - tail, x), near, a < 1f), x, k_isnan(x));
}}

fn k_erfc(x: f32) -> f32 {{
    let a = min(abs(x), 20f);
    let t = 1f / (1f + 0.5f * a);
    let p = {_poly("t", _ERFC)};
    let high = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
    let tail = t * k_exp(-high * high) * k_exp((high - a) * (high + a) + p);
    let y = select(select(tail, 1f - k_erf(x), a < 0.5f), 2f - tail, x <= -0.5f);
    return select(y, x, k_isnan(x));
}}

fn k_erfinv(x: f32) -> f32 {{
    let w = -k_log((1f - x) * (1f + x));
    let c = w - 2.5f;
    let central = {_poly("c", _ERFINV_CENTRAL)};
    let o = sqrt(max(w, 5f)) - 3f;
    let outer = {_poly("o", _ERFINV_OUTER)};
    let y = select(outer, central, w < 5f) * x;
    let a = abs(x);
    return select(select(select(y, k_copysign(k_inf(), x), a == 1f), k_nan(), a > 1f), x, k_isnan(x));
}}

fn k_lgamma_positive(a: f32) -> f32 {{
    var x = a;
    var product = 1f;
    for (var i = 0; i < 7; i++) {{
        let low = x < 7f;
        product = select(product, product * x, low);
        x = select(x, x + 1f, low);
    }}
    let z = 1f / x;
    let series = z * fma(z * z, fma(z * z, 7.93650794e-4f, -2.77777778e-3f), 8.33333333e-2f);
    let stirling = (x - 0.5f) * k_log(x) - x + 0.918938533f + series;
    // near its zeros the difference of large numbers would be all rounding: a series around 1 and 2
    let d = a - select(1f, 2f, a > 1.5f);
    let at_two = d * {_poly("d", _LGAMMA_AT_2)};
    let at_one = at_two - k_log1p(d);
    return select(select(stirling - k_log(product), select(at_one, at_two, a > 1.5f), a > 0.5f && a < 2.5f), a, k_isnan(a) || k_isinf(a));
}}

fn k_sinpi(x: f32) -> f32 {{
    let r = x - 2f * floor(x * 0.5f);
    let s = select(r, 1f - r, r > 0.5f && r <= 1.5f);
    let t = select(s, r - 2f, r > 1.5f);
    let q = t * 3.14159265f;
    let far = abs(q) > 0.785398163f;
    return select(k_sine(q), k_copysign(k_cosine(1.57079633f - abs(q)), q), far);
}}

fn k_lgamma(x: f32) -> f32 {{
    let reflected = k_log(3.14159265f / abs(k_sinpi(x))) - k_lgamma_positive(1f - x);
    let y = select(k_lgamma_positive(x), reflected, x < 0f);
    return select(select(y, k_inf(), x <= 0f && floor(x) == x), abs(x), k_isnan(x) || k_isinf(x));
}}

fn k_digamma(a: f32) -> f32 {{
    let negative = a < 0f;
    var x = select(a, 1f - a, negative);
    var shift = 0f;
    for (var i = 0; i < 10; i++) {{
        let low = x < 10f;
        shift = select(shift, shift - 1f / x, low);
        x = select(x, x + 1f, low);
    }}
    let z = 1f / (x * x);
    let y = shift + k_log(x) - 0.5f / x - z * fma(z, fma(z, 3.96825397e-3f, -8.33333333e-3f), 8.33333333e-2f);
    let fraction = a - floor(a);
    let out = select(y, y - 3.14159265f / k_tan(3.14159265f * select(fraction, fraction - 1f, fraction > 0.5f)), negative);
    let pole = select(out, k_nan(), negative && floor(a) == a);
    return select(select(pole, k_copysign(k_inf(), -a), a == 0f), a, k_isnan(a));
}}

fn k_fmod(a: f32, b: f32) -> f32 {{
    // long division of the mantissas: exact
    let x = bitcast<u32>(a) & 0x7fffffffu;
    let y = bitcast<u32>(b) & 0x7fffffffu;
    let divisor = (y & 0x7fffffu) | 0x800000u;
    let exponent = i32(y >> 23u);
    var rest = (x & 0x7fffffu) | 0x800000u;
    rest = select(rest, rest - divisor, rest >= divisor);
    let steps = min(i32(x >> 23u) - exponent, 254);
    for (var i = 0; i < steps; i++) {{
        rest = rest << 1u;
        rest = select(rest, rest - divisor, rest >= divisor);
    }}
    let size = select(k_ldexp(f32(rest), exponent - 150), abs(a), x < y);
    return select(k_copysign(size, a), k_nan(), k_isnan(a) || k_isnan(b) || k_isinf(a) || y < 0x800000u);
}}

fn k_remainder(a: f32, b: f32) -> f32 {{
    let r = k_fmod(a, b);
    let y = select(r, r + b, r != 0f && ((r < 0f) != (b < 0f)));
    return select(y, k_copysign(0f, b), y == 0f);
}}

fn k_floor_div(a: f32, b: f32) -> f32 {{
    let rest = k_fmod(a, b);
    var q = (a - rest) / b;
    q = select(q, q - 1f, rest != 0f && ((rest < 0f) != (b < 0f)));
    var whole = floor(q);
    whole = select(whole, whole + 1f, q - whole > 0.5f);
    let plain = a / b;
    let zero = k_copysign(0f, plain);
    return select(select(select(whole, zero, q == 0f), k_nan(), k_isnan(rest)), plain, b == 0f);
}}

fn k_mulhi(a: u32, b: u32) -> u32 {{
    let al = a & 0xffffu;
    let ah = a >> 16u;
    let bl = b & 0xffffu;
    let bh = b >> 16u;
    let low = al * bl;
    let middle = ah * bl + (low >> 16u);
    let other = al * bh + (middle & 0xffffu);
    return ah * bh + (middle >> 16u) + (other >> 16u);
}}

fn k_philox(counter: vec2<u32>, key: vec2<u32>) -> vec4<u32> {{
    var x = vec4<u32>(counter, 0u, 0u);
    var k = key;
    for (var i = 0; i < {ROUNDS}; i++) {{
        x = vec4<u32>(
            k_mulhi({MULTIPLIERS[1]}u, x.z) ^ x.y ^ k.x, {MULTIPLIERS[1]}u * x.z,
            k_mulhi({MULTIPLIERS[0]}u, x.x) ^ x.w ^ k.y, {MULTIPLIERS[0]}u * x.x);
        k = k + vec2<u32>({WEYL[0]}u, {WEYL[1]}u);
    }}
    return x;
}}

fn k_random(key: vec2<u32>, block: vec2<u32>, number: u32) -> f32 {{
    let low = block.x + (number >> 2u);
    let words = k_philox(vec2<u32>(low, block.y + select(0u, 1u, low < block.x)), key);
    return f32(words[number & 3u] >> 8u) * 5.96046448e-8f;
}}

fn k_imod(a: i32, b: i32) -> i32 {{ return a - (a / select(b, 1, b == 0)) * b; }}

fn k_iremainder(a: i32, b: i32) -> i32 {{
    let r = k_imod(a, b);
    return select(r, r + b, r != 0 && ((r < 0) != (b < 0)));
}}

fn k_ifloor_div(a: i32, b: i32) -> i32 {{
    let d = select(b, 1, b == 0);
    let q = a / d;
    let r = a - q * d;
    return select(q, q - 1, r != 0 && ((r < 0) != (b < 0)));
}}

fn k_ipow(a: i32, b: i32) -> i32 {{
    var out = 1;
    var base = a;
    var rest = u32(b);
    for (var i = 0; i < 32; i++) {{
        if (rest == 0u) {{ break; }}
        out = select(out, out * base, (rest & 1u) == 1u);
        base = base * base;
        rest = rest >> 1u;
    }}
    return out;
}}

fn k_ishl(a: i32, b: i32) -> i32 {{ return select(0, a << (u32(b) & 31u), u32(b) < 32u); }}

fn k_ishr(a: i32, b: i32) -> i32 {{ return a >> select(31u, u32(b), u32(b) < 32u); }}

fn k_to_int(x: f32) -> i32 {{
    let outside = !(x > -2147483648f && x < 2147483520f);
    return select(i32(select(x, 0f, outside)), select(-2147483647 - 1, 2147483647, x > 0f && !k_isnan(x)), outside);
}}
"""


def _functions() -> dict[str, tuple[str, frozenset[str]]]:
    """name -> (its text, the names it uses)"""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for piece in re.split(r"\n(?=fn |var<private>)", _TEXT.strip()):
        match = re.match(r"fn (\w+)|var<private> (\w+)", piece)
        assert match is not None
        name = match[1] or match[2]
        used = frozenset(re.findall(r"\b(k_\w+|inf_bits|nan_bits)\b", piece)) - {name}
        found[name] = piece.strip(), used
    return found


FUNCTIONS = _functions()


def definitions(names: Iterable[str]) -> str:
    """The text of these functions and of all that they use."""
    needed: list[str] = []

    def visit(name: str) -> None:
        if name not in needed:
            for other in sorted(FUNCTIONS[name][1]):
                visit(other)
            needed.append(name)

    for name in sorted(names):
        visit(name)
    return "\n".join(FUNCTIONS[n][0] for n in needed) + "\n" if needed else ""


def used(text: str) -> set[str]:
    """The names of functions that a piece of WGSL calls."""
    return {n for n in re.findall(r"\bk_\w+", text) if n in FUNCTIONS}
