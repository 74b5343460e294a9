"""Error functions and their inverse, the logarithm of the gamma function and its derivative."""

from __future__ import annotations

from ...coefficients import ERF32_FAR, ERF32_NEAR
from .text import poly

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

TEXT = f"""
fn k_erf(x: f32) -> f32 {{
    let a = select(abs(x), 4f, abs(x) > 4f);
    let z = x * x;
    let near = fma(x, {poly("z", ERF32_NEAR)}, x);
    let tail = k_exp(-{poly("a", ERF32_FAR)});
    return select(select(k_copysign(1f - tail, x), near, a < 1f), x, k_isnan(x));
}}

fn k_erfc(x: f32) -> f32 {{
    let a = min(abs(x), 20f);
    let t = 1f / (1f + 0.5f * a);
    let p = {poly("t", _ERFC)};
    let high = bitcast<f32>(bitcast<u32>(a) & 0xfffff000u);
    let tail = t * k_exp(-high * high) * k_exp((high - a) * (high + a) + p);
    let y = select(select(tail, 1f - k_erf(x), a < 0.5f), 2f - tail, x <= -0.5f);
    return select(y, x, k_isnan(x));
}}

fn k_erfinv(x: f32) -> f32 {{
    let w = -k_log((1f - x) * (1f + x));
    let c = w - 2.5f;
    let central = {poly("c", _ERFINV_CENTRAL)};
    let o = sqrt(max(w, 5f)) - 3f;
    let outer = {poly("o", _ERFINV_OUTER)};
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
    let at_two = d * {poly("d", _LGAMMA_AT_2)};
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
"""
