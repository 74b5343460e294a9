"""Statements of random training scripts: products, indexing, writes, linear algebra, other types."""

import numpy as np

from .statements import statement


@statement(9)
def product(s):
    r = s.random
    k = r.choice("matmul linear bmm einsum addmm outer self gram mv tensordot bilinear baddbmm kron cdist cosine_similarity".split())
    a = s.floats(lambda t: t.dim() > 0)
    if a is None:
        return
    t = s.sides[0].v[a]
    n = t.shape[-1]
    b = s.floats(lambda q: q.dim() >= 2 and q.shape[-2 if k != "linear" else -1] == n)
    if b is None or r.random() < 0.3:
        b = s.leaf((s.size(), n) if k == "linear" else (n, s.size()))
    text = r.choice(["ij,jk->ik", "ij,jk->ki", "...j,jk->...k", "ij,jk->k", "ij,jk->i", "ij,jk->", "bij,jk->bki", "ij,ji->i"])

    def run(side):
        x, y, lib = side.v[a], side.v[b], side.lib
        if k == "einsum":
            return lib.einsum(text, x, y)
        if k == "linear":
            return lib.nn.functional.linear(x, y, y.sum(-1) if y.dim() == 2 else None)
        if k == "addmm":
            return lib.addmm(x.sum(-1, keepdim=True), x, y, beta=0.5, alpha=2)
        if k == "outer":
            return lib.outer(x.flatten()[:20], y.flatten()[:20])
        if k == "self":
            return x @ x.transpose(-1, -2)
        if k == "gram":
            return x.transpose(-1, -2) @ x
        if k == "mv":
            return y.t() @ x.reshape(-1)[:n]
        if k == "tensordot":
            return lib.tensordot(x, y, dims=([-1], [0]))
        if k == "bilinear":
            return (x.unsqueeze(-1) * y).sum(-2)
        if k == "baddbmm":
            return lib.baddbmm(x[..., :1], x, y.expand(x.shape[0], *y.shape), beta=0.3)
        if k == "kron":
            return lib.kron(x[..., :3], y[..., :2])
        if k == "cdist":
            return lib.cdist(x + 0.1, y.transpose(-1, -2))
        if k == "cosine_similarity":
            return lib.nn.functional.cosine_similarity(x, y.t()[:1], dim=-1)
        return x @ y

    s.add(f"{k}({a}, {b}) {text if k == 'einsum' else ''}", run)


@statement(8)
def index(s):
    r, a = s.random, s.floats(lambda t: t.dim() > 0 and t.numel() > 0)
    if a is None:
        return
    t = s.sides[0].v[a]
    k = r.choice(
        "gather index_select take list pair mask masked_fill scatter scatter_add index_add index_put index_fill masked_select "
        "scatter_reduce one_hot embedding searchsorted bincount put2 accumulate masked_scatter take_along".split()
    )
    d = r.randrange(t.dim())
    n = t.shape[d]
    m = r.randint(1, 6)
    flat = np.array([r.randrange(n) for _ in range(m)])
    shape = list(t.shape)
    shape[d] = m
    full = np.array([r.randrange(n) for _ in range(int(np.prod(shape)))]).reshape(shape)
    rows = np.array([r.randrange(t.shape[0]) for _ in range(m)])
    columns = np.array([r.randrange(t.shape[-1]) for _ in range(m)])
    how = r.choice(["sum", "prod", "mean", "amax", "amin"])

    def run(side):
        x, lib = side.v[a], side.lib
        i, f = side.tensor(flat), side.tensor(full)
        source = x.detach().mean() + lib.ones(shape, dtype=x.dtype, device=x.device) * x.sum().tanh()
        if k in ("gather", "take_along"):
            return x.gather(d, f) if k == "gather" else lib.take_along_dim(x, f, d)
        if k == "index_select":
            return x.index_select(d, i)
        if k == "take":
            return x.take(i)
        if k == "list":
            return x[flat.tolist()] if d == 0 else x[:, flat.tolist()]
        if k == "pair":
            return x[side.tensor(rows), ..., side.tensor(columns)] if t.dim() > 1 else x[i]
        if k == "mask":
            return x * (x > 0).to(x.dtype)
        if k == "masked_fill":
            return x.masked_fill(x > 0.5, 0.25)
        if k == "masked_select":
            return x[x > 0]
        if k == "scatter":
            order = lib.arange(n, device=x.device).flip(0).reshape([-1 if q == d else 1 for q in range(t.dim())]).expand(x.shape)
            return x.scatter(d, order, x * 2)
        if k == "scatter_add":
            return x.scatter_add(d, f, source)
        if k == "scatter_reduce":
            return x.scatter_reduce(d, f, source * lib.linspace(0.5, 1.5, f.numel(), dtype=x.dtype, device=x.device).reshape(shape), how)
        if k == "index_add":
            return x.index_add(d, i, source, alpha=0.5)
        if k == "index_fill":
            return x.index_fill(d, i, 0.1)
        if k == "index_put":
            return x.index_put((side.tensor(rows),), x.sum().tanh(), accumulate=True)
        if k == "put2":
            y = x.clone()
            y[side.tensor(rows[:1])] = x.mean()
            return y
        if k == "accumulate":
            y = lib.zeros_like(x)
            for j in flat.tolist()[:3]:
                y.select(d, j).add_(x.select(d, 0))
            return y
        if k == "one_hot":
            return lib.nn.functional.one_hot(i, n).to(x.dtype) @ x if t.dim() == 2 and d == 0 else x
        if k == "embedding":
            return lib.nn.functional.embedding(i, x) if t.dim() == 2 and d == 0 else x * 1
        if k == "searchsorted":
            return lib.searchsorted(x.detach().sort(-1).values.contiguous(), x.detach().contiguous()).to(x.dtype) * x
        if k == "bincount":
            return lib.bincount(i, weights=x.flatten()[:1].detach().expand(m), minlength=n).to(x.dtype) * x.mean()
        return x.masked_scatter(x > 0, x.flatten().flip(0))

    s.add(f"{k}({a}, {d}, {flat.tolist()}, {how})", run)


@statement(7)
def write(s):
    """In-place operations on a copy, on an intermediate result, and through views of them."""
    r, a = s.random, s.floats(lambda t: t.dim() > 0 and t.numel() > 0)
    if a is None:
        return
    t = s.sides[0].v[a]
    b = s.floats(lambda q: q.shape == t.shape)
    k, c = (
        r.choice("add_ mul_ relu_ tanh_ row column slice step fill zero masked_fill_ clamp_ copy_ diagonal iadd t exp_".split()),
        r.choice([0.5, -1.0, 2.0]),
    )
    clone = r.random() < 0.7

    def run(side):
        x = side.v[a].clone() if clone else side.v[a] * 1
        y = side.v[b]
        if k in ("add_", "mul_", "copy_"):
            getattr(x, k)(y)
        elif k in ("relu_", "tanh_"):
            getattr(x, k)()
        elif k == "exp_":
            x.tanh_().exp_()
        elif k == "row":
            x[0] = y[-1] * c
        elif k == "column":
            x[..., -1] += y[..., 0]
        elif k == "slice":
            x[1:] = y[:-1]
        elif k == "step":
            x[..., ::2].mul_(c)
        elif k == "fill":
            x[..., :1].fill_(c)
        elif k == "zero":
            x[:1].zero_()
        elif k == "masked_fill_":
            x.masked_fill_(y > 0, c)
        elif k == "clamp_":
            x.clamp_(-1, 1)
        elif k == "diagonal":
            x.diagonal(0, 0, -1).add_(c)
        elif k == "iadd":
            x += y.sum()
            x *= 0.5
        else:
            x.transpose(0, -1).add_(y.transpose(0, -1).flip(0) * c)
        return x

    s.add(f"{k} on {a} with {b}, {c}", run)


@statement(3)
def linear_algebra(s):
    r, a = s.random, s.floats(lambda t: t.dim() == 2 and 1 < t.numel() <= 300)
    if a is None:
        return
    k = r.choice(
        "inverse solve cholesky det logdet qr svdvals eigvalsh pinv matrix_power matrix_exp slogdet trace fft ifft rfft lstsq "
        "cov corrcoef".split()
    )

    def run(side):
        x, lib = side.v[a], side.lib
        m = x @ x.t() * 0.1 + 2 * lib.eye(x.shape[0], dtype=x.dtype, device=x.device)
        if k == "inverse":
            return lib.linalg.inv(m)
        if k == "solve":
            return lib.linalg.solve(m, x)
        if k == "cholesky":
            return lib.linalg.cholesky(m)
        if k in ("det", "logdet", "trace"):
            return getattr(lib, k)(m)
        if k == "slogdet":
            return lib.linalg.slogdet(m)[1]
        if k == "qr":
            return lib.linalg.qr(m)[1]
        if k in ("svdvals", "eigvalsh"):
            return getattr(lib.linalg, k)(m).sum()
        if k == "pinv":
            return lib.linalg.pinv(m)
        if k == "matrix_power":
            return lib.linalg.matrix_power(m * 0.3, 3)
        if k == "matrix_exp":
            return lib.matrix_exp(m * 0.1)
        if k == "lstsq":
            return lib.linalg.lstsq(m, x).solution
        if k in ("cov", "corrcoef"):
            return lib.cov(x) if k == "cov" else lib.corrcoef(x + m[:, :1])
        if k == "rfft":
            return lib.fft.rfft(x).abs()
        return getattr(lib.fft, k)(x).real

    s.add(f"linalg {k}({a})", run)


@statement(5)
def types(s):
    """Other types: integers, booleans, mixed precision, and what comes back from them."""
    r, a = s.random, s.floats(lambda t: t.numel() > 0)
    if a is None:
        return
    k = r.choice(
        "long_floor int_div int_mod int32_mul bool_sum bool_logic shift bits float_round half bfloat other_float mixed count nonzero "
        "int_max uint8 isnan compare argsort unique int_mean int_pow int_prod int_cumsum where_scalar clamp_int true_div int_neg".split()
    )

    def run(side):
        x, lib = side.v[a], side.lib
        d = x.detach()
        i = (d * 3).to(lib.int64)
        j = i.abs() % 3 + 1
        if k == "long_floor":
            z = lib.floor_divide(i, j)
        elif k == "int_div":
            z = lib.div(i, j, rounding_mode="trunc")
        elif k == "int_mod":
            z = i % j + lib.fmod(i, j) + i.remainder(-2)
        elif k == "int32_mul":
            z = i.to(lib.int32) * 100000 * i.to(lib.int32)
            z = z % 7
        elif k == "bool_sum":
            z = (d > 0).sum() + (d > 0).float().mean()
        elif k == "bool_logic":
            z = ((d > 0) & ~(d > 1)) | (d < -0.5) ^ (d > 0.2)
        elif k == "shift":
            z = (i << 2) + (i >> 1)
        elif k == "bits":
            z = (i & 5) + (i | 3) + (i ^ 6) + ~i
        elif k == "float_round":
            z = d.round(decimals=1) + (d / 0.3).floor()
        elif k == "half":
            z = (d.half() * 0.5).to(x.dtype).mean() + d.half().to(x.dtype)
        elif k == "bfloat":
            return x + x.to(lib.bfloat16).to(x.dtype)
        elif k == "other_float":
            return x + x.to(lib.float32).sin().to(x.dtype)
        elif k == "mixed":
            return x * i + (d > 0) * 2
        elif k == "count":
            z = lib.count_nonzero(i, dim=0) if x.dim() else i
        elif k == "nonzero":
            return x.flatten()[(d > 0).flatten().nonzero().squeeze(-1)]
        elif k == "int_max":
            z = i.max() - i.min() + i.argmax()
        elif k == "uint8":
            z = (i.to(lib.uint8) + 200) // 3
        elif k == "isnan":
            z = lib.isnan(d / d.round()).sum() + lib.isinf(1 / d.round()).sum()
        elif k == "compare":
            z = lib.eq(i, j) + lib.ne(i, 1).to(x.dtype) + (i >= j).to(x.dtype)
        elif k == "argsort":
            z = d.flatten().argsort(descending=True, stable=True)
        elif k == "unique":
            return lib.unique(i).to(x.dtype) * x.mean()
        elif k == "int_mean":
            z = i.to(x.dtype).mean() + i.sum() / 3
        elif k == "int_pow":
            z = i**2 + 2**j
        elif k == "int_prod":
            z = i.prod() % 1000 + i.sum(dtype=lib.int32)
        elif k == "int_cumsum":
            z = i.flatten().cumsum(0)
        elif k == "where_scalar":
            z = lib.where(d > 0, 1, 0) + lib.where(d > 0, d, 2.0)
        elif k == "clamp_int":
            z = i.clamp(-1, 2)
        elif k == "true_div":
            z = i / j
        else:
            z = -i + i.abs() + i.sign()
        z = z.to(x.dtype)
        return x + z if z.dim() == 0 or z.shape == x.shape else z * x.mean()

    s.add(f"types {k}({a})", run)
