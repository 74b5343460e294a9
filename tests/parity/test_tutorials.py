"""Training loops of well-known kinds of model, from one seed: the same numbers under both libraries, step by step."""

import pytest

torch = pytest.importorskip("torch")

from .scripts import same  # noqa: E402


def fit(T, loss, parameters, steps=4, rate=1e-2):
    """The losses of a few steps of Adam."""
    optimizer, out = T.optim.Adam(parameters, rate), []
    for _ in range(steps):
        value = loss()
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        out.append(value.item())
    return out


def test_spectral_layers():
    """A Fourier neural operator: complex weights on the lowest frequencies."""

    def run(T):
        class Spectral(T.nn.Module):
            def __init__(self, width, modes):
                super().__init__()
                self.modes = modes
                self.weight = T.nn.Parameter(T.rand(width, width, modes, dtype=T.cfloat) / width**2)

            def forward(self, x):
                spectrum = T.fft.rfft(x)
                out = T.zeros(*x.shape[:2], x.shape[-1] // 2 + 1, dtype=T.cfloat)
                out[:, :, : self.modes] = T.einsum("bix,iox->box", spectrum[:, :, : self.modes], self.weight)
                return T.fft.irfft(out, n=x.shape[-1])

        spectral, local, head = Spectral(6, 4), T.nn.Conv1d(6, 6, 1), T.nn.Conv1d(6, 1, 1)
        x = T.randn(4, 6, 16)
        y = x.sum(1, keepdim=True).cumsum(-1)

        def loss():
            difference = head(T.nn.functional.gelu(spectral(x) + local(x))) - y
            return (T.norm(difference.reshape(4, -1), 2, 1) / T.norm(y.reshape(4, -1), 2, 1)).mean()

        return fit(T, loss, [*spectral.parameters(), *local.parameters(), *head.parameters()])

    same(run)


def test_adjoint_method():
    """A differential equation whose backward pass integrates it backwards: gradients are taken inside `backward`."""

    def run(T):
        f = T.nn.Sequential(T.nn.Linear(2, 16), T.nn.Tanh(), T.nn.Linear(16, 2))

        class Solve(T.autograd.Function):
            @staticmethod
            def forward(ctx, z, steps, *parameters):
                for _ in range(steps):
                    z = z + f(z) / steps
                ctx.save_for_backward(z)
                ctx.steps = steps
                return z

            @staticmethod
            def backward(ctx, g):
                (z,), n = ctx.saved_tensors, ctx.steps
                total = [T.zeros_like(p) for p in f.parameters()]
                for _ in range(n):
                    with T.enable_grad():
                        start = z.detach().requires_grad_()
                        slope = f(start)
                        along = T.autograd.grad(slope, [start, *f.parameters()], g)
                    z, g = z - slope.detach() / n, g + along[0] / n
                    total = [a + b / n for a, b in zip(total, along[1:], strict=True)]
                return (g, None, *total)

        x = T.randn(8, 2)
        return fit(T, lambda: (Solve.apply(x, 5, *f.parameters()) - x.flip(1)).abs().mean(), f.parameters())

    same(run)


def test_reading_inside_backward():
    def run(T):
        class Scaled(T.autograd.Function):
            @staticmethod
            def forward(ctx, x):
                ctx.save_for_backward(x)
                return x * 2

            @staticmethod
            def backward(ctx, g):
                (x,) = ctx.saved_tensors
                return g * x.abs().max().item()

        w = T.nn.Parameter(T.randn(3))
        return fit(T, lambda: Scaled.apply(w * 3).square().sum(), [w])

    same(run)


def test_neural_tangent_kernel():
    """Jacobians by the parameters of every example at once, of a network that was made a moment ago."""

    def run(T):
        net, x = T.nn.Sequential(T.nn.Linear(4, 8), T.nn.ReLU(), T.nn.Linear(8, 3)), T.randn(5, 4)
        weights = {k: v.detach() for k, v in net.named_parameters()}

        def out(p, x):
            return T.func.functional_call(net, p, (x.unsqueeze(0),)).squeeze(0)

        rows = [j.flatten(2) for j in T.func.vmap(T.func.jacrev(out), (None, 0))(weights, x).values()]
        return sum(T.einsum("naf,mbf->nmab", j, j) for j in rows)

    same(run, rtol=1e-4, atol=1e-4)


def test_radiance_field():
    """Positional encodings, rays, and an exclusive product written by assignment."""

    def run(T):
        net = T.nn.Sequential(T.nn.Linear(27, 32), T.nn.ReLU(), T.nn.Linear(32, 4))
        i, j = T.meshgrid(T.arange(6.0), T.arange(5.0), indexing="xy")
        rays = T.stack([(i - 3) / 6, -(j - 2.5) / 6, -T.ones_like(i)], -1)
        target = T.rand(5, 6, 3)

        def loss():
            depth = T.linspace(2.0, 6.0, 8) + T.rand(5, 6, 8) / 2
            points = (rays[..., None, :] * depth[..., :, None]).reshape(-1, 3)
            waves = [w(2.0**k * points) for k in range(4) for w in (T.sin, T.cos)]
            raw = net(T.cat([points, *waves], -1)).reshape(5, 6, 8, 4)
            gaps = T.cat((depth[..., 1:] - depth[..., :-1], T.tensor([1e10]).expand(depth[..., :1].shape)), -1)
            alpha = 1 - T.exp(-T.relu(raw[..., 3]) * gaps)
            passed = T.roll(T.cumprod(1 - alpha + 1e-10, -1), 1, -1)
            passed[..., 0] = 1.0
            colour = ((alpha * passed)[..., None] * T.sigmoid(raw[..., :3])).sum(-2)
            return T.nn.functional.mse_loss(colour, target)

        return fit(T, loss, net.parameters())

    same(run)


def test_selective_scan():
    """A state-space layer: a causal depthwise convolution and a recurrence over the sequence."""

    def run(T):
        enter, conv = T.nn.Linear(6, 12, bias=False), T.nn.Conv1d(6, 6, 4, groups=6, padding=3)
        select, step = T.nn.Linear(6, 2 + 2 * 4, bias=False), T.nn.Linear(2, 6)
        decay = T.nn.Parameter(T.log(T.arange(1, 5).float().repeat(6, 1)))
        x = T.randn(2, 10, 6)

        def loss():
            u, gate = enter(x).split([6, 6], -1)
            u = T.nn.functional.silu(conv(u.transpose(1, 2))[:, :, :10].transpose(1, 2))
            d, b, c = select(u).split([2, 4, 4], -1)
            d = T.nn.functional.softplus(step(d))
            keep, add = T.exp(T.einsum("bld,dn->bldn", d, -T.exp(decay))), T.einsum("bld,bln,bld->bldn", d, b, u)
            h, out = T.zeros(2, 6, 4), []
            for t in range(10):
                h = keep[:, t] * h + add[:, t]
                out.append(T.einsum("bdn,bn->bd", h, c[:, t]))
            return (T.stack(out, 1) * T.nn.functional.silu(gate) - x.roll(1, 1)).square().mean()

        modules = (enter, conv, select, step)
        return fit(T, loss, [decay, *[p for m in modules for p in m.parameters()]])

    same(run)


def test_low_rank_adaptation():
    """Frozen weights with a parametrization that alone is trained, switched off and merged."""

    def run(T):
        class LowRank(T.nn.Module):
            def __init__(self, rows, columns, rank=2):
                super().__init__()
                self.a, self.b = T.nn.Parameter(T.randn(rank, columns)), T.nn.Parameter(T.zeros(rows, rank))
                self.on = True

            def forward(self, weight):
                return weight + self.b @ self.a if self.on else weight

        parametrize = T.nn.utils.parametrize
        net = T.nn.Sequential(T.nn.Linear(6, 8), T.nn.ReLU(), T.nn.Linear(8, 3))
        x, y = T.randn(16, 6), T.randint(3, (16,))
        frozen = net[0].weight.detach().clone()
        for layer in (net[0], net[2]):
            parametrize.register_parametrization(layer, "weight", LowRank(*layer.weight.shape))
        for name, p in net.named_parameters():
            p.requires_grad_(name.endswith((".a", ".b")))

        def loss():
            return T.nn.functional.cross_entropy(net(x), y)

        out = fit(T, loss, [p for p in net.parameters() if p.requires_grad])
        out.append(T.equal(net[0].parametrizations.weight.original, frozen))
        net[0].parametrizations.weight[0].on = False
        out.append(loss().item())
        net[0].parametrizations.weight[0].on = True
        parametrize.remove_parametrizations(net[0], "weight", leave_parametrized=True)
        return [*out, loss().item(), sorted(net.state_dict())]

    same(run)


def test_vector_quantisation():
    """Nearest codes through one-hot rows written by scatter, and gradients passed straight through."""

    def run(T):
        codes, enter, leave = T.nn.Embedding(8, 4), T.nn.Conv2d(1, 4, 3, 2, 1), T.nn.ConvTranspose2d(4, 1, 4, 2, 1)
        codes.weight.data.uniform_(-1 / 8, 1 / 8)
        x, mse = T.rand(3, 1, 8, 8), T.nn.functional.mse_loss

        def loss():
            z = enter(x).permute(0, 2, 3, 1).contiguous()
            flat = z.view(-1, 4)
            distance = (flat**2).sum(1, keepdim=True) + (codes.weight**2).sum(1) - 2 * flat @ codes.weight.t()
            chosen = distance.argmin(1).unsqueeze(1)
            rows = T.zeros(chosen.shape[0], 8).scatter_(1, chosen, 1)
            q = (rows @ codes.weight).view(z.shape)
            extra = mse(q, z.detach()) + 0.25 * mse(q.detach(), z)
            q = z + (q - z).detach()
            return mse(leave(q.permute(0, 3, 1, 2).contiguous()), x) / x.var() + extra

        return fit(T, loss, [*codes.parameters(), *enter.parameters(), *leave.parameters()])

    same(run)


def test_rotary_attention_with_a_cache():
    """Complex rotations while training; while sampling, keys and values are written into buffers and nuclei are cut by sorting."""

    def run(T):
        embed, qkv, out = T.nn.Embedding(20, 16), T.nn.Linear(16, 48, bias=False), T.nn.Linear(16, 16, bias=False)
        turns = T.polar(T.ones(12, 2), T.outer(T.arange(12), 1.0 / (10000 ** (T.arange(0, 4, 2).float() / 4))))
        keys, values = T.zeros(2, 12, 4, 4), T.zeros(2, 12, 4, 4)

        def rotated(x, f):
            pairs = T.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
            return T.view_as_real(pairs * f.view(1, x.shape[1], 1, -1)).flatten(3)

        def logits(tokens, at=None):
            x = embed(tokens)
            n, f = x.shape[1], turns[at or 0 : (at or 0) + x.shape[1]]
            q, k, v = (t.view(2, n, 4, 4) for t in qkv(x).split(16, -1))
            q, k = rotated(q, f), rotated(k, f)
            if at is not None:
                keys[:, at : at + n], values[:, at : at + n] = k, v
                k, v = keys[:, : at + n], values[:, : at + n]
            q, k, v = (t.transpose(1, 2) for t in (q, k, v))
            scores = q @ k.transpose(2, 3) / 2
            if n > 1:
                scores = scores + T.triu(T.full((n, n), float("-inf")), 1)
            mixed = (T.softmax(scores, -1) @ v).transpose(1, 2).reshape(2, n, 16)
            return (x + out(mixed)) @ embed.weight.T

        x = T.randint(20, (2, 8))

        def loss():
            return T.nn.functional.cross_entropy(logits(x)[:, :-1].reshape(-1, 20), x[:, 1:].reshape(-1))

        losses = fit(T, loss, [*embed.parameters(), *qkv.parameters(), *out.parameters()])
        with T.no_grad():
            text, part, at = x[:, :3], x[:, :3], 0
            for _ in range(5):
                p = T.softmax(logits(part, at)[:, -1] / 0.8, -1)
                at += part.shape[1]
                p, order = T.sort(p, -1, descending=True)
                p[p.cumsum(-1) - p > 0.9] = 0.0
                p.div_(p.sum(-1, keepdim=True))
                part = order.gather(-1, T.multinomial(p, 1))
                text = T.cat([text, part], 1)
        return [losses, text.tolist()]

    same(run)
