"""Remainders and quotients of floats, exactly; integers; random numbers, which are made of them."""

from __future__ import annotations

from ....rng.philox import MULTIPLIERS, ROUNDS, WEYL

TEXT = f"""
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
    return select(r, r + b, r != 0f && ((r < 0f) != (b < 0f)));
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
