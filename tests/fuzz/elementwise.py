"""Statements of random training scripts: elementwise operations, reductions, views, joins."""

from .statements import statement


def dims(r, t, most=9):
    """Some dimensions of a tensor, in random order."""
    return tuple(r.sample(range(t.dim()), r.randint(1, min(most, t.dim())))) if t.dim() else ()


UNARY = (
    "relu tanh sigmoid exp sin cos abs neg square rsqrt_ log_ sqrt_ erf softplus gelu silu sign floor ceil round trunc frac expm1 atan "
    "reciprocal_ log1p_ leaky_relu elu selu hardtanh hardswish hardsigmoid relu6 logsigmoid mish celu softsign tanhshrink softshrink "
    "hardshrink sinh_ asinh erfinv_ lgamma_ digamma_ logit_ nan_to_num positive sinc"
).split()


@statement(10)
def unary(s):
    a, k = s.floats(), s.random.choice(UNARY)

    def run(side):
        x, lib = side.v[a], side.lib
        if k in ("rsqrt_", "log_", "sqrt_", "reciprocal_", "lgamma_", "digamma_"):
            return getattr(lib, k[:-1])(x.abs() + 0.5)
        if k == "log1p_":
            return lib.log1p(x.abs())
        if k in ("erfinv_",):
            return lib.erfinv(lib.tanh(x) * 0.9)
        if k == "logit_":
            return lib.logit(lib.sigmoid(x), eps=1e-3)
        if k == "sinh_":
            return lib.sinh(lib.tanh(x))
        f = getattr(lib.nn.functional, k, None) or getattr(lib, k)
        return f(x)

    s.add(f"{k}({a})", run)


@statement(12)
def binary(s):
    k = s.random.choice(
        "add sub mul mul div maximum minimum pow atan2 hypot fmod remainder where lerp addcmul addcdiv logaddexp copysign xlogy".split()
    )
    a = s.floats()
    x = s.sides[0].v[a]

    def fits(t):
        return t.dim() <= x.dim() and all(p in (1, q) for p, q in zip(reversed(t.shape), reversed(x.shape), strict=False))

    b, c = s.floats(fits), s.floats(fits)
    swap = s.random.random() < 0.3

    def run(side):
        p, q, w, lib = side.v[a], side.v[b], side.v[c], side.lib
        if swap:
            p, q = q, p
        if k == "div":
            return p / (q.abs() + 0.5)
        if k == "pow":
            return (p.abs() + 0.5) ** q.tanh()
        if k in ("fmod", "remainder"):
            return getattr(lib, k)(p, q.abs() + 0.7)
        if k == "where":
            return lib.where(p > q, p * 2, w)
        if k == "lerp":
            return lib.lerp(p, q, w.sigmoid())
        if k == "addcmul":
            return lib.addcmul(p, q, w, value=0.5)
        if k == "addcdiv":
            return lib.addcdiv(p, q, w.abs() + 1, value=-0.5)
        if k == "xlogy":
            return lib.xlogy(p, q.abs() + 0.1)
        return getattr(lib, k)(p, q)

    s.add(f"{k}({a}, {b}, {c}) swap={swap}", run)


@statement(5)
def number(s):
    a, c, k = s.floats(), s.random.choice([0.5, -1.5, 2, 3, 0]), s.random.choice(["*", "+", "rsub", "rdiv", "**", "clamp", "//", "%"])

    def run(side):
        x = side.v[a]
        if k == "*":
            return x * c
        if k == "+":
            return c + x
        if k == "rsub":
            return c - x
        if k == "rdiv":
            return c / (x.abs() + 1)
        if k == "**":
            return x ** abs(int(c))
        if k == "//":
            return x // 0.7
        if k == "%":
            return x % 0.7
        return x.clamp(-0.5, c if c > 0 else None)

    s.add(f"{a} {k} {c}", run)


@statement(10)
def reduce(s):
    a = s.floats(lambda t: t.dim() > 0)
    if a is None:
        return
    t = s.sides[0].v[a]
    k = s.random.choice(
        "sum mean amax amin max min prod std var logsumexp norm norm1 normp median cumsum cumprod logcumsumexp cummax argmax any sum_all "
        "max_all var_mean std_0 nansum sort topk kthvalue softmax log_softmax softmin normalize quantile aminmax mode_ diff".split()
    )
    d, keep, one = dims(s.random, t, 2), s.random.random() < 0.4, s.random.randrange(t.dim())

    def run(side):
        x, lib = side.v[a], side.lib
        if k in ("sum", "mean", "amax", "amin", "logsumexp", "nansum"):
            return getattr(lib, k)(x, d, keep)
        if k in ("std", "var", "var_mean"):
            return getattr(lib, k)(x, d, keepdim=keep, correction=0 if t.shape[d[0]] == 1 else 1)
        if k == "std_0":
            return x.std(one, unbiased=False)
        if k in ("max", "min", "median", "cummax"):
            out = x.cummax(one) if k == "cummax" else getattr(x, k)(one, keep)
            return out[0], out[1]
        if k == "aminmax":
            out = lib.aminmax(x, dim=one, keepdim=keep)
            return out[0], out[1]
        if k in ("prod", "argmax"):
            return getattr(x, k)(one, keep)
        if k in ("norm", "norm1", "normp"):
            return lib.linalg.vector_norm(x + 0.1, {"norm": 2, "norm1": 1, "normp": 3}[k], d, keep)
        if k in ("cumsum", "cumprod", "logcumsumexp"):
            return getattr(x, k)(one)
        if k == "diff":
            return x.diff(dim=one)
        if k == "any":
            return (x > 0.5).any(one)
        if k == "sum_all":
            return x.sum()
        if k == "max_all":
            return x.max()
        if k == "sort":
            return tuple(x.sort(one, descending=keep))
        if k == "topk":
            return tuple(x.topk((t.shape[one] + 1) // 2, one))
        if k == "kthvalue":
            return x.kthvalue((t.shape[one] + 1) // 2, one).values
        if k == "quantile":
            return x.quantile(0.3, one, keepdim=keep)
        if k == "mode_":
            return x.round().mode(one).values
        return getattr(lib.nn.functional, k)(x, dim=one)

    s.add(
        f"{k}({a}, {d if k in ('sum', 'mean', 'amax', 'amin', 'logsumexp', 'nansum', 'std', 'var') or 'norm' in k else one}, {keep})", run
    )


@statement(14)
def view(s):
    r, a = s.random, s.floats(lambda t: t.dim() > 0)
    if a is None:
        return
    t = s.sides[0].v[a]
    k = r.choice(
        "t permute reshape flatten expand narrow flip roll step unfold diagonal unsqueeze squeeze select chunk unbind movedim pad tril "
        "repeat repeat_interleave contiguous negative ellipsis none rot90 stack2 as_strided swap pad_reflect tile".split()
    )
    d, e = r.randrange(t.dim()), r.randrange(t.dim())
    n = t.shape[d]
    order = r.sample(range(t.dim()), t.dim())
    i, shift = r.randrange(n) if n else 0, r.randint(-2, 2)
    m = next((q for q in (2, 3, 4) if t.numel() % q == 0), 1)

    def run(side):
        x, lib = side.v[a], side.lib
        if k in ("t", "swap"):
            return x.transpose(d, e)
        if k == "permute":
            return x.permute(order)
        if k == "reshape":
            return x.reshape(m, -1)
        if k == "flatten":
            return x.flatten(min(d, e), max(d, e))
        if k == "expand":
            return x.unsqueeze(d).expand(*t.shape[:d], 3, *t.shape[d:])
        if k == "narrow":
            return x.narrow(d, i, n - i)
        if k in ("flip",):
            return x.flip(order[: 1 + d])
        if k == "roll":
            return x.roll((shift, 1), (d, e)) if d != e else x.roll(shift, d)
        if k == "step":
            return x[(slice(None),) * d + (slice(i, None, 2),)]
        if k == "unfold":
            return x.unfold(d, max(1, n // 2), 1 + abs(shift) % 2)
        if k == "diagonal":
            return x.diagonal(shift % 2, d, e)
        if k == "unsqueeze":
            return x.unsqueeze(d)
        if k == "squeeze":
            return x.squeeze(d)
        if k == "select":
            return x.select(d, i)
        if k == "chunk":
            return x.chunk(2, d)
        if k == "unbind":
            return x.unbind(d)[:2]
        if k == "movedim":
            return x.movedim(d, e)
        if k == "pad":
            return lib.nn.functional.pad(x, (1, abs(shift)) if t.dim() == 1 else (shift % 2, 1, 1, 0), value=0.5)
        if k == "pad_reflect":
            return lib.nn.functional.pad(x, (1, abs(shift)), mode="reflect" if i % 2 else "replicate")
        if k == "tril":
            return x.tril(shift) if i % 2 else x.triu(shift)
        if k in ("repeat", "tile"):
            return getattr(x, k)(2, *[1] * (t.dim() - 1))
        if k == "repeat_interleave":
            return x.repeat_interleave(2, d)
        if k == "contiguous":
            return x.contiguous()
        if k == "negative":
            return x[..., -1:]
        if k == "ellipsis":
            return x[..., i % t.shape[-1], None]
        if k == "none":
            return x[None, :, None]
        if k == "rot90":
            return x.rot90(1, (d, e))
        if k == "stack2":
            return lib.stack([x, x.flip(d)], e)
        return x.contiguous().as_strided((2, max(1, t.numel() // 2 - 1)), (1, 2), 0)

    s.add(f"{k}({a}, {d}, {e}, {order}, {i}, {shift})", run)


@statement(6)
def join(s):
    a = s.floats(lambda t: t.dim() > 0)
    if a is None:
        return
    t = s.sides[0].v[a]
    b = s.floats(lambda q: q.shape == t.shape)
    c = s.floats(lambda q: q.shape == t.shape)
    d, k = s.random.randrange(t.dim()), s.random.choice(["cat", "cat", "stack", "cat3", "hstack", "meshgrid", "cat_zero", "block_diag"])

    def run(side):
        x, y, z, lib = side.v[a], side.v[b], side.v[c], side.lib
        if k == "cat":
            return lib.cat([x, y], d)
        if k == "cat3":
            return lib.cat([x, y * 2, z.tanh(), x], d)
        if k == "stack":
            return lib.stack([x, y, z], d)
        if k == "hstack":
            return lib.hstack([x, y])
        if k == "cat_zero":
            return lib.cat([lib.zeros_like(x), y], d)
        if k == "block_diag":
            return lib.block_diag(x, y)
        return lib.meshgrid(x, y, indexing="ij")[0] * 2

    s.add(f"{k}({a}, {b}, {c}, {d})", run)
